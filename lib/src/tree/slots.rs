//! Where the digests of a level are in its hash blocks.

use std::ops::Range;

use crate::error::Result;
use crate::format::Layout;
use crate::hash::BlockHasher;
use crate::memory;

/// The places for the digests of one level.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    /// Digests in each hash block.
    pub(super) fan_out: u64,
    /// Bytes from one digest to the next.
    pub(super) stride: usize,
    pub(super) hash_block: usize,
    /// How many digests there are, and the bytes of the whole level; `None` while that is not known.
    whole: Option<(u64, u64)>,
}

impl Slots {
    /// The places for the digests of `blocks` blocks.
    pub(super) fn new(layout: &Layout, blocks: Option<u64>) -> Self {
        let hash_block = layout.params().hash_block_size();
        let bytes = |blocks: u64| blocks.div_ceil(layout.fan_out()) * hash_block.bytes();
        Self {
            fan_out: layout.fan_out(),
            stride: layout.digest_stride(),
            hash_block: hash_block.as_usize(),
            whole: blocks.map(|blocks| (blocks, bytes(blocks))),
        }
    }

    /// Which bytes of the level come from these blocks. After the last digest of a hash block, the spare bytes belong
    /// to that digest.
    pub(super) fn output(&self, blocks: &Range<u64>) -> Range<u64> {
        let position = |block: u64| match self.whole {
            Some((all, bytes)) if block == all => bytes,
            _ => block / self.fan_out * self.hash_block as u64 + block % self.fan_out * self.stride as u64,
        };
        position(blocks.start)..position(blocks.end)
    }

    /// A hash block full of one digest.
    pub(super) fn full_of(&self, digest: &[u8]) -> Result<Vec<u8>> {
        let mut block = memory::zeroed(self.hash_block)?;
        for slot in block.chunks_mut(self.stride).take(as_usize(self.fan_out)) {
            slot[..digest.len()].copy_from_slice(digest);
        }
        Ok(block)
    }

    /// Calls `each` with those of `blocks` whose digests are in one hash block, and with the part of `bytes` from their
    /// first digest to the end of their bytes. `bytes` is the result of all of `blocks`.
    pub(super) fn for_each_hash_block<'b>(
        &self,
        blocks: &Range<u64>,
        bytes: &'b mut [u8],
        mut each: impl FnMut(Range<u64>, &'b mut [u8]),
    ) {
        let mut rest = bytes;
        let mut start = blocks.start;
        while start < blocks.end {
            let end = blocks.end.min((start / self.fan_out + 1) * self.fan_out);
            let output = self.output(&(start..end));
            let (digests, after) = rest.split_at_mut(as_usize(output.end - output.start));
            each(start..end, digests);
            (rest, start) = (after, end);
        }
    }

    /// Puts the digests of these blocks, whose contents are `data`, into their bytes of the level.
    pub(super) fn hash(&self, hasher: &BlockHasher, blocks: &Range<u64>, data: &[u8], bytes: &mut [u8]) {
        let size = hasher.block_size().as_usize();
        self.for_each_hash_block(blocks, bytes, |part, digests| {
            let from = as_usize(part.start - blocks.start) * size;
            let len = as_usize(part.end - part.start) * size;
            hasher.hash_blocks(&data[from..from + len], digests, self.stride);
        });
    }
}

/// The digest of a full hash block that is above nothing but zeros, for each level from the one over the data upwards.
pub(crate) fn uniform_digests(layout: &Layout) -> Result<Vec<Vec<u8>>> {
    let (params, slots) = (layout.params(), Slots::new(layout, None));
    let hasher = params.hasher(params.hash_block_size());
    let mut digest = params.hasher(params.data_block_size()).zero_digest().to_vec();
    let next = |_| {
        digest = hasher.digest(&slots.full_of(&digest)?);
        Ok(digest.clone())
    };
    (0..layout.levels().len()).map(next).collect()
}

/// Lengths that a chunk has fit the memory it is in.
pub(super) fn as_usize(len: u64) -> usize {
    usize::try_from(len).expect("chunks are small")
}
