//! Checking data against a hash tree, and the tree against itself and a root hash.

use super::{LevelHasher, Source, root_hash};
use crate::error::Result;
use crate::io::Device;
use crate::layout::Layout;
use crate::params::RootHash;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    first: Vec<Failure>,
    failures: u64,
    root_hash_matches: bool,
}

impl Verification {
    /// How many failures are kept one by one; the others are counted.
    pub const KEPT: usize = 20;

    /// Whether data, tree and root hash all agree.
    pub fn is_good(&self) -> bool {
        self.failures == 0 && self.root_hash_matches
    }

    /// The first [`KEPT`](Self::KEPT) failures: data blocks in order, then each level upwards.
    pub fn first_failures(&self) -> &[Failure] {
        &self.first
    }

    /// How many failures there are in all.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Whether the digest of the top block is the root hash.
    pub fn root_hash_matches(&self) -> bool {
        self.root_hash_matches
    }

    fn add(&mut self, failure: Failure) {
        if self.first.len() < Self::KEPT {
            self.first.push(failure);
        }
        self.failures += 1;
    }
}

/// Checks every data block and every hash block. Both devices must hold their areas.
pub(crate) fn verify(layout: &Layout, expected: &RootHash, data: &Device, hash: &Device) -> Result<Verification> {
    let mut found = Verification::default();
    let size = layout.params().hash_block_size().as_usize();
    let (mut stored, mut computed) = (vec![0; size], vec![0; size]);
    for (index, level) in layout.levels().iter().enumerate() {
        let mut hasher = LevelHasher::new(layout, Source::of_level(layout, index, data, hash));
        for block in 0..level.blocks {
            let position = (level.first_block + block) * size as u64;
            hash.read_at(&mut stored, position)?;
            hasher.hash_block(block, &mut computed)?;
            if stored != computed {
                compare(&hasher, index, block, (&stored, &computed), position, &mut found);
            }
        }
    }
    found.root_hash_matches = root_hash(layout, data, hash)? == *expected;
    Ok(found)
}

/// Finds out where hash block `block` at `position` differs from what it has to be, in the order of its bytes.
fn compare(
    hasher: &LevelHasher<'_>,
    level: usize,
    block: u64,
    (stored, computed): (&[u8], &[u8]),
    position: u64,
    found: &mut Verification,
) {
    let digest_size = hasher.hasher.digest_size();
    let mut spare_from = 0;
    let first_child = block * hasher.fan_out;
    for child in 0..hasher.children(block) {
        let start = spare_from;
        if stored[start..start + digest_size] != computed[start..start + digest_size] {
            let position = hasher.source.position(first_child + child);
            found.add(if level == 0 { Failure::DataBlock { position } } else { Failure::HashBlock { position } });
        }
        let padding = start + digest_size..start + hasher.stride;
        if stored[padding.clone()].iter().any(|&byte| byte != 0) {
            found.add(Failure::SpareArea { position: position + padding.start as u64 });
        }
        spare_from = start + hasher.stride;
    }
    if stored[spare_from..].iter().any(|&byte| byte != 0) {
        found.add(Failure::SpareArea { position: position + spare_from as u64 });
    }
}
