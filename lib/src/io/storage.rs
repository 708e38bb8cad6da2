//! What an image can be read from and written to, beside files and block devices that are opened by their paths.

use std::fmt;
use std::fs::File;
use std::io::{self, Error, ErrorKind};
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use super::system;

/// Something that can be read at any position, by several threads at once. Positions and lengths are bytes.
///
/// It is implemented for files, block devices (as [`File`]), byte slices, `Vec<u8>` and [`Memory`].
pub trait ReadAt: Send + Sync {
    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEof`] if there are fewer; any other error of reading.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// The number of bytes.
    ///
    /// # Errors
    /// Any error of finding it out.
    fn size(&self) -> io::Result<u64>;

    /// The first bytes at or after `offset` that may be anything but zeros: where they begin, at `offset` at the
    /// earliest, and where they end at the latest. `None` if all that follows is zeros that need not be read. If that
    /// is not known, the answer is `Some(offset..u64::MAX)`, the default.
    ///
    /// # Errors
    /// Any error: then everything is read.
    fn data_at(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        Ok(Some(offset..u64::MAX))
    }

    /// What errors call it, if it has a name of its own. By default they name the area of the image that it has.
    fn name(&self) -> Option<String> {
        None
    }

    /// Is told by a [`VerifiedReader`](crate::VerifiedReader) that the root hash has proven these bytes, which were
    /// read from `offset` on. A cache may keep them; by default nothing is done.
    fn proven(&self, offset: u64, bytes: &[u8]) {
        let _ = (offset, bytes);
    }

    /// Is told that what was read from these bytes is not what the root hash says. Returns whether reading them again
    /// may give something else, because a cache forgot them: then they are read once more. By default they are not.
    fn disproven(&self, bytes: Range<u64>) -> bool {
        let _ = bytes;
        false
    }
}

/// Something that can be written to as well, by several threads at once.
pub trait WriteAt: ReadAt {
    /// Writes all of `bytes` from byte `offset` on. Writing beyond the end makes it longer, or is an error.
    ///
    /// # Errors
    /// Any error of writing.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes it `bytes` long: cuts it off, or adds zeros.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] unless it is implemented: then the storage has to be long enough from the start.
    fn set_size(&self, bytes: u64) -> io::Result<()> {
        let _ = bytes;
        Err(ErrorKind::Unsupported.into())
    }

    /// Returns when everything that was written is on stable storage, if it has one.
    ///
    /// # Errors
    /// Any error of syncing.
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        system::read_exact_at(self, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        system::size_of(self)
    }

    fn data_at(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        system::data_at(self, offset)
    }
}

impl WriteAt for File {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        system::write_all_at(self, bytes, offset)
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| Error::from(ErrorKind::UnexpectedEof))?;
        let bytes = self.get(start..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.as_slice().size()
    }
}

/// Bytes in memory that grow as they are written to.
///
/// ```
/// use dmverity::{Memory, ReadAt, WriteAt};
///
/// let memory = Memory::from(vec![1, 2]);
/// memory.write_all_at(&[3], 4)?;
/// assert_eq!(memory.size()?, 5);
/// assert_eq!(Vec::from(memory), [1, 2, 0, 0, 3]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Memory(RwLock<Vec<u8>>);

impl From<Vec<u8>> for Memory {
    fn from(bytes: Vec<u8>) -> Self {
        Self(RwLock::new(bytes))
    }
}

impl From<Memory> for Vec<u8> {
    fn from(memory: Memory) -> Self {
        memory.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadAt for Memory {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).size()
    }
}

impl WriteAt for Memory {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let out_of_memory = || Error::from(ErrorKind::OutOfMemory);
        let start = usize::try_from(offset).map_err(|_| out_of_memory())?;
        let end = start.checked_add(bytes.len()).ok_or_else(out_of_memory)?;
        let mut memory = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let len = end.max(memory.len());
        resize(&mut memory, len)?;
        memory[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
        resize(&mut self.0.write().unwrap_or_else(PoisonError::into_inner), bytes)
    }
}

fn resize(bytes: &mut Vec<u8>, len: usize) -> io::Result<()> {
    bytes.try_reserve(len.saturating_sub(bytes.len())).map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
    bytes.resize(len, 0);
    Ok(())
}

/// What an area of an image is read from, or read from and written to.
#[derive(Clone)]
pub enum Storage<'s> {
    /// It is only read.
    Read(&'s dyn ReadAt),
    /// It can be written to.
    Write(&'s dyn WriteAt),
    /// It is only read, and belongs to all who read it.
    Shared(Arc<dyn ReadAt>),
}

impl Storage<'_> {
    pub(super) fn as_read(&self) -> &dyn ReadAt {
        match self {
            Self::Read(storage) => storage,
            Self::Write(storage) => storage,
            Self::Shared(storage) => storage,
        }
    }

    /// Its address: two storages with one address are the same.
    pub(super) fn address(&self) -> usize {
        match self {
            Self::Read(storage) => std::ptr::from_ref(*storage).addr(),
            Self::Write(storage) => std::ptr::from_ref(*storage).addr(),
            Self::Shared(storage) => Arc::as_ptr(storage).addr(),
        }
    }
}

impl fmt::Debug for Storage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read(_) => "Read",
            Self::Write(_) => "Write",
            Self::Shared(_) => "Shared",
        })
    }
}

macro_rules! through_a_pointer {
    ($($pointer:ty),*) => {$(
        impl<T: ReadAt + ?Sized> ReadAt for $pointer {
            fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
                T::read_exact_at(self, buffer, offset)
            }

            fn size(&self) -> io::Result<u64> {
                T::size(self)
            }

            fn data_at(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
                T::data_at(self, offset)
            }

            fn name(&self) -> Option<String> {
                T::name(self)
            }

            fn proven(&self, offset: u64, bytes: &[u8]) {
                T::proven(self, offset, bytes);
            }

            fn disproven(&self, bytes: Range<u64>) -> bool {
                T::disproven(self, bytes)
            }
        }

        impl<T: WriteAt + ?Sized> WriteAt for $pointer {
            fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
                T::write_all_at(self, bytes, offset)
            }

            fn set_size(&self, bytes: u64) -> io::Result<()> {
                T::set_size(self, bytes)
            }

            fn sync(&self) -> io::Result<()> {
                T::sync(self)
            }
        }
    )*};
}

through_a_pointer!(&T, Box<T>, Arc<T>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_far_as_there_are_any() {
        let bytes = [1, 2, 3];
        let read = |offset, len| {
            let mut buffer = vec![0; len];
            bytes.as_slice().read_exact_at(&mut buffer, offset).map(|()| buffer).map_err(|error| error.kind())
        };
        assert_eq!(read(1, 2), Ok(vec![2, 3]));
        assert_eq!(read(3, 0), Ok(Vec::new()));
        for (offset, len) in [(1, 3), (4, 0), (u64::MAX, 1)] {
            assert_eq!(read(offset, len), Err(ErrorKind::UnexpectedEof), "{offset} {len}");
        }
    }

    #[test]
    fn memory_grows_and_is_cut() {
        let memory = Memory::default();
        memory.write_all_at(&[1, 2], 3).unwrap();
        memory.set_size(4).unwrap();
        memory.set_size(6).unwrap();
        assert_eq!(memory.write_all_at(&[1], u64::MAX).unwrap_err().kind(), ErrorKind::OutOfMemory);
        assert_eq!(memory.set_size(u64::MAX >> 1).unwrap_err().kind(), ErrorKind::OutOfMemory);
        assert_eq!(Vec::from(memory), [0, 0, 0, 1, 0, 0]);
    }
}
