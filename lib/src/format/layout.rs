//! Where everything is: arithmetic on valid parameters, overflow checked once, no I/O.
//!
//! ```text
//! hash device: ... | superblock | pad | level L-1 (one block) | level L-2 | ... | level 0 | ...
//!                  ^ hash offset      ^ first hash block                                  ^ end
//! ```
//! Level 0 holds the digests of the data blocks, level i + 1 those of the blocks of level i. The top level, which is a
//! single block, is stored first. Source: the kernel's `verity.rst`, and images made by the reference tool.

use std::ops::Range;

use crate::error::{Area, Error, Result};
use crate::format::{FecScope, Params, SUPERBLOCK_SIZE};
use crate::hash::HashType;
use crate::value::MAX_DEVICE_BYTES;

/// Bytes of a codeword: RS(255, k).
const FEC_CODEWORD: u64 = 255;

/// The reference tool writes a superblock with the zeros after it up to a multiple of the hash block size, or of this
/// many bytes if that is less.
const SUPERBLOCK_UNIT: u64 = 4096;

/// One level of the hash tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Its first block, counted in hash blocks from the start of the hash device.
    pub first_block: u64,
    /// How many hash blocks it has.
    pub blocks: u64,
}

/// Where the areas of an image are.
///
/// # Examples
/// Tree and parity after the data, all in one file: how large it becomes is known before anything is written.
/// ```
/// use dmverity::{Fec, Layout, Params};
///
/// # fn main() -> dmverity::Result<()> {
/// let bytes = 300 * 4096;
/// let builder = Params::builder().hash_offset(bytes);
/// let without_fec = Layout::new(&builder.clone().data_blocks(300).build(bytes)?)?;
/// // The superblock, the top of the tree, and below it as many blocks as 300 digests need, 128 in each.
/// assert_eq!(without_fec.hash_area(), 300 * 4096..305 * 4096);
/// assert_eq!(without_fec.levels().iter().map(|level| level.blocks).collect::<Vec<_>>(), [3, 1]);
///
/// let builder = builder.fec(Fec::new(2, without_fec.hash_end())?);
/// let layout = Layout::new(&builder.data_blocks(300).build(bytes)?)?;
/// let parity = layout.fec_area_on(bytes, true).expect("it has FEC").bytes;
/// assert_eq!(parity, 305 * 4096..309 * 4096);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    params: Params,
    /// Digests per hash block, as a power of two.
    fan_out_log2: u32,
    /// Bytes from one digest to the next in a hash block.
    digest_stride: usize,
    first_hash_block: u64,
    hash_blocks: u64,
    levels: Vec<Level>,
}

impl Layout {
    /// Computes the layout, or [`Error::Offset`] where the hash area would end beyond what a device can hold.
    pub fn new(params: &Params) -> Result<Self> {
        let digest_size = params.algorithm().digest_size();
        let digest_stride = match params.hash_type() {
            HashType::ChromeOs => digest_size,
            HashType::Normal => digest_size.next_power_of_two(),
        };
        let hash_block = params.hash_block_size().bytes();
        // At least 8: the smallest block has 512 bytes and the longest digest 64.
        let fan_out_log2 = (params.hash_block_size().as_usize() / digest_stride).ilog2();
        let too_far = || Error::Offset { area: Area::Hash, found: params.hash_offset() };

        // Blocks per level, from the data upwards. Ends because the fan-out is at least 8.
        let mut counts = Vec::new();
        let mut below = params.data_blocks();
        while below > 1 {
            below = below.div_ceil(1 << fan_out_log2);
            counts.push(below);
        }
        let first_hash_block = if params.uuid().is_some() {
            (params.hash_offset() + SUPERBLOCK_SIZE as u64).div_ceil(hash_block)
        } else {
            params.hash_offset() / hash_block
        };
        // The sum is less than the number of data blocks, which is less than 2^55.
        let hash_blocks: u64 = counts.iter().sum();
        first_hash_block
            .checked_add(hash_blocks)
            .and_then(|end| end.checked_mul(hash_block))
            .filter(|&end| end <= MAX_DEVICE_BYTES)
            .ok_or_else(too_far)?;

        // Stored from the top downwards.
        let mut next = first_hash_block;
        let mut levels: Vec<Level> = counts
            .iter()
            .rev()
            .map(|&blocks| {
                let level = Level { first_block: next, blocks };
                next += blocks;
                level
            })
            .collect();
        levels.reverse();
        Ok(Self { params: params.clone(), fan_out_log2, digest_stride, first_hash_block, hash_blocks, levels })
    }

    /// The parameters this is the layout of.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Digests per hash block; a power of two.
    pub fn fan_out(&self) -> u64 {
        1 << self.fan_out_log2
    }

    /// Bytes from the start of one digest in a hash block to the start of the next.
    pub fn digest_stride(&self) -> usize {
        self.digest_stride
    }

    /// The levels of the tree; index 0 has the digests of the data blocks. A single data block has none.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// The first hash block, counted in hash blocks from the start of the hash device: what a table calls hash start.
    pub fn first_hash_block(&self) -> u64 {
        self.first_hash_block
    }

    /// The number of blocks in all levels.
    pub fn hash_blocks(&self) -> u64 {
        self.hash_blocks
    }

    /// The byte after the hash tree: what the hash device needs to hold. A single data block has no tree: then it is
    /// the byte after the superblock, in units of the hash block size or 4096 bytes, or 0 if there is none.
    pub fn hash_end(&self) -> u64 {
        if self.hash_blocks > 0 {
            self.hash_blocks_end()
        } else if self.params.uuid().is_some() {
            let unit = self.params.hash_block_size().bytes().min(SUPERBLOCK_UNIT);
            (self.params.hash_offset() + SUPERBLOCK_SIZE as u64).next_multiple_of(unit)
        } else {
            0
        }
    }

    /// The same in whole hash blocks, whether there is a tree or not: kernels require this length of the hash device.
    pub(crate) fn hash_blocks_end(&self) -> u64 {
        (self.first_hash_block + self.hash_blocks) * self.params.hash_block_size().bytes()
    }

    /// The bytes of the hash device from the superblock, or else the first hash block, to the end of the tree.
    pub fn hash_area(&self) -> Range<u64> {
        let tree = self.first_hash_block * self.params.hash_block_size().bytes();
        let start = if self.params.uuid().is_some() { self.params.hash_offset() } else { tree };
        start..self.hash_end().max(start)
    }

    /// The FEC area for a hash device of `hash_bytes` bytes: what is covered ends with that device, or where the FEC
    /// area starts if it is there too, or with the tree if that is its [scope](FecScope). `None` without FEC.
    pub fn fec_area_on(&self, hash_bytes: u64, fec_on_hash_device: bool) -> Option<FecArea> {
        let fec = self.params.fec()?;
        let block = self.params.hash_block_size();
        let end = match fec.scope {
            FecScope::Tree => 0,
            FecScope::Device if fec_on_hash_device => fec.offset,
            FecScope::Device => hash_bytes,
        };
        let covered = block.whole_blocks_in(end).saturating_sub(self.first_hash_block).max(self.hash_blocks);
        let blocks = self.params.data_blocks().saturating_add(covered);
        let roots = u64::from(fec.roots);
        let rounds = blocks.div_ceil(FEC_CODEWORD - roots);
        let bytes = rounds.saturating_mul(roots).saturating_mul(block.bytes());
        let start = fec.offset.is_multiple_of(block.bytes()).then_some(fec.offset / block.bytes());
        let bytes = fec.offset..fec.offset.saturating_add(bytes);
        Some(FecArea { blocks, rounds, start, bytes, on_hash_device: fec_on_hash_device })
    }

    /// Where FEC without an offset of its own starts on the hash device: after the tree, at a block boundary, as the
    /// kernel requires.
    pub fn fec_offset_after_tree(&self) -> u64 {
        self.hash_end().next_multiple_of(self.params.hash_block_size().bytes())
    }

    /// Checks that areas which share a device do not overlap, and that the FEC area ends where a device can. On the
    /// hash device the FEC area is after the tree.
    ///
    /// # Errors
    /// [`Error::Overlap`], [`Error::Offset`].
    pub fn check_overlaps(&self, shared: SharedDevices, fec: Option<&FecArea>) -> Result<()> {
        let data = (Area::Data, 0..self.params.data_bytes());
        let hash = (Area::Hash, self.hash_area());
        if shared.data_and_hash {
            // Even if there is no tree: an offset within the data is wrong for anything that follows.
            check_apart(&data, &(hash.0, hash.1.start..hash.1.end.max(hash.1.start + 1)))?;
        }
        if let Some(area) = fec {
            if area.bytes.end > MAX_DEVICE_BYTES {
                return Err(Error::Offset { area: Area::Fec, found: area.bytes.start });
            }
            let fec = (Area::Fec, area.bytes.clone());
            if shared.hash_and_fec {
                check_apart(&(Area::Hash, 0..hash.1.end), &fec)?;
            }
            if shared.data_and_fec {
                check_apart(&data, &fec)?;
            }
        }
        Ok(())
    }
}

/// Where the parity is, and what it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FecArea {
    /// How many blocks it covers: the data, the tree and what follows the tree, if that is its scope.
    pub blocks: u64,
    /// The number of blocks in each of the 255 - roots pieces that codewords take their data from.
    pub rounds: u64,
    /// Its first block on the FEC device; `None` if its offset is not a multiple of the block size, which a table
    /// cannot express.
    pub start: Option<u64>,
    /// Its bytes on the FEC device.
    pub bytes: Range<u64>,
    /// Whether the FEC device is the hash device.
    pub on_hash_device: bool,
}

/// Which areas are on the same device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedDevices {
    /// Data and hash area.
    pub data_and_hash: bool,
    /// Hash and FEC area.
    pub hash_and_fec: bool,
    /// Data and FEC area.
    pub data_and_fec: bool,
}

fn check_apart(first: &(Area, Range<u64>), second: &(Area, Range<u64>)) -> Result<()> {
    if first.1.end <= second.1.start || second.1.end <= first.1.start {
        return Ok(());
    }
    Err(Error::Overlap { first: first.0, first_end: first.1.end, second: second.0, second_start: second.1.start })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Fec, ParamsBuilder};
    use crate::hash::HashAlgorithm;
    use crate::value::BlockSize;

    fn layout(builder: ParamsBuilder, data_blocks: u64) -> Result<Layout> {
        Layout::new(&builder.data_blocks(data_blocks).build(MAX_DEVICE_BYTES)?)
    }

    #[test]
    fn levels_are_the_smallest_number_that_ends_in_one_block() {
        let blocks = |count| -> Vec<u64> {
            layout(Params::builder(), count).unwrap().levels().iter().map(|level| level.blocks).collect()
        };
        assert!(blocks(1).is_empty());
        assert_eq!(blocks(2), [1]);
        assert_eq!(blocks(128), [1]);
        assert_eq!(blocks(129), [2, 1]);
        assert_eq!(blocks(16384), [128, 1]);
        assert_eq!(blocks(16385), [129, 2, 1]);
        assert_eq!(blocks(1 << 49).len(), 7);
    }

    #[test]
    fn the_top_level_is_stored_first() {
        let layout = layout(Params::builder().hash_offset(4096), 16385).unwrap();
        let firsts: Vec<u64> = layout.levels().iter().map(|level| level.first_block).collect();
        // Superblock in block 1, then levels of 1, 2 and 129 blocks.
        assert_eq!(firsts, [5, 3, 2]);
        assert_eq!(layout.hash_end(), (5 + 129) * 4096);
        assert_eq!(layout.hash_area(), 4096..(5 + 129) * 4096);
    }

    #[test]
    fn without_a_superblock_the_hash_area_is_the_tree() {
        let layout = layout(Params::builder().no_superblock().hash_offset(3 * 4096), 129).unwrap();
        assert_eq!(layout.hash_area(), 3 * 4096..(3 + 3) * 4096);
        assert_eq!((layout.hash_blocks(), layout.first_hash_block()), (3, 3));
    }

    #[test]
    fn fec_without_an_offset_starts_at_the_next_hash_block_after_the_tree() {
        let after = |builder, blocks| layout(builder, blocks).unwrap().fec_offset_after_tree();
        assert_eq!(after(Params::builder(), 300), (1 + 1 + 3) * 4096);
        // One block has no tree; a hash block larger than the superblock's unit does not make the area longer.
        assert_eq!(after(Params::builder(), 1), 4096);
        let large = Params::builder().hash_block_size(BlockSize::new(8192).unwrap());
        assert_eq!(after(large.hash_offset(512), 1), 8192);
    }

    #[test]
    fn the_fec_area_ends_where_a_device_can() {
        let check = |offset| {
            let layout = layout(Params::builder().fec(Fec::new(2, offset).unwrap()), 300).unwrap();
            let area = layout.fec_area_on(1 << 20, false).unwrap();
            (area.bytes.end, layout.check_overlaps(SharedDevices::default(), Some(&area)))
        };
        // The area has a length that does not depend on where it is.
        let len = check(0).0;
        let last = (MAX_DEVICE_BYTES - len) / 512 * 512;
        let (end, fits) = check(last);
        assert!(end <= MAX_DEVICE_BYTES && end + 512 > MAX_DEVICE_BYTES && fits.is_ok());
        let beyond = check(last + 512).1;
        assert!(matches!(beyond, Err(Error::Offset { area: Area::Fec, found }) if found == last + 512));
    }

    #[test]
    fn type_0_packs_digests_and_still_has_a_power_of_two_of_them() {
        let sha1 = HashAlgorithm::from_name("sha1").unwrap();
        let builder = Params::builder().algorithm(sha1).hash_type(HashType::ChromeOs);
        let packed = layout(builder.clone(), 300).unwrap();
        // 4096 / 20 = 204 digests would fit, 128 are used.
        assert_eq!((packed.fan_out(), packed.digest_stride()), (128, 20));
        let padded = layout(builder.hash_type(HashType::Normal), 300).unwrap();
        assert_eq!((padded.fan_out(), padded.digest_stride()), (128, 32));
    }

    #[test]
    fn the_first_hash_block_lies_behind_the_superblock() {
        let first = |builder| layout(builder, 300).unwrap().first_hash_block();
        assert_eq!(first(Params::builder()), 1);
        assert_eq!(first(Params::builder().hash_offset(3584)), 1);
        assert_eq!(first(Params::builder().hash_offset(3584 + 512)), 2);
        assert_eq!(first(Params::builder().hash_block_size(BlockSize::new(512).unwrap())), 1);
        assert_eq!(first(Params::builder().no_superblock()), 0);
        assert_eq!(first(Params::builder().no_superblock().hash_offset(8192)), 2);
    }

    #[test]
    fn a_single_data_block_needs_a_superblock_or_nothing() {
        let layout =
            |builder: ParamsBuilder, size| layout(builder.hash_block_size(BlockSize::new(size).unwrap()), 1).unwrap();
        for (size, offset, end, blocks_end) in [
            (512, 0, 512, 512),
            (512, 4096, 4608, 4608),
            (2048, 512, 2048, 2048),
            (4096, 0, 4096, 4096),
            (4096, 8192, 12288, 12288),
            (8192, 0, 4096, 8192),
            (1 << 19, 8192, 12288, 1 << 19),
        ] {
            let with = layout(Params::builder().hash_offset(offset), size);
            assert_eq!((with.hash_end(), with.hash_blocks_end()), (end, blocks_end), "{size} {offset}");
            assert_eq!(with.hash_area(), offset..end);
            let without = layout(Params::builder().hash_offset(offset).no_superblock(), size);
            assert!(without.hash_end() == 0 && without.hash_area().is_empty(), "{size} {offset}");
        }
    }

    #[test]
    fn a_tree_beyond_the_largest_device_is_refused() {
        let offset = MAX_DEVICE_BYTES - 511;
        assert!(matches!(
            layout(Params::builder().hash_offset(offset), 2),
            Err(Error::Offset { area: Area::Hash, found }) if found == offset
        ));
        let most = MAX_DEVICE_BYTES / 512;
        let small = BlockSize::new(512).unwrap();
        assert!(layout(Params::builder().data_block_size(small).hash_block_size(small), most).is_ok());
        let large = BlockSize::new(1 << 19).unwrap();
        assert!(layout(Params::builder().data_block_size(small).hash_block_size(large), most).is_ok());
    }

    #[test]
    fn areas_of_one_device_must_not_overlap() {
        let overlap = |builder: ParamsBuilder, shared: SharedDevices| {
            let layout = layout(builder, 300).unwrap();
            let area = layout.fec_area_on(1 << 20, shared.hash_and_fec);
            layout.check_overlaps(shared, area.as_ref()).map_err(|error| error.to_string())
        };
        let data_and_hash = SharedDevices { data_and_hash: true, ..SharedDevices::default() };
        assert!(overlap(Params::builder(), SharedDevices::default()).is_ok());
        assert_eq!(
            overlap(Params::builder(), data_and_hash).unwrap_err(),
            "data area (up to byte 1228800) overlaps with hash area (from byte 0)"
        );
        assert!(overlap(Params::builder().hash_offset(1_228_800), data_and_hash).is_ok());
        // One block has no tree, and its place still has to be after the data.
        let one = |offset| {
            let layout = layout(Params::builder().no_superblock().hash_offset(offset), 1).unwrap();
            layout.check_overlaps(data_and_hash, None)
        };
        assert!(one(0).is_err());
        assert!(one(4096).is_ok());
        // Without a superblock a tree starts at the block below its offset, here inside the data.
        let rounded_down =
            Params::builder().hash_block_size(BlockSize::new(65536).unwrap()).no_superblock().hash_offset(1_228_800);
        assert!(overlap(rounded_down, data_and_hash).is_err());

        let fec = |offset| Params::builder().fec(Fec::new(2, offset).unwrap());
        let hash_and_fec = SharedDevices { hash_and_fec: true, ..SharedDevices::default() };
        let data_and_fec = SharedDevices { data_and_fec: true, ..SharedDevices::default() };
        assert!(overlap(fec(4096), hash_and_fec).unwrap_err().starts_with("hash area"));
        assert!(overlap(fec(4096 * 5), hash_and_fec).is_ok());
        // Before the tree it would cover what comes after itself.
        assert!(overlap(fec(0).hash_offset(1 << 20), hash_and_fec).unwrap_err().starts_with("hash area"));
        assert!(overlap(fec(0), data_and_fec).unwrap_err().starts_with("data area"));
        assert!(overlap(fec(1_228_800), data_and_fec).is_ok());
    }

    #[test]
    fn fec_covers_data_tree_and_what_follows_on_the_hash_device() {
        let area = |roots, offset, hash_bytes, fec_on_hash_device| {
            let layout = layout(Params::builder().fec(Fec::new(roots, offset).unwrap()), 256).unwrap();
            layout.fec_area_on(hash_bytes, fec_on_hash_device)
        };
        let found = |blocks, start, bytes| Some(FecArea { blocks, rounds: 2, start, bytes, on_hash_device: false });
        // 256 data blocks and a tree of 3 after the superblock's: two rounds of 253 blocks.
        assert_eq!(area(2, 0, 16384, false), found(259, Some(0), 0..16384));
        assert_eq!(area(24, 4096, 16384, false), found(259, Some(1), 4096..4096 + 2 * 24 * 4096));
        // A block that is not whole is not covered; on the hash device FEC ends what it covers.
        assert_eq!(area(2, 0, 16384 + 4096 + 4095, false), found(260, Some(0), 0..16384));
        let on_hash_device =
            found(263, Some(8), 32768..32768 + 16384).map(|area| FecArea { on_hash_device: true, ..area });
        assert_eq!(area(2, 32768, 1 << 20, true), on_hash_device);
        // Tables count in blocks.
        assert_eq!(area(2, 512, 16384, false), found(259, None, 512..512 + 16384));
    }
}
