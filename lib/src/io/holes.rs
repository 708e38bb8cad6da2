//! Holes of a file: stretches that were never written and read as zeros. They are asked for from the front to the back.

use std::fs::File;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

/// Finds the holes of a device. Where it cannot tell, all is data.
#[derive(Debug)]
pub(crate) struct Holes<'a> {
    /// `None` when there are none: block devices, and file systems that do not know.
    file: Option<&'a File>,
    /// What the last answer was about: a stretch of data from the first to the second position, then a hole to the
    /// third.
    data_from: u64,
    data_to: u64,
    hole_to: u64,
}

impl<'a> Holes<'a> {
    pub(super) fn new(file: Option<&'a File>) -> Self {
        Self { file, data_from: 0, data_to: 0, hole_to: 0 }
    }

    /// Where the hole that byte `offset` lies in ends; `offset` itself where there is none. The hole behind the last data
    /// has no end.
    pub(crate) fn end_of_hole_at(&mut self, offset: u64) -> u64 {
        if offset < self.data_from || offset >= self.hole_to {
            self.look(offset);
        }
        if offset < self.data_to { offset } else { self.hole_to }
    }

    /// Where the data that byte `offset` lies in end; `offset` itself in a hole.
    pub(crate) fn end_of_data_at(&mut self, offset: u64) -> u64 {
        self.end_of_hole_at(offset);
        self.data_to.max(offset)
    }

    fn look(&mut self, offset: u64) {
        let Some(file) = self.file else {
            (self.data_from, self.data_to, self.hole_to) = (0, u64::MAX, u64::MAX);
            return;
        };
        // The file's own position, which these move, is used by nobody.
        let seek = |offset: u64, whence| {
            let offset = i64::try_from(offset).map_err(|_| Errno::ENXIO)?;
            lseek(file, offset, whence).map(i64::cast_unsigned)
        };
        match seek(offset, Whence::SeekData) {
            Ok(data) if data > offset => (self.data_from, self.data_to, self.hole_to) = (offset, offset, data),
            Ok(_) => {
                let data_to = seek(offset, Whence::SeekHole).unwrap_or(u64::MAX);
                (self.data_from, self.data_to, self.hole_to) = (offset, data_to, data_to);
            }
            // Nothing but a hole is left.
            Err(Errno::ENXIO) => (self.data_from, self.data_to, self.hole_to) = (offset, offset, u64::MAX),
            Err(_) => {
                self.file = None;
                self.look(offset);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn holes_end_where_data_begin() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 << 20).unwrap();
        // As long as the largest pages there are, so that all around it stays a hole.
        file.write_all_at(&vec![1; 4 << 20], 16 << 20).unwrap();
        let mut holes = Holes::new(Some(&file));
        assert_eq!(holes.end_of_hole_at(0), 16 << 20);
        assert_eq!(holes.end_of_hole_at(4096), 16 << 20);
        for data in [16 << 20, (17 << 20) + 1, (20 << 20) - 1] {
            assert_eq!(holes.end_of_hole_at(data), data);
            assert_eq!(holes.end_of_data_at(data), 20 << 20);
        }
        for hole in [20 << 20, (64 << 20) - 1] {
            assert_eq!(holes.end_of_hole_at(hole), u64::MAX);
            assert_eq!(holes.end_of_data_at(hole), hole);
        }
        // Asked again from the front.
        assert_eq!(holes.end_of_hole_at(0), 16 << 20);
        assert_eq!(holes.end_of_data_at(0), 0);
        assert_eq!(Holes::new(None).end_of_hole_at(5), 5);
        assert_eq!(Holes::new(None).end_of_data_at(5), u64::MAX);
    }
}
