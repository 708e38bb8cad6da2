//! Whether a block device can be written to: some kernels let root open read-only devices for writing.

#![allow(unsafe_code)] // The ioctl has no safe wrapper.

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::libc::c_int;

nix::ioctl_read_bad!(blkroget, nix::request_code_none!(0x12, 94), c_int);

/// Whether a block device says that it is read-only.
pub(crate) fn is_read_only(device: &File) -> bool {
    let mut answer = 0;
    // SAFETY: the device is open, and the kernel writes one int to the address of one.
    let asked = unsafe { blkroget(device.as_raw_fd(), &raw mut answer) };
    asked.is_ok() && answer != 0
}
