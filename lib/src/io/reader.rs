//! Reading long stretches into one buffer, through the page cache or around it.

use super::Device;
use crate::error::Result;

/// What memory, positions and lengths are multiples of when the page cache is left aside: no device asks for more.
pub(crate) const DIRECT_ALIGNMENT: u64 = 4096;

/// A buffer to read into, for one thread.
#[derive(Debug)]
pub(crate) struct Reader {
    /// The part that is used starts at the first multiple of the alignment.
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Reader {
    /// For reads of at most `len` bytes.
    pub(crate) fn new(len: usize) -> Self {
        let alignment = usize::try_from(DIRECT_ALIGNMENT).expect("small");
        let len = len.next_multiple_of(alignment);
        let bytes = vec![0; len + alignment];
        let start = bytes.as_ptr().align_offset(alignment);
        Self { bytes, start, len }
    }

    /// Reads `len` bytes from byte `offset` on, around the page cache if `direct` says so and it can be done.
    pub(crate) fn read(&mut self, device: &Device, offset: u64, len: usize, direct: bool) -> Result<&[u8]> {
        let buffer = &mut self.bytes[self.start..][..self.len];
        let aligned = len.next_multiple_of(usize::try_from(DIRECT_ALIGNMENT).expect("small"));
        if direct && offset.is_multiple_of(DIRECT_ALIGNMENT) {
            let read = device.read_direct(&mut buffer[..aligned], offset).min(len);
            // What is missing: all of it where it cannot be done, or less than a block at the end of a file.
            device.read_at(&mut buffer[read..len], offset + read as u64)?;
        } else {
            device.read_at(&mut buffer[..len], offset)?;
        }
        Ok(&buffer[..len])
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
        let mut reader = Reader::new(1 << 20);
        for (offset, len) in [
            (0, 1 << 20),
            (1 << 20, 1 << 20),
            (3 << 20, 1234),
            (3 << 20, 512),
            (4096, 512),
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
