//! A stream over what is read at positions.

use std::io::{self, Error, ErrorKind, Read, Seek, SeekFrom};

use super::ReadAt;

/// Reads from the front to the back, and seeks: [`Read`] and [`Seek`] over anything that is a [`ReadAt`].
#[derive(Clone, Debug)]
pub struct ReadCursor<R> {
    source: R,
    size: u64,
    position: u64,
}

impl<R: ReadAt> ReadCursor<R> {
    /// A cursor at the first byte.
    ///
    /// # Errors
    /// Any error of finding out the size.
    pub fn new(source: R) -> io::Result<Self> {
        Ok(Self { size: source.size()?, source, position: 0 })
    }

    /// What it reads from.
    pub fn into_inner(self) -> R {
        self.source
    }
}

impl<R: ReadAt> Read for ReadCursor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        if count > 0 {
            self.source.read_exact_at(&mut buffer[..count], self.position)?;
            self.position += count as u64;
        }
        Ok(count)
    }
}

impl<R: ReadAt> Seek for ReadCursor<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_and_seeks_as_a_file_does() {
        let mut cursor = ReadCursor::new(vec![1, 2, 3, 4]).unwrap();
        let mut two = [0; 2];
        cursor.read_exact(&mut two).unwrap();
        assert_eq!((two, cursor.stream_position().unwrap()), ([1, 2], 2));
        assert_eq!(cursor.seek(SeekFrom::End(-1)).unwrap(), 3);
        assert_eq!(cursor.read(&mut two).unwrap(), 1);
        assert_eq!(cursor.read(&mut two).unwrap(), 0);
        assert_eq!(cursor.seek(SeekFrom::Start(100)).unwrap(), 100);
        assert_eq!(cursor.read(&mut two).unwrap(), 0);
        assert_eq!(cursor.seek(SeekFrom::Current(-101)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(cursor.stream_position().unwrap(), 100);
    }
}
