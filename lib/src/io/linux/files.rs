//! System calls on files, one function each.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::unistd::{AccessFlags, SysconfVar, access, sysconf};

use super::read_only;
use crate::io::identity::Identity;

/// What a file is; `None` if it is neither a regular file nor a block device.
pub(crate) fn identity_of(_: &Path, metadata: &Metadata) -> Option<Identity> {
    if metadata.file_type().is_block_device() {
        Some(Identity::Block(metadata.rdev()))
    } else if metadata.is_file() {
        Some(Identity::File(metadata.dev(), metadata.ino()))
    } else {
        None
    }
}

/// Whether two paths lead to one file, as it was when its metadata were read.
pub(crate) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Whether a file has a single name, which is the one it was created under.
pub(crate) fn has_one_name(file: &Metadata) -> bool {
    file.nlink() == 1
}

/// The size in bytes: the end of a block device, whose metadata do not have it.
pub(crate) fn size_of(mut file: &File) -> io::Result<u64> {
    file.seek(SeekFrom::End(0))
}

pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Readable and writable by its owner alone, as the reference tool does it.
pub(crate) fn for_the_owner_alone(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// Opens a device for reads that bypass the page cache.
pub(crate) fn open_direct(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(nix::libc::O_DIRECT).open(path)
}

/// Reads what there is, at most as much as `buffer` has room for.
pub(crate) fn read_some_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

/// Tells the kernel that a file will be read from the front to the back, so that the kernel reads ahead.
pub(crate) fn will_be_read_in_order(file: &File) {
    // Only a hint: if it is refused, everything can still be read.
    let _ = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_SEQUENTIAL);
}

/// Fails for a block device that is read-only, which root can open for writing on some kernels.
pub(crate) fn check_writable(device: &File) -> io::Result<()> {
    if read_only::is_read_only(device) { Err(Errno::EROFS.into()) } else { Ok(()) }
}

/// What the system says of a directory that is opened as a file.
pub(crate) fn is_a_directory() -> io::Error {
    Errno::EISDIR.into()
}

/// Fails if no file can be created in this directory.
pub(crate) fn check_directory(directory: &Path) -> io::Result<()> {
    if !directory.metadata()?.is_dir() {
        return Err(Errno::ENOTDIR.into());
    }
    Ok(access(directory, AccessFlags::W_OK | AccessFlags::X_OK)?)
}

/// Opens a block device exclusively; `None` if it is in use.
pub(crate) fn open_exclusively(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().read(true).custom_flags(nix::libc::O_EXCL).open(path) {
        Ok(device) => Ok(Some(device)),
        Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether that is the answer of a file system without locks.
pub(crate) fn has_no_locks(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL))
}

/// The file system that a file is on.
pub(crate) fn file_system_of(metadata: &Metadata) -> u64 {
    metadata.dev()
}

/// The kernel's page size in bytes. Kernels do not activate images with larger data blocks.
pub fn page_size() -> Option<u64> {
    sysconf(SysconfVar::PAGE_SIZE).ok().flatten()?.try_into().ok()
}
