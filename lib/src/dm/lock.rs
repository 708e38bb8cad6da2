//! Only one process at a time works on a mapping's name: otherwise a process that takes a mapping down could unlink the
//! node that another one has just made for a new mapping of that name.
//!
//! The lock is an open-file-description lock on one byte of device-mapper's control node, at an offset derived from the
//! name. It needs no file of its own, is shared by all processes that share the nodes, and is released when its holder
//! ends, however it ends.

use std::fs::File;
use std::os::fd::AsFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::control::open_node;
use super::error::{Error, Result};
use super::name::MappingName;

/// How long another process may work on the name: longer than it waits for udev or for users of a mapping.
const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// A name that only this process works on, until this is dropped.
#[derive(Debug)]
pub(super) struct NameLock {
    /// `None` if the system has no such locks.
    _file: Option<File>,
}

impl NameLock {
    /// Waits until no other process works on `name`.
    ///
    /// # Errors
    /// [`Error::MappingLocked`] after a minute; [`Error::NoDeviceMapper`].
    pub(super) fn take(name: &MappingName) -> Result<Self> {
        let start = Instant::now();
        loop {
            if let Some(lock) = Self::try_take(name)? {
                return Ok(lock);
            }
            if start.elapsed() >= LIMIT {
                return Err(Error::MappingLocked { name: name.to_string() });
            }
            sleep(POLL);
        }
    }

    /// The same without waiting; `None` while another process has the lock.
    pub(super) fn try_take(name: &MappingName) -> Result<Option<Self>> {
        // Each lock needs an open file of its own.
        let control = open_node()?;
        match fcntl(control.as_fd(), FcntlArg::F_OFD_SETLK(&byte_of(name))) {
            Ok(_) => Ok(Some(Self { _file: Some(control) })),
            Err(Errno::EAGAIN | Errno::EACCES | Errno::EINTR) => Ok(None),
            Err(errno) => {
                log::warn!("cannot lock the name {name}: {errno}");
                Ok(Some(Self { _file: None }))
            }
        }
    }
}

/// The lock's offset: FNV-1a of the name. Two names with one offset would only wait for each other.
///
/// It is the same for 32-bit and 64-bit commands, which can run side by side.
#[allow(clippy::cast_possible_truncation)] // The C library's constants have another type than its fields.
fn byte_of(name: &MappingName) -> libc::flock {
    let hash = name
        .mangled()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    // Where file offsets have 32 bits, there has to be room for the byte after the place.
    let place = (hash >> 34) as i32;
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        #[allow(clippy::useless_conversion)] // It is one where file offsets have 64 bits.
        l_start: place.into(),
        l_len: 1,
        l_pid: 0,
    }
}
