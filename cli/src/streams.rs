//! Whether standard output was closed when the program started. Before `main`, Rust's runtime opens `/dev/null` where one
//! of the three standard streams is closed, so that no file takes its number: what is printed then is lost without a word.
//! So it has to be looked at before.
#![allow(unsafe_code)] // What runs before `main` has no safe form.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;

static STDOUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

// SAFETY: the section holds addresses of functions that the C library calls before `main`, on Linux with the arguments of
// `main`, which this one does not look at. It needs nothing of Rust's runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    // SAFETY: F_GETFD only asks for flags, of any number.
    let is_closed = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) } == -1;
    STDOUT_WAS_CLOSED.store(is_closed, Ordering::Relaxed);
}

/// Whether there was no standard output to begin with.
pub(crate) fn stdout_was_closed() -> bool {
    STDOUT_WAS_CLOSED.load(Ordering::Relaxed)
}
