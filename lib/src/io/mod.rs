//! Files, block devices and whatever else an image is read from and written to: positioned reads and writes, what is
//! the same device, what is a hole, who may write.
//!
//! The rooms above work with a [`Device`]: a file or block device that was opened by its path, or something of the
//! caller's that implements [`ReadAt`] or [`WriteAt`]. What only Linux has is in `linux`; `portable` does without.

mod claim;
mod created;
mod cursor;
mod device;
mod direct;
mod extents;
mod file;
mod holes;
mod identity;
mod overlay;
mod place;
mod storage;
mod stream;
mod temporary;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as system;

pub(crate) use claim::Claims;
#[cfg(feature = "dm")]
pub(crate) use claim::check_unused;
pub(crate) use created::Created;
pub use cursor::ReadCursor;
pub(crate) use device::Device;
pub(crate) use direct::Reader;
pub(crate) use extents::Extents;
pub(crate) use file::identify;
pub use file::is_same_device;
pub(crate) use holes::Holes;
pub(crate) use identity::Identity;
pub(crate) use overlay::Overlay;
pub(crate) use place::check_creatable;
pub use place::is_among_device_nodes;
pub use storage::{Memory, ReadAt, Storage, WriteAt};
pub(crate) use stream::{Buffers, Piece, Stream};
pub use system::page_size;
pub(crate) use temporary::Replacement;
