//! The hash tree: created in [`create`], checked in [`verify`]. Both walk it level by level from the data upwards with
//! the same [`Source`]: the data area for level 0, else the level below. Memory is bounded whatever the image.

mod create;
mod verify;

pub(crate) use create::create;
pub(crate) use verify::verify;
pub use verify::{Failure, Verification};

use crate::error::Result;
use crate::hash::BlockHasher;
use crate::io::Device;
use crate::layout::Layout;
use crate::params::RootHash;
use crate::units::BlockSize;

/// How many bytes are read at a time, where blocks are smaller.
const READ_BYTES: usize = 1 << 20;

/// Blocks whose digests make up one level.
struct Source<'a> {
    device: &'a Device,
    /// Where the first block starts on the device, in bytes.
    start: u64,
    block_size: BlockSize,
    blocks: u64,
}

impl<'a> Source<'a> {
    /// What level `index` holds the digests of.
    fn of_level(layout: &Layout, index: usize, data: &'a Device, hash: &'a Device) -> Self {
        let params = layout.params();
        match index.checked_sub(1) {
            None => Self { device: data, start: 0, block_size: params.data_block_size(), blocks: params.data_blocks() },
            Some(below) => {
                let level = layout.levels()[below];
                let block_size = params.hash_block_size();
                Self { device: hash, start: level.first_block * block_size.bytes(), block_size, blocks: level.blocks }
            }
        }
    }

    /// Where block `index` starts on the device, in bytes.
    fn position(&self, index: u64) -> u64 {
        self.start + index * self.block_size.bytes()
    }
}

/// Computes the hash blocks of one level, one after the other.
struct LevelHasher<'a> {
    source: Source<'a>,
    hasher: BlockHasher,
    fan_out: u64,
    stride: usize,
    buffer: Vec<u8>,
}

impl<'a> LevelHasher<'a> {
    fn new(layout: &Layout, source: Source<'a>) -> Self {
        let at_a_time = (READ_BYTES / source.block_size.as_usize()).max(1) * source.block_size.as_usize();
        Self {
            hasher: layout.params().hasher(source.block_size),
            source,
            fan_out: layout.fan_out(),
            stride: layout.digest_stride(),
            buffer: vec![0; at_a_time],
        }
    }

    /// How many blocks hash block `index` of the level holds the digests of.
    fn children(&self, index: u64) -> u64 {
        self.fan_out.min(self.source.blocks - index * self.fan_out)
    }

    /// Fills `block` with what hash block `index` of the level has to be.
    fn hash_block(&mut self, index: u64, block: &mut [u8]) -> Result<()> {
        block.fill(0);
        let mut next = index * self.fan_out;
        let mut digests = block;
        let end = next + self.children(index);
        while next < end {
            let size = self.source.block_size.as_usize();
            let count = usize::try_from(end - next).map_or(usize::MAX, |left| left.min(self.buffer.len() / size));
            let blocks = &mut self.buffer[..count * size];
            self.source.device.read_at(blocks, self.source.position(next))?;
            self.hasher.hash_blocks(blocks, digests, self.stride);
            next += count as u64;
            digests = digests.get_mut(count * self.stride..).unwrap_or_default();
        }
        Ok(())
    }
}

/// The digest of the top hash block, or of the only data block where there is no level.
fn root_hash(layout: &Layout, data: &Device, hash: &Device) -> Result<RootHash> {
    let source = Source::of_level(layout, layout.levels().len(), data, hash);
    let mut block = vec![0; source.block_size.as_usize()];
    source.device.read_at(&mut block, source.start)?;
    Ok(RootHash::new(layout.params().hasher(source.block_size).digest(&block)))
}
