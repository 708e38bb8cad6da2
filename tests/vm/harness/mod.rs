//! Boots real kernels in virtual machines and runs shell scripts in them: the parts that the test (`tests/vm/main.rs`)
//! and the command for people (`tests/vm/bin.rs`) share.
//!
//! A boot goes through the modules in this order: [`kernels`] fetches a kernel with [`apt`], [`modules`] picks what the
//! guest loads, [`initramfs`] packs it with [`hosttools`] (or those of [`foreign`]), our binary and the scripts,
//! [`qemu`] starts the machine, [`protocol`] reads what the guest reports, and [`boot`] turns that into one outcome per
//! case. [`cases`] reads the scripts' headers, [`schedule`] keeps two machines busy. For cases that ask for them,
//! [`images`] makes file systems, [`signatures`] signs root hashes, [`builtin`] makes a kernel trust these, [`debian`]
//! unpacks Debian's own programs, and [`compat`] fetches the tests that cryptsetup brings.

pub mod apt;
pub mod architecture;
pub mod boot;
pub mod builtin;
pub mod cache;
pub mod cases;
pub mod compat;
pub mod console;
pub mod debian;
pub mod foreign;
pub mod hosttools;
pub mod images;
pub mod initramfs;
pub mod kernels;
pub mod modules;
pub mod paths;
pub mod process;
pub mod protocol;
pub mod qemu;
pub mod schedule;
pub mod signatures;
pub mod sources;
