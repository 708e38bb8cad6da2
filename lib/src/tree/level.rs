//! One level of the hash tree: where its digests come from, and hashing it chunk by chunk.

use std::ops::Range;

use super::chunks::{Chunk, Chunks, Content};
use super::slots::{Slots, as_usize};
use super::source::Source;
use crate::error::Result;
use crate::format::Layout;
use crate::hash::BlockHasher;
use crate::io::{Device, Holes, Reader};
use crate::memory;
use crate::value::RootHash;
use crate::work::{Progress, Semaphore, Work, in_order};

/// Computes the hash blocks of one level.
pub(super) struct LevelHasher<'a> {
    pub(super) source: Source<'a>,
    pub(super) hasher: BlockHasher,
    pub(super) slots: Slots,
    /// The digest of blocks that cover nothing but a hole.
    pub(super) uniform_digest: Vec<u8>,
    pub(super) work: &'a Work<'a>,
    pub(super) permits: Semaphore,
}

impl<'a> LevelHasher<'a> {
    /// For level `index`. `uniform_digest` is the digest of the source's blocks that cover nothing but a hole; blocks
    /// of data are zeros then.
    pub(super) fn new(
        layout: &Layout,
        index: usize,
        (data, hash): (&'a Device<'a>, &'a Device<'a>),
        uniform_digest: Option<Vec<u8>>,
        work: &'a Work<'a>,
    ) -> Self {
        let source = Source::of_level(layout, index, data, hash);
        let hasher = layout.params().hasher(source.block_size);
        Self {
            uniform_digest: uniform_digest.unwrap_or_else(|| hasher.zero_digest().to_vec()),
            slots: Slots::new(layout, Some(source.blocks)),
            source,
            hasher,
            work,
            permits: Semaphore::new(work.hashing_threads()),
        }
    }

    /// Has several threads pass each chunk of the source to `examine`. The results go to `deliver` in order, and then
    /// count as done for `progress`. With `holes` these are the holes of the data.
    pub(super) fn run<T: Send>(
        &self,
        holes: Option<Holes<'_>>,
        progress: &mut Progress,
        examine: impl Fn(&Chunk, &mut Reader) -> Result<T> + Sync,
        mut deliver: impl FnMut(T) -> Result<()> + Send,
    ) -> Result<()> {
        let sizes = (self.slots.fan_out, self.slots.hash_block as u64);
        let mut chunks = Chunks::new(&self.source, sizes, holes, self.permits.count());
        let workers = chunks.workers();
        let next = || {
            self.work.check()?;
            Ok(chunks.next())
        };
        let examine = |reader: &mut Reader, chunk: Chunk| {
            let bytes = (chunk.blocks.end - chunk.blocks.start) * self.source.block_size.bytes();
            Ok((bytes, examine(&chunk, reader)?))
        };
        in_order(
            workers,
            next,
            || Ok(Reader::default()),
            examine,
            |(bytes, result)| {
                deliver(result)?;
                progress.done += bytes;
                self.work.report(*progress);
                Ok(())
            },
        )
    }

    /// Which bytes of the level come from these blocks of the source.
    pub(super) fn output(&self, blocks: &Range<u64>) -> Range<u64> {
        self.slots.output(blocks)
    }

    /// Whether these blocks result in whole hash blocks, full of digests.
    pub(super) fn is_whole(&self, blocks: &Range<u64>) -> bool {
        blocks.start.is_multiple_of(self.slots.fan_out) && blocks.end.is_multiple_of(self.slots.fan_out)
    }

    /// A hash block full of the digest of blocks over a hole.
    pub(super) fn uniform_hash_block(&self) -> Result<Vec<u8>> {
        self.slots.full_of(&self.uniform_digest)
    }

    /// The bytes of the level that come from a chunk.
    pub(super) fn hash(&self, chunk: &Chunk, reader: &mut Reader) -> Result<Vec<u8>> {
        let output = self.output(&chunk.blocks);
        let mut bytes = memory::zeroed(as_usize(output.end - output.start))?;
        match chunk.content {
            Content::Uniform => self.slots.for_each_hash_block(&chunk.blocks, &mut bytes, |blocks, digests| {
                for digest in digests.chunks_mut(self.slots.stride).take(as_usize(blocks.end - blocks.start)) {
                    digest[..self.uniform_digest.len()].copy_from_slice(&self.uniform_digest);
                }
            }),
            Content::Data { cold } => {
                let size = self.source.block_size.as_usize();
                let len = as_usize(chunk.blocks.end - chunk.blocks.start) * size;
                let data = reader.read(self.source.device, self.source.position(chunk.blocks.start), len, cold)?;
                let _permit = self.permits.take();
                self.slots.hash(&self.hasher, &chunk.blocks, data, &mut bytes);
            }
        }
        Ok(bytes)
    }
}

/// How many bytes of data and hash tree there are to be hashed.
pub(crate) fn total(layout: &Layout) -> u64 {
    layout.params().data_bytes() + layout.hash_blocks() * layout.params().hash_block_size().bytes()
}

/// The digest of the top hash block, or of the only data block if there is no level: the last step.
pub(super) fn root_hash(
    layout: &Layout,
    (data, hash): (&Device<'_>, &Device<'_>),
    progress: &mut Progress,
    work: &Work<'_>,
) -> Result<RootHash> {
    let source = Source::of_level(layout, layout.levels().len(), data, hash);
    let mut block = memory::zeroed(source.block_size.as_usize())?;
    source.device.read_at(&mut block, source.start)?;
    let digest = layout.params().hasher(source.block_size).digest(&block);
    progress.done += source.block_size.bytes();
    work.report(*progress);
    Ok(RootHash::new(digest))
}

/// The digest of the top hash block of a tree that has one.
pub(crate) fn top_digest(layout: &Layout, hash: &Device<'_>) -> Result<RootHash> {
    root_hash(layout, (hash, hash), &mut Progress { done: 0, total: 0 }, &Work::default())
}
