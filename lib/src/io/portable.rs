//! For every system: no holes are known, no read bypasses the page cache, no device is opened exclusively.

use std::fs::{File, Metadata, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::identity::Identity;

/// The position of a file belongs to the holder of this lock.
static POSITION: Mutex<()> = Mutex::new(());

/// What a file is; `None` if it is not a regular file.
pub(super) fn identity_of(path: &Path, metadata: &Metadata) -> Option<Identity> {
    let mut hasher = DefaultHasher::new();
    path.canonicalize().unwrap_or_else(|_| path.to_owned()).hash(&mut hasher);
    metadata.is_file().then(|| Identity::File(0, hasher.finish()))
}

/// Whether they belong to one file, as far as is known.
pub(super) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.len() == other.len() && one.created().ok() == other.created().ok()
}

/// Assumed: there is no way to tell.
pub(super) fn has_one_name(_: &Metadata) -> bool {
    true
}

pub(super) fn size_of(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

/// Holes are not known: all may be data.
pub(super) fn data_at(_: &File, offset: u64) -> io::Result<Option<Range<u64>>> {
    Ok(Some(offset..u64::MAX))
}

pub(super) fn read_exact_at(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let _position = POSITION.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}

pub(super) fn write_all_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let _position = POSITION.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

pub(super) fn for_the_owner_alone(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

pub(super) fn open_direct(_: &Path) -> io::Result<File> {
    Err(ErrorKind::Unsupported.into())
}

/// Nothing: no file is opened to bypass the page cache.
pub(super) fn read_some_at(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    Ok(0)
}

pub(super) fn will_be_read_in_order(_: &File) {}

pub(super) fn start_writing_out(_: &File, _: u64, _: usize) {}

pub(super) fn advise_large_pages(_: &mut [u8]) {}

pub(super) fn check_writable(_: &File) -> io::Result<()> {
    Ok(())
}

/// What the system says of a directory that is opened as a file.
pub(super) fn is_a_directory() -> io::Error {
    ErrorKind::IsADirectory.into()
}

/// Fails if this is not a directory.
pub(super) fn check_directory(directory: &Path) -> io::Result<()> {
    if directory.metadata()?.is_dir() { Ok(()) } else { Err(ErrorKind::NotADirectory.into()) }
}

pub(super) fn open_exclusively(path: &Path) -> io::Result<Option<File>> {
    File::open(path).map(Some)
}

/// Whether that is the answer of a system without locks.
pub(super) fn has_no_locks(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Unsupported
}

pub(super) fn file_system_of(_: &Metadata) -> u64 {
    0
}

/// Not known here.
pub fn page_size() -> Option<u64> {
    None
}

/// Nothing is known of the page cache.
#[derive(Debug)]
pub(super) struct PageCache;

impl PageCache {
    pub(super) fn new(_: &File, _: u64) -> Option<Self> {
        None
    }

    pub(super) fn is_cold(&self, _: u64, _: u64) -> bool {
        false
    }
}
