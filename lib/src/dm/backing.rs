//! The block devices under a mapping that is being made.

use std::ops::Range;
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;

use super::device::device_numbers;
use super::error::Result;
use super::loop_device::LoopDevice;
use crate::error::Area;
use crate::io::{Device, Identity};

/// A device as tables name it, and the areas that it has to hold.
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
    pub(super) identity: Identity,
    /// The part of it that is used, if it is not all of it.
    part: Option<Range<u64>>,
    /// Keeps an image file attached until the mapping has it.
    _loop_device: Option<LoopDevice>,
}

impl Backing {
    /// The block device that is open, or a loop device for the image file that is open, or for a part of either.
    pub(super) fn of(area: Area, device: &Device<'_>, needed: u64) -> Result<Self> {
        let (path, part) = (device.path(), device.as_part());
        let (number, loop_device) = match (device.identity(), device.as_file()) {
            (Identity::Block(number), _) if part.is_none() => (number, None),
            (Identity::Block(_) | Identity::File(..), Some((file, path))) => {
                let device = LoopDevice::attach_read_only(file, path, part.as_ref())?;
                (device.number()?, Some(device))
            }
            _ => return Err(crate::Error::NotDevice { path: path.to_owned() }.into()),
        };
        Ok(Self {
            path: path.to_owned(),
            areas: vec![area],
            needed,
            numbers: device_numbers(number),
            identity: device.identity(),
            part,
            _loop_device: loop_device,
        })
    }

    /// A device of which only the name is known.
    #[cfg(test)]
    pub(super) fn in_test(area: Area, path: &Path, numbers: &str) -> Self {
        Self {
            path: path.to_owned(),
            areas: vec![area],
            needed: 1,
            numbers: numbers.to_owned(),
            identity: Identity::Block(0),
            part: None,
            _loop_device: None,
        }
    }

    /// Whether it is this device.
    pub(super) fn is(&self, device: &Device<'_>) -> bool {
        (device.identity(), device.as_part()) == (self.identity, self.part.clone())
    }

    /// Adds another area that is on it.
    pub(super) fn also_for(&mut self, area: Area, needed: u64) {
        self.areas.push(area);
        self.needed = self.needed.max(needed);
    }

    /// The device that an area is on.
    pub(super) fn find(backings: &[Self], area: Area) -> Option<&Self> {
        backings.iter().find(|backing| backing.areas.contains(&area))
    }
}
