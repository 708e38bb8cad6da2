//! Functions that are not for verity: made from the table, so that programs that look for all names start.
//!
//! Callers pass more arguments than a function here declares. By the C calling conventions of Linux the caller removes
//! them: unread arguments do no harm.

use std::ffi::{OsStr, c_char, c_int, c_long, c_void};

use crate::functions::functions;
use crate::guard::{Failed, guard};
use crate::handle::Handle;

/// The operation is of other types of devices.
///
/// # Safety
/// `cd` is null or a handle.
unsafe fn refuse(cd: *const Handle, text: &str) -> c_int {
    // SAFETY: as the caller promises.
    unsafe {
        guard(cd, || {
            // Nothing is said of calls without a handle.
            Err(if cd.is_null() { Failed::silent(libc::EINVAL) } else { Failed::says(libc::EINVAL, OsStr::new(text)) })
        })
    }
}

macro_rules! stub {
    ($name:ident works) => {};
    ($name:ident in_c) => {};
    ($name:ident refuses $text:literal) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(cd: *const Handle) -> c_int {
            // SAFETY: C promises a handle.
            unsafe { refuse(cd, $text) }
        }
    };
    ($name:ident number ($number:expr)) => {
        #[unsafe(no_mangle)]
        extern "C" fn $name(_: *const c_void) -> c_long {
            $number.into()
        }
    };
    ($name:ident on_handle ($number:expr)) => {
        #[unsafe(no_mangle)]
        extern "C" fn $name(cd: *const Handle) -> c_int {
            if cd.is_null() { -libc::EINVAL } else { $number }
        }
    };
    ($name:ident null) => {
        #[unsafe(no_mangle)]
        extern "C" fn $name(_: *const c_void) -> *const c_char {
            std::ptr::null()
        }
    };
    ($name:ident nothing) => {
        #[unsafe(no_mangle)]
        extern "C" fn $name(_: *const c_void) {}
    };
}

macro_rules! stubs {
    ($($name:ident [$($version:literal),*] ($($answer:tt)*);)*) => {
        $(stub!($name $($answer)*);)*
    };
}

functions!(stubs);
