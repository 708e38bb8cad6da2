//! What happens when a command runs out of memory: it stops its work, cleans up and ends with an exit code of its own.
//! By default, Rust would abort and leave an unfinished file.
//!
//! A reserve is kept for that. When a request is refused, the reserve is given back, the work that runs is cancelled,
//! and the request is made again: what it takes to clean up fits into the reserve. Requests as large as the reserve are
//! refused at once; their callers can do without. If the reserve is not enough, because several threads make requests,
//! they wait for memory that the others free as their work is cancelled. If none of this helps, the command ends with
//! that exit code and does nothing else.
#![allow(unsafe_code)] // An allocator has no safe form.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread::sleep;
use std::time::Duration;

use signal_hook::consts::SIGABRT;
use signal_hook::flag;

use crate::failure::Exit;

/// For the paths, messages and file system calls of a clean-up, and for what a few threads ask for before they notice
/// that they are cancelled. It is never touched, so it takes address space but no memory.
const RESERVE: Layout = match Layout::from_size_align(4 << 20, 4096) {
    Ok(layout) => layout,
    Err(_) => panic!("the alignment is a power of two"),
};

/// How often, and how long in between, a request is made again.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// The reserve while it is kept.
static KEPT: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
/// Whether the reserve has been given back.
static IS_SHORT: AtomicBool = AtomicBool::new(false);
/// What cancels the work that runs.
static CANCEL: OnceLock<Arc<AtomicBool>> = OnceLock::new();
/// Whether a request was finally refused: Rust aborts if it cannot do without.
static IS_REFUSED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
/// The same for the allocator, which must not be the one that makes it.
static REFUSED: OnceLock<&'static AtomicBool> = OnceLock::new();

/// The system's allocator with a reserve.
#[derive(Debug)]
pub struct Reserving;

/// Sets the reserve aside.
pub(crate) fn keep_reserve() {
    let _ = flag::register_conditional_shutdown(SIGABRT, Exit::Memory.code().into(), Arc::clone(&IS_REFUSED));
    let _ = REFUSED.set(&IS_REFUSED);
    // SAFETY: the layout has a size.
    KEPT.store(unsafe { System.alloc(RESERVE) }, Ordering::SeqCst);
}

/// Registers the flag that is set when memory is short. Only the first call has an effect.
pub(crate) fn cancels(flag: &Arc<AtomicBool>) {
    let _ = CANCEL.set(Arc::clone(flag));
    if is_short() {
        flag.store(true, Ordering::SeqCst);
    }
}

/// Whether work may begin: there is a reserve for ending it.
pub(crate) fn has_reserve() -> bool {
    !KEPT.load(Ordering::SeqCst).is_null()
}

/// Whether the reserve was needed.
pub(crate) fn is_short() -> bool {
    IS_SHORT.load(Ordering::SeqCst)
}

/// Makes a request of `size` bytes, and once more after the reserve was given back.
fn with_reserve(size: usize, request: impl Fn() -> *mut u8) -> *mut u8 {
    let mut memory = request();
    if !memory.is_null() {
        return memory;
    }
    if size < RESERVE.size() {
        give_back();
        memory = request();
        for _ in 0..TRIES {
            if !memory.is_null() {
                return memory;
            }
            sleep(PAUSE);
            memory = request();
        }
    }
    if memory.is_null()
        && let Some(refused) = REFUSED.get()
    {
        refused.store(true, Ordering::SeqCst);
    }
    memory
}

#[cold]
fn give_back() {
    let kept = KEPT.swap(ptr::null_mut(), Ordering::SeqCst);
    if !kept.is_null() {
        // SAFETY: it was made with this layout, and only one thread gets it here.
        unsafe { System.dealloc(kept, RESERVE) };
    }
    IS_SHORT.store(true, Ordering::SeqCst);
    if let Some(cancel) = CANCEL.get() {
        cancel.store(true, Ordering::SeqCst);
    }
}

// SAFETY: all memory is the system allocator's, with the layouts that the caller gives; the atomics above allocate
// nothing.
unsafe impl GlobalAlloc for Reserving {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        with_reserve(layout.size(), || unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        with_reserve(layout.size(), || unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; memory that could not be made larger is left as it was.
        with_reserve(size, || unsafe { System.realloc(memory, layout, size) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) };
    }
}
