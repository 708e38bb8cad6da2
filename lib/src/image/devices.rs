//! The devices of an image, by their paths.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::{FecArea, Layout, SharedDevices};
use crate::io::{Device, Identity, identify};

/// The devices of an image. Each may be a regular file or a block device, and they may be the same.
#[derive(Clone, Debug)]
pub struct Devices {
    /// Holds the data blocks from its start.
    pub data: PathBuf,
    /// Holds the superblock and the hash tree.
    pub hash: PathBuf,
    /// Holds the FEC parity, if any.
    pub fec: Option<PathBuf>,
}

impl Devices {
    /// A data device and a hash device, no FEC.
    pub fn new(data: impl Into<PathBuf>, hash: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), hash: hash.into(), fec: None }
    }

    /// Data and hash device alone.
    pub(super) fn without_fec(&self) -> Self {
        Self { fec: None, ..self.clone() }
    }

    /// Which of them are the same. A device that does not exist differs from the others.
    pub(crate) fn shared(&self) -> Result<SharedDevices> {
        self.shared_with(Some(identify(&self.data)?))
    }

    /// The same for data that are on none of them.
    pub(super) fn shared_without_data(&self) -> Result<SharedDevices> {
        self.shared_with(None)
    }

    fn shared_with(&self, data: Option<Identity>) -> Result<SharedDevices> {
        let hash = identify_if_there(&self.hash)?;
        let fec = self.fec.as_deref().map_or(Ok(None), identify_if_there)?;
        Ok(SharedDevices {
            data_and_hash: data.is_some() && hash == data,
            hash_and_fec: self.fec.as_ref() == Some(&self.hash) || (fec.is_some() && fec == hash),
            data_and_fec: data.is_some() && fec == data,
        })
    }
}

pub(super) fn identify_if_there(path: &Path) -> Result<Option<Identity>> {
    match identify(path) {
        Ok(identity) => Ok(Some(identity)),
        Err(Error::Open { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where the FEC area of an existing image is, and what it covers; `None` without FEC.
///
/// # Errors
/// [`Error::Open`] and [`Error::NotDevice`].
pub fn fec_area(hash: &Path, fec: &Path, layout: &Layout) -> Result<Option<FecArea>> {
    let device = Device::open(hash)?;
    let on_hash_device = identify(hash)? == identify(fec)?;
    Ok(layout.fec_area_on(device.bytes(), on_hash_device))
}

/// The size of a device or file in bytes.
///
/// # Errors
/// [`Error::Open`] and [`Error::NotDevice`].
pub fn device_size(path: impl AsRef<Path>) -> Result<u64> {
    let path = path.as_ref();
    Ok(Device::open(path)?.bytes())
}
