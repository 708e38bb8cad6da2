//! dm-verity hash devices: format, load, verify, and activate through device-mapper.
//!
//! A verity image is a data area, a hash tree over it, and usually a superblock that says how the tree was made. Whoever
//! knows the root hash can check every data block, in userspace with [`verify`], or block by block as they are read, with
//! a device-mapper mapping made by [`dm::activate`].
//!
//! ```
//! use dmverity::{BlockSize, Devices, HashAlgorithm, Params, Salt, Work};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = std::env::temp_dir().join(format!("dmverity-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&directory)?;
//! # let (data, hash) = (directory.join("data.img"), directory.join("hash.img"));
//! # std::fs::write(&data, [7; 40960])?;
//! let devices = Devices::new(&data, &hash);
//! let builder = Params::builder()
//!     .algorithm(HashAlgorithm::from_name("sha512")?)
//!     .data_block_size(BlockSize::new(1024)?)
//!     .salt(Salt::random()?);
//! let formatted = dmverity::format(&devices, builder, &Work::default())?;
//! println!("root hash: {}", formatted.root_hash);
//!
//! // Everything but the root hash is in the superblock.
//! let params = dmverity::load(&devices.hash, 0, None)?;
//! assert_eq!(params.data_blocks(), 40);
//! assert!(dmverity::verify(&devices, &params, &formatted.root_hash, &Work::default())?.is_good());
//! # std::fs::remove_dir_all(&directory)?;
//! # Ok(())
//! # }
//! ```
//!
//! With FEC ([`ParamsBuilder::fec`], [`Devices::fec`]) `format` also writes parity, and [`repair()`] puts right with it what
//! is damaged later:
//!
//! ```
//! use dmverity::{Devices, Fec, Params, RepairMode, Work};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = std::env::temp_dir().join(format!("dmverity-fec-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&directory)?;
//! # let (data, hash, fec) = (directory.join("data.img"), directory.join("hash.img"), directory.join("fec.img"));
//! # std::fs::write(&data, [7; 40960])?;
//! let devices = Devices { fec: Some(fec), ..Devices::new(&data, &hash) };
//! let builder = Params::builder().fec(Fec::new(4, 0)?);
//! let formatted = dmverity::format(&devices, builder, &Work::default())?;
//! # std::fs::write(&data, [&[8; 100][..], &[7; 40860]].concat())?;
//!
//! let (params, root_hash) = (formatted.layout.params(), &formatted.root_hash);
//! let repair = dmverity::repair(&devices, params, root_hash, RepairMode::Write, &Work::default())?;
//! assert_eq!(repair.blocks().len(), 1);
//! assert!(dmverity::verify(&devices, params, root_hash, &Work::default())?.is_good());
//! # std::fs::remove_dir_all(&directory)?;
//! # Ok(())
//! # }
//! ```
//!
//! # What has to hold
//!
//! - Nothing is written before everything is checked, and the superblock is written last: an interrupted [`format()`]
//!   leaves nothing that loads.
//! - Memory does not grow with the image, nor do results depend on the number of threads.
//! - What is written is byte for byte what cryptsetup's `veritysetup` writes for the same parameters.
//! - No version of a kernel or of a device-mapper target is ever compared: the kernel is asked, and answers.
//!
//! The library prints nothing and holds no global state. It writes to the [`log`] of the program that uses it.
//!
//! # Where things are
//!
//! | module | what |
//! |---|---|
//! | [`params`], [`units`], [`hash`] | the values an image is described by, valid once they exist |
//! | [`superblock`], [`layout`] | bytes on disk, and where they lie; no I/O |
//! | [`table`] | device-mapper's table and status lines; strings only |
//! | [`dm`] | mappings: activate, status, deactivate |
//! | [`error`] | the one error type |

pub mod dm;
pub mod error;
mod fec;
pub mod hash;
mod image;
mod in_order;
mod io;
mod keyring;
pub mod layout;
mod loopdev;
pub mod params;
pub mod superblock;
mod sysfs;
pub mod table;
mod tree;
pub mod units;
mod work;

pub use error::{Error, Result};
pub use fec::{Repair, RepairMode, WrongBlock};
pub use hash::{HashAlgorithm, HashType};
pub use image::{Devices, Formatted, device_size, fec_area, format, load, repair, verify};
pub use io::page_size;
pub use layout::{FecArea, Layout};
pub use params::{Fec, Params, ParamsBuilder, RootHash, Salt};
pub use superblock::Superblock;
pub use sysfs::Holder;
pub use tree::{Failure, Verification};
pub use units::BlockSize;
pub use work::{Progress, Work};
