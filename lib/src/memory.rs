//! Memory that may run out: long buffers whose allocation can fail with an error.

use std::hint;

use zerocopy::FromZeros;

use crate::error::{Error, Result};

/// More than a thread takes when it starts, and more than the C library gives from memory that it has kept (32 MiB at
/// the most, `M_MMAP_THRESHOLD` in mallopt(3)): the system is asked each time.
const ROOM_FOR_A_THREAD: usize = 40 << 20;

/// This many zeros. The pages of a long buffer take no memory until something is written to them.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn zeroed(len: usize) -> Result<Vec<u8>> {
    u8::new_vec_zeroed(len).map_err(|_| Error::OutOfMemory { bytes: len as u64 })
}

/// Room for this many more bytes.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn reserve(bytes: &mut Vec<u8>, more: usize) -> Result<()> {
    bytes.try_reserve(more).map_err(|_| Error::OutOfMemory { bytes: more as u64 })
}

/// Whether there is room for another thread: its stack, a second one for signals, and what it begins with.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn find_room_for_a_thread() -> Result<()> {
    let mut room = Vec::new();
    reserve(&mut room, ROOM_FOR_A_THREAD)?;
    // A compiler may leave out a request whose memory is not used, and take it for granted.
    hint::black_box(&room);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        assert_eq!(zeroed(1000).unwrap(), [0; 1000]);
        for len in [isize::MAX as usize, usize::MAX, usize::MAX / 4] {
            assert!(matches!(zeroed(len), Err(Error::OutOfMemory { bytes }) if bytes == len as u64));
            assert!(reserve(&mut vec![1], len).is_err());
        }
        let error = zeroed(usize::MAX).unwrap_err();
        assert_eq!(error.errno(), Some(12));
    }
}
