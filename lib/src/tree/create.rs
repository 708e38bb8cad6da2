//! Writing the hash tree.

use super::{LevelHasher, Source, root_hash};
use crate::error::Result;
use crate::io::Device;
use crate::layout::Layout;
use crate::params::RootHash;

/// How many bytes of hash blocks are written at a time, where blocks are smaller.
const WRITE_BYTES: usize = 1 << 20;

/// Writes every level of the tree over `data` to `hash` and returns the root hash. Both devices must hold their areas.
pub(crate) fn create(layout: &Layout, data: &Device, hash: &Device) -> Result<RootHash> {
    let size = layout.params().hash_block_size().as_usize();
    let mut blocks = vec![0; (WRITE_BYTES / size).max(1) * size];
    for (index, level) in layout.levels().iter().enumerate() {
        let mut hasher = LevelHasher::new(layout, Source::of_level(layout, index, data, hash));
        let mut next = 0;
        while next < level.blocks {
            let mut written = 0;
            for (block, index) in blocks.chunks_exact_mut(size).zip(next..level.blocks) {
                hasher.hash_block(index, block)?;
                written += 1;
            }
            let position = (level.first_block + next) * size as u64;
            hash.write_at(&blocks[..written * size], position)?;
            next += written as u64;
        }
    }
    root_hash(layout, data, hash)
}
