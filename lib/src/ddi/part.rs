//! A stretch of a storage as a storage of its own.

use std::io::{self, Error, ErrorKind};
use std::ops::Range;

use crate::io::{ReadAt, WriteAt};

/// A partition, or any other stretch of a storage, as a storage that begins and ends with it.
///
/// ```
/// use dmverity::ReadAt;
/// use dmverity::ddi::Part;
///
/// let storage = vec![1, 2, 3, 4];
/// let part = Part::new(&storage, 1..3);
/// let mut bytes = [0; 2];
/// part.read_exact_at(&mut bytes, 0)?;
/// assert_eq!((bytes, part.size()?), ([2, 3], 2));
/// assert!(part.read_exact_at(&mut bytes, 1).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Part<S> {
    storage: S,
    offset: u64,
    bytes: u64,
}

impl<S> Part<S> {
    /// The bytes of `storage` in this range.
    pub const fn new(storage: S, range: Range<u64>) -> Self {
        Self { storage, offset: range.start, bytes: range.end.saturating_sub(range.start) }
    }

    /// Where `len` bytes from `offset` on are in the storage.
    fn place(&self, offset: u64, len: usize, beyond: ErrorKind) -> io::Result<u64> {
        let is_inside = offset.checked_add(len as u64).is_some_and(|end| end <= self.bytes);
        let place = self.offset.checked_add(offset).filter(|_| is_inside);
        place.ok_or_else(|| Error::from(beyond))
    }
}

impl<S: ReadAt> ReadAt for Part<S> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let place = self.place(offset, buffer.len(), ErrorKind::UnexpectedEof)?;
        self.storage.read_exact_at(buffer, place)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }

    fn data_at(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        if offset >= self.bytes {
            return Ok(None);
        }
        let found = self.storage.data_at(self.offset.saturating_add(offset))?;
        let range = found.map(|range| range.start.saturating_sub(self.offset)..range.end.saturating_sub(self.offset));
        Ok(range.filter(|range| range.start < self.bytes))
    }
}

impl<S: WriteAt> WriteAt for Part<S> {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let place = self.place(offset, bytes.len(), ErrorKind::StorageFull)?;
        self.storage.write_all_at(bytes, place)
    }

    fn sync(&self) -> io::Result<()> {
        self.storage.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Memory;

    /// Data from byte 10 to 20, and from byte 30 on.
    struct Holes;

    impl ReadAt for Holes {
        fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
            Ok(())
        }

        fn size(&self) -> io::Result<u64> {
            Ok(40)
        }

        fn data_at(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
            Ok(Some(if offset < 20 { offset.max(10)..20 } else { offset.max(30)..40 }))
        }
    }

    #[test]
    fn nothing_outside_is_read_or_written() {
        let memory = Memory::from(vec![0; 8]);
        let part = Part::new(&memory, 2..6);
        part.write_all_at(&[7; 4], 0).unwrap();
        for (offset, len) in [(0, 5), (4, 1), (u64::MAX, 1), (5, 0)] {
            let refused = part.write_all_at(&vec![1; len], offset);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::StorageFull, "{offset} {len}");
            let refused = part.read_exact_at(&mut vec![1; len], offset);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::UnexpectedEof, "{offset} {len}");
        }
        assert!(part.set_size(9).is_err());
        part.sync().unwrap();
        assert_eq!(Vec::from(memory), [0, 0, 7, 7, 7, 7, 0, 0]);
    }

    #[test]
    fn holes_are_where_they_are_in_the_storage() {
        let part = Part::new(&Holes, 15..35);
        assert_eq!(part.data_at(0).unwrap(), Some(0..5));
        assert_eq!(part.data_at(5).unwrap(), Some(15..25));
        assert_eq!(part.data_at(20).unwrap(), None);
        // Nothing but a hole is left.
        assert_eq!(Part::new(&Holes, 15..25).data_at(6).unwrap(), None);
    }
}
