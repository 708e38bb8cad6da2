//! dm-verity hash devices: format, load, verify, repair, and activate through device-mapper.
//!
//! A verity image is a data area, a hash tree over it, usually a superblock that says how the tree was made and, with
//! forward error correction (FEC), parity. The root hash proves every data block: in userspace with [`verify`], or
//! block by block as they are read, with a device-mapper mapping made by [`dm::activate`].
//!
//! ```
//! use dmverity::{Devices, Params, Salt, Work};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let (data, hash) = (directory.path().join("data.img"), directory.path().join("hash.img"));
//! # std::fs::write(&data, [7; 40960])?;
//! let devices = Devices::new(&data, &hash);
//! let builder = Params::builder().salt(Salt::random()?);
//! let formatted = dmverity::format(&devices, builder, &Work::default())?;
//! println!("root hash: {}", formatted.root_hash);
//!
//! // Everything but the root hash is in the superblock.
//! let params = dmverity::load(&devices.hash, 0, None)?;
//! assert!(dmverity::verify(&devices, &params, &formatted.root_hash, &Work::default())?.is_good());
//! # Ok(())
//! # }
//! ```
//!
//! # What do you want to do?
//!
//! Each item has an example.
//!
//! | task | item | needs |
//! |---|---|---|
//! | make a hash tree and, optionally, parity | [`format()`] | |
//! | read the parameters of an image | [`load`] | |
//! | write them, and no hash tree | [`write_superblock`] | |
//! | compute the root hash without writing anything | [`dry_run`], [`unverified_root_hash`] | |
//! | check a whole image | [`verify`], with its parity [`diagnose`] | |
//! | make tree and parity fit data that have changed in some places | [`update()`] | |
//! | refuse an image whose superblock was changed | [`Expected`] | |
//! | repair a damaged image with its parity | [`repair()`] | |
//! | show progress, cancel work, choose the number of threads | [`Work`] | |
//! | compute where everything is, before or after it is made | [`Layout`] | |
//! | read an image without the kernel, each block proven | [`VerifiedReader`] | |
//! | hash blocks | [`hash::BlockHasher`] | |
//! | make parity of data in memory | [`Parity`] | |
//! | serve an image to qemu, nbdcopy and other clients of NBD | `nbd::Server` | feature `nbd` |
//! | read an image on a web server, over HTTP and HTTPS | `http::Remote` | feature `http` |
//! | compute sizes before the data exist | [`Plan`] | |
//! | make an image that is one file, and find its hash tree again | [`append`], [`find_hash_offset`] | |
//! | work on memory, open files or storage of your own | [`Image`] | |
//! | make an image of data that come as a stream, check them as they come | [`TreeBuilder`], [`StreamVerifier`] | |
//! | make the same bytes everywhere | [`Seed`] | |
//! | write the line with which another system opens an image | [`boot::BootImage`] | |
//! | read which root device a kernel command line asks for | [`cmdline::Cmdline`] | |
//! | make or read a device-mapper table | [`table::VerityTable`] | |
//! | sign a root hash, check a signature, tell who takes it | [`signature`] | |
//! | open an image as a block device | [`dm::activate`] | root |
//! | ask for the state of an open image | [`dm::status`] | root |
//! | close it | [`dm::deactivate`] | root |
//! | find out what this kernel's dm-verity can do | [`dm::features`] | root |
//!
//! Two programs to start from are in the source, in the folder `examples`: `image_builder`, and `verifying_reader`,
//! which reads an image without the kernel's dm-verity and returns only what the root hash proves.
//!
//! # Units and errors
//!
//! Offsets, lengths and positions are bytes unless a name says blocks; numbers of blocks come with the [`BlockSize`]
//! that they are counted in. Only device-mapper's tables count sectors, of [`SECTOR_SIZE`] bytes. Salts and root hashes
//! are bytes, and lower-case hexadecimal digits as text.
//!
//! Functions for images fail with an [`Error`], functions for mappings with a [`dm::Error`], which may contain the
//! former. Their messages leave out the cause: [`source`](std::error::Error::source) returns it. A damaged image is not
//! an error: it is a result of [`verify`] and [`repair()`].
//!
//! # Features
//!
//! | feature | what | needs |
//! |---|---|---|
//! | `dm` (default) | [`dm`]: mappings, loop devices, keyrings | Linux; to build, libclang and libdevmapper's header |
//! | `ddi` | `ddi`: GPT images with data, hash and signature partitions, and sidecar files | a Rust compiler |
//! | `http` | `http`: images on web servers | a Rust compiler; to build, a C compiler |
//! | `nbd` | `nbd`: an image as a disk for clients of the NBD protocol | a Rust compiler |
//! | `signature` | [`signature`]: signatures of root hashes | a Rust compiler |
//! | `serde` | values and parameters in other formats | a Rust compiler |
//! | none | everything else | a Rust compiler |
//!
//! # What has to hold
//!
//! - Nothing is written before everything is checked, and the superblock is written last: an interrupted [`format()`]
//!   leaves nothing that loads.
//! - Memory does not grow with the image, nor do results depend on the number of threads.
//! - What is written is byte for byte what cryptsetup's `veritysetup` writes for the same parameters.
//! - No version of a kernel or of a device-mapper target is ever compared: the library asks the kernel instead.
//!
//! The library prints nothing and holds no global state. It writes to the [`log`] of the program that uses it.
//!
//! # Where things are
//!
//! | module | what |
//! |---|---|
//! | the crate itself | whole images, the values that describe them, and where their areas are |
//! | [`hash`] | hashing blocks |
//! | [`table`] | device-mapper's table and status lines; strings only |
//! | [`boot`] | lines for `dmsetup`, the kernel's command line and systemd; strings only |
//! | [`cmdline`] | the kernel's command line, read; bytes only |
//! | `ddi` | discoverable disk images and sidecar files |
//! | `http` | files on web servers, read in ranges, and a local cache of them |
//! | `nbd` | the NBD protocol: anything that can be read at a position, as a disk |
//! | [`signature`] | signatures of root hashes: made, checked, explained |
//! | [`dm`] | mappings: activate, status, deactivate; what the kernel can do |
//! | [`messages`] | what the reference tool says of each error |
//!
//! In the source each folder is a room, and knows only those below it: `error`, `value`, `cpu`, `memory`, `work`, `io`,
//! `hash`, `format`, `tree`, `fec`, `image`, `reader`, `nbd`, `http`, `ddi`, `line`, `signature`, `dm`, `messages`,
//! from the ground upwards.

mod cpu;
#[cfg(feature = "ddi")]
pub mod ddi;
#[cfg(feature = "dm")]
pub mod dm;
mod error;
mod fec;
mod format;
pub mod hash;
#[cfg(feature = "http")]
pub mod http;
mod image;
mod io;
mod line;
mod memory;
pub mod messages;
#[cfg(feature = "nbd")]
pub mod nbd;
mod reader;
#[cfg(feature = "signature")]
pub mod signature;
mod tree;
mod value;
mod work;

pub use error::{Area, Error, Result};
pub use fec::{Parity, ParityBackend, Repair, RepairMode, WrongBlock};
pub use format::{
    AppendedFec, Fec, FecArea, FecScope, Hashing, Layout, Level, Params, ParamsBuilder, Plan, SUPERBLOCK_SIZE, Seed,
    SharedDevices, Superblock,
};
pub use hash::{HashAlgorithm, HashType};
pub use image::{
    Appended, Changes, Devices, Diagnosis, Expected, Formatted, Image, Parts, TreeBuilder, Updated, ZerosWritten,
    append, append_dry_run, check_new_files, device_size, diagnose, dry_run, fec_area, find_hash_offset,
    find_superblocks, find_tree_to_update, format, is_same_device, load, load_to_update, must_be_zeros, plan_append,
    repair, uncovered_blocks, unverified_root_hash, update, verify, write_superblock, write_zeros,
};
pub use io::{Memory, ReadAt, ReadCursor, Storage, WriteAt, is_among_device_nodes, page_size};
pub use line::{boot, cmdline, table};
pub use reader::{Corruption, Counters, ReaderBuilder, StreamVerifier, VerifiedReader, Where};
pub use tree::{Failure, Verification};
pub use value::{BlockSize, MAX_DEVICE_BYTES, PartitionUuids, RootHash, SECTOR_SIZE, Salt};
pub use work::{Progress, Work};

/// The crate's README, whose example is compiled with those of the documentation.
#[cfg(all(doctest, feature = "dm"))]
#[doc = include_str!("../README.md")]
struct Readme;
