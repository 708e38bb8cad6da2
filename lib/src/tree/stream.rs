//! Hashing data that come as a stream: how many blocks there are is known only when it ends.
//!
//! The thread that reads a piece hashes it right away, while it is in the processor's own cache.

use super::create::{Output, Writer};
use super::fold::Fold;
use super::slots::{Slots, as_usize};
use crate::error::Result;
use crate::format::Layout;
use crate::hash::{BlockHasher, is_zero};
use crate::io::{Buffers, Device, Piece, Stream};
use crate::memory;
use crate::value::RootHash;
use crate::work::{Progress, Work};

/// How much is copied at a time.
const COPIED: u64 = 1 << 20;

/// Something that is shown data and their position, by several threads.
pub(crate) type Look<'a> = dyn Fn(u64, &[u8]) + Sync + 'a;

/// What is done with the data of a stream besides hashing them.
pub(crate) struct Passing<'a> {
    /// How they are hashed, as the layout of an image of any number of blocks says it.
    pub(crate) layout: &'a Layout,
    /// Whether zeros complete the last block; if not, a part of a block is left out.
    pub(crate) pads: bool,
    /// Where a copy goes.
    pub(crate) copy: Option<&'a Device<'a>>,
    /// Is shown all of them.
    pub(crate) look: Option<&'a Look<'a>>,
}

/// Data that have been hashed.
#[derive(Debug)]
pub(crate) struct Passed {
    /// The length of the stream.
    pub(crate) bytes: u64,
    /// How many blocks were hashed.
    pub(crate) blocks: u64,
    /// The digest of the first one.
    first_digest: Vec<u8>,
}

impl Passed {
    /// The root hash of an image of one block.
    pub(crate) fn root_hash_of_one(self) -> RootHash {
        RootHash::new(self.first_digest)
    }
}

impl Passing<'_> {
    /// Stores the level over the data on a device from a position on, in whole hash blocks.
    pub(crate) fn store(
        &self,
        stream: Stream<'_>,
        (device, position): (&Device<'_>, u64),
        progress: &mut Progress,
        work: &Work<'_>,
    ) -> Result<Passed> {
        let mut writer = Writer::new(device, position, &[]);
        let mut stored = 0;
        let passed = self.run(stream, progress, work, |bytes| {
            stored += bytes.len();
            writer.add(Output::Bytes(bytes))
        })?;
        // The digests of the last block are followed by zeros.
        let hash_block = self.layout.params().hash_block_size().as_usize();
        let rest = memory::zeroed(stored.next_multiple_of(hash_block) - stored)?;
        writer.add(Output::Bytes(rest))?;
        writer.flush()?;
        Ok(passed)
    }

    /// Makes the root hash and stores nothing; `None` if there is no whole block.
    pub(crate) fn reduce(
        &self,
        stream: Stream<'_>,
        progress: &mut Progress,
        work: &Work<'_>,
    ) -> Result<(u64, Option<RootHash>)> {
        let mut fold = Fold::new(self.layout);
        let passed = self.run(stream, progress, work, |bytes| fold.add(&bytes))?;
        let bytes = passed.bytes;
        let root_hash = match passed.blocks {
            0 => None,
            1 => Some(passed.root_hash_of_one()),
            _ => Some(fold.finish()?),
        };
        Ok((bytes, root_hash))
    }

    /// Passes the bytes of the level to `deliver`, in order.
    fn run(
        &self,
        mut stream: Stream<'_>,
        progress: &mut Progress,
        work: &Work<'_>,
        mut deliver: impl FnMut(Vec<u8>) -> Result<()> + Send,
    ) -> Result<Passed> {
        let params = self.layout.params();
        let hasher = params.hasher(params.data_block_size());
        let slots = Slots::new(self.layout, None);
        let examine = |mut piece: Piece, buffers: &Buffers| {
            let digests = self.digests(&mut piece, (&hasher, &slots));
            buffers.give_back(piece);
            digests
        };
        let (mut blocks, mut first_digest) = (0, Vec::new());
        let digest_size = hasher.digest_size();
        let deliver = |(count, bytes): (u64, Vec<u8>), _: &Buffers| {
            if blocks == 0 && count > 0 {
                first_digest.extend_from_slice(&bytes[..digest_size]);
            }
            blocks += count;
            deliver(bytes)?;
            progress.done += count * params.data_block_size().bytes();
            work.report(*progress);
            Ok(())
        };
        stream.for_each_piece(params.data_block_size().as_usize(), work, examine, deliver)?;
        Ok(Passed { bytes: stream.position(), blocks, first_digest })
    }

    /// How many blocks a piece has, and their bytes of the level.
    fn digests(&self, piece: &mut Piece, (hasher, slots): (&BlockHasher, &Slots)) -> Result<(u64, Vec<u8>)> {
        let Piece { position, ref mut bytes, len } = *piece;
        if let Some(look) = self.look {
            look(position, &bytes[..len]);
        }
        if let Some(copy) = self.copy {
            copy.check_extensible_to(position + len as u64)?;
            // A file that was just made is zeros there anyway.
            if !copy.can_grow() || !is_zero(&bytes[..len]) {
                copy.write_out_at(&bytes[..len], position)?;
            }
        }
        let block = hasher.block_size().as_usize();
        let count = if self.pads { len.div_ceil(block) } else { len / block };
        if count * block > len {
            bytes[len..count * block].fill(0);
        }
        let first = position / block as u64;
        let blocks = first..first + count as u64;
        let output = slots.output(&blocks);
        let mut level = memory::zeroed(as_usize(output.end - output.start))?;
        slots.hash(hasher, &blocks, &bytes[..count * block], &mut level);
        Ok((count as u64, level))
    }
}

/// Copies the first bytes of a device, such as a stored level, to a position of another one.
pub(crate) fn copy(from: &Device<'_>, bytes: u64, (to, position): (&Device<'_>, u64), work: &Work<'_>) -> Result<()> {
    let mut buffer = memory::zeroed(as_usize(COPIED.min(bytes)))?;
    let mut done = 0;
    while done < bytes {
        work.check()?;
        let part = &mut buffer[..as_usize(COPIED.min(bytes - done))];
        from.read_at(part, done)?;
        to.write_out_at(part, position + done)?;
        done += part.len() as u64;
    }
    Ok(())
}
