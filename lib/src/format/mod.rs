//! Bytes on disk and where they are: parameters that are valid, the superblock, the layout, sizes before there are
//! data. Arithmetic only, no I/O.

mod hashing;
mod layout;
mod params;
mod plan;
mod seed;
#[cfg(feature = "serde")]
mod serial;
mod superblock;

pub use hashing::Hashing;
pub use layout::{FecArea, Layout, Level, SharedDevices};
pub(crate) use params::check_offset;
pub use params::{Fec, FecScope, Params, ParamsBuilder};
pub use plan::{AppendedFec, Plan};
pub use seed::Seed;
pub use superblock::{SUPERBLOCK_SIZE, Superblock};
