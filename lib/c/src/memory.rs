//! Memory for secrets: it is zeros when it is handed out, and again when it is given back.

use std::ffi::c_void;
use std::ptr;

/// Room for the length before the memory that is handed out, which keeps its alignment.
const HEAD: usize = 16;

/// # Safety
/// `data` is null or comes from here.
unsafe fn head(data: *mut c_void) -> *mut usize {
    // SAFETY: the head is before what was handed out.
    unsafe { data.cast::<u8>().sub(HEAD) }.cast()
}

#[unsafe(no_mangle)]
extern "C" fn crypt_safe_alloc(size: usize) -> *mut c_void {
    let Some(whole) = size.checked_add(HEAD).filter(|_| size > 0) else { return ptr::null_mut() };
    // SAFETY: any size may be asked for.
    let start = unsafe { libc::calloc(1, whole) };
    if start.is_null() {
        return start;
    }
    // SAFETY: there is room for the head, and calloc aligns for every type.
    unsafe {
        start.cast::<usize>().write(size);
        start.cast::<u8>().add(HEAD).cast()
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_safe_free(data: *mut c_void) {
    if data.is_null() {
        return;
    }
    // SAFETY: it comes from `crypt_safe_alloc`, which wrote the length there.
    unsafe {
        let start = head(data);
        crypt_safe_memzero(data, start.read());
        libc::free(start.cast());
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_safe_realloc(data: *mut c_void, size: usize) -> *mut c_void {
    let new = crypt_safe_alloc(size);
    if !new.is_null() && !data.is_null() {
        // SAFETY: both come from `crypt_safe_alloc`, and no more is copied than either has.
        unsafe { ptr::copy_nonoverlapping(data.cast::<u8>(), new.cast::<u8>(), head(data).read().min(size)) };
    }
    // SAFETY: as C promises.
    unsafe { crypt_safe_free(data) };
    new
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_safe_memzero(data: *mut c_void, size: usize) {
    if !data.is_null() {
        // SAFETY: C promises that many bytes. No compiler leaves out a call of this function.
        unsafe { libc::explicit_bzero(data, size) };
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_safe_memcpy(to: *mut c_void, from: *const c_void, size: usize) -> *mut c_void {
    if !to.is_null() && !from.is_null() {
        // SAFETY: C promises that many bytes in both.
        unsafe { ptr::copy(from.cast::<u8>(), to.cast::<u8>(), size) };
    }
    to
}
