//! One level of the hash tree: where its digests come from, and hashing it chunk by chunk.

use std::ops::Range;

use super::chunks::{Chunk, Chunks, Content};
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
    pub(super) fan_out: u64,
    pub(super) stride: usize,
    pub(super) hash_block: usize,
    /// The bytes of the level itself.
    pub(super) bytes: u64,
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
        let hash_block = layout.params().hash_block_size();
        Self {
            uniform_digest: uniform_digest.unwrap_or_else(|| hasher.zero_digest().to_vec()),
            source,
            hasher,
            fan_out: layout.fan_out(),
            stride: layout.digest_stride(),
            hash_block: hash_block.as_usize(),
            bytes: layout.levels()[index].blocks * hash_block.bytes(),
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
        let mut chunks = Chunks::new(&self.source, (self.fan_out, self.hash_block as u64), holes, self.permits.count());
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

    /// Which bytes of the level come from these blocks of the source. After the last digest of a hash block, the spare
    /// bytes belong to that digest.
    pub(super) fn output(&self, blocks: &Range<u64>) -> Range<u64> {
        let position = |block: u64| {
            if block == self.source.blocks {
                self.bytes
            } else {
                block / self.fan_out * self.hash_block as u64 + block % self.fan_out * self.stride as u64
            }
        };
        position(blocks.start)..position(blocks.end)
    }

    /// Whether these blocks result in whole hash blocks, full of digests.
    pub(super) fn is_whole(&self, blocks: &Range<u64>) -> bool {
        blocks.start.is_multiple_of(self.fan_out) && blocks.end.is_multiple_of(self.fan_out)
    }

    /// A hash block full of the digest of blocks over a hole.
    pub(super) fn uniform_hash_block(&self) -> Result<Vec<u8>> {
        let mut block = memory::zeroed(self.hash_block)?;
        for digest in block.chunks_mut(self.stride).take(as_usize(self.fan_out)) {
            digest[..self.uniform_digest.len()].copy_from_slice(&self.uniform_digest);
        }
        Ok(block)
    }

    /// The bytes of the level that come from a chunk.
    pub(super) fn hash(&self, chunk: &Chunk, reader: &mut Reader) -> Result<Vec<u8>> {
        let output = self.output(&chunk.blocks);
        let mut bytes = memory::zeroed(as_usize(output.end - output.start))?;
        match chunk.content {
            Content::Uniform => self.for_each_hash_block(&chunk.blocks, &mut bytes, |blocks, digests| {
                for digest in digests.chunks_mut(self.stride).take(as_usize(blocks.end - blocks.start)) {
                    digest[..self.uniform_digest.len()].copy_from_slice(&self.uniform_digest);
                }
            }),
            Content::Data { cold } => {
                let size = self.source.block_size.as_usize();
                let len = as_usize(chunk.blocks.end - chunk.blocks.start) * size;
                let data = reader.read(self.source.device, self.source.position(chunk.blocks.start), len, cold)?;
                let _permit = self.permits.take();
                self.for_each_hash_block(&chunk.blocks, &mut bytes, |blocks, digests| {
                    let from = as_usize(blocks.start - chunk.blocks.start) * size;
                    let len = as_usize(blocks.end - blocks.start) * size;
                    self.hasher.hash_blocks(&data[from..from + len], digests, self.stride);
                });
            }
        }
        Ok(bytes)
    }

    /// Calls `each` with those of `blocks` whose digests are in one hash block, and with the part of `bytes` from their
    /// first digest to the end of their bytes. `bytes` is the result of all of `blocks`.
    pub(super) fn for_each_hash_block(
        &self,
        blocks: &Range<u64>,
        bytes: &mut [u8],
        mut each: impl FnMut(Range<u64>, &mut [u8]),
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
}

/// Lengths that a chunk has fit the memory it is in.
pub(super) fn as_usize(len: u64) -> usize {
    usize::try_from(len).expect("chunks are small")
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
