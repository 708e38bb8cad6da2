//! Which data are zeros, by the word of the tree: a hole in a file proves nothing.

use std::ops::Range;
use std::sync::Arc;

use super::check::Checker;
use super::corruption::Fault;
use crate::tree;

/// How many hash blocks one answer may read. Where that is not enough, what follows counts as data.
const MOST_HASH_BLOCKS: u64 = 256;

impl Checker {
    /// The first bytes at or after `offset` that may be anything but zeros, as [`ReadAt::data_at`](crate::ReadAt)
    /// means it. Where the storage has holes, the tree is asked whether zeros belong there.
    pub(super) fn data_at(&self, offset: u64) -> Option<Range<u64>> {
        let size = self.data_hasher.block_size().bytes();
        let end = self.layout.params().data_bytes();
        let mut holes = self.image.data.holes();
        let mut block = offset / size;
        let mut left = MOST_HASH_BLOCKS;
        while block * size < end {
            let position = block * size;
            let hole_end = holes.end_of_hole_at(position).min(end);
            // Of a block that is partly in the hole nothing is claimed.
            let in_hole = (hole_end - position) / size;
            if in_hole == 0 {
                let data_end = holes.end_of_data_at(position).max(position + size).min(end);
                return Some(position.max(offset)..data_end);
            }
            match self.zeros_from(block, in_hole, &mut left) {
                Ok(0) | Err(_) => return Some(position.max(offset)..position + size),
                Ok(count) => block += count,
            }
        }
        None
    }

    /// How many blocks from this one on, `most` at the most, are known to be zeros: as many as one hash block tells.
    fn zeros_from(&self, block: u64, most: u64, left: &mut u64) -> Result<u64, Fault> {
        let levels = self.levels().len();
        if levels == 0 {
            return Ok(u64::from(self.root_hash.as_bytes() == self.data_hasher.zero_digest()));
        }
        // The highest hash block that is above nothing but blocks of the hole, and full.
        let mut whole = None;
        for level in 0..levels {
            let span = self.blocks_under(level);
            if block.is_multiple_of(span) && span <= most {
                whole = Some((level, span));
            }
        }
        while let Some((level, span)) = whole {
            if self.digest_of_hash_block(level, block / span, left)?.as_deref() == Some(self.uniform_digest(level)?) {
                return Ok(span);
            }
            whole = level.checked_sub(1).map(|below| (below, self.blocks_under(below)));
        }
        let fan_out = self.layout.fan_out();
        let Some(bytes) = self.bounded(0, block / fan_out, left)? else { return Ok(0) };
        let slots = block % fan_out..fan_out.min(block % fan_out + most);
        let count = slots.take_while(|&slot| self.digest_in(&bytes, slot) == self.data_hasher.zero_digest()).count();
        Ok(count as u64)
    }

    /// The proven digest of a hash block, which need not be read for it.
    fn digest_of_hash_block(&self, level: usize, index: u64, left: &mut u64) -> Result<Option<Vec<u8>>, Fault> {
        if level + 1 == self.levels().len() {
            return Ok(Some(self.root_hash.as_bytes().to_vec()));
        }
        let fan_out = self.layout.fan_out();
        let parent = self.bounded(level + 1, index / fan_out, left)?;
        Ok(parent.map(|parent| self.digest_in(&parent, index % fan_out).to_vec()))
    }

    /// A hash block, unless too many were asked for.
    fn bounded(&self, level: usize, index: u64, left: &mut u64) -> Result<Option<Arc<[u8]>>, Fault> {
        if *left == 0 {
            return Ok(None);
        }
        *left -= 1;
        self.hash_block(level, index).map(Some)
    }

    /// The digest of a full hash block of a level that is above nothing but zeros.
    fn uniform_digest(&self, level: usize) -> Result<&[u8], Fault> {
        if let Some(digests) = self.uniform_digests.get() {
            return Ok(&digests[level]);
        }
        let digests = tree::uniform_digests(&self.layout)?;
        Ok(&self.uniform_digests.get_or_init(|| digests)[level])
    }
}
