//! What an image has to be, from a source other than the image, and how much of a data device a tree leaves out.
//!
//! A root hash proves the blocks below it. It does not prove the superblock, which says how many blocks there are, how
//! large they are and so where the tree has its levels: see [`load`](crate::load).

use uuid::Uuid;

use super::devices::{Devices, device_size};
use super::handle::Image;
use crate::error::{Error, Result};
use crate::format::{Layout, Params};
use crate::hash::{HashAlgorithm, HashType};
use crate::io::is_same_device;
use crate::value::{BlockSize, RootHash, Salt};

/// What an image's parameters have to be. What is not set may be anything.
///
/// # Examples
/// ```
/// use dmverity::{Error, Expected, Params};
///
/// # fn main() -> dmverity::Result<()> {
/// // As it comes out of a superblock.
/// let params = Params::builder().build(40960)?;
/// Expected::default().data_blocks(10).check(&params)?;
/// let refused = Expected::default().data_blocks(300).check(&params).unwrap_err();
/// assert_eq!(refused.to_string(), "data_blocks is 10, expected 300");
/// assert!(matches!(refused, Error::Unexpected { field: "data_blocks", .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Expected {
    superblock: Option<bool>,
    uuid: Option<Uuid>,
    hash_type: Option<HashType>,
    algorithm: Option<HashAlgorithm>,
    data_block_size: Option<BlockSize>,
    hash_block_size: Option<BlockSize>,
    data_blocks: Option<u64>,
    hash_blocks: Option<u64>,
    salt: Option<Salt>,
    hash_offset: Option<u64>,
    root_hash: Option<RootHash>,
}

impl Expected {
    /// A superblock with this UUID.
    pub fn uuid(mut self, uuid: Uuid) -> Self {
        (self.superblock, self.uuid) = (Some(true), Some(uuid));
        self
    }

    /// No superblock.
    pub fn no_superblock(mut self) -> Self {
        (self.superblock, self.uuid) = (Some(false), None);
        self
    }

    /// How digests are computed and packed.
    pub fn hash_type(mut self, hash_type: HashType) -> Self {
        self.hash_type = Some(hash_type);
        self
    }

    /// The hash algorithm.
    pub fn algorithm(mut self, algorithm: HashAlgorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Size of a data block.
    pub fn data_block_size(mut self, size: BlockSize) -> Self {
        self.data_block_size = Some(size);
        self
    }

    /// Size of a hash block.
    pub fn hash_block_size(mut self, size: BlockSize) -> Self {
        self.hash_block_size = Some(size);
        self
    }

    /// Number of data blocks.
    pub fn data_blocks(mut self, blocks: u64) -> Self {
        self.data_blocks = Some(blocks);
        self
    }

    /// Number of blocks of the hash tree, as [`Layout::hash_blocks`] counts them.
    pub fn hash_blocks(mut self, blocks: u64) -> Self {
        self.hash_blocks = Some(blocks);
        self
    }

    /// The salt.
    pub fn salt(mut self, salt: Salt) -> Self {
        self.salt = Some(salt);
        self
    }

    /// Where the hash area starts on the hash device, in bytes.
    pub fn hash_offset(mut self, offset: u64) -> Self {
        self.hash_offset = Some(offset);
        self
    }

    /// The root hash, which [`check_root_hash`](Self::check_root_hash) compares.
    pub fn root_hash(mut self, root_hash: RootHash) -> Self {
        self.root_hash = Some(root_hash);
        self
    }

    /// Compares parameters with what is expected.
    ///
    /// # Errors
    /// [`Error::Unexpected`] for the first field that differs.
    pub fn check(&self, params: &Params) -> Result<()> {
        let is_there = |there: bool| if there { "present" } else { "absent" };
        differs("superblock", self.superblock.map(is_there).as_ref(), &is_there(params.uuid().is_some()))?;
        differs("uuid", self.uuid.as_ref(), &params.uuid().unwrap_or_default())?;
        let number = |hash_type: HashType| hash_type.number();
        differs("hash_type", self.hash_type.map(number).as_ref(), &params.hash_type().number())?;
        differs("hash_algorithm", self.algorithm.as_ref(), &params.algorithm())?;
        differs("data_block_size", self.data_block_size.as_ref(), &params.data_block_size())?;
        differs("hash_block_size", self.hash_block_size.as_ref(), &params.hash_block_size())?;
        differs("data_blocks", self.data_blocks.as_ref(), &params.data_blocks())?;
        differs("salt", self.salt.as_ref(), params.salt())?;
        differs("hash_offset", self.hash_offset.as_ref(), &params.hash_offset())?;
        if let Some(blocks) = self.hash_blocks {
            differs("hash_blocks", Some(&blocks), &Layout::new(params)?.hash_blocks())?;
        }
        Ok(())
    }

    /// Compares the root hash that an image is to be checked with.
    ///
    /// # Errors
    /// [`Error::Unexpected`].
    pub fn check_root_hash(&self, root_hash: &RootHash) -> Result<()> {
        differs("root_hash", self.root_hash.as_ref(), root_hash)
    }
}

fn differs<T: PartialEq + std::fmt::Display>(field: &'static str, expected: Option<&T>, found: &T) -> Result<()> {
    match expected {
        Some(expected) if expected != found => {
            Err(Error::Unexpected { field, expected: expected.to_string(), found: found.to_string() })
        }
        _ => Ok(()),
    }
}

/// How many whole blocks of the data device the hash tree does not cover. If the hash area or parity is on the same
/// device, only the blocks before it count, and a gap of less than a hash block is alignment.
///
/// # Errors
/// [`Error::Open`] and [`Error::NotDevice`].
pub fn uncovered_blocks(devices: &Devices, params: &Params) -> Result<u64> {
    let fec = devices.fec.as_deref().zip(params.fec().map(|fec| fec.offset));
    let areas = fec.into_iter().chain([(devices.hash.as_path(), params.hash_offset())]);
    let areas = areas.map(|(device, offset)| (is_same_device(&devices.data, device), offset));
    Ok(uncovered(device_size(&devices.data)?, areas, params))
}

impl Image<'_> {
    /// What [`uncovered_blocks()`](crate::uncovered_blocks()) does, on an image that is open.
    pub fn uncovered_blocks(&self, params: &Params) -> u64 {
        let shared = self.shared();
        let fec = params.fec().map(|fec| (shared.data_and_fec, fec.offset));
        let areas = fec.into_iter().chain([(shared.data_and_hash, params.hash_offset())]);
        uncovered(self.data.bytes(), areas, params)
    }
}

/// The blocks after the data, where other areas are: whether on the same device, and from which byte on.
fn uncovered(mut end: u64, areas: impl Iterator<Item = (bool, u64)>, params: &Params) -> u64 {
    let mut least = params.data_block_size().bytes();
    for (_, offset) in areas.filter(|(is_shared, _)| *is_shared) {
        if offset < end {
            end = offset;
            least = least.max(params.hash_block_size().bytes());
        }
    }
    let bytes = end.saturating_sub(params.data_bytes());
    if bytes < least { 0 } else { params.data_block_size().whole_blocks_in(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Params {
        Params::builder().salt(Salt::new(&[1, 2]).unwrap()).build(40960).unwrap()
    }

    #[test]
    fn each_field_is_compared_and_named() {
        let params = params();
        let sha1 = HashAlgorithm::from_name("sha1").unwrap();
        let size = BlockSize::new(512).unwrap();
        let uuid = Uuid::from_u128(7);
        let cases = [
            (Expected::default().no_superblock(), "superblock is present, expected absent"),
            (
                Expected::default().uuid(uuid),
                "uuid is 00000000-0000-0000-0000-000000000000, expected 00000000-0000-0000-0000-000000000007",
            ),
            (Expected::default().hash_type(HashType::ChromeOs), "hash_type is 1, expected 0"),
            (Expected::default().algorithm(sha1), "hash_algorithm is sha256, expected sha1"),
            (Expected::default().data_block_size(size), "data_block_size is 4096, expected 512"),
            (Expected::default().hash_block_size(size), "hash_block_size is 4096, expected 512"),
            (Expected::default().data_blocks(0), "data_blocks is 10, expected 0"),
            (Expected::default().hash_blocks(2), "hash_blocks is 1, expected 2"),
            (Expected::default().salt(Salt::default()), "salt is 0102, expected -"),
            (Expected::default().hash_offset(512), "hash_offset is 0, expected 512"),
        ];
        for (expected, said) in cases {
            let refused = expected.check(&params).unwrap_err();
            assert!(matches!(refused, Error::Unexpected { .. }) && refused.errno().is_none());
            assert_eq!(refused.to_string(), said);
        }
        let same = Expected::default()
            .uuid(Uuid::nil())
            .hash_type(HashType::Normal)
            .algorithm(HashAlgorithm::default())
            .data_block_size(BlockSize::default())
            .hash_block_size(BlockSize::default())
            .data_blocks(10)
            .hash_blocks(1)
            .salt(Salt::new(&[1, 2]).unwrap())
            .hash_offset(0);
        same.check(&params).unwrap();
        Expected::default().check(&params).unwrap();
        let without = Params::builder().no_superblock().build(40960).unwrap();
        let refused = Expected::default().uuid(Uuid::nil()).check(&without).unwrap_err();
        assert_eq!(refused.to_string(), "superblock is absent, expected present");
    }

    #[test]
    fn the_root_hash_is_compared_whole() {
        let expected = Expected::default().root_hash(RootHash::new(vec![1; 32]));
        expected.check_root_hash(&RootHash::new(vec![1; 32])).unwrap();
        for other in [vec![1; 31], vec![2; 32]] {
            assert!(expected.check_root_hash(&RootHash::new(other)).is_err());
        }
    }

    #[test]
    fn blocks_are_counted_up_to_the_next_area() {
        let directory = tempfile::tempdir().unwrap();
        let (data, hash) = (directory.path().join("data"), directory.path().join("hash"));
        for (path, bytes) in [(&data, 40960 + 3 * 4096 + 100), (&hash, 8192)] {
            std::fs::File::create(path).unwrap().set_len(bytes).unwrap();
        }
        assert_eq!(uncovered_blocks(&Devices::new(&data, &hash), &params()).unwrap(), 3);
        let small = BlockSize::new(512).unwrap();
        let one = |offset| {
            Params::builder().data_block_size(small).data_blocks(80).hash_offset(offset).build(1 << 20).unwrap()
        };
        for (offset, blocks) in [(40960, 0), (45056 - 512, 0), (45056, 8), (45056 + 512, 9)] {
            assert_eq!(uncovered_blocks(&Devices::new(&data, &data), &one(offset)).unwrap(), blocks);
        }
    }
}
