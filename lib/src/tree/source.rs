//! The blocks that a level of the tree has the digests of.

use crate::format::Layout;
use crate::io::Device;
use crate::value::BlockSize;

/// Blocks whose digests make up one level.
pub(super) struct Source<'a> {
    pub(super) device: &'a Device<'a>,
    /// Where the first block starts on the device, in bytes.
    pub(super) start: u64,
    pub(super) block_size: BlockSize,
    pub(super) blocks: u64,
    /// How many bytes of data each block covers.
    pub(super) span: u64,
    /// How many bytes of data there are.
    pub(super) data_bytes: u64,
}

impl<'a> Source<'a> {
    /// What level `index` holds the digests of.
    pub(super) fn of_level(layout: &Layout, index: usize, data: &'a Device<'a>, hash: &'a Device<'a>) -> Self {
        let params = layout.params();
        let data_block = params.data_block_size();
        let data_bytes = params.data_bytes();
        match index.checked_sub(1) {
            None => Self {
                device: data,
                start: 0,
                block_size: data_block,
                blocks: params.data_blocks(),
                span: data_block.bytes(),
                data_bytes,
            },
            Some(below) => {
                let level = layout.levels()[below];
                let block_size = params.hash_block_size();
                let start = level.first_block * block_size.bytes();
                let span = (0..index).fold(data_block.bytes(), |span, _| span.saturating_mul(layout.fan_out()));
                Self { device: hash, start, block_size, blocks: level.blocks, span, data_bytes }
            }
        }
    }

    /// Where block `index` starts on the device, in bytes.
    pub(super) fn position(&self, index: u64) -> u64 {
        self.start + index * self.block_size.bytes()
    }

    /// The byte on the device after the last block.
    pub(super) fn end(&self) -> u64 {
        self.position(self.blocks)
    }
}
