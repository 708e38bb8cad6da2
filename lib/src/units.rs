//! Sizes that cannot be mixed up: block sizes, and the sector that device-mapper counts in.
//!
//! Lengths and offsets in bytes are plain `u64`; numbers of blocks are `u64` too, and always stand next to the
//! [`BlockSize`] that gives them meaning. Nothing here does I/O.

use std::fmt;

use crate::error::{Error, Result};

/// The unit of device-mapper tables and of hash and FEC offsets: 512 bytes, whatever the device.
pub const SECTOR_SIZE: u64 = 512;

/// The largest number of bytes a file or device can hold: offsets are signed 64-bit numbers in the kernel.
pub const MAX_DEVICE_BYTES: u64 = i64::MAX as u64;

/// The size of a data or hash block: a power of two from 512 to 524,288 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockSize(u32);

impl BlockSize {
    /// The smallest block size of the format, in bytes.
    pub const MIN: u32 = 512;
    /// The largest block size of the format, in bytes.
    pub const MAX: u32 = 512 * 1024;
    /// 4096 bytes, what is used when nothing else is said.
    pub const DEFAULT: Self = Self(4096);

    /// A block size of `bytes` bytes, or [`Error::BlockSize`] if the format has none such.
    pub fn new(bytes: u64) -> Result<Self> {
        match u32::try_from(bytes) {
            Ok(size) if size.is_power_of_two() && (Self::MIN..=Self::MAX).contains(&size) => Ok(Self(size)),
            _ => Err(Error::BlockSize { found: bytes }),
        }
    }

    /// Every block size there is, the smallest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (Self::MIN.trailing_zeros()..=Self::MAX.trailing_zeros()).map(|log2| Self(1 << log2))
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0 as u64
    }

    /// The size in bytes, as the length of a slice.
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }

    /// The size as the 32-bit number that stands in the superblock.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number of whole blocks in `bytes` bytes.
    pub const fn whole_blocks_in(self, bytes: u64) -> u64 {
        bytes / self.bytes()
    }

    /// The length of `blocks` blocks in bytes, or `None` where no device can be that long.
    pub fn checked_bytes_of(self, blocks: u64) -> Option<u64> {
        blocks.checked_mul(self.bytes()).filter(|&bytes| bytes <= MAX_DEVICE_BYTES)
    }
}

impl Default for BlockSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for BlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_sizes_are_powers_of_two_from_512_to_512_kib() {
        let valid: Vec<u64> = (9..=19).map(|log2| 1 << log2).collect();
        let last = if cfg!(miri) { 1 << 11 } else { 1 << 20 };
        for bytes in (0..=last).chain([u64::from(u32::MAX) + 4097, 1 << 32, u64::MAX]) {
            match BlockSize::new(bytes) {
                Ok(size) => assert!(valid.contains(&bytes) && size.bytes() == bytes),
                Err(error) => {
                    assert!(!valid.contains(&bytes));
                    assert!(matches!(error, Error::BlockSize { found } if found == bytes));
                }
            }
        }
    }

    #[test]
    fn lengths_beyond_what_a_device_can_hold_are_refused() {
        assert_eq!(BlockSize::DEFAULT.checked_bytes_of(3), Some(12288));
        assert_eq!(BlockSize::DEFAULT.checked_bytes_of((1 << 51) - 1), Some((1 << 63) - 4096));
        assert_eq!(BlockSize::DEFAULT.checked_bytes_of(1 << 51), None);
        assert_eq!(BlockSize::DEFAULT.checked_bytes_of(u64::MAX), None);
    }
}
