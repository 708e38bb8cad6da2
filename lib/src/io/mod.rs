//! Files and block devices: what they are, how large, positioned reads and writes. The only module of the hash tree
//! side that opens anything.

mod claim;
mod created;
mod holes;
mod place;
mod read_only;
mod reader;
mod residency;
mod stretches;
mod writeback;

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::stat::{major, minor};
use nix::unistd::{SysconfVar, sysconf};

use crate::error::{Area, Error, Result};

pub(crate) use claim::{Claims, check_unused};
pub(crate) use created::Created;
pub(crate) use holes::Holes;
pub(crate) use place::check_creatable;
pub use place::{is_among_device_nodes, is_stored_together};
pub(crate) use reader::Reader;
use residency::Residency;
pub(crate) use stretches::Stretches;

/// An open image: a regular file or a block device.
#[derive(Debug)]
pub(crate) struct Device {
    file: File,
    path: PathBuf,
    identity: Identity,
    bytes: u64,
    /// Up to where it reads as zeros after its end.
    padded_to: u64,
    /// The same opened to be read around the page cache, once that was asked for; `None` where it cannot be.
    direct: OnceLock<Option<File>>,
    /// `None` where the system does not tell what is in the page cache.
    residency: OnceLock<Option<Residency>>,
}

/// What makes two paths the same device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// A block device, by its device number.
    Block(u64),
    /// A regular file, by file system and inode.
    File(u64, u64),
}

impl Device {
    /// Opens for reading.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::NotDevice`].
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::new(open_file(path, OpenOptions::new().read(true))?, path, None)
    }

    /// Opens for reading and writing what can be written to, and claims it.
    ///
    /// # Errors
    /// [`Error::DeviceLocked`] and [`Error::DeviceBusy`], too.
    pub(crate) fn open_to_write(path: &Path, claims: &mut Claims) -> Result<Self> {
        Self::new(open_file(path, OpenOptions::new().read(true).write(true))?, path, Some(claims))
    }

    /// The same for what an area of an image goes to.
    ///
    /// # Errors
    /// [`Error::NotWritable`] where it can be read and not written, too.
    pub(crate) fn open_target(path: &Path, area: Area, claims: &mut Claims) -> Result<Self> {
        Self::open_to_write(path, claims).map_err(|error| match error {
            Error::Open { path, source } if Self::open(&path).is_ok() => Error::NotWritable { area, path, source },
            error => error,
        })
    }

    /// A file that was opened at `path`; claimed, where there are claims, before its size is taken.
    fn new(mut file: File, path: &Path, claims: Option<&mut Claims>) -> Result<Self> {
        let open_error = |source| Error::Open { path: path.to_owned(), source };
        let metadata = file.metadata().map_err(open_error)?;
        let identity = identity_of(&metadata).ok_or_else(|| Error::NotDevice { path: path.to_owned() })?;
        if let Some(claims) = claims {
            if matches!(identity, Identity::Block(_)) && read_only::is_read_only(&file) {
                return Err(open_error(Errno::EROFS.into()));
            }
            claims.take(&file, path, identity)?;
        }
        // The end of a block device is its size; its metadata do not have it.
        let bytes = file.seek(SeekFrom::End(0)).map_err(open_error)?;
        let path = path.to_owned();
        Ok(Self { file, path, identity, bytes, padded_to: 0, direct: OnceLock::new(), residency: OnceLock::new() })
    }

    /// The path it was opened by.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The size in bytes when it was opened.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it is a regular file.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.identity, Identity::File(..))
    }

    /// From now on it ends at byte `end`, which it may have more bytes than, and reads as zeros from there to byte
    /// `padded_to`: what it is once it is cut and extended. It is for reading alone.
    pub(crate) fn pad(&mut self, end: u64, padded_to: u64) {
        self.bytes = self.bytes.min(end);
        self.padded_to = padded_to;
    }

    /// Looks again how long it is: it has been extended by another name.
    pub(crate) fn look_again(&mut self) -> Result<()> {
        self.bytes = self.file.seek(SeekFrom::End(0)).map_err(Error::io("read", &self.path))?;
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
        self.file.read_exact_at(stored, offset).map_err(Error::io("read", &self.path))
    }

    /// Reads around the page cache, as much as that can be done, and returns how many bytes it was: fewer than
    /// `buffer` has room for at the end of a file, and where the file system or device does not take it.
    fn read_direct(&self, buffer: &mut [u8], offset: u64) -> usize {
        if self.padded_to > 0 {
            return 0;
        }
        let Some(file) = self.direct.get_or_init(|| self.open_direct()) else { return 0 };
        let mut read = 0;
        while let Ok(more @ 1..) = file.read_at(&mut buffer[read..], offset + read as u64) {
            read += more;
            if read == buffer.len() || !read.is_multiple_of(reader::DIRECT_ALIGNMENT) {
                break;
            }
        }
        read
    }

    /// The same device once more: reading around the page cache is a matter of how a device was opened.
    fn open_direct(&self) -> Option<File> {
        let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_DIRECT).open(&self.path).ok()?;
        // The path may have come to mean something else.
        (identity_of(&file.metadata().ok()?)? == self.identity).then_some(file)
    }

    /// Whether most of a stretch is not in the page cache, so that reading around it is faster.
    pub(crate) fn is_cold(&self, offset: u64, len: u64) -> bool {
        self.residency
            .get_or_init(|| Residency::new(&self.file, self.bytes))
            .as_ref()
            .is_some_and(|residency| residency.is_cold(offset, len))
    }

    /// Says that it will be read from the front to the back, so that the kernel reads ahead.
    pub(crate) fn will_be_read_in_order(&self) {
        // Only a hint: where it is refused all is read all the same.
        let _ = posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_SEQUENTIAL);
    }

    /// Its holes.
    pub(crate) fn holes(&self) -> Holes<'_> {
        Holes::new(self.is_file().then_some(&self.file))
    }

    /// What is not hole, looked for now.
    pub(crate) fn stretches(&self) -> Stretches {
        Stretches::new(self.holes(), self.bytes)
    }

    /// Writes all of `bytes` from byte `offset` on.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(Error::io("write", &self.path))
    }

    /// The same, for bytes that will not be written again soon: they go to stable storage from now on.
    pub(crate) fn write_out_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.write_at(bytes, offset)?;
        writeback::start(&self.file, offset, bytes.len());
        Ok(())
    }

    /// Fails with [`Error::DeviceTooSmall`] unless it holds `needed` bytes.
    pub(crate) fn check_size(&self, needed: u64) -> Result<()> {
        if self.bytes < needed {
            return Err(Error::DeviceTooSmall { path: self.path.clone(), found: self.bytes, needed });
        }
        Ok(())
    }

    /// Fails with [`Error::DeviceTooSmall`] for a block device that is smaller than `needed`: only files can be extended.
    pub(crate) fn check_extensible_to(&self, needed: u64) -> Result<()> {
        if self.is_file() { Ok(()) } else { self.check_size(needed) }
    }

    /// Makes a file at least `needed` bytes long. Block devices have the size they have, and have to hold them.
    pub(crate) fn extend_to(&mut self, needed: u64) -> Result<()> {
        if self.is_file() && self.bytes < needed {
            self.set_len("extend", needed)?;
        }
        self.check_size(needed)
    }

    /// Makes a file this long; `action` is what that is called if it fails.
    pub(crate) fn set_len(&mut self, action: &'static str, bytes: u64) -> Result<()> {
        self.file.set_len(bytes).map_err(Error::io(action, &self.path))?;
        self.bytes = bytes;
        Ok(())
    }

    /// Fails with [`Error::Changed`] if it has another length than when it was opened.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        let found = self.file.metadata().map_err(Error::io("read", &self.path))?.len();
        if self.is_file() && found != self.bytes {
            return Err(Error::Changed { path: self.path.clone(), expected: self.bytes, found });
        }
        Ok(())
    }

    /// Returns when everything written is on stable storage.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io("sync", &self.path))
    }
}

fn open_file(path: &Path, options: &OpenOptions) -> Result<File> {
    // Looked at before it is opened: opening another kind of device for writing can have effects of its own.
    identify(path)?;
    options.open(path).map_err(|source| Error::Open { path: path.to_owned(), source })
}

fn create_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// What `path` is, without opening it.
///
/// # Errors
/// [`Error::Open`] when it is not there or hidden, [`Error::NotDevice`] when it is neither file nor block device.
pub(crate) fn identify(path: &Path) -> Result<Identity> {
    let metadata = path.metadata().map_err(|source| Error::Open { path: path.to_owned(), source })?;
    identity_of(&metadata).ok_or_else(|| Error::NotDevice { path: path.to_owned() })
}

fn identity_of(metadata: &std::fs::Metadata) -> Option<Identity> {
    if metadata.file_type().is_block_device() {
        Some(Identity::Block(metadata.rdev()))
    } else if metadata.is_file() {
        Some(Identity::File(metadata.dev(), metadata.ino()))
    } else {
        None
    }
}

/// A device number as tables and sysfs write it: `major:minor`.
pub(crate) fn device_numbers(number: u64) -> String {
    format!("{}:{}", major(number), minor(number))
}

/// The kernel's page size in bytes. Kernels do not activate images with larger data blocks.
pub fn page_size() -> Option<u64> {
    sysconf(SysconfVar::PAGE_SIZE).ok().flatten()?.try_into().ok()
}
