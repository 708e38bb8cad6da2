//! An image that is open.

use std::ops::Range;
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

    /// The same where some devices are storages of the caller's: those for whose paths `storage` returns one. Messages
    /// name them by these paths.
    ///
    /// # Errors
    /// Those of [`at`](Self::at), and [`Error::Io`] if a storage does not report its size.
    pub fn at_storages(devices: &Devices, storage: impl Fn(&Path) -> Option<Storage<'static>>) -> Result<Self> {
        let open = |path: &Path, others: &[&Device<'static>]| match storage(path) {
            Some(storage) => Device::of_named_storage(storage, path),
            None => Device::open_or_share(path, others),
        };
        let data = open(&devices.data, &[])?;
        let hash = open(&devices.hash, &[&data])?;
        let fec = devices.fec.as_deref().map(|fec| open(fec, &[&data, &hash])).transpose()?;
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

    /// Opens the data device for reading, unless one of the others is on it too, and these for reading and writing.
    pub(super) fn at_to_update(devices: &Devices) -> Result<Self> {
        let mut claims = Claims::default();
        let hash = Device::open_target(&devices.hash, Area::Hash, &mut claims)?;
        let fec = devices.fec.as_deref();
        let fec = fec.map(|fec| Device::open_or_share_to_write(fec, &[&hash], &mut claims)).transpose()?;
        let others: Vec<_> = fec.iter().chain([&hash]).collect();
        let data = Device::open_or_share(&devices.data, &others)?;
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

/// Where the areas of an image are in one file or block device, in bytes: its partitions, as a partition table has
/// them.
///
/// # Examples
/// ```
/// use dmverity::{Image, Parts, Params, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let disk = directory.path().join("disk.img");
/// # std::fs::File::create(&disk)?.set_len(1 << 20)?;
/// let parts = Parts::new(65536..131_072, 131_072..196_608);
/// let made = Image::of_parts_to_write(&disk, &parts)?.format(Params::builder(), &Work::default())?;
///
/// let image = Image::of_parts(&disk, &parts)?;
/// let params = image.load(0, None)?;
/// assert_eq!(params.data_bytes(), 65536);
/// assert!(image.verify(&params, &made.root_hash, &Work::default())?.is_good());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parts {
    /// The data blocks, from its start.
    pub data: Range<u64>,
    /// Superblock and hash tree.
    pub hash: Range<u64>,
    /// Whether parity is in the hash part too, after the tree.
    pub fec: bool,
}

impl Parts {
    /// Data and hash tree, no parity.
    pub fn new(data: Range<u64>, hash: Range<u64>) -> Self {
        Self { data, hash, fec: false }
    }

    /// The same with parity in the hash part.
    #[must_use]
    pub fn with_fec(mut self) -> Self {
        self.fec = true;
        self
    }

    /// The image in a device that is open.
    fn of<'s>(&self, device: &Device<'s>, claims: Claims) -> Result<Image<'s>> {
        let name = |area| format!("{} ({area} partition)", device.path().display());
        let data = device.part(&self.data, &name("data"))?;
        let hash = device.part(&self.hash, &name("hash"))?;
        let fec = self.fec.then(|| hash.clone());
        Ok(Image::of(data, hash, fec, claims))
    }
}

/// An image in parts of one file or block device.
impl Image<'static> {
    /// Opens parts of a file or block device for reading.
    ///
    /// # Errors
    /// [`Error::Open`] and [`Error::NotDevice`]; [`Error::DeviceTooSmall`] if it ends before one of them.
    pub fn of_parts(path: impl AsRef<Path>, parts: &Parts) -> Result<Self> {
        parts.of(&Device::open(path.as_ref())?, Claims::default())
    }

    /// The same for reading and writing. All of the file or block device is claimed.
    ///
    /// # Errors
    /// Those of [`of_parts`](Self::of_parts) and of [`at_to_write`](Self::at_to_write).
    pub fn of_parts_to_write(path: impl AsRef<Path>, parts: &Parts) -> Result<Self> {
        let mut claims = Claims::default();
        let device = Device::open_to_write(path.as_ref(), &mut claims)?;
        parts.of(&device, claims)
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

    /// An image in parts of one storage.
    ///
    /// # Errors
    /// [`Error::Io`] if it does not report its size, [`Error::DeviceTooSmall`] if it ends before one of them.
    pub fn in_parts(storage: Storage<'s>, parts: &Parts) -> Result<Self> {
        parts.of(&Device::of_storage(storage, "the storage")?, Claims::default())
    }

    /// The same image with its parity on this storage, which may be one that it has already.
    ///
    /// # Errors
    /// [`Error::Io`] if it does not report its size.
    pub fn with_fec(mut self, fec: Storage<'s>) -> Result<Self> {
        self.fec = Some(Device::of_storage(fec, "the FEC storage")?);
        Ok(self)
    }

    pub(super) fn of(data: Device<'s>, hash: Device<'s>, fec: Option<Device<'s>>, claims: Claims) -> Self {
        Self { data, hash, fec, claims, scan: None }
    }

    /// An image of whose data nothing is read.
    pub(crate) fn of_hash(hash: Device<'s>) -> Self {
        Self::of(hash.clone(), hash, None, Claims::default())
    }

    /// Which of its areas are on the same device.
    pub(crate) fn shared(&self) -> SharedDevices {
        let is_fec = |other: &Device<'_>| self.fec.as_ref().is_some_and(|fec| fec.is_same(other));
        SharedDevices {
            data_and_hash: self.data.is_same(&self.hash),
            hash_and_fec: is_fec(&self.hash),
            data_and_fec: is_fec(&self.data),
        }
    }

    /// Fails unless data and hash device are large enough for their areas.
    pub(crate) fn check_sizes(&self, layout: &Layout) -> Result<()> {
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
mod parts;
#[cfg(test)]
mod tests;
