//! Reading long stretches into reused memory, through the page cache or bypassing it.

use super::{Device, system};
use crate::error::Result;
use crate::memory;

/// The alignment of memory, positions and lengths when the page cache is bypassed: no device needs more.
pub(super) const DIRECT_ALIGNMENT: usize = 4096;

/// The size of a large page on most systems; on the others it is only a number.
const LARGE_PAGE: usize = 2 << 20;

/// The memory that a thread reads into.
#[derive(Debug, Default)]
pub(crate) struct Reader(Option<Buffer>);

impl Reader {
    /// Reads `len` bytes from byte `offset` on, bypassing the page cache if `direct` says so and it is possible.
    pub(crate) fn read(&mut self, device: &Device<'_>, offset: u64, len: usize, direct: bool) -> Result<&[u8]> {
        let direct = direct && offset.is_multiple_of(DIRECT_ALIGNMENT as u64);
        let needed = len.next_multiple_of(DIRECT_ALIGNMENT);
        // Reads through the page cache are short, and their memory is reused, so that it stays in the processor's own
        // cache. Memory for both kinds at a time would be more than a thread should have.
        let suits = |buffer: &Buffer| buffer.len >= needed && buffer.large == (direct && needed >= LARGE_PAGE);
        let buffer = match self.0.take().filter(suits) {
            Some(buffer) => buffer,
            None => Buffer::new(needed, direct)?,
        };
        let bytes = self.0.insert(buffer).bytes();
        let read = if direct { device.read_direct(&mut bytes[..needed], offset).min(len) } else { 0 };
        // What is missing: everything if the page cache cannot be bypassed, or less than a block at the end of a file.
        device.read_at(&mut bytes[read..len], offset + read as u64)?;
        Ok(&bytes[..len])
    }
}

/// Memory that devices can write to directly. Long memory for devices is in large pages: a device writes to few long
/// stretches faster than to many short ones, and accepts longer requests then.
#[derive(Debug)]
struct Buffer {
    memory: Vec<u8>,
    /// The first multiple of the page size.
    start: usize,
    len: usize,
    large: bool,
}

impl Buffer {
    fn new(len: usize, direct: bool) -> Result<Self> {
        let large = direct && len >= LARGE_PAGE;
        let alignment = if large { LARGE_PAGE } else { DIRECT_ALIGNMENT };
        let len = len.next_multiple_of(alignment);
        let mut memory = memory::zeroed(len + alignment)?;
        let start = memory.as_ptr().align_offset(alignment);
        if large {
            system::advise_large_pages(&mut memory[start..][..len]);
        }
        Ok(Self { memory, start, len, large })
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
