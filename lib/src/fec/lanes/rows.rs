//! Rows of bytes to multiply.

use std::ops::Range;

use crate::error::Result;
use crate::memory;

/// The unit of row widths: a multiple of what each backend processes at a time.
pub(super) const WIDTH: usize = 128;

/// How many columns are processed before the next ones: rows of this length stay in a processor's first-level cache.
pub(crate) const TILE: usize = 512;

/// The length of a processor's cache line. A vector that lies in two of them takes twice as long to read.
const LINE: usize = 64;

/// Rows of bytes in one piece of memory.
#[derive(Debug)]
pub(crate) struct Rows {
    memory: Vec<u8>,
    /// Where the first row starts: at a multiple of [`LINE`].
    start: usize,
    stride: usize,
}

impl Rows {
    /// This many rows of at most `width` bytes, all zero.
    pub(crate) fn new(count: usize, width: usize) -> Result<Self> {
        // Rows that start a power of two apart would share a set of the processor's first-level cache. And a read waits
        // for earlier writes to addresses that end in the same 12 bits, as far as a processor can tell at once: rows
        // that are mixed are six apart, and so three lines are better than one.
        let stride = width.next_multiple_of(WIDTH) + 3 * LINE;
        let memory = memory::zeroed(count * stride + LINE)?;
        let start = memory.as_ptr().align_offset(LINE).min(LINE);
        Ok(Self { memory, start, stride })
    }

    /// The first `width` bytes of a row.
    #[inline]
    pub(crate) fn row(&self, index: usize, width: usize) -> &[u8] {
        &self.memory[self.start + index * self.stride..][..width]
    }

    /// The same for writing.
    #[inline]
    pub(crate) fn row_mut(&mut self, index: usize, width: usize) -> &mut [u8] {
        &mut self.memory[self.start + index * self.stride..][..width]
    }

    /// Some columns of three different rows, for writing.
    pub(crate) fn three_mut(&mut self, indices: [usize; 3], columns: &Range<usize>) -> [&mut [u8]; 3] {
        let ranges = indices.map(|index| {
            let row = self.start + index * self.stride;
            row + columns.start..row + columns.end
        });
        self.memory.get_disjoint_mut(ranges).expect("different rows")
    }

    /// Some columns of the rows from `row` on.
    pub(crate) fn part(&self, row: usize, columns: &Range<usize>) -> Part<'_> {
        let bytes = &self.memory[self.start + row * self.stride + columns.start..];
        Part { bytes, stride: self.stride, width: columns.len() }
    }

    /// The same for writing.
    pub(crate) fn part_mut(&mut self, row: usize, columns: &Range<usize>) -> PartMut<'_> {
        let bytes = &mut self.memory[self.start + row * self.stride + columns.start..];
        PartMut { bytes, stride: self.stride, width: columns.len() }
    }

    /// Sets all of them to zero.
    pub(crate) fn clear(&mut self) {
        self.memory.fill(0);
    }
}

/// Some columns of some rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
    pub(super) width: usize,
}

impl<'a> Part<'a> {
    pub(super) fn row(self, index: usize) -> &'a [u8] {
        &self.bytes[index * self.stride..][..self.width]
    }
}

/// The same for writing.
#[derive(Debug)]
pub(crate) struct PartMut<'a> {
    pub(super) bytes: &'a mut [u8],
    pub(super) stride: usize,
    pub(super) width: usize,
}

impl PartMut<'_> {
    pub(super) fn row(&mut self, index: usize) -> &mut [u8] {
        &mut self.bytes[index * self.stride..][..self.width]
    }
}

/// Eight times eight bytes, transposed.
pub(crate) fn transposed(mut square: [u64; 8]) -> [u64; 8] {
    for (distance, low) in [(4, 0x0000_0000_FFFF_FFFF), (2, 0x0000_FFFF_0000_FFFF), (1, 0x00FF_00FF_00FF_00FF)] {
        let bits = distance * 8;
        for line in (0..8).filter(|line| line & distance == 0) {
            let (upper, lower) = (square[line], square[line + distance]);
            square[line] = upper & low | (lower & low) << bits;
            square[line + distance] = (upper >> bits) & low | lower & !low;
        }
    }
    square
}
