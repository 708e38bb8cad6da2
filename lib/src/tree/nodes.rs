//! Covered blocks as nodes of the hash tree.

use std::ops::Range;

use crate::format::Layout;

/// Where a block's digest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    /// It is the root hash.
    Root,
    /// In the covered block of this number, from this byte on.
    Block(u64, usize),
}

/// Finds parents and children. Blocks are numbered as they are covered: the data, then the hash device's from the top
/// of the tree on.
#[derive(Debug)]
pub(crate) struct Nodes {
    data_blocks: u64,
    fan_out: u64,
    digest_stride: usize,
    /// The numbers of each level's blocks; the first level has the digests of the data blocks.
    levels: Vec<Range<u64>>,
}

impl Nodes {
    pub(crate) fn new(layout: &Layout) -> Self {
        let number = |hash_block| Self::of_hash_block(layout, hash_block);
        let levels = layout.levels().iter();
        Self {
            data_blocks: layout.params().data_blocks(),
            fan_out: layout.fan_out(),
            digest_stride: layout.digest_stride(),
            levels: levels.map(|level| number(level.first_block)..number(level.first_block + level.blocks)).collect(),
        }
    }

    /// The number of a block of the hash device.
    pub(crate) fn of_hash_block(layout: &Layout, hash_block: u64) -> u64 {
        layout.params().data_blocks() + (hash_block - layout.first_hash_block())
    }

    /// The block whose digest is the root hash.
    pub(crate) fn top(&self) -> u64 {
        self.levels.last().map_or(0, |level| level.start)
    }

    /// The block after the tree: from there on there may be anything.
    pub(crate) fn end(&self) -> u64 {
        self.levels.first().map_or(self.data_blocks, |level| level.end)
    }

    /// Whether a block holds data.
    pub(crate) fn is_data(&self, block: u64) -> bool {
        block < self.data_blocks
    }

    /// Where the digest of a block is; `None` for those after the tree.
    pub(crate) fn parent(&self, block: u64) -> Option<Parent> {
        let (index, above) = if self.is_data(block) {
            (block, 0)
        } else {
            let level = self.levels.iter().position(|level| level.contains(&block))?;
            (block - self.levels[level].start, level + 1)
        };
        let Some(above) = self.levels.get(above) else { return Some(Parent::Root) };
        let slot = usize::try_from(index % self.fan_out).expect("a block's digests fit memory");
        Some(Parent::Block(above.start + index / self.fan_out, slot * self.digest_stride))
    }

    /// The blocks whose digests are in a block.
    pub(crate) fn children(&self, block: u64) -> Range<u64> {
        let Some(level) = self.levels.iter().position(|level| level.contains(&block)) else { return 0..0 };
        let below = level.checked_sub(1).map_or(0..self.data_blocks, |below| self.levels[below].clone());
        let first = below.start + (block - self.levels[level].start) * self.fan_out;
        first..below.end.min(first + self.fan_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Params;

    #[test]
    fn children_and_parents_belong_together() {
        // One block, one level, three levels of which the last blocks are not full.
        for (data_blocks, blocks) in [(1, 1), (5, 6), (16385, 16385 + 129 + 2 + 1)] {
            let params = Params::builder().data_blocks(data_blocks).build(u64::MAX).unwrap();
            let nodes = Nodes::new(&Layout::new(&params).unwrap());
            assert_eq!(nodes.end(), blocks);
            assert_eq!(nodes.parent(nodes.top()), Some(Parent::Root));
            assert_eq!(nodes.parent(blocks), None);
            assert!(nodes.children(0).is_empty() && nodes.children(blocks).is_empty());
            let mut with_parent = 0;
            for block in (0..blocks).filter(|&block| !nodes.is_data(block)) {
                for (slot, child) in nodes.children(block).enumerate() {
                    assert_eq!(nodes.parent(child), Some(Parent::Block(block, slot * 32)));
                    with_parent += 1;
                }
            }
            assert_eq!(with_parent, blocks - 1, "all but the top");
        }
    }
}
