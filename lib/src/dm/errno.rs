//! The kernel's answers as numbers.

use std::fmt;
use std::io;

use nix::errno::Errno as Names;
use nix::libc;

/// The number of an error that the kernel answered with. `Display` has its name and what it means, as `EINVAL: Invalid
/// argument`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(i32);

impl Errno {
    /// Argument list too long: what the kernel says of a tree that does not fit.
    pub const E2BIG: Self = Self(libc::E2BIG);
    /// Bad message: what the kernel says of a signature that it cannot read.
    pub const EBADMSG: Self = Self(libc::EBADMSG);
    /// Device or resource busy.
    pub const EBUSY: Self = Self(libc::EBUSY);
    /// Invalid argument.
    pub const EINVAL: Self = Self(libc::EINVAL);
    /// Input or output error.
    pub const EIO: Self = Self(libc::EIO);
    /// Key has expired.
    pub const EKEYEXPIRED: Self = Self(libc::EKEYEXPIRED);
    /// Key has been revoked.
    pub const EKEYREVOKED: Self = Self(libc::EKEYREVOKED);
    /// Key rejected by service: a signature that is not one of the root hash.
    pub const EKEYREJECTED: Self = Self(libc::EKEYREJECTED);
    /// No such device.
    pub const ENODEV: Self = Self(libc::ENODEV);
    /// No such file or directory.
    pub const ENOENT: Self = Self(libc::ENOENT);
    /// Required key not available: no signature where one is needed, or one that is not trusted.
    pub const ENOKEY: Self = Self(libc::ENOKEY);
    /// Package not installed: an algorithm that the kernel does not have.
    pub const ENOPKG: Self = Self(libc::ENOPKG);
    /// Block device required.
    pub const ENOTBLK: Self = Self(libc::ENOTBLK);
    /// No such device or address.
    pub const ENXIO: Self = Self(libc::ENXIO);
    /// Protocol error.
    pub const EPROTO: Self = Self(libc::EPROTO);

    /// The number.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// What it means, as `Invalid argument`.
    pub fn description(self) -> &'static str {
        Names::from_raw(self.0).desc()
    }

    pub(super) fn of(errno: Names) -> Self {
        Self(errno as i32)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Names::from_raw(self.0).fmt(f)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Names::from_raw(self.0), f)
    }
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}
