//! Reading long stretches into memory that is used again, through the page cache or around it.

#![allow(unsafe_code)] // Asking for large pages has no safe wrapper.

use std::ptr::NonNull;

use nix::sys::mman::{MmapAdvise, madvise};

use super::Device;
use crate::error::Result;

/// What memory, positions and lengths are multiples of when the page cache is left aside: no device asks for more.
pub(super) const DIRECT_ALIGNMENT: usize = 4096;

/// The size of a large page on most systems; on the others it is only a number.
const LARGE_PAGE: usize = 2 << 20;

/// Where a thread reads into.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// What went through the page cache. Short, so that it stays in the processor's own cache.
    copied: Vec<u8>,
    /// What went around it.
    direct: Option<LargePages>,
}

impl Reader {
    /// Reads `len` bytes from byte `offset` on, around the page cache if `direct` says so and it can be done.
    pub(crate) fn read(&mut self, device: &Device, offset: u64, len: usize, direct: bool) -> Result<&[u8]> {
        if direct && offset.is_multiple_of(DIRECT_ALIGNMENT as u64) {
            let needed = len.next_multiple_of(DIRECT_ALIGNMENT);
            let pages = self.direct.take().filter(|pages| pages.len >= needed);
            let buffer = self.direct.insert(pages.unwrap_or_else(|| LargePages::new(needed))).bytes();
            let read = device.read_direct(&mut buffer[..needed], offset).min(len);
            // What is missing: all of it where it cannot be done, or less than a block at the end of a file.
            device.read_at(&mut buffer[read..len], offset + read as u64)?;
            return Ok(&buffer[..len]);
        }
        if self.copied.len() < len {
            self.copied = vec![0; len];
        }
        device.read_at(&mut self.copied[..len], offset)?;
        Ok(&self.copied[..len])
    }
}

/// Memory in large pages, if the system has them: a device writes to few long stretches faster than to many short ones,
/// and takes longer requests then.
#[derive(Debug)]
struct LargePages {
    memory: Vec<u8>,
    /// The first multiple of the page size.
    start: usize,
    len: usize,
}

impl LargePages {
    fn new(len: usize) -> Self {
        let len = len.next_multiple_of(LARGE_PAGE);
        let mut memory = vec![0; len + LARGE_PAGE];
        let start = memory.as_ptr().align_offset(LARGE_PAGE);
        // SAFETY: these bytes belong to `memory`, and the advice changes none of them.
        let advised = unsafe { madvise(NonNull::from(&mut memory[start]).cast(), len, MmapAdvise::MADV_HUGEPAGE) };
        if let Err(errno) = advised {
            log::debug!("no large pages: {errno}");
        }
        Self { memory, start, len }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn around_the_page_cache_the_same_is_read() {
        let file = tempfile::NamedTempFile::new_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        // Neither the end nor some of the reads are at multiples of what devices ask for.
        let bytes: Vec<u8> = (0..=250).cycle().take((3 << 20) + 1234).collect();
        std::fs::write(file.path(), &bytes).unwrap();
        let device = Device::open(file.path()).unwrap();
        let mut reader = Reader::default();
        for (offset, len) in [
            (4096, 512),
            (0, 1 << 20),
            (1 << 20, 2 << 20),
            (0, 3 << 20),
            (3 << 20, 1234),
            (3 << 20, 512),
            (512, 4096),
            ((3 << 20) + 512, 722),
            (12288, 7 * 512),
        ] {
            for direct in [true, false] {
                let read = reader.read(&device, offset as u64, len, direct).unwrap();
                assert!(read == &bytes[offset..offset + len], "{offset} {len} {direct}");
            }
        }
        for direct in [true, false] {
            assert!(reader.read(&device, 3 << 20, 1235, direct).is_err(), "beyond the end");
        }
    }
}
