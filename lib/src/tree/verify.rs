//! Checking data against a hash tree, and the tree against itself and a root hash.

use std::ops::Range;

use super::level::{LevelHasher, root_hash};
use super::slots::as_usize;
use crate::error::Result;
use crate::format::Layout;
use crate::io::Device;
use crate::memory;
use crate::value::RootHash;
use crate::work::{Progress, Work};

/// One thing that is wrong with an image. Positions are byte offsets on the device they name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A data block whose digest is not the one in level 0; the position is on the data device.
    DataBlock {
        /// Where the block starts.
        position: u64,
    },
    /// A hash block whose digest is not the one in the level above; the position is on the hash device.
    HashBlock {
        /// Where the block starts.
        position: u64,
    },
    /// Bytes of a hash block that hold no digest and are not zero; the position is on the hash device.
    SpareArea {
        /// Where the stretch that has to be zero starts.
        position: u64,
    },
}

/// What a check of an image found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    first: Vec<Failure>,
    /// How many of them are kept.
    most: usize,
    failures: u64,
    /// How many of them are about hash blocks.
    tree_failures: u64,
    /// Data blocks that are wrong, where the tree has the digest of zeros.
    zero_blocks: u64,
    root_hash_matches: bool,
}

impl Verification {
    /// How many failures are kept one by one; the others are counted.
    pub const KEPT: usize = 20;

    /// Nothing found yet.
    pub(crate) fn keeping(most: usize) -> Self {
        Self { first: Vec::new(), most, failures: 0, tree_failures: 0, zero_blocks: 0, root_hash_matches: false }
    }

    /// Whether data, tree and root hash all agree.
    pub fn is_good(&self) -> bool {
        self.failures == 0 && self.root_hash_matches
    }

    /// The first [`KEPT`](Self::KEPT) failures: data blocks in order, then each level upwards.
    pub fn first_failures(&self) -> &[Failure] {
        &self.first[..self.first.len().min(Self::KEPT)]
    }

    /// All failures, unless there are more than were to be kept.
    pub(crate) fn all_failures(&self) -> Option<&[Failure]> {
        (self.failures == self.first.len() as u64).then_some(&self.first)
    }

    /// How many failures there are in all.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Whether the digest of the top block is the root hash.
    pub fn root_hash_matches(&self) -> bool {
        self.root_hash_matches
    }

    /// Whether every hash block is right, so that the root hash proves every digest in them.
    pub fn proves_digests(&self) -> bool {
        self.tree_failures == 0 && (self.root_hash_matches || (self.zero_blocks == 1 && self.failures == 0))
    }

    /// How many wrong data blocks have to be zeros: the tree, all of it right, has the digest of zeros for them. An
    /// image that was written without its holes, over what was there before, has such blocks.
    /// [`write_zeros`](crate::write_zeros()) puts them right.
    pub fn zero_blocks(&self) -> u64 {
        if self.proves_digests() { self.zero_blocks } else { 0 }
    }

    fn add(&mut self, failure: Failure) {
        self.tree_failures += u64::from(!matches!(failure, Failure::DataBlock { .. }));
        if self.first.len() < self.most {
            self.first.push(failure);
        }
        self.failures += 1;
    }

    /// Appends later findings to these.
    pub(crate) fn append(&mut self, later: Self) {
        let room = self.most - self.first.len();
        self.first.extend(later.first.into_iter().take(room));
        self.failures += later.failures;
        self.tree_failures += later.tree_failures;
        self.zero_blocks += later.zero_blocks;
    }

    /// Sorts those that are kept.
    pub(super) fn sort_by_key(&mut self, key: impl FnMut(&Failure) -> u64) {
        self.first.sort_by_key(key);
    }
}

/// Checks every data block and every hash block, and keeps the first `most` failures. Both devices must hold their
/// areas.
pub(crate) fn verify(
    layout: &Layout,
    expected: &RootHash,
    (data, hash): (&Device<'_>, &Device<'_>),
    most: usize,
    progress: &mut Progress,
    work: &Work<'_>,
) -> Result<Verification> {
    data.will_be_read_in_order();
    hash.will_be_read_in_order();
    let found = Verification::keeping(most);
    verify_levels(0, layout, expected, (data, hash), found, progress, work)
}

/// Checks what the levels from `first` on are the digests of, and adds that to what was `found` below them.
pub(crate) fn verify_levels(
    first: usize,
    layout: &Layout,
    expected: &RootHash,
    (data, hash): (&Device<'_>, &Device<'_>),
    mut found: Verification,
    progress: &mut Progress,
    work: &Work<'_>,
) -> Result<Verification> {
    let most = found.most;
    for (index, level) in layout.levels().iter().enumerate().skip(first) {
        let hasher = LevelHasher::new(layout, index, (data, hash), None, work);
        let level_start = level.first_block * layout.params().hash_block_size().bytes();
        // Only holes in data need not be read: hash blocks are what is checked.
        let holes = (index == 0).then(|| data.holes());
        hasher.run(
            holes,
            progress,
            |chunk, reader| {
                let computed = hasher.hash(chunk, reader)?;
                let mut stored = memory::zeroed(computed.len())?;
                let start = hasher.output(&chunk.blocks).start;
                hash.read_at(&mut stored, level_start + start)?;
                let mut found = Verification::keeping(most);
                if stored != computed {
                    compare(&hasher, index, &chunk.blocks, level_start, (&stored, &computed), &mut found);
                }
                Ok(found)
            },
            |later| {
                found.append(later);
                Ok(())
            },
        )?;
    }
    found.root_hash_matches = root_hash(layout, (data, hash), progress, work)? == *expected;
    if layout.levels().is_empty() && !found.root_hash_matches {
        // The only data block's digest is the root hash itself.
        let params = layout.params();
        found.zero_blocks = u64::from(params.hasher(params.data_block_size()).zero_digest() == expected.as_bytes());
    }
    Ok(found)
}

/// Finds where the result of `blocks` of the source differs from what it has to be, in the order of its bytes.
/// `level_start` is the byte on the hash device where the level starts.
pub(super) fn compare(
    hasher: &LevelHasher<'_>,
    level: usize,
    blocks: &Range<u64>,
    level_start: u64,
    (stored, computed): (&[u8], &[u8]),
    found: &mut Verification,
) {
    let digest_size = hasher.hasher.digest_size();
    let first = hasher.output(blocks).start;
    let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
    for block in blocks.clone() {
        let output = hasher.output(&(block..block + 1));
        let digest = as_usize(output.start - first)..as_usize(output.start - first) + digest_size;
        if stored[digest.clone()] != computed[digest.clone()] {
            let position = hasher.source.position(block);
            found.zero_blocks += u64::from(level == 0 && stored[digest.clone()] == *hasher.hasher.zero_digest());
            found.add(if level == 0 { Failure::DataBlock { position } } else { Failure::HashBlock { position } });
        }
        // What follows a digest up to the next one, and up to the end of the hash block, has to be zero.
        let next_digest = digest.start + hasher.slots.stride;
        for spare in [digest.end..next_digest, next_digest..as_usize(output.end - first)] {
            if !is_zero(&stored[spare.clone()]) {
                found.add(Failure::SpareArea { position: level_start + first + spare.start as u64 });
            }
        }
    }
}
