//! A file or block device that was opened by its path.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::direct::DIRECT_ALIGNMENT;
use super::identity::Identity;
use super::system::{self, PageCache};
use crate::error::{Error, Result};

/// A file or block device, and what is known of it beyond its bytes.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) file: File,
    path: PathBuf,
    identity: Identity,
    bytes: u64,
    /// The same device opened to bypass the page cache, once that was requested; `None` if it cannot be.
    direct: OnceLock<Option<File>>,
    /// `None` if the system does not tell what is in the page cache.
    page_cache: OnceLock<Option<PageCache>>,
}

impl OpenFile {
    /// `bytes` is its size.
    pub(super) fn new(file: File, path: &Path, identity: Identity, bytes: u64) -> Self {
        let path = path.to_owned();
        Self { file, path, identity, bytes, direct: OnceLock::new(), page_cache: OnceLock::new() }
    }

    /// The path it was opened by.
    #[cfg(feature = "dm")]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads without the page cache, if that is possible, and returns the number of bytes: fewer than `buffer` has room
    /// for at the end of a file, and where the file system or device does not support it.
    pub(super) fn read_direct(&self, buffer: &mut [u8], offset: u64) -> usize {
        let Some(file) = self.direct.get_or_init(|| self.open_direct()) else { return 0 };
        let mut read = 0;
        while let Ok(more @ 1..) = system::read_some_at(file, &mut buffer[read..], offset + read as u64) {
            read += more;
            if read == buffer.len() || !read.is_multiple_of(DIRECT_ALIGNMENT) {
                break;
            }
        }
        read
    }

    /// The same device once more: whether reads bypass the page cache is decided when a device is opened.
    fn open_direct(&self) -> Option<File> {
        let file = system::open_direct(&self.path).ok()?;
        // The path may have come to mean something else.
        (system::identity_of(&self.path, &file.metadata().ok()?)? == self.identity).then_some(file)
    }

    /// Whether most of a stretch is not in the page cache, so that bypassing it is faster.
    pub(super) fn is_cold(&self, offset: u64, len: u64) -> bool {
        let page_cache = self.page_cache.get_or_init(|| PageCache::new(&self.file, self.bytes));
        page_cache.as_ref().is_some_and(|page_cache| page_cache.is_cold(offset, len))
    }
}

/// Opens what is at `path`.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<File> {
    // Looked at before it is opened: opening another kind of device for writing can have effects of its own.
    identify(path)?;
    options.open(path).map_err(|source| Error::Open { path: path.to_owned(), source })
}

/// Creates a file that is not there.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    system::for_the_owner_alone(options.read(true).write(true).create_new(true)).open(path)
}

/// What `path` is, without opening it.
///
/// # Errors
/// [`Error::Open`] when it is not there or hidden, [`Error::NotDevice`] when it is neither file nor block device.
pub(crate) fn identify(path: &Path) -> Result<Identity> {
    let metadata = path.metadata().map_err(|source| Error::Open { path: path.to_owned(), source })?;
    system::identity_of(path, &metadata).ok_or_else(|| Error::NotDevice { path: path.to_owned() })
}

/// Whether two paths lead to the same device or file; where nothing is, whether they are the same path.
pub fn is_same_device(one: &Path, other: &Path) -> bool {
    match (identify(one), identify(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
