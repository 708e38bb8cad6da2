//! Attaching image files to loop devices: read-only, and detached by the kernel when the last user closes them, so that
//! nothing is left behind however this process ends.
#![allow(unsafe_code)] // The loop ioctls have no safe wrapper that sets a device up in one step.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use linux_raw_sys::loop_device as raw;
use nix::errno::Errno;

use super::error::{Error, Result};

const CONTROL: &str = "/dev/loop-control";

/// How often another process may snatch the device that was just found free.
const ATTEMPTS: usize = 64;

/// How long the node of a free device may take to appear, in milliseconds: udev makes it a moment after the kernel has
/// made the device.
const NODE_PAUSES: [u64; 6] = [10, 20, 50, 120, 300, 500];

nix::ioctl_none_bad!(get_free, raw::LOOP_CTL_GET_FREE);
nix::ioctl_write_int_bad!(set_fd, raw::LOOP_SET_FD);
nix::ioctl_none_bad!(clear_fd, raw::LOOP_CLR_FD);
nix::ioctl_write_ptr_bad!(set_status64, raw::LOOP_SET_STATUS64, raw::loop_info64);
nix::ioctl_write_ptr_bad!(configure, raw::LOOP_CONFIGURE, raw::loop_config);

/// A loop device for an image. It is detached when this and every other user of it is gone; a mapping is
/// such a user.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    path: PathBuf,
    /// Keeps the device attached.
    file: File,
}

impl LoopDevice {
    /// Attaches what was opened at `image`, a file or a block device, to a free loop device; or only a part of it.
    ///
    /// # Errors
    /// [`Error::Open`](crate::Error::Open) if there is nothing at that path any more, and those of
    /// [`LoopDevice::attach_file_read_only`].
    pub(crate) fn attach_read_only(file: &File, image: &Path, part: Option<&Range<u64>>) -> Result<Self> {
        let open_error = |source| crate::Error::Open { path: image.to_owned(), source };
        // The device shows this path later, where a relative path would be useless.
        Self::attach_part_read_only(file, &image.canonicalize().map_err(open_error)?, part)
    }

    /// Attaches an open file, which is shown under the name `image`.
    ///
    /// # Errors
    /// [`Error::NoLoopNode`] when a free device has no node in `/dev`, [`Error::LoopDevice`] for everything else.
    pub(crate) fn attach_file_read_only(file: &File, image: &Path) -> Result<Self> {
        Self::attach_part_read_only(file, image, None)
    }

    fn attach_part_read_only(file: &File, image: &Path, part: Option<&Range<u64>>) -> Result<Self> {
        let failed = |source| Error::LoopDevice { path: image.to_owned(), source };
        let control = OpenOptions::new().read(true).write(true).open(CONTROL).map_err(failed)?;
        let mut pauses = NODE_PAUSES.into_iter();
        for _ in 0..ATTEMPTS {
            // SAFETY: LOOP_CTL_GET_FREE takes no argument; the descriptor is open.
            let number = unsafe { get_free(control.as_raw_fd()) }.map_err(|errno| failed(errno.into()))?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            match attach(&path, file, read_only_autoclear(image, part)) {
                Ok(device) => return Ok(Self { path, file: device }),
                // Another process took it, or took it away, since it was free.
                Err(error) if matches!(errno_of(&error), Some(Errno::EBUSY | Errno::ENXIO)) => (),
                Err(error) if errno_of(&error) == Some(Errno::ENOENT) => match pauses.next() {
                    Some(pause) => std::thread::sleep(Duration::from_millis(pause)),
                    None => return Err(Error::NoLoopNode { image: image.to_owned(), node: path }),
                },
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed(Errno::EBUSY.into()))
    }

    /// Its device number.
    ///
    /// # Errors
    /// [`Error::LoopDevice`].
    pub(crate) fn number(&self) -> Result<u64> {
        let metadata = self.file.metadata();
        Ok(metadata.map_err(|source| Error::LoopDevice { path: self.path.clone(), source })?.rdev())
    }
}

fn errno_of(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

/// Binds `image` to the device at `path`, or fails with `EBUSY` if another process was faster.
fn attach(path: &Path, image: &File, info: raw::loop_info64) -> io::Result<File> {
    let device = File::open(path)?;
    let config = raw::loop_config { fd: image.as_raw_fd().cast_unsigned(), block_size: 0, info, __reserved: [0; 8] };
    // SAFETY: `config` is a whole loop_config, which the kernel only reads, and outlives the call.
    match unsafe { configure(device.as_raw_fd(), &raw const config) } {
        Ok(_) => Ok(device),
        // Kernels without LOOP_CONFIGURE (before 5.8) do not know the request.
        Err(Errno::EINVAL | Errno::ENOTTY | Errno::ENOSYS) => {
            attach_in_two_steps(&device, image.as_raw_fd(), &config.info)?;
            Ok(device)
        }
        Err(errno) => Err(errno.into()),
    }
}

/// The older way: between the two calls a killed process leaves the device attached.
fn attach_in_two_steps(device: &File, image: RawFd, info: &raw::loop_info64) -> io::Result<()> {
    // SAFETY: LOOP_SET_FD takes a descriptor by value; both are open.
    unsafe { set_fd(device.as_raw_fd(), image) }?;
    // SAFETY: `info` is a whole loop_info64, which the kernel only reads, and outlives the call.
    if let Err(errno) = unsafe { set_status64(device.as_raw_fd(), info) } {
        // SAFETY: LOOP_CLR_FD takes no argument; the descriptor is open.
        if let Err(left) = unsafe { clear_fd(device.as_raw_fd()) } {
            log::warn!("cannot detach a loop device: {left}");
        }
        return Err(errno.into());
    }
    Ok(())
}

fn read_only_autoclear(image: &Path, part: Option<&Range<u64>>) -> raw::loop_info64 {
    let mut lo_file_name = [0; 64];
    // Truncated if it is too long, always NUL-terminated; the whole name is in sysfs.
    let name = image.as_os_str().as_encoded_bytes();
    let length = name.len().min(lo_file_name.len() - 1);
    lo_file_name[..length].copy_from_slice(&name[..length]);
    raw::loop_info64 {
        lo_device: 0,
        lo_inode: 0,
        lo_rdevice: 0,
        lo_offset: part.map_or(0, |part| part.start),
        // None is 0.
        lo_sizelimit: part.map_or(0, |part| part.end - part.start),
        lo_number: 0,
        lo_encrypt_type: 0,
        lo_encrypt_key_size: 0,
        lo_flags: raw::LO_FLAGS_READ_ONLY as u32 | raw::LO_FLAGS_AUTOCLEAR as u32,
        lo_file_name,
        lo_crypt_name: [0; 64],
        lo_encrypt_key: [0; 32],
        lo_init: [0; 2],
    }
}
