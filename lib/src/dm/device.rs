//! Device numbers, and what holds a device.

use std::path::Path;

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
