//! Sizes that cannot be mixed up: block sizes, and the sector that device-mapper counts in.
//!
//! Lengths and offsets in bytes are plain `u64`; numbers of blocks are `u64` too, and always come with the
//! [`BlockSize`] that gives them meaning. Nothing here does I/O.

use std::str::FromStr;
use std::{fmt, io};

use uuid::Uuid;

use crate::error::{Error, Result};

/// The unit of device-mapper tables and of hash and FEC offsets: 512 bytes, whatever the device.
pub const SECTOR_SIZE: u64 = 512;

/// The largest number of bytes a file or device can hold: offsets are signed 64-bit numbers in the kernel.
pub const MAX_DEVICE_BYTES: u64 = i64::MAX as u64;

/// The size of a data or hash block: a power of two from 512 to 524,288 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(try_from = "u64", into = "u64"))]
pub struct BlockSize(u32);

impl BlockSize {
    /// The smallest block size of the format, in bytes.
    pub const MIN: u32 = 512;
    /// The largest block size of the format, in bytes.
    pub const MAX: u32 = 512 * 1024;
    /// 4096 bytes, the default.
    pub const DEFAULT: Self = Self(4096);

    /// A block size of `bytes` bytes, or [`Error::BlockSize`] if the format does not have that size.
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

    /// The size as the 32-bit number in the superblock.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number of whole blocks in `bytes` bytes.
    pub const fn whole_blocks_in(self, bytes: u64) -> u64 {
        bytes / self.bytes()
    }

    /// The length of `blocks` blocks in bytes, or `None` if no device can be that long.
    pub fn checked_bytes_of(self, blocks: u64) -> Option<u64> {
        blocks.checked_mul(self.bytes()).filter(|&bytes| bytes <= MAX_DEVICE_BYTES)
    }
}

impl Default for BlockSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<u64> for BlockSize {
    type Error = Error;

    fn try_from(bytes: u64) -> Result<Self> {
        Self::new(bytes)
    }
}

impl From<BlockSize> for u64 {
    fn from(size: BlockSize) -> Self {
        size.bytes()
    }
}

/// Decimal digits, as `Display` writes them.
impl FromStr for BlockSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // No block size is that large.
        Self::new(text.parse().unwrap_or(u64::MAX))
    }
}

impl fmt::Display for BlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Values that are text elsewhere, by their `FromStr` and `Display`; serde asks for these forms.
macro_rules! text_conversions {
    ($($value:ty),+) => {$(
        impl TryFrom<String> for $value {
            type Error = $crate::error::Error;

            fn try_from(text: String) -> $crate::error::Result<Self> {
                text.parse()
            }
        }

        impl From<$value> for String {
            fn from(value: $value) -> Self {
                value.to_string()
            }
        }
    )+};
}
pub(crate) use text_conversions;

text_conversions!(Salt, RootHash);

/// A salt of 0 to 256 bytes. The default is the empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "String", into = "String")
)]
pub struct Salt(Vec<u8>);

impl Salt {
    /// The longest salt the superblock has room for, in bytes.
    pub const MAX_LEN: usize = 256;
    /// The length of a random salt, in bytes.
    pub const RANDOM_LEN: usize = 32;

    /// A salt of these bytes, or [`Error::SaltLength`].
    pub fn new(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > Self::MAX_LEN {
            return Err(Error::SaltLength { found: bytes.len() });
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Reads hexadecimal digits of either case; `-` and the empty text mean no salt.
    pub fn from_hex(text: &str) -> Result<Self> {
        if text == "-" {
            return Ok(Self::default());
        }
        Self::new(&hex::decode(text).map_err(|_| Error::SaltText)?)
    }

    /// 32 random bytes, or [`Error::Random`] where the system has no source of randomness, as WebAssembly without a
    /// system.
    pub fn random() -> Result<Self> {
        let mut bytes = vec![0; Self::RANDOM_LEN];
        fill(&mut bytes).map_err(|source| Error::Random { source })?;
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Makes the bytes random.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
fn fill(bytes: &mut [u8]) -> io::Result<()> {
    Ok(getrandom::fill(bytes)?)
}

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
fn fill(_: &mut [u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

impl AsRef<[u8]> for Salt {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Salt {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self> {
        Self::new(bytes)
    }
}

/// As [`Salt::from_hex`].
impl FromStr for Salt {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::from_hex(text)
    }
}

/// Lower-case hexadecimal digits, or `-` when empty.
impl fmt::Display for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("-") } else { f.write_str(&hex::encode(&self.0)) }
    }
}

/// The digest at the top of the hash tree, which proves every data block.
#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "String", into = "String")
)]
pub struct RootHash(Vec<u8>);

impl RootHash {
    /// A root hash of these bytes. Whether the length fits an algorithm is checked when both are known.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The UUIDs that the partitions of an image with this root hash have by the
    /// [Discoverable Partitions
    /// Specification](https://uapi-group.org/specifications/specs/discoverable_partitions_specification/), so that they
    /// are found by the root hash alone. `None` for root hashes that are too short for two different ones.
    pub fn partition_uuids(&self) -> Option<PartitionUuids> {
        let data = Uuid::from_bytes(*self.0.first_chunk()?);
        let hash = Uuid::from_bytes(*self.0.last_chunk()?);
        (data != hash).then_some(PartitionUuids { data, hash })
    }
}

impl AsRef<[u8]> for RootHash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for RootHash {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

/// Hexadecimal digits of either case, one byte at least; with a known algorithm use [`from_hex`](Self::from_hex), which
/// checks their number.
impl FromStr for RootHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bytes = hex::decode(text).map_err(|_| Error::RootHashText)?;
        if bytes.is_empty() { Err(Error::RootHashText) } else { Ok(Self(bytes)) }
    }
}

/// Partition UUIDs that follow from a root hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionUuids {
    /// The data partition's: the first 128 bits of the root hash.
    pub data: Uuid,
    /// The hash partition's: the last 128 bits.
    pub hash: Uuid,
}

/// Lower-case hexadecimal digits.
impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootHash({self})")
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

    #[test]
    fn random_salts_have_32_bytes_and_are_not_the_same() {
        let (one, other) = (Salt::random().unwrap(), Salt::random().unwrap());
        assert_eq!((one.as_bytes().len(), other.as_bytes().len()), (32, 32));
        assert_ne!(one, other);
    }

    #[test]
    fn what_is_written_reads_back() {
        let sizes: Vec<BlockSize> = BlockSize::all().collect();
        for &size in &sizes {
            assert_eq!(size.to_string().parse::<BlockSize>().unwrap(), size);
            assert_eq!(BlockSize::try_from(u64::from(size)).unwrap(), size);
        }
        for text in ["", "0", "513", "4096.0", "-512", "18446744073709551616"] {
            assert!(text.parse::<BlockSize>().is_err(), "{text}");
        }
        for salt in [Salt::default(), Salt::new(&[0, 255]).unwrap()] {
            assert_eq!(salt.to_string().parse::<Salt>().unwrap(), salt);
            assert_eq!(Salt::try_from(salt.as_ref()).unwrap(), salt);
        }
        let root_hash = RootHash::from(vec![0x0A; 20]);
        assert_eq!(root_hash.to_string().parse::<RootHash>().unwrap(), root_hash);
        for text in ["", "a", "xy", " 00"] {
            assert!(matches!(text.parse::<RootHash>(), Err(Error::RootHashText)), "{text}");
        }
    }

    #[test]
    fn salts_are_hex_text_or_a_dash() {
        assert_eq!(Salt::from_hex("-").unwrap(), Salt::default());
        assert_eq!(Salt::from_hex("").unwrap().to_string(), "-");
        assert_eq!(Salt::from_hex("AAbb").unwrap().to_string(), "aabb");
        assert!(Salt::from_hex(&"ab".repeat(256)).is_ok());
        assert!(matches!(Salt::from_hex(&"ab".repeat(257)), Err(Error::SaltLength { found: 257 })));
        for text in ["a", "zz", "0x00", " aa", "aa-"] {
            assert!(matches!(Salt::from_hex(text), Err(Error::SaltText)), "{text}");
        }
    }
}
