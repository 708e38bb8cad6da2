//! The mark in a file while a tree is made in it, or on a hash device while its tree is updated. It tells the next call
//! that the tree is unfinished.
//!
//! ```text
//!   0  "unfinished dm-verity\0\0\0\0"  signature; "unfinished dm-verity end" of a mark at the end, and
//!                                      "unfinished dm-verity upd" of an update
//!  24  u64                             offset of this mark in the file
//!  32  u64                             length of the data, before they are padded
//!  40  u64                             length that the file is going to have; in a mark at the end, where the tree
//!                                      begins
//!  48  [u8; 336]                       bytes 8 to 344 of the superblock that an update has replaced, else zero
//! 384  [u8; 128]                       zero
//! ```
//! Numbers are little-endian. A tree with a superblock has the mark in the superblock's place: it is written first,
//! then the file gets its whole length, then the tree is written. A file with such a mark ends where the mark ends or
//! where the mark says. A tree without superblock has it right after all that is going to be in the file, which is cut
//! there at last: a file with such a mark ends where the mark ends. With any other length, something else has changed
//! it.

use std::ops::Range;

use zerocopy::byteorder::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::format::{SUPERBLOCK_SIZE, Superblock};
use crate::value::{BlockSize, MAX_DEVICE_BYTES};

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Mark {
    signature: [u8; 24],
    offset: U64,
    data_bytes: U64,
    end: U64,
    kept: [u8; KEPT.end - KEPT.start],
    zeros: [u8; SUPERBLOCK_SIZE - 48 - (KEPT.end - KEPT.start)],
}

/// Which bytes of a superblock an update keeps: all but the signature, and the zeros at the end.
const KEPT: Range<usize> = 8..344;

const _: () = assert!(size_of::<Mark>() == SUPERBLOCK_SIZE);

/// No tool can take it for a superblock.
const SIGNATURE: [u8; 24] = *b"unfinished dm-verity\0\0\0\0";
const SIGNATURE_AT_END: [u8; 24] = *b"unfinished dm-verity end";
const SIGNATURE_OF_UPDATE: [u8; 24] = *b"unfinished dm-verity upd";

impl Mark {
    pub(super) fn new(offset: u64, data_bytes: u64, end: u64) -> Self {
        let (offset, data_bytes, end) = (offset.into(), data_bytes.into(), end.into());
        Self { signature: SIGNATURE, offset, data_bytes, end, kept: [0; _], zeros: [0; _] }
    }

    /// A mark in the place of this superblock while its tree is updated, on a device of `end` bytes.
    pub(super) fn of_update(superblock: &[u8; SUPERBLOCK_SIZE], offset: u64, data_bytes: u64, end: u64) -> Self {
        let mut mark = Self { signature: SIGNATURE_OF_UPDATE, ..Self::new(offset, data_bytes, end) };
        mark.kept.copy_from_slice(&superblock[KEPT]);
        mark
    }

    /// The mark of an update in these bytes from byte `offset` of a hash device: the superblock that it has replaced,
    /// and the length that the device had.
    pub(super) fn read_update(offset: u64, bytes: &[u8]) -> Option<(Superblock, u64)> {
        let (mark, _) = Self::read_from_prefix(bytes).ok()?;
        if mark.signature != SIGNATURE_OF_UPDATE || mark.offset() != offset || mark.zeros != [0; _] {
            return None;
        }
        let mut superblock = [0; SUPERBLOCK_SIZE];
        superblock[..KEPT.start].copy_from_slice(b"verity\0\0");
        superblock[KEPT].copy_from_slice(&mark.kept);
        Some((Superblock::parse(&superblock).ok()?, mark.end.get()))
    }

    /// A mark at byte `offset`, where a tree that begins at byte `tree` is going to end, and its parity.
    pub(super) fn at_end(offset: u64, data_bytes: u64, tree: u64) -> Self {
        Self { signature: SIGNATURE_AT_END, ..Self::new(offset, data_bytes, tree) }
    }

    /// The mark in these bytes from byte `offset` of an image, if it is one and is where it says: in or right after the
    /// last block of data, or after a tree that begins there.
    pub(super) fn read(offset: u64, bytes: &[u8]) -> Option<Self> {
        let (mark, _) = Self::read_from_prefix(bytes).ok()?;
        let is_update = mark.is_of_update();
        let kept = if is_update { mark.kept } else { [0; _] };
        let signature = if is_update || mark.is_at_end() { mark.signature } else { SIGNATURE };
        let expected = Self { signature, kept, ..Self::new(offset, mark.data_bytes(), mark.end.get()) };
        let padding = mark.area().checked_sub(mark.data_bytes())?;
        // A tree without superblock may have to wait for the next hash block too.
        let most = 2 * u64::from(BlockSize::MAX);
        let lies_there = padding < most && mark.area() <= offset;
        (mark.as_bytes() == expected.as_bytes() && lies_there).then_some(mark)
    }

    /// Whether a superblock is to come back in its place.
    pub(super) fn is_of_update(&self) -> bool {
        self.signature == SIGNATURE_OF_UPDATE
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
    use crate::format::Params;
    use crate::value::Salt;

    #[test]
    fn a_mark_counts_only_where_it_says_that_it_lies() {
        let mark = Mark::new(8192, 5000, 16384);
        assert!(Mark::read(8192, mark.as_bytes()).is_some());
        assert!(Mark::read(4096, mark.as_bytes()).is_none());
        for (offset, data) in [(8192, 8193), (1 << 20, 0), (0, u64::MAX)] {
            assert!(Mark::read(offset, Mark::new(offset, data, u64::MAX).as_bytes()).is_none(), "{offset} {data}");
        }
        let (mut damaged, mut of_update) = (mark, mark);
        damaged.zeros[100] = 1;
        of_update.kept[300] = 1;
        assert!([damaged, of_update].iter().all(|mark| Mark::read(8192, mark.as_bytes()).is_none()));
    }

    #[test]
    fn the_mark_of_an_update_has_the_superblock() {
        let params = Params::builder().salt(Salt::new(&[7; 256]).unwrap()).build(8192).unwrap();
        let superblock = params.superblock().unwrap();
        let mark = Mark::of_update(&superblock.to_bytes(), 8192, 8192, 16384);
        assert_eq!(Mark::read_update(8192, mark.as_bytes()), Some((superblock, 16384)));
        assert_eq!(Mark::read_update(0, mark.as_bytes()), None);
        assert_eq!(Mark::read_update(8192, Mark::new(8192, 8192, 16384).as_bytes()), None);
        // In a file that is data and tree, it is the mark of an unfinished tree too.
        assert!(Mark::read(8192, mark.as_bytes()).is_some_and(|mark| mark.explains(16384)));
        assert!(Superblock::parse(mark.as_bytes()).is_err());
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
