//! The 512-byte superblock: bytes to fields and back. No I/O; a [`Superblock`] exists only with fields that the format
//! allows.
//!
//! ```text
//!   0  "verity\0\0"        signature
//!   8  u32                 version, 1
//!  12  u32                 hash type: 0 Chrome OS, 1 normal
//!  16  [u8; 16]            UUID
//!  32  [u8; 32]            hash algorithm, lower case, NUL-padded
//!  64  u32                 data block size
//!  68  u32                 hash block size
//!  72  u64                 data blocks
//!  80  u16                 salt size, 0..256
//!  82  [u8; 6]             zero
//!  88  [u8; 256]           salt
//! 344  [u8; 168]           zero
//! ```
//! Numbers are little-endian. Source: the kernel's `Documentation/admin-guide/device-mapper/verity.rst` and the images
//! the reference tool makes.

use uuid::Uuid;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{Error, Result};
use crate::format::Hashing;
use crate::hash::{HashAlgorithm, HashType};
use crate::value::{BlockSize, Salt};

/// The superblock's length in bytes.
pub const SUPERBLOCK_SIZE: usize = 512;

const SIGNATURE: [u8; 8] = *b"verity\0\0";
const VERSION: u32 = 1;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Raw {
    signature: [u8; 8],
    version: U32,
    hash_type: U32,
    uuid: [u8; 16],
    algorithm: [u8; 32],
    data_block_size: U32,
    hash_block_size: U32,
    data_blocks: U64,
    salt_size: U16,
    pad1: [u8; 6],
    salt: [u8; Salt::MAX_LEN],
    pad2: [u8; 168],
}

const _: () = assert!(size_of::<Raw>() == SUPERBLOCK_SIZE);

/// What a superblock says. [`load`](crate::load) reads it from a device; this is for bytes from elsewhere.
///
/// # Examples
/// ```
/// use dmverity::{Error, Params, Superblock};
///
/// # fn main() -> dmverity::Result<()> {
/// let params = Params::builder().build(40960)?;
/// let bytes = params.superblock().expect("unless there is to be none").to_bytes();
/// assert_eq!(Superblock::parse(&bytes)?.data_blocks(), 10);
/// assert!(matches!(Superblock::parse(b"something else"), Err(Error::NotVerity)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    pub(super) uuid: Uuid,
    pub(super) hash_type: HashType,
    pub(super) algorithm: HashAlgorithm,
    pub(super) data_block_size: BlockSize,
    pub(super) hash_block_size: BlockSize,
    pub(super) data_blocks: u64,
    pub(super) salt: Salt,
}

impl Superblock {
    /// How the image's blocks are hashed: all but their number.
    pub fn hashing(&self) -> Hashing {
        Hashing {
            hash_type: self.hash_type,
            algorithm: self.algorithm,
            data_block_size: self.data_block_size,
            hash_block_size: self.hash_block_size,
            salt: self.salt.clone(),
            uuid: Some(self.uuid),
        }
    }

    /// The image's UUID; it may be nil.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// How digests are computed and packed.
    pub fn hash_type(&self) -> HashType {
        self.hash_type
    }

    /// The hash algorithm.
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// Size of a data block.
    pub fn data_block_size(&self) -> BlockSize {
        self.data_block_size
    }

    /// Size of a hash block.
    pub fn hash_block_size(&self) -> BlockSize {
        self.hash_block_size
    }

    /// Number of data blocks, at least one, and no more than a device can hold.
    pub fn data_blocks(&self) -> u64 {
        self.data_blocks
    }

    /// The salt.
    pub fn salt(&self) -> &Salt {
        &self.salt
    }

    /// Reads a superblock. `bytes` may be longer than a superblock; what follows is ignored.
    ///
    /// Any bytes are safe to pass: each field is checked before it is used.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let (raw, _) = Raw::ref_from_prefix(bytes).map_err(|_| Error::NotVerity)?;
        if raw.signature != SIGNATURE {
            return Err(Error::NotVerity);
        }
        if raw.version.get() != VERSION {
            return Err(Error::SuperblockVersion { found: raw.version.get() });
        }
        let hash_type = HashType::new(raw.hash_type.get().into())?;
        let algorithm = algorithm_from_field(&raw.algorithm)?;
        let data_block_size = BlockSize::new(raw.data_block_size.get().into())?;
        let hash_block_size = BlockSize::new(raw.hash_block_size.get().into())?;
        let data_blocks = raw.data_blocks.get();
        if data_blocks == 0 {
            return Err(Error::SuperblockCorrupted { what: "it covers no data blocks" });
        }
        if data_block_size.checked_bytes_of(data_blocks).is_none() {
            return Err(Error::SuperblockCorrupted { what: "it covers more data than a device can hold" });
        }
        let salt = raw
            .salt
            .get(..raw.salt_size.get().into())
            .ok_or(Error::SuperblockCorrupted { what: "the salt is longer than 256 bytes" })?;
        Ok(Self {
            uuid: Uuid::from_bytes(raw.uuid),
            hash_type,
            algorithm,
            data_block_size,
            hash_block_size,
            data_blocks,
            salt: Salt::new(salt)?,
        })
    }

    /// Whether a superblock begins like these bytes, which may end within it.
    pub(crate) fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(&SIGNATURE)
    }

    /// The superblock's bytes.
    pub fn to_bytes(&self) -> [u8; SUPERBLOCK_SIZE] {
        let mut raw = Raw::new_zeroed();
        raw.signature = SIGNATURE;
        raw.version = VERSION.into();
        raw.hash_type = self.hash_type.number().into();
        raw.uuid = self.uuid.into_bytes();
        let name = self.algorithm.name().as_bytes();
        raw.algorithm[..name.len()].copy_from_slice(name);
        raw.data_block_size = self.data_block_size.get().into();
        raw.hash_block_size = self.hash_block_size.get().into();
        raw.data_blocks = self.data_blocks.into();
        let salt = self.salt.as_bytes();
        raw.salt_size = U16::new(salt.len().try_into().expect("a Salt has at most 256 bytes"));
        raw.salt[..salt.len()].copy_from_slice(salt);
        zerocopy::transmute!(raw)
    }
}

fn algorithm_from_field(field: &[u8; 32]) -> Result<HashAlgorithm> {
    let name = field.split(|&byte| byte == 0).next().unwrap_or_default();
    HashAlgorithm::from_name(&String::from_utf8_lossy(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Superblock {
        Superblock {
            uuid: Uuid::from_bytes(*b"0123456789abcdef"),
            hash_type: HashType::Normal,
            algorithm: HashAlgorithm::from_name("sha256").expect("known"),
            data_block_size: BlockSize::new(4096).expect("valid"),
            hash_block_size: BlockSize::new(1024).expect("valid"),
            data_blocks: 0x0001_0203_0405,
            salt: Salt::new(&[7; 33]).expect("short enough"),
        }
    }

    #[test]
    fn fields_stand_at_the_documented_offsets() {
        let bytes = example().to_bytes();
        assert_eq!(&bytes[0..8], b"verity\0\0");
        assert_eq!(&bytes[8..16], &[1, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(&bytes[16..32], b"0123456789abcdef");
        assert_eq!(&bytes[32..39], b"sha256\0");
        assert_eq!(&bytes[64..72], &[0, 16, 0, 0, 0, 4, 0, 0]);
        assert_eq!(&bytes[72..80], &[5, 4, 3, 2, 1, 0, 0, 0]);
        assert_eq!(&bytes[80..88], &[33, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[88..121], &[7; 33]);
        assert!(bytes[121..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn what_is_written_reads_back() {
        assert_eq!(Superblock::parse(&example().to_bytes()).expect("valid"), example());
    }

    #[test]
    fn it_says_what_its_fields_are() {
        let superblock = Superblock {
            hash_type: HashType::ChromeOs,
            algorithm: HashAlgorithm::from_name("sha512").expect("known"),
            ..example()
        };
        assert_eq!((superblock.uuid(), superblock.salt()), (example().uuid, &example().salt));
        assert_eq!((superblock.hash_type(), superblock.algorithm().name()), (HashType::ChromeOs, "sha512"));
        assert_eq!((superblock.data_block_size().get(), superblock.hash_block_size().get()), (4096, 1024));
        assert_eq!(superblock.data_blocks(), 0x0001_0203_0405);
        let Hashing { hash_type, algorithm, data_block_size, hash_block_size, salt, uuid } = superblock.hashing();
        assert_eq!((hash_type, algorithm, &salt), (superblock.hash_type, superblock.algorithm, superblock.salt()));
        assert_eq!((data_block_size.get(), hash_block_size.get(), uuid), (4096, 1024, Some(superblock.uuid)));
    }

    #[test]
    fn each_hostile_field_is_refused_with_its_own_error() {
        let patched = |offset: usize, patch: &[u8]| {
            let mut bytes = example().to_bytes();
            bytes[offset..offset + patch.len()].copy_from_slice(patch);
            Superblock::parse(&bytes).expect_err("hostile").to_string()
        };
        assert_eq!(patched(0, b"V"), "no verity superblock");
        assert_eq!(patched(8, &[2]), "superblock version 2 is not supported, only 1 is");
        assert_eq!(patched(12, &[2]), "hash type 2 is neither 0 (Chrome OS) nor 1 (normal)");
        assert_eq!(patched(32, b"nosuch\0"), "unknown hash algorithm \"nosuch\"");
        assert_eq!(patched(32, &[b'a'; 32]), format!("unknown hash algorithm {:?}", "a".repeat(32)));
        assert_eq!(patched(64, &[1]), "block size 4097 is not a power of two from 512 to 524288 bytes");
        assert_eq!(patched(68, &[0; 4]), "block size 0 is not a power of two from 512 to 524288 bytes");
        assert_eq!(patched(72, &[0; 8]), "superblock is corrupted: it covers no data blocks");
        assert_eq!(patched(72, &[255; 8]), "superblock is corrupted: it covers more data than a device can hold");
        assert_eq!(patched(80, &[1, 1]), "superblock is corrupted: the salt is longer than 256 bytes");
        for length in [0, 1, 511] {
            let error = Superblock::parse(&example().to_bytes()[..length]).expect_err("too short");
            assert!(matches!(error, Error::NotVerity));
        }
    }

    #[test]
    fn no_single_corrupted_byte_panics() {
        for offset in 0..SUPERBLOCK_SIZE {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = example().to_bytes();
                bytes[offset] = value;
                if let Ok(superblock) = Superblock::parse(&bytes) {
                    superblock.to_bytes();
                }
            }
        }
    }
}
