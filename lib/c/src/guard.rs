//! What every entry goes through: errors become numbers and lines of the log, and no panic gets into C.

use std::ffi::{OsString, c_char, c_int};
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::Once;

use dmverity::{dm, messages};

use crate::handle::Handle;
use crate::log::{self, Level};

pub(crate) type Result<T = ()> = std::result::Result<T, Failed>;

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) errno: c_int,
    /// For the log, without newlines.
    pub(crate) lines: Vec<OsString>,
}

impl Failed {
    pub(crate) fn silent(errno: c_int) -> Self {
        Self { errno, lines: Vec::new() }
    }

    pub(crate) fn says(errno: c_int, line: impl Into<OsString>) -> Self {
        Self { errno, lines: vec![line.into()] }
    }
}

impl From<dmverity::Error> for Failed {
    fn from(error: dmverity::Error) -> Self {
        Self { errno: errno_of_image(&error), lines: messages::of_image(&error) }
    }
}

impl From<dm::Error> for Failed {
    fn from(error: dm::Error) -> Self {
        let errno = match &error {
            dm::Error::Image(error) => errno_of_image(error),
            dm::Error::MappingExists { .. } => libc::EEXIST,
            dm::Error::DeviceBusy { .. }
            | dm::Error::MappingBusy { .. }
            | dm::Error::MappingLocked { .. }
            | dm::Error::MappingUuidTaken { .. } => libc::EBUSY,
            dm::Error::MappingInactive { .. } => libc::ENODEV,
            dm::Error::NoDeviceMapper { .. } | dm::Error::NotPermitted { .. } | dm::Error::NoVerityTarget => {
                libc::ENOTSUP
            }
            dm::Error::TableRefused(refused) => refused.answer.errno.raw(),
            other => other.errno().unwrap_or(libc::EINVAL),
        };
        Self { errno, lines: messages::of_mapping(&error) }
    }
}

fn errno_of_image(error: &dmverity::Error) -> c_int {
    use dmverity::Error;
    match error {
        Error::Open { .. } | Error::NotDevice { .. } | Error::NotFile { .. } | Error::AmongDeviceNodes { .. } => {
            libc::ENOTBLK
        }
        Error::DeviceBusy { .. } | Error::DeviceLocked { .. } | Error::Changed { .. } => libc::EBUSY,
        Error::NotWritable { .. } => libc::EACCES,
        Error::OutOfMemory { .. } => libc::ENOMEM,
        Error::Superblock { source, .. } => errno_of_image(source),
        Error::Cancelled => libc::EINTR,
        Error::Io { .. } => error.errno().unwrap_or(libc::EIO),
        _ => libc::EINVAL,
    }
}

/// Runs the body of an entry. Its error is logged for `handle`, or for no handle.
///
/// # Safety
/// `handle` is null or a handle that no other thread uses.
pub(crate) unsafe fn guard(handle: *const Handle, body: impl FnOnce() -> Result<c_int>) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { caught(handle, body) }.unwrap_or_else(|errno| -errno)
}

/// The same for entries that return a text.
///
/// # Safety
/// As for [`guard`].
pub(crate) unsafe fn guard_text(handle: *const Handle, body: impl FnOnce() -> Result<*const c_char>) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { caught(handle, body) }.unwrap_or(ptr::null())
}

/// # Safety
/// As for [`guard`].
unsafe fn caught<T>(handle: *const Handle, body: impl FnOnce() -> Result<T>) -> std::result::Result<T, c_int> {
    quiet_panics();
    let failed = match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(failed)) => failed,
        Err(_) => Failed::says(libc::EFAULT, "Internal error."),
    };
    // SAFETY: as the caller promises.
    let handle = unsafe { handle.as_ref() };
    for line in &failed.lines {
        log::line(handle, Level::Error, line);
    }
    Err(failed.errno)
}

/// A panic's message goes to the log. The hook belongs to the Rust runtime in this library alone.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    if !cfg!(test) {
        ONCE.call_once(|| panic::set_hook(Box::new(|_| {})));
    }
}
