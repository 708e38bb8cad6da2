//! What the rooms above read from and write to.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{self, OpenFile};
use super::identity::Identity;
use super::{Claims, Extents, Holes, ReadAt, Storage, WriteAt, identify, system};
use crate::error::{Area, Error, Result};

/// An open image: a regular file, a block device, something of the caller's, or a part of one of them.
#[derive(Clone, Debug)]
pub(crate) struct Device<'s> {
    storage: Backing<'s>,
    path: PathBuf,
    identity: Identity,
    /// Where it begins in the storage, if it is a part of it.
    part: Option<u64>,
    bytes: u64,
    /// Up to where it reads as zeros after its end.
    padded_to: u64,
}

/// Where its bytes are.
#[derive(Clone, Debug)]
enum Backing<'s> {
    File(Arc<OpenFile>),
    Given(Storage<'s>),
}

impl<'s> Device<'s> {
    /// Something of the caller's, which messages call `name` unless it has a name of its own.
    pub(crate) fn of_storage(storage: Storage<'s>, name: &str) -> Result<Self> {
        let own = storage.as_read().name();
        Self::of_named_storage(storage, Path::new(own.as_deref().unwrap_or(name)))
    }

    /// The same, which messages call `name` in any case.
    pub(crate) fn of_named_storage(storage: Storage<'s>, name: &Path) -> Result<Self> {
        let path = name.to_owned();
        let bytes = storage.as_read().size().map_err(Error::io("read", &path))?;
        let identity = Identity::Storage(storage.address());
        Ok(Self { storage: Backing::Given(storage), path, identity, part: None, bytes, padded_to: 0 })
    }
}

impl Device<'_> {
    /// Opens for reading.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::NotDevice`].
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::of_file(file::open(path, OpenOptions::new().read(true))?, path, None)
    }

    /// Opens for reading and writing what can be written to, and claims it.
    ///
    /// # Errors
    /// [`Error::DeviceLocked`] and [`Error::DeviceBusy`] too.
    pub(crate) fn open_to_write(path: &Path, claims: &mut Claims) -> Result<Self> {
        Self::of_file(file::open(path, OpenOptions::new().read(true).write(true))?, path, Some(claims))
    }

    /// The same for the target of an area.
    ///
    /// # Errors
    /// [`Error::NotWritable`] too, if it can be read but not written.
    pub(crate) fn open_target(path: &Path, area: Area, claims: &mut Claims) -> Result<Self> {
        Self::open_to_write(path, claims).map_err(|error| match error {
            Error::Open { path, source } if Self::open(&path).is_ok() => Error::NotWritable { area, path, source },
            error => error,
        })
    }

    /// Opens for reading, or shares the open device if it is one of `others`.
    pub(crate) fn open_or_share(path: &Path, others: &[&Self]) -> Result<Self> {
        Self::shared(path, others)?.map_or_else(|| Self::open(path), Ok)
    }

    /// The same for what may be written to.
    pub(crate) fn open_or_share_to_write(path: &Path, others: &[&Self], claims: &mut Claims) -> Result<Self> {
        Self::shared(path, others)?.map_or_else(|| Self::open_to_write(path, claims), Ok)
    }

    /// What `path` leads to, if it is one of these that are open.
    fn shared(path: &Path, others: &[&Self]) -> Result<Option<Self>> {
        let identity = identify(path)?;
        let open = others.iter().find(|other| other.identity == identity && other.part.is_none());
        Ok(open.map(|&open| Self { path: path.to_owned(), ..open.clone() }))
    }

    /// A file that was opened at `path`; claimed, where there are claims, before its size is taken.
    pub(super) fn of_file(file: File, path: &Path, claims: Option<&mut Claims>) -> Result<Self> {
        let open_error = |source| Error::Open { path: path.to_owned(), source };
        let metadata = file.metadata().map_err(open_error)?;
        let identity =
            system::identity_of(path, &metadata).ok_or_else(|| Error::NotDevice { path: path.to_owned() })?;
        if let Some(claims) = claims {
            if matches!(identity, Identity::Block(_)) {
                system::check_writable(&file).map_err(open_error)?;
            }
            claims.take(&file, path, identity)?;
        }
        let bytes = system::size_of(&file).map_err(open_error)?;
        let storage = Backing::File(Arc::new(OpenFile::new(file, path, identity, bytes)));
        Ok(Self { storage, path: path.to_owned(), identity, part: None, bytes, padded_to: 0 })
    }

    /// A part of it, which messages call `name`.
    ///
    /// # Errors
    /// [`Error::DeviceTooSmall`] if it ends before the part.
    pub(crate) fn part(&self, bytes: &Range<u64>, name: &str) -> Result<Self> {
        self.check_size(bytes.end)?;
        Ok(Self {
            path: PathBuf::from(name),
            part: Some(self.start() + bytes.start),
            bytes: bytes.end.saturating_sub(bytes.start),
            padded_to: 0,
            ..self.clone()
        })
    }

    /// Where it begins in the storage.
    fn start(&self) -> u64 {
        self.part.unwrap_or(0)
    }

    /// The path it was opened by, or what messages call it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The size in bytes when it was opened.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether its length can change: it is neither a block device nor a part.
    pub(crate) fn can_grow(&self) -> bool {
        !matches!(self.identity, Identity::Block(_)) && self.part.is_none()
    }

    /// What makes it the same device as another one, of which it may be a part.
    #[cfg(feature = "dm")]
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether it is the same device as another one, or the same part of it.
    pub(crate) fn is_same(&self, other: &Device<'_>) -> bool {
        (self.identity, self.part) == (other.identity, other.part)
    }

    /// Whether `identity` is all of it.
    pub(crate) fn is(&self, identity: Identity) -> bool {
        self.identity == identity && self.part.is_none()
    }

    /// The file or block device that is open, if it is one, and the path it was opened by.
    #[cfg(feature = "dm")]
    pub(crate) fn as_file(&self) -> Option<(&File, &Path)> {
        match &self.storage {
            Backing::File(file) => Some((&file.file, file.path())),
            Backing::Given(_) => None,
        }
    }

    /// The bytes of the file or block device that it is, if it is a part.
    #[cfg(feature = "dm")]
    pub(crate) fn as_part(&self) -> Option<Range<u64>> {
        self.part.map(|start| start..start + self.bytes)
    }

    /// From now on it ends at byte `end`, even if it is longer, and reads as zeros from there to byte `padded_to`, as
    /// it will after it is cut and extended. It must only be read.
    pub(crate) fn pad(&mut self, end: u64, padded_to: u64) {
        self.bytes = self.bytes.min(end);
        self.padded_to = padded_to;
    }

    /// Reads its size again: it has been extended under another name.
    pub(crate) fn look_again(&mut self) -> Result<()> {
        if self.part.is_some() {
            return Ok(());
        }
        self.bytes = self.storage.as_read().size().map_err(Error::io("read", &self.path))?;
        Ok(())
    }

    /// Fills `buffer` from byte `offset` on.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let stored = match offset.checked_add(buffer.len() as u64) {
            Some(end) if end > self.bytes && end <= self.padded_to => self.bytes.saturating_sub(offset),
            _ => buffer.len() as u64,
        };
        let (stored, zeros) = buffer.split_at_mut(usize::try_from(stored).unwrap_or(usize::MAX).min(buffer.len()));
        zeros.fill(0);
        self.position(offset, stored.len())
            .and_then(|position| self.storage.as_read().read_exact_at(stored, position))
            .map_err(Error::io("read", &self.path))
    }

    /// Tells the storage that bytes that were read from `offset` on are proven.
    pub(crate) fn proven(&self, offset: u64, bytes: &[u8]) {
        self.storage.as_read().proven(self.start() + offset, bytes);
    }

    /// Tells the storage that bytes that were read are wrong; returns whether reading them again may help.
    pub(crate) fn disproven(&self, bytes: &Range<u64>) -> bool {
        self.storage.as_read().disproven(self.start() + bytes.start..self.start() + bytes.end)
    }

    /// Reads without the page cache, if that is possible, and returns the number of bytes: fewer than `buffer` has room
    /// for at the end of a file, and where it is not possible.
    pub(super) fn read_direct(&self, buffer: &mut [u8], offset: u64) -> usize {
        match (&self.storage, self.position(offset, 0)) {
            (Backing::File(file), Ok(position)) if self.padded_to == 0 => file.read_direct(buffer, position),
            _ => 0,
        }
    }

    /// Whether most of a stretch is not in the page cache, so that bypassing it is faster.
    pub(crate) fn is_cold(&self, offset: u64, len: u64) -> bool {
        matches!(&self.storage, Backing::File(file) if file.is_cold(self.start() + offset, len))
    }

    /// Tells the kernel that it will be read from the front to the back, so that the kernel reads ahead.
    pub(crate) fn will_be_read_in_order(&self) {
        if let Backing::File(file) = &self.storage {
            system::will_be_read_in_order(&file.file);
        }
    }

    /// Its holes.
    pub(crate) fn holes(&self) -> Holes<'_> {
        let can_tell = !matches!(self.identity, Identity::Block(_));
        Holes::new(can_tell.then(|| self.storage.as_read()), self.start())
    }

    /// Its data between the holes, looked up now.
    pub(crate) fn extents(&self) -> Extents {
        Extents::new(self.holes(), self.bytes)
    }

    /// Writes all of `bytes` from byte `offset` on.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.position(offset, bytes.len())
            .and_then(|position| self.storage.as_write()?.write_all_at(bytes, position))
            .map_err(Error::io("write", &self.path))
    }

    /// Where `len` bytes from byte `offset` on are in the storage: a part is left by neither reads nor writes.
    fn position(&self, offset: u64, len: usize) -> io::Result<u64> {
        let Some(start) = self.part else { return Ok(offset) };
        let end = offset.checked_add(len as u64).filter(|&end| end <= self.bytes);
        end.map(|_| start + offset).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The same, for bytes that will not be written again soon: they go to stable storage from now on.
    pub(crate) fn write_out_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.write_at(bytes, offset)?;
        if let Backing::File(file) = &self.storage {
            system::start_writing_out(&file.file, self.start() + offset, bytes.len());
        }
        Ok(())
    }

    /// Fails with [`Error::DeviceTooSmall`] unless it holds `needed` bytes.
    pub(crate) fn check_size(&self, needed: u64) -> Result<()> {
        if self.bytes < needed {
            return Err(Error::DeviceTooSmall { path: self.path.clone(), found: self.bytes, needed });
        }
        Ok(())
    }

    /// Fails with [`Error::DeviceTooSmall`] for a block device that is smaller than `needed`: only files can be
    /// extended.
    pub(crate) fn check_extensible_to(&self, needed: u64) -> Result<()> {
        if self.can_grow() { Ok(()) } else { self.check_size(needed) }
    }

    /// Makes a file at least `needed` bytes long. A block device cannot grow and has to be large enough.
    pub(crate) fn extend_to(&mut self, needed: u64) -> Result<()> {
        if self.can_grow() && self.bytes < needed {
            self.set_len("extend", needed)?;
        }
        self.check_size(needed)
    }

    /// Makes a file this long; `action` is what that is called if it fails.
    pub(crate) fn set_len(&mut self, action: &'static str, bytes: u64) -> Result<()> {
        self.storage.as_write().and_then(|storage| storage.set_size(bytes)).map_err(Error::io(action, &self.path))?;
        self.bytes = bytes;
        Ok(())
    }

    /// Fails with [`Error::Changed`] if it has another length than when it was opened.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        if !self.can_grow() {
            return Ok(());
        }
        let found = self.storage.as_read().size().map_err(Error::io("read", &self.path))?;
        if found != self.bytes {
            return Err(Error::Changed { path: self.path.clone(), expected: self.bytes, found });
        }
        Ok(())
    }

    /// Returns when everything written is on stable storage.
    pub(crate) fn sync(&self) -> Result<()> {
        match &self.storage {
            // A read-only storage has not been written to.
            Backing::Given(Storage::Read(_) | Storage::Shared(_)) => Ok(()),
            storage => storage.as_write().and_then(WriteAt::sync).map_err(Error::io("sync", &self.path)),
        }
    }
}

impl Backing<'_> {
    fn as_read(&self) -> &dyn ReadAt {
        match self {
            Self::File(file) => &file.file,
            Self::Given(storage) => storage.as_read(),
        }
    }

    fn as_write(&self) -> io::Result<&dyn WriteAt> {
        match self {
            Self::File(file) => Ok(&file.file),
            Self::Given(Storage::Write(storage)) => Ok(storage),
            Self::Given(Storage::Read(_) | Storage::Shared(_)) => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
        }
    }
}
