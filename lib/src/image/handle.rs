//! An image that is open.

use std::path::Path;

use super::devices::Devices;
use super::scan::Scan;
use crate::error::{Area, Error, Result};
use crate::format::{Layout, SharedDevices};
use crate::io::{Claims, Device, Identity, Storage, identify};

/// An open image: each of its devices is opened once, however many operations follow.
///
/// # Examples
/// In memory, without any file:
/// ```
/// use dmverity::{Hashing, Image, Memory, Storage, Work};
///
/// # fn main() -> dmverity::Result<()> {
/// let storage = Memory::from(vec![7; 40_000]);
/// let mut image = Image::in_one(Storage::Write(&storage))?;
/// let made = image.append(Hashing::default(), None, &Work::default())?;
///
/// let params = image.load(image.locate()?, None)?;
/// assert!(image.verify(&params, &made.formatted.root_hash, &Work::default())?.is_good());
/// let bytes = Vec::from(storage);
/// assert_eq!(bytes.len(), 40_960 + 8192);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Image<'s> {
    pub(crate) data: Device<'s>,
    pub(crate) hash: Device<'s>,
    pub(crate) fec: Option<Device<'s>>,
    /// Keeps other processes from what is written to.
    pub(super) claims: Claims,
    /// What the last search has found.
    pub(super) scan: Option<Scan>,
}

impl Image<'static> {
    /// Opens devices for reading.
    ///
    /// # Errors
    /// [`Error::Open`] and [`Error::NotDevice`], for the data device first.
    pub fn at(devices: &Devices) -> Result<Self> {
        let data = Device::open(&devices.data)?;
        let hash = Device::open_or_share(&devices.hash, &[&data])?;
        let fec = devices.fec.as_deref().map(|fec| Device::open_or_share(fec, &[&data, &hash])).transpose()?;
        Ok(Self::of(data, hash, fec, Claims::default()))
    }

    /// Opens devices for reading and writing. Until this is dropped no other process can write to them with this
    /// library.
    ///
    /// # Errors
    /// Those of [`at`](Self::at); [`Error::DeviceLocked`] for a file that another process writes to, and
    /// [`Error::DeviceBusy`] for a block device that a mount or mapping uses.
    pub fn at_to_write(devices: &Devices) -> Result<Self> {
        let mut claims = Claims::default();
        let data = Device::open_to_write(&devices.data, &mut claims)?;
        let hash = Device::open_or_share_to_write(&devices.hash, &[&data], &mut claims)?;
        let fec = devices.fec.as_deref();
        let fec = fec.map(|fec| Device::open_or_share_to_write(fec, &[&data, &hash], &mut claims)).transpose()?;
        Ok(Self::of(data, hash, fec, claims))
    }

    /// Opens the data device for reading and writing, and the hash device for reading.
    pub(super) fn at_to_zero(devices: &Devices) -> Result<Self> {
        let mut claims = Claims::default();
        let data = Device::open_to_write(&devices.data, &mut claims)?;
        let hash = Device::open_or_share(&devices.hash, &[&data])?;
        Ok(Self::of(data, hash, None, claims))
    }

    /// Opens a regular file that holds data and hash tree, or is going to, for reading.
    ///
    /// # Errors
    /// [`Error::Open`] and [`Error::NotDevice`]; [`Error::NotFile`] for a block device.
    pub fn one_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        check_file(path)?;
        let file = Device::open(path)?;
        Ok(Self::of(file.clone(), file, None, Claims::default()))
    }

    /// The same for reading and writing.
    ///
    /// # Errors
    /// Those of [`one_file`](Self::one_file); [`Error::NotWritable`] where it can be read and not written;
    /// [`Error::DeviceLocked`] if another process writes to it.
    pub fn one_file_to_write(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        check_file(path)?;
        let mut claims = Claims::default();
        let file = Device::open_target(path, Area::Hash, &mut claims)?;
        Ok(Self::of(file.clone(), file, None, claims))
    }
}

impl<'s> Image<'s> {
    /// An image whose data and hash tree are on different storages.
    ///
    /// # Errors
    /// [`Error::Io`] if one of them does not report its size.
    pub fn new(data: Storage<'s>, hash: Storage<'s>) -> Result<Self> {
        let data = Device::of_storage(data, "the data storage")?;
        Ok(Self::of(data, Device::of_storage(hash, "the hash storage")?, None, Claims::default()))
    }

    /// An image whose data and hash tree are on one storage, or are going to be.
    ///
    /// # Errors
    /// [`Error::Io`] if it does not report its size.
    pub fn in_one(storage: Storage<'s>) -> Result<Self> {
        let device = Device::of_storage(storage, "the storage")?;
        Ok(Self::of(device.clone(), device, None, Claims::default()))
    }

    /// The same image with its parity on this storage, which may be one that it has already.
    ///
    /// # Errors
    /// [`Error::Io`] if it does not report its size.
    pub fn with_fec(mut self, fec: Storage<'s>) -> Result<Self> {
        self.fec = Some(Device::of_storage(fec, "the FEC storage")?);
        Ok(self)
    }

    fn of(data: Device<'s>, hash: Device<'s>, fec: Option<Device<'s>>, claims: Claims) -> Self {
        Self { data, hash, fec, claims, scan: None }
    }

    /// Which of its areas are on the same device.
    pub(crate) fn shared(&self) -> SharedDevices {
        let fec = self.fec.as_ref().map(Device::identity);
        SharedDevices {
            data_and_hash: self.data.identity() == self.hash.identity(),
            hash_and_fec: fec == Some(self.hash.identity()),
            data_and_fec: fec == Some(self.data.identity()),
        }
    }

    /// Fails unless data and hash device are large enough for their areas.
    pub(super) fn check_sizes(&self, layout: &Layout) -> Result<()> {
        self.data.check_size(layout.params().data_bytes())?;
        // If there is no tree, nothing after the superblock is read, and some tools leave nothing there.
        if layout.hash_blocks() > 0 { self.hash.check_size(layout.hash_end()) } else { Ok(()) }
    }

    /// Reads the sizes of its devices again.
    pub(super) fn look_again(&mut self) -> Result<()> {
        let devices = [Some(&mut self.data), Some(&mut self.hash), self.fec.as_mut()];
        devices.into_iter().flatten().try_for_each(Device::look_again)
    }
}

fn check_file(path: &Path) -> Result<()> {
    match identify(path)? {
        Identity::File(..) => Ok(()),
        Identity::Block(_) | Identity::Storage(_) => Err(Error::NotFile { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
