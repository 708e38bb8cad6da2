//! Memory that may not be there: buffers long enough for that to be told and borne.

use zerocopy::FromZeros;

use crate::error::{Error, Result};

/// So many zeros. Pages of long ones are not used before something is written to them.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn zeroed(len: usize) -> Result<Vec<u8>> {
    u8::new_vec_zeroed(len).map_err(|_| Error::OutOfMemory { bytes: len as u64 })
}

/// Room for so many more bytes.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn reserve(bytes: &mut Vec<u8>, more: usize) -> Result<()> {
    bytes.try_reserve(more).map_err(|_| Error::OutOfMemory { bytes: more as u64 })
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
        assert_eq!(error.errno(), Some(nix::errno::Errno::ENOMEM));
    }
}
