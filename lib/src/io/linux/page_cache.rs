//! Whether what is to be read is in the page cache. Only then is reading through it the faster way.

// `mincore` has no safe wrapper, and wants a mapping, which no memory is ever read from; nor has `madvise`.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::File;
use std::num::NonZero;
use std::ptr::NonNull;

use nix::libc;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};

/// Asks for large pages of memory.
pub(crate) fn advise_large_pages(memory: &mut [u8]) {
    // SAFETY: these bytes belong to `memory`, and the advice changes none of them.
    let advised = unsafe { madvise(NonNull::from(&mut *memory).cast(), memory.len(), MmapAdvise::MADV_HUGEPAGE) };
    if let Err(errno) = advised {
        log::debug!("no large pages: {errno}");
    }
}

/// A device's pages.
#[derive(Debug)]
pub(crate) struct PageCache {
    pages: NonNull<c_void>,
    bytes: usize,
    page_size: u64,
}

// SAFETY: the mapping belongs to this value alone, and nothing is read or written through its address.
unsafe impl Send for PageCache {}
// SAFETY: as above.
unsafe impl Sync for PageCache {}

/// In how many places a stretch is sampled.
const SAMPLES: u64 = 16;

impl PageCache {
    /// For the first `bytes` of a file or block device; `None` if the system does not tell.
    pub(crate) fn new(file: &File, bytes: u64) -> Option<Self> {
        let page_size = super::page_size()?;
        // Where addresses have 32 bits, a long device would leave none for anything else.
        let bytes = usize::try_from(bytes).ok().filter(|&bytes| bytes <= isize::MAX as usize / 2)?;
        // SAFETY: a new mapping is made at an address of the kernel's choice; no memory of ours is touched.
        let pages = unsafe { mmap(None, NonZero::new(bytes)?, ProtFlags::PROT_NONE, MapFlags::MAP_SHARED, file, 0) };
        Some(Self { pages: pages.ok()?, bytes, page_size })
    }

    /// Whether most of the stretch from byte `offset` on is not in the page cache.
    pub(crate) fn is_cold(&self, offset: u64, len: u64) -> bool {
        let step = (len / SAMPLES).max(self.page_size);
        let samples = (0..len).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        let (mut seen, mut missing) = (0, 0);
        for sample in samples {
            seen += 1;
            missing += u32::from(self.is_missing(offset + sample));
        }
        missing * 2 > seen
    }

    fn is_missing(&self, offset: u64) -> bool {
        let Ok(page) = usize::try_from(offset / self.page_size * self.page_size) else { return false };
        if page >= self.bytes {
            return false;
        }
        let mut resident = 0;
        // SAFETY: the page is within the mapping, and the answer for one page is one byte.
        let answer = unsafe { libc::mincore(self.pages.as_ptr().byte_add(page), 1, &raw mut resident) };
        answer == 0 && resident & 1 == 0
    }
}

impl Drop for PageCache {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `new` made, and no reference into it exists.
        let unmapped = unsafe { munmap(self.pages, self.bytes) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}
