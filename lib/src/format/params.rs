//! The parameters of an image, and the only code that validates them: code that holds a [`Params`] checks nothing
//! again.

use uuid::Uuid;

use crate::error::{Area, Error, Result};
use crate::format::{Hashing, Superblock};
use crate::hash::{BlockHasher, HashAlgorithm, HashType};
use crate::value::{BlockSize, MAX_DEVICE_BYTES, SECTOR_SIZE, Salt};

/// Forward error correction: how much, and where on its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fec {
    /// Parity bytes per codeword of 255, 2 to 24.
    pub roots: u32,
    /// Where the parity starts on the FEC device, in bytes; a multiple of 512.
    pub offset: u64,
    /// What is covered after the data.
    pub scope: FecScope,
}

/// What FEC covers after the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum FecScope {
    /// The hash device from the first hash block to its end, or to the FEC area if that is there too: including what
    /// follows the tree. What the reference tool makes.
    #[default]
    Device,
    /// The hash tree alone: what follows it may change.
    Tree,
}

impl Fec {
    /// The fewest parity bytes of a codeword.
    pub const MIN_ROOTS: u32 = 2;
    /// The most.
    pub const MAX_ROOTS: u32 = 24;

    /// `roots` parity bytes from byte `offset` on, checked.
    pub fn new(roots: u64, offset: u64) -> Result<Self> {
        match u32::try_from(roots) {
            Ok(roots) if (Self::MIN_ROOTS..=Self::MAX_ROOTS).contains(&roots) => {
                check_offset(Area::Fec, offset)?;
                Ok(Self { roots, offset, scope: FecScope::default() })
            }
            _ => Err(Error::FecRoots { found: roots }),
        }
    }

    /// The same with another scope.
    #[must_use]
    pub fn with_scope(self, scope: FecScope) -> Self {
        Self { scope, ..self }
    }
}

/// Valid parameters of an image; made by [`ParamsBuilder::build`] or read from a superblock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Params {
    hashing: Hashing,
    data_blocks: u64,
    hash_offset: u64,
    fec: Option<Fec>,
}

impl Params {
    /// A builder with every parameter at its default: type 1, sha256, blocks of 4096 bytes, no salt, a superblock at
    /// offset 0 with a nil UUID, no FEC.
    pub fn builder() -> ParamsBuilder {
        ParamsBuilder::default()
    }

    /// How its blocks are hashed.
    pub fn hashing(&self) -> &Hashing {
        &self.hashing
    }

    /// How digests are computed and packed.
    pub fn hash_type(&self) -> HashType {
        self.hashing.hash_type
    }

    /// The hash algorithm.
    pub fn algorithm(&self) -> HashAlgorithm {
        self.hashing.algorithm
    }

    /// Size of a data block.
    pub fn data_block_size(&self) -> BlockSize {
        self.hashing.data_block_size
    }

    /// Size of a hash block.
    pub fn hash_block_size(&self) -> BlockSize {
        self.hashing.hash_block_size
    }

    /// Number of data blocks, at least one.
    pub fn data_blocks(&self) -> u64 {
        self.data_blocks
    }

    /// Length of the data area in bytes: it fits a device.
    pub fn data_bytes(&self) -> u64 {
        self.data_blocks * self.hashing.data_block_size.bytes()
    }

    /// The salt.
    pub fn salt(&self) -> &Salt {
        &self.hashing.salt
    }

    /// The UUID in the superblock; `None` when the image has no superblock.
    pub fn uuid(&self) -> Option<Uuid> {
        self.hashing.uuid
    }

    /// Where the hash area starts on the hash device, in bytes.
    pub fn hash_offset(&self) -> u64 {
        self.hash_offset
    }

    /// Forward error correction, if any.
    pub fn fec(&self) -> Option<Fec> {
        self.fec
    }

    /// The same image with FEC, or [`Error::FecBlockSizes`] where that cannot be.
    pub(crate) fn with_fec(self, fec: Fec) -> Result<Self> {
        let data_blocks = self.data_blocks;
        self.to_builder().fec(fec).build_for(data_blocks)
    }

    /// A builder of the same image.
    pub(crate) fn to_builder(&self) -> ParamsBuilder {
        ParamsBuilder {
            hashing: self.hashing.clone(),
            data_blocks: Some(self.data_blocks),
            hash_offset: self.hash_offset,
            fec: self.fec,
        }
    }

    /// The superblock for these parameters; `None` when the image has none.
    pub fn superblock(&self) -> Option<Superblock> {
        let Hashing { hash_type, algorithm, data_block_size, hash_block_size, salt, uuid } = self.hashing.clone();
        let data_blocks = self.data_blocks;
        uuid.map(|uuid| Superblock { uuid, hash_type, algorithm, data_block_size, hash_block_size, data_blocks, salt })
    }

    /// The hasher for blocks of `block_size`: the data blocks' or the hash blocks'.
    pub fn hasher(&self, block_size: BlockSize) -> BlockHasher {
        BlockHasher::new(self.algorithm(), self.hash_type(), self.salt().clone(), block_size)
    }
}

/// Collects parameters. Nothing is checked before [`build`](Self::build), which names the field that is wrong.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ParamsBuilder {
    hashing: Hashing,
    data_blocks: Option<u64>,
    hash_offset: u64,
    fec: Option<Fec>,
}

impl ParamsBuilder {
    /// How the blocks are hashed, and whether there is a superblock: all that this says at once.
    pub fn hashing(mut self, hashing: Hashing) -> Self {
        self.hashing = hashing;
        self
    }

    /// How digests are computed and packed.
    pub fn hash_type(mut self, hash_type: HashType) -> Self {
        self.hashing.hash_type = hash_type;
        self
    }

    /// The hash algorithm.
    pub fn algorithm(mut self, algorithm: HashAlgorithm) -> Self {
        self.hashing.algorithm = algorithm;
        self
    }

    /// Size of a data block.
    pub fn data_block_size(mut self, size: BlockSize) -> Self {
        self.hashing.data_block_size = size;
        self
    }

    /// Size of a hash block.
    pub fn hash_block_size(mut self, size: BlockSize) -> Self {
        self.hashing.hash_block_size = size;
        self
    }

    /// Number of data blocks to protect; unless it is called, all whole blocks of the data device.
    pub fn data_blocks(mut self, blocks: u64) -> Self {
        self.data_blocks = Some(blocks);
        self
    }

    /// The salt.
    pub fn salt(mut self, salt: Salt) -> Self {
        self.hashing.salt = salt;
        self
    }

    /// A superblock with this UUID.
    pub fn uuid(mut self, uuid: Uuid) -> Self {
        self.hashing.uuid = Some(uuid);
        self
    }

    /// An image without superblock: to open it, every parameter must be known.
    pub fn no_superblock(mut self) -> Self {
        self.hashing.uuid = None;
        self
    }

    /// Where the hash area starts on the hash device, in bytes; a multiple of 512.
    pub fn hash_offset(mut self, offset: u64) -> Self {
        self.hash_offset = offset;
        self
    }

    /// Forward error correction.
    pub fn fec(mut self, fec: Fec) -> Self {
        self.fec = Some(fec);
        self
    }

    /// Whether all whole blocks of the data device are to be protected, because no number was given.
    pub(crate) fn covers_whole_device(&self) -> bool {
        self.data_blocks.is_none()
    }

    /// The length in bytes of the given number of data blocks; zero if none was given, or too many.
    pub(crate) fn given_data_bytes(&self) -> u64 {
        self.data_blocks.and_then(|blocks| self.hashing.data_block_size.checked_bytes_of(blocks)).unwrap_or(0)
    }

    /// Checks everything, for `bytes` bytes of data: their number gives the number of data blocks if none was set, and
    /// has to be enough for them if one was.
    ///
    /// # Errors
    /// [`Error::Offset`], [`Error::FecBlockSizes`], [`Error::NoDataBlocks`], [`Error::TooManyBlocks`],
    /// [`Error::TooFewBytes`].
    pub fn build(self, bytes: u64) -> Result<Params> {
        let block_size = self.hashing.data_block_size;
        let blocks = self.data_blocks.unwrap_or(block_size.whole_blocks_in(bytes));
        if blocks == 0 {
            return Err(Error::NoDataBlocks { path: None, found: bytes, block_size: block_size.get() });
        }
        let params = self.build_for(blocks)?;
        if params.data_bytes() > bytes {
            return Err(Error::TooFewBytes { found: bytes, needed: params.data_bytes() });
        }
        Ok(params)
    }

    /// The parameters of the image whose superblock is at `hash_offset`; the data device has yet to be looked at.
    pub(crate) fn from_superblock(superblock: &Superblock, hash_offset: u64, fec: Option<Fec>) -> Result<Params> {
        Self { hashing: superblock.hashing(), data_blocks: None, hash_offset, fec }.build_for(superblock.data_blocks())
    }

    pub(super) fn build_for(self, data_blocks: u64) -> Result<Params> {
        check_offset(Area::Hash, self.hash_offset)?;
        if let Some(fec) = self.fec {
            // Its fields are public.
            Fec::new(fec.roots.into(), fec.offset)?;
        }
        let Hashing { data_block_size: data, hash_block_size: hash, .. } = self.hashing;
        if self.fec.is_some() && data != hash {
            return Err(Error::FecBlockSizes { data: data.get(), hash: hash.get() });
        }
        if data.checked_bytes_of(data_blocks).is_none() {
            return Err(Error::TooManyBlocks { blocks: data_blocks, block_size: data.get() });
        }
        Ok(Params { hashing: self.hashing, data_blocks, hash_offset: self.hash_offset, fec: self.fec })
    }
}

/// Offsets are whole sectors within what a device can hold.
pub(crate) fn check_offset(area: Area, found: u64) -> Result<()> {
    if found.is_multiple_of(SECTOR_SIZE) && found <= MAX_DEVICE_BYTES {
        Ok(())
    } else {
        Err(Error::Offset { area, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(builder: ParamsBuilder, device_bytes: u64) -> std::result::Result<Params, String> {
        builder.build(device_bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn the_device_gives_the_number_of_blocks_unless_one_is_set() {
        assert_eq!(build(Params::builder(), 12288 + 4095).unwrap().data_blocks(), 3);
        assert_eq!(build(Params::builder().data_blocks(2), 12288).unwrap().data_blocks(), 2);
    }

    #[test]
    fn only_a_number_of_blocks_that_was_given_makes_bytes() {
        let fec = Fec::new(2, 512).unwrap();
        assert_eq!(fec.with_scope(FecScope::Tree), Fec { scope: FecScope::Tree, ..fec });
        assert_eq!(Params::builder().data_blocks(7).given_data_bytes(), 7 * 4096);
        assert_eq!(
            Params::builder().given_data_bytes() + Params::builder().data_blocks(u64::MAX).given_data_bytes(),
            0
        );
    }

    #[test]
    fn a_builder_keeps_what_it_is_given() {
        let (uuid, salt) = (Uuid::from_u128(7), Salt::new(&[1, 2, 3]).unwrap());
        let builder = Params::builder()
            .algorithm(HashAlgorithm::from_name("sha512").unwrap())
            .hash_type(HashType::ChromeOs)
            .data_block_size(BlockSize::new(1024).unwrap())
            .hash_block_size(BlockSize::new(2048).unwrap())
            .salt(salt.clone())
            .uuid(uuid)
            .hash_offset(8192);
        assert!(builder.covers_whole_device());
        assert!(!builder.clone().data_blocks(3).covers_whole_device());
        let params = build(builder, 5 * 1024).unwrap();
        assert_eq!((params.algorithm().name(), params.hash_type()), ("sha512", HashType::ChromeOs));
        assert_eq!((params.data_block_size().get(), params.hash_block_size().get()), (1024, 2048));
        assert_eq!((params.data_blocks(), params.data_bytes()), (5, 5 * 1024));
        assert_eq!((params.salt(), params.uuid(), params.hash_offset()), (&salt, Some(uuid), 8192));
        assert_eq!(params.salt().as_bytes(), [1, 2, 3]);
        assert_eq!(params.fec(), None);
        let again = Params::builder().uuid(Uuid::nil()).hashing(params.hashing().clone()).hash_offset(8192);
        assert_eq!(build(again, 5 * 1024).unwrap(), params);
        assert_eq!(params.to_builder().build(5 * 1024).unwrap(), params);
        assert_eq!(build(Params::builder().no_superblock(), 4096).unwrap().uuid(), None);
    }

    #[test]
    fn each_invalid_parameter_has_its_error() {
        let refused = |builder, bytes| build(builder, bytes).expect_err("invalid");
        assert_eq!(refused(Params::builder(), 4095), "4095 bytes are less than one data block of 4096 bytes");
        assert_eq!(refused(Params::builder().data_blocks(4), 12288), "12288 bytes of data found, 16384 needed");
        assert_eq!(
            refused(Params::builder().data_blocks(u64::MAX), 12288),
            "18446744073709551615 data blocks of 4096 bytes are more than a device can hold"
        );
        for offset in [1, 511, 513, 1 << 63] {
            assert_eq!(
                refused(Params::builder().hash_offset(offset), 4096),
                format!("hash offset {offset} is not a multiple of 512 bytes within a device")
            );
        }
        let uneven = Params::builder().hash_block_size(BlockSize::new(512).unwrap()).fec(Fec::new(2, 0).unwrap());
        assert_eq!(
            refused(uneven, 4096),
            "FEC needs equal block sizes; data blocks have 4096 bytes and hash blocks 512"
        );
    }

    #[test]
    fn fec_takes_2_to_24_roots_at_whole_sectors() {
        for roots in [0, 1, 25, 1 << 32, u64::MAX] {
            assert!(matches!(Fec::new(roots, 0), Err(Error::FecRoots { found }) if found == roots));
        }
        for roots in [2, 24] {
            assert!(Fec::new(roots, 512).is_ok());
            assert!(matches!(Fec::new(roots, 100), Err(Error::Offset { area: Area::Fec, found: 100 })));
        }
    }
}
