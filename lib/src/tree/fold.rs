//! The root hash of a level of unknown length whose bytes are not kept: the levels above it are reduced as they come.

use crate::error::Result;
use crate::format::Layout;
use crate::hash::BlockHasher;
use crate::memory;
use crate::value::RootHash;

/// Makes digests of hash blocks as soon as another block follows: one block of each level is kept.
pub(crate) struct Fold {
    hasher: BlockHasher,
    hash_block: usize,
    stride: usize,
    /// How many bytes of a hash block its digests take, with what is between them.
    digests: usize,
    /// From the level over the data upwards.
    levels: Vec<Open>,
}

/// The hash block of a level that is being filled.
struct Open {
    block: Vec<u8>,
    filled: usize,
}

impl Fold {
    /// For a tree that is hashed like this one. How many blocks its levels have does not matter.
    pub(crate) fn new(layout: &Layout) -> Self {
        let size = layout.params().hash_block_size();
        let stride = layout.digest_stride();
        let digests = usize::try_from(layout.fan_out()).expect("a block's digests fit memory") * stride;
        Self { hasher: layout.params().hasher(size), hash_block: size.as_usize(), stride, digests, levels: Vec::new() }
    }

    /// Takes the next bytes of the level over the data.
    pub(crate) fn add(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let full = self.room(0, self.hash_block)?;
            let Open { block, filled } = &mut self.levels[0];
            let (now, later) = bytes.split_at(bytes.len().min(block.len() - *filled));
            block[*filled..][..now.len()].copy_from_slice(now);
            *filled += now.len();
            bytes = later;
            full.map_or(Ok(()), |digest| self.add_digest(1, digest))?;
        }
        Ok(())
    }

    /// The digest of the top block. There must have been bytes.
    pub(crate) fn finish(mut self) -> Result<RootHash> {
        let mut level = 0;
        loop {
            let digest = self.hasher.digest(&self.levels[level].block);
            level += 1;
            if level == self.levels.len() {
                return Ok(RootHash::new(digest));
            }
            self.add_digest(level, digest)?;
        }
    }

    /// Takes the next digest of a level, and of those above it.
    fn add_digest(&mut self, mut level: usize, mut digest: Vec<u8>) -> Result<()> {
        loop {
            let full = self.room(level, self.digests)?;
            let Open { block, filled } = &mut self.levels[level];
            block[*filled..][..digest.len()].copy_from_slice(&digest);
            *filled += self.stride;
            let Some(next) = full else { return Ok(()) };
            digest = next;
            level += 1;
        }
    }

    /// Makes room in the open block of a level; the digest of that block, if it was full with `most` bytes.
    fn room(&mut self, level: usize, most: usize) -> Result<Option<Vec<u8>>> {
        let Some(Open { block, filled }) = self.levels.get_mut(level) else {
            self.levels.push(Open { block: memory::zeroed(self.hash_block)?, filled: 0 });
            return Ok(None);
        };
        if *filled < most {
            return Ok(None);
        }
        let digest = self.hasher.digest(block);
        block.fill(0);
        *filled = 0;
        Ok(Some(digest))
    }
}
