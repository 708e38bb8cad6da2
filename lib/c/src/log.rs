//! Where messages go: the handle's callback, else the global one, else C's stdout and stderr.

use std::ffi::{CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use crate::handle::Handle;

/// A program's callback for messages. It runs on the thread of the call that logs.
pub(crate) type Function = unsafe extern "C" fn(level: c_int, message: *const c_char, user: *mut c_void);

/// A callback and what it is called with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Callback {
    function: Function,
    user: *mut c_void,
}

/// How important a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Normal = 0,
    Error = 1,
}

/// The lowest level, that of debug messages in JSON.
const LOWEST: c_int = -2;

/// The callback of calls without a handle. Two words without a lock, which a forked child could find taken.
static FUNCTION: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
static USER: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// 0 for no debug messages, -1 for all.
static DEBUG_LEVEL: AtomicI32 = AtomicI32::new(0);

unsafe extern "C" {
    static stdout: *mut libc::FILE;
    static stderr: *mut libc::FILE;
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_set_log_callback(cd: *const Handle, function: Option<Function>, user: *mut c_void) {
    // SAFETY: it is null or a handle.
    if let Some(handle) = unsafe { cd.as_ref() } {
        handle.callback.set(function.map(|function| Callback { function, user }));
        return;
    }
    USER.store(user, Ordering::Release);
    FUNCTION.store(function.map_or(ptr::null_mut(), |function| function as *mut c_void), Ordering::Release);
}

#[unsafe(no_mangle)]
extern "C" fn crypt_set_debug_level(level: c_int) {
    DEBUG_LEVEL.store(level, Ordering::Relaxed);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_log(cd: *const Handle, level: c_int, message: *const c_char) {
    if message.is_null() || level < LOWEST {
        return;
    }
    // SAFETY: `cd` is null or a handle, and the message ends with a zero.
    unsafe { deliver(cd.as_ref(), level, message) };
}

/// Passes on a line with its newline.
pub(crate) fn line(handle: Option<&Handle>, level: Level, line: &OsStr) {
    let bytes = line.as_bytes().iter().copied().filter(|&byte| byte != 0).chain([b'\n']);
    let message = CString::new(bytes.collect::<Vec<u8>>()).unwrap_or_default();
    // SAFETY: the message ends with a zero.
    unsafe { deliver(handle, level as c_int, message.as_ptr()) };
}

/// # Safety
/// `message` ends with a zero.
unsafe fn deliver(handle: Option<&Handle>, level: c_int, message: *const c_char) {
    if level < 0 && DEBUG_LEVEL.load(Ordering::Relaxed) == 0 {
        return;
    }
    if let Some(Callback { function, user }) = handle.and_then(|handle| handle.callback.get()).or_else(global) {
        // SAFETY: this is what the program gave it for.
        return unsafe { function(level, message, user) };
    }
    // SAFETY: C's streams are open until the program ends, and the message ends with a zero.
    unsafe {
        match level {
            1 => libc::fputs(message, stderr),
            0.. => libc::fputs(message, stdout),
            _ => libc::fputs(c"# ".as_ptr(), stdout) + libc::fputs(message, stdout),
        };
    }
}

fn global() -> Option<Callback> {
    let function = FUNCTION.load(Ordering::Acquire);
    // SAFETY: only functions of this type are stored.
    let function = (!function.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, Function>(function) })?;
    Some(Callback { function, user: USER.load(Ordering::Acquire) })
}
