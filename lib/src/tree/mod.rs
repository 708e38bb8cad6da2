//! The hash tree: created in [`create`], checked in [`verify`]. Both go level by level from the data upwards with the same
//! [`LevelHasher`], whose [`Source`] is the data area for level 0, else the level below. A level is cut into [`pieces`],
//! which threads hash as they come ([`in_order`]); what is made of them keeps their order. Memory is bounded whatever
//! the image.

mod compute;
mod create;
mod permits;
mod pieces;
mod verify;
mod zeros;

pub(crate) use compute::compute;
pub(crate) use create::create;
pub(crate) use verify::verify;
pub use verify::{Failure, Verification};
pub(crate) use zeros::{must_be_zeros, zeros};

use std::ops::Range;

use crate::error::Result;
use crate::hash::BlockHasher;
use crate::in_order::in_order;
use crate::io::{Device, Holes, Reader};
use crate::layout::Layout;
use crate::memory;
use crate::params::RootHash;
use crate::units::BlockSize;
use crate::work::{Progress, Work};
use permits::Permits;
use pieces::{Content, Piece, Pieces};

/// Blocks whose digests make up one level.
struct Source<'a> {
    device: &'a Device,
    /// Where the first block starts on the device, in bytes.
    start: u64,
    block_size: BlockSize,
    blocks: u64,
    /// How many bytes of data lie below each block.
    span: u64,
    /// How many bytes of data there are.
    data_bytes: u64,
}

impl<'a> Source<'a> {
    /// What level `index` holds the digests of.
    fn of_level(layout: &Layout, index: usize, data: &'a Device, hash: &'a Device) -> Self {
        let params = layout.params();
        let data_block = params.data_block_size();
        let data_bytes = params.data_bytes();
        match index.checked_sub(1) {
            None => Self {
                device: data,
                start: 0,
                block_size: data_block,
                blocks: params.data_blocks(),
                span: data_block.bytes(),
                data_bytes,
            },
            Some(below) => {
                let level = layout.levels()[below];
                let block_size = params.hash_block_size();
                let start = level.first_block * block_size.bytes();
                let span = (0..index).fold(data_block.bytes(), |span, _| span.saturating_mul(layout.fan_out()));
                Self { device: hash, start, block_size, blocks: level.blocks, span, data_bytes }
            }
        }
    }

    /// Where block `index` starts on the device, in bytes.
    fn position(&self, index: u64) -> u64 {
        self.start + index * self.block_size.bytes()
    }

    /// The byte on the device behind the last block.
    fn end(&self) -> u64 {
        self.position(self.blocks)
    }
}

/// Computes the hash blocks of one level.
struct LevelHasher<'a> {
    source: Source<'a>,
    hasher: BlockHasher,
    fan_out: u64,
    stride: usize,
    hash_block: usize,
    /// The bytes of the level itself.
    bytes: u64,
    /// The digest of blocks that lie over nothing but a hole.
    uniform_digest: Vec<u8>,
    work: &'a Work<'a>,
    permits: Permits,
}

impl<'a> LevelHasher<'a> {
    /// For level `index`. `uniform_digest` is the digest of the source's blocks that lie over nothing but a hole; blocks
    /// of data are zeros then.
    fn new(
        layout: &Layout,
        index: usize,
        (data, hash): (&'a Device, &'a Device),
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
            permits: Permits::new(work.hashing_threads()),
        }
    }

    /// Has each piece of the source looked at by `examine`, by several threads at once; what it makes of them goes to
    /// `deliver` in order, and is done then for `progress`. With `holes` these are the holes of the data.
    fn run<T: Send>(
        &self,
        holes: Option<Holes<'_>>,
        progress: &mut Progress,
        examine: impl Fn(&Piece, &mut Reader) -> Result<T> + Sync,
        mut deliver: impl FnMut(T) -> Result<()> + Send,
    ) -> Result<()> {
        let mut pieces = Pieces::new(&self.source, (self.fan_out, self.hash_block as u64), holes, self.permits.count());
        let workers = pieces.workers();
        let next = || {
            self.work.check()?;
            Ok(pieces.next())
        };
        let examine = |reader: &mut Reader, piece: Piece| {
            let bytes = (piece.blocks.end - piece.blocks.start) * self.source.block_size.bytes();
            Ok((bytes, examine(&piece, reader)?))
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

    /// Which bytes of the level come of these blocks of the source. Behind the last digest of a hash block, what is
    /// spare belongs to that digest.
    fn output(&self, blocks: &Range<u64>) -> Range<u64> {
        let position = |block: u64| {
            if block == self.source.blocks {
                self.bytes
            } else {
                block / self.fan_out * self.hash_block as u64 + block % self.fan_out * self.stride as u64
            }
        };
        position(blocks.start)..position(blocks.end)
    }

    /// Whether what comes of these blocks are whole hash blocks, full of digests.
    fn is_whole(&self, blocks: &Range<u64>) -> bool {
        blocks.start.is_multiple_of(self.fan_out) && blocks.end.is_multiple_of(self.fan_out)
    }

    /// A hash block full of the digest of blocks over a hole.
    fn uniform_hash_block(&self) -> Result<Vec<u8>> {
        let mut block = memory::zeroed(self.hash_block)?;
        for digest in block.chunks_mut(self.stride).take(as_usize(self.fan_out)) {
            digest[..self.uniform_digest.len()].copy_from_slice(&self.uniform_digest);
        }
        Ok(block)
    }

    /// The bytes of the level that come of a piece.
    fn hash(&self, piece: &Piece, reader: &mut Reader) -> Result<Vec<u8>> {
        let output = self.output(&piece.blocks);
        let mut bytes = memory::zeroed(as_usize(output.end - output.start))?;
        match piece.content {
            Content::Uniform => self.for_each_hash_block(&piece.blocks, &mut bytes, |blocks, digests| {
                for digest in digests.chunks_mut(self.stride).take(as_usize(blocks.end - blocks.start)) {
                    digest[..self.uniform_digest.len()].copy_from_slice(&self.uniform_digest);
                }
            }),
            Content::Data { cold } => {
                let size = self.source.block_size.as_usize();
                let len = as_usize(piece.blocks.end - piece.blocks.start) * size;
                let data = reader.read(self.source.device, self.source.position(piece.blocks.start), len, cold)?;
                let _permit = self.permits.take();
                self.for_each_hash_block(&piece.blocks, &mut bytes, |blocks, digests| {
                    let from = as_usize(blocks.start - piece.blocks.start) * size;
                    let len = as_usize(blocks.end - blocks.start) * size;
                    self.hasher.hash_blocks(&data[from..from + len], digests, self.stride);
                });
            }
        }
        Ok(bytes)
    }

    /// Calls `each` with those of `blocks` whose digests lie in one hash block, and the part of `bytes` from their first
    /// digest to the end of what is theirs. `bytes` is what comes of all of `blocks`.
    fn for_each_hash_block(&self, blocks: &Range<u64>, bytes: &mut [u8], mut each: impl FnMut(Range<u64>, &mut [u8])) {
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

/// Lengths that a piece has fit the memory it is in.
fn as_usize(len: u64) -> usize {
    usize::try_from(len).expect("pieces are small")
}

/// How many bytes of data and hash tree there are to be hashed.
pub(crate) fn total(layout: &Layout) -> u64 {
    layout.params().data_bytes() + layout.hash_blocks() * layout.params().hash_block_size().bytes()
}

/// The digest of the top hash block, or of the only data block where there is no level: the last step.
fn root_hash(
    layout: &Layout,
    (data, hash): (&Device, &Device),
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
pub(crate) fn top_digest(layout: &Layout, hash: &Device) -> Result<RootHash> {
    root_hash(layout, (hash, hash), &mut Progress { done: 0, total: 0 }, &Work::default())
}
