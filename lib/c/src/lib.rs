//! The verity part of libcryptsetup's C interface, over the public API of the crate `dmverity`. `make lib` links it as
//! `libcryptsetup.so.12`; `man/libcryptsetup-verity.7` says what programs get.
//!
//! [`functions`] has the table of all names. What it calls `works` is in the files of their groups: `handle`, `load`,
//! `format`, `activate`, `query`, `log`, `memory`; all else is made of the table by `stubs`. Every entry goes through
//! `guard`, which turns errors and panics into numbers.
//!
//! Pointers that C passes are read in `abi` and at the beginning of an entry, and nowhere else.
// An interface for C is made of raw pointers and exported symbols.
#![allow(unsafe_code)]

mod abi;
mod activate;
mod format;
pub mod functions;
mod guard;
mod handle;
mod load;
mod log;
mod memory;
mod query;
mod stubs;
#[cfg(test)]
mod tests;
