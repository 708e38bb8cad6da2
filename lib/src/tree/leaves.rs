//! Digests of data blocks that are read in another order than from the front to the back.

use std::ops::Range;

use super::level::LevelHasher;
use super::slots::as_usize;
use super::verify::{Failure, Verification, compare};
use crate::error::Result;
use crate::format::Layout;
use crate::io::Device;
use crate::memory;
use crate::work::Work;

/// Adjacent data blocks, and their bytes, or none if they are zeros.
pub(crate) struct Run<'b> {
    pub(crate) blocks: Range<u64>,
    pub(crate) bytes: Option<&'b [u8]>,
}

/// Hashes data blocks into the level above them, of which there must be one, or compares them with it.
pub(crate) struct Leaves<'a> {
    level: LevelHasher<'a>,
    hash: &'a Device<'a>,
    /// Where the level starts on the hash device, in bytes.
    start: u64,
}

impl<'a> Leaves<'a> {
    pub(crate) fn new(layout: &Layout, (data, hash): (&'a Device<'a>, &'a Device<'a>), work: &'a Work<'a>) -> Self {
        let start = layout.levels()[0].first_block * layout.params().hash_block_size().bytes();
        Self { level: LevelHasher::new(layout, 0, (data, hash), None, work), hash, start }
    }

    /// Which bytes of the level come from these blocks.
    pub(crate) fn output(&self, blocks: &Range<u64>) -> Range<u64> {
        self.level.output(blocks)
    }

    /// The bytes of the level that come from each run. The more runs at a time, the faster.
    pub(crate) fn hash(&self, runs: &[Run<'_>]) -> Result<Vec<Vec<u8>>> {
        let LevelHasher { hasher, slots, .. } = &self.level;
        let room = |run: &Run<'_>| {
            let output = self.output(&run.blocks);
            memory::zeroed(as_usize(output.end - output.start))
        };
        let mut level = runs.iter().map(room).collect::<Result<Vec<_>>>()?;
        let mut pairs = Vec::new();
        for (run, bytes) in runs.iter().zip(&mut level) {
            let mut blocks = run.bytes.map(|bytes| bytes.chunks_exact(hasher.block_size().as_usize()));
            slots.for_each_hash_block(&run.blocks, bytes, |part, digests| {
                for slot in digests.chunks_mut(slots.stride).take(as_usize(part.end - part.start)) {
                    let digest = &mut slot[..hasher.digest_size()];
                    match blocks.as_mut().map(|blocks| blocks.next().expect("the bytes of all blocks")) {
                        Some(block) => pairs.push((block, digest)),
                        None => digest.copy_from_slice(hasher.zero_digest()),
                    }
                }
            });
        }
        let _permit = self.level.permits.take();
        hasher.hash_each(pairs.into_iter());
        Ok(level)
    }

    /// Compares blocks with the digests on the hash device.
    pub(crate) fn check(&self, runs: &[Run<'_>]) -> Result<Verification> {
        let mut found = Verification::keeping(usize::MAX);
        for (run, computed) in runs.iter().zip(self.hash(runs)?) {
            let mut stored = memory::zeroed(computed.len())?;
            self.hash.read_at(&mut stored, self.start + self.output(&run.blocks).start)?;
            if stored != computed {
                compare(&self.level, 0, &run.blocks, self.start, (&stored, &computed), &mut found);
            }
        }
        Ok(found)
    }

    /// Puts what is wrong with data blocks into the order in which a check from the front to the back finds it.
    pub(crate) fn sort(&self, found: &mut Verification) {
        let place = |failure: &Failure| match *failure {
            Failure::DataBlock { position } => {
                let block = position / self.level.source.block_size.bytes();
                self.output(&(block..block + 1)).start
            }
            Failure::HashBlock { position } | Failure::SpareArea { position } => position - self.start,
        };
        found.sort_by_key(place);
    }
}
