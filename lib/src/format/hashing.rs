//! How an image is hashed, apart from where its areas are.

use uuid::Uuid;

use crate::hash::{HashAlgorithm, HashType};
use crate::value::{BlockSize, Salt};

/// How the blocks of an image are hashed, and whether a superblock says so: everything but sizes and places. Any
/// combination is valid. [`append`](crate::append()) needs no more than this, because the length of the file decides
/// the rest.
///
/// ```
/// use dmverity::{Hashing, Params, Salt};
///
/// let hashing = Hashing { salt: Salt::new(&[1, 2])?, ..Hashing::default() };
/// let params = Params::builder().hashing(hashing.clone()).hash_offset(8192).build(8192)?;
/// assert_eq!((params.hashing(), params.data_blocks()), (&hashing, 2));
/// # Ok::<(), dmverity::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hashing {
    /// How digests are computed and packed.
    pub hash_type: HashType,
    /// The hash algorithm.
    pub algorithm: HashAlgorithm,
    /// Size of a data block.
    pub data_block_size: BlockSize,
    /// Size of a hash block.
    pub hash_block_size: BlockSize,
    /// The salt.
    pub salt: Salt,
    /// The UUID in the superblock. `None` means an image without superblock: to open it, every parameter must be known.
    pub uuid: Option<Uuid>,
}

impl Default for Hashing {
    /// Type 1, sha256, blocks of 4096 bytes, no salt, a superblock with a nil UUID.
    fn default() -> Self {
        Self {
            hash_type: HashType::default(),
            algorithm: HashAlgorithm::default(),
            data_block_size: BlockSize::default(),
            hash_block_size: BlockSize::default(),
            salt: Salt::default(),
            uuid: Some(Uuid::nil()),
        }
    }
}
