//! What lies in the superblock's place until there is one.
//!
//! ```text
//!   0  "unfinished dm-verity\0\0\0\0"  signature
//!  24  u64                             offset of this mark in the file
//!  32  u64                             length of the data, before they are padded
//!  40  u64                             length that the file is going to have
//!  48  [u8; 464]                       zero
//! ```
//! Numbers are little-endian. The mark is written first, then the file gets its whole length, then the tree is written: a
//! file with a mark ends where the mark ends or where the mark says. With any other length, something else has changed it.

use zerocopy::byteorder::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::superblock::SUPERBLOCK_SIZE;
use crate::units::{BlockSize, MAX_DEVICE_BYTES};

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Mark {
    signature: [u8; 24],
    offset: U64,
    data_bytes: U64,
    end: U64,
    zeros: [u8; SUPERBLOCK_SIZE - 48],
}

const _: () = assert!(size_of::<Mark>() == SUPERBLOCK_SIZE);

/// Not to be taken for a superblock by anybody.
const SIGNATURE: [u8; 24] = *b"unfinished dm-verity\0\0\0\0";

impl Mark {
    pub(super) fn new(offset: u64, data_bytes: u64, end: u64) -> Self {
        let zeros = [0; SUPERBLOCK_SIZE - 48];
        Self { signature: SIGNATURE, offset: offset.into(), data_bytes: data_bytes.into(), end: end.into(), zeros }
    }

    /// The mark in these bytes from byte `offset` of an image, if it is one and lies where it says: in or right after the
    /// last block of data.
    pub(super) fn read(offset: u64, bytes: &[u8]) -> Option<Self> {
        let (mark, _) = Self::read_from_prefix(bytes).ok()?;
        let data = mark.data_bytes.get();
        let expected = Self::new(offset, data, mark.end.get());
        let padding = offset.checked_sub(data)?;
        (mark.as_bytes() == expected.as_bytes() && padding < u64::from(BlockSize::MAX)).then_some(mark)
    }

    /// Whether a mark begins like these bytes, which may end within it.
    pub(super) fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(&SIGNATURE[..20])
    }

    /// Where it lies.
    pub(super) fn offset(&self) -> u64 {
        self.offset.get()
    }

    /// How long the data are.
    pub(super) fn data_bytes(&self) -> u64 {
        self.data_bytes.get()
    }

    /// How long the file was to become; `None` for a mark that does not say so.
    pub(super) fn planned_end(&self) -> Option<u64> {
        let end = self.end.get();
        (self.own_end()..=MAX_DEVICE_BYTES).contains(&end).then_some(end)
    }

    /// Whether an interrupted [`append`](crate::append()) leaves a file of this length.
    pub(super) fn explains(&self, file_bytes: u64) -> bool {
        self.planned_end().is_some_and(|end| [self.own_end(), end].contains(&file_bytes))
    }

    fn own_end(&self) -> u64 {
        self.offset().saturating_add(SUPERBLOCK_SIZE as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_only_where_it_says_that_it_lies() {
        let mark = Mark::new(8192, 5000, 16384);
        assert!(Mark::read(8192, mark.as_bytes()).is_some());
        assert!(Mark::read(4096, mark.as_bytes()).is_none());
        for (offset, data) in [(8192, 8193), (1 << 20, 0), (0, u64::MAX)] {
            assert!(Mark::read(offset, Mark::new(offset, data, u64::MAX).as_bytes()).is_none(), "{offset} {data}");
        }
        let mut damaged = mark;
        damaged.zeros[400] = 1;
        assert!(Mark::read(8192, damaged.as_bytes()).is_none());
    }

    #[test]
    fn two_lengths_are_those_of_an_unfinished_file() {
        let explained = |end, bytes| Mark::new(8192, 5000, end).explains(bytes);
        assert!(explained(16384, 8704) && explained(16384, 16384) && explained(8704, 8704));
        for bytes in [0, 5000, 8192, 8703, 8705, 12288, 16383, 16385, u64::MAX] {
            assert!(!explained(16384, bytes), "{bytes}");
        }
        // One that says no end, or one that cannot be, explains nothing.
        for end in [0, 8703, 1 << 63, u64::MAX] {
            assert!(!explained(end, 8704) && !explained(end, end), "{end}");
        }
    }

    #[test]
    fn a_mark_that_is_cut_is_still_known_by_its_first_bytes() {
        let mark = Mark::new(8192, 5000, 16384);
        for len in [20, 24, 48, 511, 512] {
            assert!(Mark::begins(&mark.as_bytes()[..len]), "{len}");
        }
        assert!(!Mark::begins(&mark.as_bytes()[..19]));
    }
}
