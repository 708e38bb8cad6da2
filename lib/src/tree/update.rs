//! The hash blocks above changed data blocks: read and proven by the old root hash, given the new digests, and hashed
//! again up to the new root hash. Nothing is written.

use std::ops::Range;

use super::nodes::Parent;
use super::proven::ProvenTree;
use crate::error::{Area, Error, Result};
use crate::hash::BlockHasher;
use crate::io::{Device, Overlay};
use crate::memory;
use crate::value::RootHash;
use crate::work::{Progress, Work, ranges_in_order};

/// How much data is read at a time, unless one block is more.
const PIECE: u64 = 256 << 10;

/// What differs from the old tree.
#[derive(Debug)]
pub(crate) struct Updated {
    /// The hash blocks with other contents than before.
    pub(crate) blocks: Overlay,
    /// The data blocks with other contents than before, in order.
    pub(crate) data: Vec<Range<u64>>,
    pub(crate) root_hash: RootHash,
}

impl Updated {
    /// Whether a block of data or of the tree has other contents than before.
    pub(crate) fn is_changed(&self, number: u64) -> bool {
        let index = self.data.partition_point(|range| range.end <= number);
        self.blocks.has(number) || self.data.get(index).is_some_and(|range| range.contains(&number))
    }
}

/// The same numbers in ranges that are in order and apart.
pub(crate) fn merged(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut found: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match found.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => found.push(range),
        }
    }
    found
}

/// Hashes the data blocks in `changed`, which are in order and apart, and the blocks above them.
///
/// # Errors
/// [`Error::WrongRoot`] and [`Error::Unproven`] for what the old root hash does not prove.
pub(crate) fn update(
    tree: &ProvenTree<'_>,
    data: &Device<'_>,
    changed: &[Range<u64>],
    progress: &mut Progress,
    work: &Work<'_>,
) -> Result<Updated> {
    let params = tree.layout().params();
    let mut above = Above::new(tree);
    if tree.layout().levels().is_empty() {
        return only_block(tree, data, changed);
    }
    // Without any change the root hash has to be right too.
    tree.block(tree.nodes().top())?;
    let hasher = params.hasher(params.data_block_size());
    let size = hasher.block_size().bytes();
    let mut pieces = Pieces { left: changed.iter().cloned(), now: 0..0, most: (PIECE / size).max(1) };
    let mut next = || {
        work.check()?;
        Ok(pieces.next())
    };
    let examine = |blocks: Range<u64>| {
        let len = usize::try_from((blocks.end - blocks.start) * size).expect("a piece fits memory");
        let mut bytes = memory::zeroed(len)?;
        data.read_at(&mut bytes, blocks.start * size)?;
        let mut digests = vec![0; len / hasher.block_size().as_usize() * hasher.digest_size()];
        hasher.hash_blocks(&bytes, &mut digests, hasher.digest_size());
        Ok(digests)
    };
    let mut found: Vec<Range<u64>> = Vec::new();
    let mut deliver = |blocks: Range<u64>, digests: Vec<u8>| {
        progress.done += (blocks.end - blocks.start) * size;
        for (block, digest) in blocks.zip(digests.chunks_exact(hasher.digest_size())) {
            if above.set(block, digest)? {
                match found.last_mut() {
                    Some(last) if last.end == block => last.end += 1,
                    _ => found.push(block..block + 1),
                }
            }
        }
        work.report(*progress);
        Ok(())
    };
    ranges_in_order(work.hashing_threads(), &mut next, &examine, &mut deliver)?;
    let (blocks, root_hash) = above.finish()?;
    Ok(Updated { blocks, data: found, root_hash })
}

/// The only data block, whose digest is the root hash.
fn only_block(tree: &ProvenTree<'_>, data: &Device<'_>, changed: &[Range<u64>]) -> Result<Updated> {
    let params = tree.layout().params();
    let hasher = params.hasher(params.data_block_size());
    let mut block = memory::zeroed(hasher.block_size().as_usize())?;
    data.read_at(&mut block, 0)?;
    let root_hash = RootHash::new(hasher.digest(&block));
    let is_changed = root_hash != *tree.root_hash();
    if is_changed && changed.is_empty() {
        return Err(Error::Unproven { area: Area::Data, path: data.path().to_owned(), position: 0 });
    }
    let data = Vec::from_iter(is_changed.then_some(0..1));
    Ok(Updated { blocks: Overlay::new(params.hash_block_size().as_usize()), data, root_hash })
}

/// Ranges, cut into pieces.
struct Pieces<I> {
    left: I,
    now: Range<u64>,
    most: u64,
}

impl<I: Iterator<Item = Range<u64>>> Pieces<I> {
    fn next(&mut self) -> Option<Range<u64>> {
        while self.now.is_empty() {
            self.now = self.left.next()?;
        }
        let piece = self.now.start..self.now.end.min(self.now.start + self.most);
        self.now.start = piece.end;
        Some(piece)
    }
}

/// The hash blocks above what has changed. Digests come in the order of their blocks.
struct Above<'a> {
    tree: &'a ProvenTree<'a>,
    hasher: BlockHasher,
    blocks: Overlay,
    /// Those of the level that is being made, in order.
    level: Vec<u64>,
    /// The block that digests are put into now, and whether one of them is another than before.
    now: Option<(u64, Vec<u8>, bool)>,
}

impl<'a> Above<'a> {
    fn new(tree: &'a ProvenTree<'a>) -> Self {
        let size = tree.layout().params().hash_block_size();
        let hasher = tree.layout().params().hasher(size);
        Self { tree, hasher, blocks: Overlay::new(size.as_usize()), level: Vec::new(), now: None }
    }

    /// Puts a block's digest into its parent; returns whether it is another one than before.
    fn set(&mut self, number: u64, digest: &[u8]) -> Result<bool> {
        let Some(Parent::Block(parent, at)) = self.tree.nodes().parent(number) else { return Ok(false) };
        if self.now.as_ref().is_none_or(|(now, ..)| *now != parent) {
            self.put_away()?;
            self.now = Some((parent, self.tree.block(parent)?.to_vec(), false));
        }
        let Some((_, block, is_changed)) = &mut self.now else { return Ok(false) };
        let place = &mut block[at..at + digest.len()];
        let differs = *place != *digest;
        place.copy_from_slice(digest);
        *is_changed |= differs;
        Ok(differs)
    }

    fn put_away(&mut self) -> Result<()> {
        if let Some((number, block, true)) = self.now.take() {
            self.blocks.add(number, &block)?;
            self.level.push(number);
        }
        Ok(())
    }

    /// Makes the levels above the first one, and the root hash.
    fn finish(mut self) -> Result<(Overlay, RootHash)> {
        self.put_away()?;
        let top = self.tree.nodes().top();
        let mut below = std::mem::take(&mut self.level);
        while below.iter().any(|&number| number != top) {
            for number in below {
                let digest = self.hasher.digest(&self.blocks.read(number)?);
                self.set(number, &digest)?;
            }
            self.put_away()?;
            below = std::mem::take(&mut self.level);
        }
        let root_hash = if self.blocks.has(top) {
            RootHash::new(self.hasher.digest(&self.blocks.read(top)?))
        } else {
            self.tree.root_hash().clone()
        };
        Ok((self.blocks, root_hash))
    }
}

/// The tree after the update, against which blocks are compared that are read for something else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpdatedTree<'a> {
    pub(crate) old: &'a ProvenTree<'a>,
    pub(crate) updated: &'a Updated,
}

impl UpdatedTree<'_> {
    /// The first of these adjacent blocks of data or tree, whose sizes are the same, that is not as the tree says.
    /// Blocks after the tree are not looked at.
    ///
    /// # Errors
    /// Those of [`ProvenTree::block`].
    pub(crate) fn first_wrong(&self, hasher: &BlockHasher, first: u64, bytes: &[u8]) -> Result<Option<u64>> {
        let size = hasher.digest_size();
        let mut digests = vec![0; bytes.len() / hasher.block_size().as_usize() * size];
        hasher.hash_blocks(bytes, &mut digests, size);
        let mut parent: Option<(u64, Vec<u8>)> = None;
        for (number, digest) in (first..).zip(digests.chunks_exact(size)) {
            let is_right = match self.old.nodes().parent(number) {
                None => break,
                Some(Parent::Root) => digest == self.updated.root_hash.as_bytes(),
                Some(Parent::Block(above, at)) => {
                    let block = match parent.take() {
                        Some((number, block)) if number == above => block,
                        _ => self.block(above)?,
                    };
                    let is_right = block[at..at + size] == *digest;
                    parent = Some((above, block));
                    is_right
                }
            };
            if !is_right {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    fn block(&self, number: u64) -> Result<Vec<u8>> {
        let blocks = &self.updated.blocks;
        if blocks.has(number) { blocks.read(number) } else { Ok(self.old.block(number)?.to_vec()) }
    }
}
