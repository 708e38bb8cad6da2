//! dm-verity hash devices: format, verify, and activate through device-mapper.
#![deny(unsafe_code)]

pub mod dm;
pub mod error;
pub mod hash;
mod image;
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

pub use error::{Error, Result};
pub use hash::{HashAlgorithm, HashType};
pub use image::{Devices, Formatted, device_size, format, load, verify};
pub use layout::Layout;
pub use params::{Fec, Params, ParamsBuilder, RootHash, Salt};
pub use superblock::Superblock;
pub use tree::{Failure, Verification};
pub use units::BlockSize;
