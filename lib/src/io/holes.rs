//! Holes: stretches that were never written and read as zeros. They are looked up from the front to the back.

use std::io;
use std::ops::Range;

use super::ReadAt;

/// Finds the holes of a device. Where it cannot tell, all is data.
pub(crate) struct Holes<'a> {
    /// `None` when there are none: block devices, and file systems that do not know.
    storage: Option<&'a dyn ReadAt>,
    /// Where the device begins in the storage.
    start: u64,
    /// What the last answer was about: a hole from the first to the second position, then data to the third.
    hole_from: u64,
    data_from: u64,
    data_to: u64,
}

impl<'a> Holes<'a> {
    pub(super) fn new(storage: Option<&'a dyn ReadAt>, start: u64) -> Self {
        Self { storage, start, hole_from: 0, data_from: 0, data_to: 0 }
    }

    /// Where the hole that contains byte `offset` ends; `offset` itself if there is none. The hole after the last data
    /// has no end.
    pub(crate) fn end_of_hole_at(&mut self, offset: u64) -> u64 {
        if offset < self.hole_from || offset >= self.data_to {
            self.look(offset);
        }
        self.data_from.max(offset)
    }

    /// Where the data that contain byte `offset` end; `offset` itself in a hole.
    pub(crate) fn end_of_data_at(&mut self, offset: u64) -> u64 {
        if self.end_of_hole_at(offset) > offset { offset } else { self.data_to }
    }

    fn look(&mut self, offset: u64) {
        let found = match self.storage.map(|storage| self.data_at(storage, offset)) {
            Some(Ok(None)) => (u64::MAX, u64::MAX),
            Some(Ok(Some(data))) if data.start.max(offset) < data.end => (data.start.max(offset), data.end),
            // Or the answer is impossible.
            None | Some(Err(_) | Ok(Some(_))) => {
                self.storage = None;
                (offset, u64::MAX)
            }
        };
        (self.hole_from, (self.data_from, self.data_to)) = (offset, found);
    }

    /// The storage's answer in the device's own positions.
    fn data_at(&self, storage: &dyn ReadAt, offset: u64) -> io::Result<Option<Range<u64>>> {
        let data = storage.data_at(self.start.saturating_add(offset))?;
        let in_device =
            |position: u64| if position == u64::MAX { position } else { position.saturating_sub(self.start) };
        Ok(data.map(|data| in_device(data.start)..in_device(data.end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data in these places.
    struct Sparse(&'static [Range<u64>]);

    impl ReadAt for Sparse {
        fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
            unreachable!("nothing is read")
        }

        fn size(&self) -> io::Result<u64> {
            unreachable!("it is not asked for")
        }

        fn data_at(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
            let data = self.0.iter().find(|data| data.end > offset);
            Ok(data.map(|data| data.start.max(offset)..data.end))
        }
    }

    #[test]
    fn holes_end_where_data_begin() {
        let file = Sparse(&[100..200, 300..301]);
        let mut holes = Holes::new(Some(&file), 0);
        for _ in 0..2 {
            let ends: Vec<(u64, u64)> = [0, 50, 99, 100, 150, 199, 200, 299, 300, 301, 1000]
                .map(|offset| (holes.end_of_hole_at(offset), holes.end_of_data_at(offset)))
                .to_vec();
            let last = u64::MAX;
            assert_eq!(
                ends,
                [
                    (100, 0),
                    (100, 50),
                    (100, 99),
                    (100, 200),
                    (150, 200),
                    (199, 200),
                    (300, 200),
                    (300, 299),
                    (300, 301),
                    (last, 301),
                    (last, 1000)
                ]
            );
        }
        assert_eq!(Holes::new(None, 0).end_of_hole_at(5), 5);
        assert_eq!(Holes::new(None, 0).end_of_data_at(5), u64::MAX);
    }

    #[test]
    fn the_holes_of_a_part_are_in_its_own_positions() {
        let file = Sparse(&[100..200, 300..301]);
        let mut holes = Holes::new(Some(&file), 150);
        let ends = [0, 49, 50, 150, 151].map(|offset| (holes.end_of_hole_at(offset), holes.end_of_data_at(offset)));
        assert_eq!(ends, [(0, 50), (49, 50), (150, 50), (150, 151), (u64::MAX, 151)]);
    }

    #[test]
    fn an_answer_that_cannot_be_true_is_none() {
        struct Liar;
        impl ReadAt for Liar {
            fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
                unreachable!("nothing is read")
            }

            fn size(&self) -> io::Result<u64> {
                unreachable!("it is not asked for")
            }

            fn data_at(&self, _: u64) -> io::Result<Option<Range<u64>>> {
                Ok(Some(5..7))
            }
        }
        let mut holes = Holes::new(Some(&Liar), 0);
        assert_eq!((holes.end_of_hole_at(7), holes.end_of_data_at(7)), (7, u64::MAX));
    }
}
