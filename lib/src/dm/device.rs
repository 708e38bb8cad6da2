//! Device numbers, and what holds a device.

use std::ops::Range;
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

use super::sysfs::{self, Holder};
use crate::io::{Identity, identify};

/// A device number as tables and sysfs write it: `major:minor`.
pub(super) fn device_numbers(number: u64) -> String {
    format!("{}:{}", major(number), minor(number))
}

/// What holds the block device at `path`, as far as is known, to explain an
/// [`Error::DeviceBusy`](crate::Error::DeviceBusy). Nothing for anything else.
pub fn holders(path: &Path) -> Vec<Holder> {
    match identify(path) {
        Ok(Identity::Block(number)) => sysfs::holders(&device_numbers(number)),
        _ => Vec::new(),
    }
}

/// The node of the partition that has these bytes of a disk, where the kernel has read the partition table; `None` for
/// anything but a block device.
pub fn partition_node(disk: &Path, bytes: &Range<u64>) -> Option<PathBuf> {
    let Ok(Identity::Block(number)) = identify(disk) else { return None };
    let node = sysfs::partition(&device_numbers(number), bytes)?;
    // The name may be missing in /dev, or mean something else there.
    matches!(identify(&node), Ok(Identity::Block(_))).then_some(node)
}
