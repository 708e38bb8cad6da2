//! The streams that the program was started with, and whether one of the three standard ones was closed. Before `main`,
//! Rust's runtime opens `/dev/null` if one of these is closed, so that no file takes its number: output is then lost
//! silently. So it has to be checked earlier.
#![allow(unsafe_code)] // What runs before `main` has no safe form, nor has a descriptor that is only a number.

use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::errno::Errno;
use nix::libc::{self, c_int};

/// One bit for each standard stream.
static CLOSED: AtomicU8 = AtomicU8::new(0);

// SAFETY: the section holds addresses of functions that the C library calls before `main`, on Linux with the arguments
// of `main`, which this one does not look at. It needs nothing of Rust's runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    for number in 0..3 {
        if flags(number, libc::F_GETFD).is_err() {
            CLOSED.fetch_or(1 << number, Ordering::Relaxed);
        }
    }
}

fn was_closed(number: c_int) -> bool {
    (0..3).contains(&number) && CLOSED.load(Ordering::Relaxed) & 1 << number != 0
}

/// Whether there was no standard output to begin with.
pub(crate) fn stdout_was_closed() -> bool {
    was_closed(libc::STDOUT_FILENO)
}

/// The same for standard input.
pub(crate) fn stdin_was_closed() -> bool {
    was_closed(libc::STDIN_FILENO)
}

/// Flags of a descriptor, of either kind.
fn flags(number: c_int, which: c_int) -> io::Result<c_int> {
    // SAFETY: F_GETFD and F_GETFL only ask for flags, of any number.
    match unsafe { libc::fcntl(number, which) } {
        -1 => Err(io::Error::last_os_error()),
        flags => Ok(flags),
    }
}

/// A copy of a descriptor that the program was started with and that can be written to. It shares position and append
/// mode with the original.
///
/// # Errors
/// `EBADF`, as writing to it would give.
pub(crate) fn inherited(number: c_int) -> io::Result<File> {
    let status = flags(number, libc::F_GETFL)?;
    // What the program has opened itself is closed on exec, and what it was started with is not.
    let is_own = flags(number, libc::F_GETFD)? & libc::FD_CLOEXEC != 0;
    let is_writable = status & libc::O_ACCMODE != libc::O_RDONLY && status & libc::O_PATH == 0;
    if is_own || was_closed(number) || !is_writable {
        return Err(Errno::EBADF.into());
    }
    // SAFETY: F_DUPFD_CLOEXEC takes the lowest number that the copy may have.
    match unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: it was just made, and belongs to nothing else.
        copy => Ok(unsafe { File::from_raw_fd(copy) }),
    }
}
