//! Sends written bytes to the device early, while there is still other work to do.

#![allow(unsafe_code)] // `sync_file_range` has no safe wrapper.

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::libc;

/// Starts to write a stretch of a file out of the page cache; waits for nothing.
pub(crate) fn start(file: &File, offset: u64, len: usize) {
    let (Ok(offset), Ok(len)) = (i64::try_from(offset), i64::try_from(len)) else { return };
    // SAFETY: the file is open, and no memory is involved.
    let answer = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE) };
    if answer != 0 {
        // A caller that needs the bytes on the device waits for them anyway.
        log::debug!("cannot start writing out: {}", std::io::Error::last_os_error());
    }
}
