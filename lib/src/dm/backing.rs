//! The block devices under a mapping that is being made.

use std::path::{Path, PathBuf};

use super::device::device_numbers;
use super::error::Result;
use super::loop_device::LoopDevice;
use crate::error::Area;
use crate::io::{Identity, identify};

/// A device as tables name it, and what is asked of it.
#[derive(Debug)]
pub(super) struct Backing {
    /// The device or file it was given as.
    pub(super) path: PathBuf,
    /// The areas on it.
    pub(super) areas: Vec<Area>,
    /// What it has to hold, in bytes.
    pub(super) needed: u64,
    /// `major:minor`: unlike a path it has no blanks and always means this device.
    pub(super) numbers: String,
    identity: Identity,
    /// Keeps an image file attached until the mapping has it.
    _loop_device: Option<LoopDevice>,
}

impl Backing {
    /// The block device at `path`, or a loop device with the image file behind it.
    pub(super) fn of(area: Area, path: &Path, needed: u64) -> Result<Self> {
        let identity = identify(path)?;
        let (number, loop_device) = match identity {
            Identity::Block(number) => (number, None),
            Identity::File(..) => {
                let device = LoopDevice::attach_read_only(path)?;
                (device.number()?, Some(device))
            }
            Identity::Storage(_) => return Err(crate::Error::NotDevice { path: path.to_owned() }.into()),
        };
        Ok(Self {
            path: path.to_owned(),
            areas: vec![area],
            needed,
            numbers: device_numbers(number),
            identity,
            _loop_device: loop_device,
        })
    }

    /// A device that nothing is known of but what it is called.
    #[cfg(test)]
    pub(super) fn in_test(area: Area, path: &Path, numbers: &str) -> Self {
        Self {
            path: path.to_owned(),
            areas: vec![area],
            needed: 1,
            numbers: numbers.to_owned(),
            identity: Identity::Block(0),
            _loop_device: None,
        }
    }

    /// Whether `path` is this device.
    pub(super) fn is(&self, path: &Path) -> Result<bool> {
        Ok(identify(path)? == self.identity)
    }

    /// Another area lies on it too.
    pub(super) fn also_for(&mut self, area: Area, needed: u64) {
        self.areas.push(area);
        self.needed = self.needed.max(needed);
    }

    /// The device that an area lies on.
    pub(super) fn find(backings: &[Self], area: Area) -> Option<&Self> {
        backings.iter().find(|backing| backing.areas.contains(&area))
    }
}
