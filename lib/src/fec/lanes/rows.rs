//! Rows of bytes to multiply.

use crate::error::Result;
use crate::memory;

/// The unit of row widths: a multiple of what each backend processes at a time.
pub(super) const WIDTH: usize = 128;

/// How many columns are added to all outputs before the next ones: rows of this length stay in a processor's
/// first-level cache.
pub(super) const TILE: usize = 512;

/// Rows of bytes in one piece of memory.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(super) bytes: Vec<u8>,
    pub(super) count: usize,
    pub(super) stride: usize,
}

impl Rows {
    /// This many rows of at most `width` bytes, all zero.
    pub(crate) fn new(count: usize, width: usize) -> Result<Self> {
        // Rows that start a power of two apart would share a set of the processor's first-level cache.
        let stride = width.next_multiple_of(WIDTH) + 64;
        Ok(Self { bytes: memory::zeroed(count * stride)?, count, stride })
    }

    /// The first `width` bytes of a row.
    #[inline]
    pub(crate) fn row(&self, index: usize, width: usize) -> &[u8] {
        &self.bytes[index * self.stride..][..width]
    }

    /// The same for writing.
    #[inline]
    pub(crate) fn row_mut(&mut self, index: usize, width: usize) -> &mut [u8] {
        &mut self.bytes[index * self.stride..][..width]
    }

    /// Sets all of them to zero.
    pub(crate) fn clear(&mut self) {
        self.bytes.fill(0);
    }
}
