//! The mark in a file while a tree is made in it. It tells the next call that the tree is unfinished.
//!
//! ```text
//!   0  "unfinished dm-verity\0\0\0\0"  signature; "unfinished dm-verity end" of a mark at the end
//!  24  u64                             offset of this mark in the file
//!  32  u64                             length of the data, before they are padded
//! 40  u64                             length that the file is going to have; in a mark at the end, where the tree
//! begins
//!  48  [u8; 464]                       zero
//! ```
//! Numbers are little-endian. A tree with a superblock has the mark in the superblock's place: it is written first,
//! then the file gets its whole length, then the tree is written. A file with such a mark ends where the mark ends or
//! where the mark says. A tree without superblock has it right after all that is going to be in the file, which is cut
//! there at last: a file with such a mark ends where the mark ends. With any other length, something else has changed
//! it.

use zerocopy::byteorder::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::format::SUPERBLOCK_SIZE;
use crate::value::{BlockSize, MAX_DEVICE_BYTES};

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

/// No tool can take it for a superblock.
const SIGNATURE: [u8; 24] = *b"unfinished dm-verity\0\0\0\0";
const SIGNATURE_AT_END: [u8; 24] = *b"unfinished dm-verity end";

impl Mark {
    pub(super) fn new(offset: u64, data_bytes: u64, end: u64) -> Self {
        let zeros = [0; SUPERBLOCK_SIZE - 48];
        Self { signature: SIGNATURE, offset: offset.into(), data_bytes: data_bytes.into(), end: end.into(), zeros }
    }

    /// A mark at byte `offset`, where a tree that begins at byte `tree` is going to end, and its parity.
    pub(super) fn at_end(offset: u64, data_bytes: u64, tree: u64) -> Self {
        Self { signature: SIGNATURE_AT_END, ..Self::new(offset, data_bytes, tree) }
    }

    /// The mark in these bytes from byte `offset` of an image, if it is one and is where it says: in or right after the
    /// last block of data, or after a tree that begins there.
    pub(super) fn read(offset: u64, bytes: &[u8]) -> Option<Self> {
        let (mark, _) = Self::read_from_prefix(bytes).ok()?;
        let expected = if mark.is_at_end() { Self::at_end } else { Self::new };
        let expected = expected(offset, mark.data_bytes(), mark.end.get());
        let padding = mark.area().checked_sub(mark.data_bytes())?;
        // A tree without superblock may have to wait for the next hash block too.
        let most = 2 * u64::from(BlockSize::MAX);
        let lies_there = padding < most && mark.area() <= offset;
        (mark.as_bytes() == expected.as_bytes() && lies_there).then_some(mark)
    }

    fn is_at_end(&self) -> bool {
        self.signature == SIGNATURE_AT_END
    }

    /// Where the unfinished superblock or tree begins.
    pub(super) fn area(&self) -> u64 {
        if self.is_at_end() { self.end.get() } else { self.offset() }
    }

    /// Whether a mark begins like these bytes, which may end within it.
    pub(super) fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(&SIGNATURE[..20])
    }

    /// Its offset.
    pub(super) fn offset(&self) -> u64 {
        self.offset.get()
    }

    /// How long the data are.
    pub(super) fn data_bytes(&self) -> u64 {
        self.data_bytes.get()
    }

    /// How long the file was to become; `None` for a mark that does not say so.
    pub(super) fn planned_end(&self) -> Option<u64> {
        if self.is_at_end() {
            return Some(self.offset());
        }
        let end = self.end.get();
        (self.own_end()..=MAX_DEVICE_BYTES).contains(&end).then_some(end)
    }

    /// Whether an interrupted [`append`](crate::append()) leaves a file of this length.
    pub(super) fn explains(&self, file_bytes: u64) -> bool {
        let ends = [Some(self.own_end()), self.planned_end().filter(|_| !self.is_at_end())];
        self.planned_end().is_some() && ends.contains(&Some(file_bytes))
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
    fn a_mark_at_the_end_is_where_the_file_ends() {
        let mark = Mark::at_end(1 << 20, 5000, 8192);
        let read = Mark::read(1 << 20, mark.as_bytes()).unwrap();
        assert_eq!((read.area(), read.data_bytes(), read.planned_end()), (8192, 5000, Some(1 << 20)));
        for (bytes, expected) in [((1 << 20) + 512, true), (1 << 20, false), ((1 << 20) + 513, false), (8704, false)] {
            assert_eq!(read.explains(bytes), expected, "{bytes}");
        }
        assert!(Mark::begins(mark.as_bytes()));
        for (offset, data, tree) in
            [(8192, 5000, 8704), (1 << 20, 8193, 8192), (4 << 20, 0, 2 << 20), (8192, 0, u64::MAX)]
        {
            assert!(
                Mark::read(offset, Mark::at_end(offset, data, tree).as_bytes()).is_none(),
                "{offset} {data} {tree}"
            );
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
