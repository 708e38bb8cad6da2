//! Writing the hash tree.

use super::chunks::{Chunk, Content, UNIFORM_BYTES};
use super::level::{LevelHasher, root_hash};
use super::slots::as_usize;
use crate::error::Result;
use crate::format::Layout;
use crate::io::{Device, Reader};
use crate::memory;
use crate::value::RootHash;
use crate::work::{Progress, Work};

/// How many bytes are written at a time.
const WRITE_BYTES: usize = 1 << 20;

/// Writes every level of the tree over `data` to `hash` and returns the root hash. Both devices must hold their areas.
/// The level over the data is not computed if it is `known`.
pub(crate) fn create(
    layout: &Layout,
    (data, hash): (&Device<'_>, &Device<'_>),
    known: Option<&[u8]>,
    progress: &mut Progress,
    work: &Work<'_>,
) -> Result<RootHash> {
    let size = layout.params().hash_block_size();
    let mut uniform_digest = None;
    data.will_be_read_in_order();
    for (index, level) in layout.levels().iter().enumerate() {
        let hasher = LevelHasher::new(layout, index, (data, hash), uniform_digest, work);
        let uniform = hasher.uniform_hash_block()?;
        uniform_digest = Some(layout.params().hasher(size).digest(&uniform));
        let start = level.first_block * size.bytes();
        if let (0, Some(bytes)) = (index, known) {
            hash.write_out_at(bytes, start)?;
            continue;
        }
        let mut writer = Writer::new(hash, start, &uniform);
        hasher.run(
            Some(data.holes()),
            progress,
            |chunk, reader| {
                if chunk.content == Content::Uniform && hasher.is_whole(&chunk.blocks) {
                    let output = hasher.output(&chunk.blocks);
                    return Ok(Output::Uniform(as_usize(output.end - output.start)));
                }
                hasher.hash(chunk, reader).map(Output::Bytes)
            },
            |output| writer.add(output),
        )?;
        writer.flush()?;
    }
    root_hash(layout, (data, hash), progress, work)
}

/// Writes all levels above the one over the data, which is there already, and returns the root hash. There must be one.
pub(crate) fn create_above(
    layout: &Layout,
    hash: &Device<'_>,
    progress: &mut Progress,
    work: &Work<'_>,
) -> Result<RootHash> {
    for (index, level) in layout.levels().iter().enumerate().skip(1) {
        let hasher = LevelHasher::new(layout, index, (hash, hash), None, work);
        let mut writer = Writer::new(hash, level.first_block * layout.params().hash_block_size().bytes(), &[]);
        let examine = |chunk: &Chunk, reader: &mut Reader| hasher.hash(chunk, reader).map(Output::Bytes);
        hasher.run(None, progress, examine, |output| writer.add(output))?;
        writer.flush()?;
    }
    root_hash(layout, (hash, hash), progress, work)
}

/// The result for a chunk.
pub(super) enum Output {
    /// Bytes of the level.
    Bytes(Vec<u8>),
    /// This many bytes of hash blocks that are all over a hole.
    Uniform(usize),
}

/// Writes a level from the front to the back.
pub(super) struct Writer<'a> {
    device: &'a Device<'a>,
    position: u64,
    pending: Vec<u8>,
    uniform: &'a [u8],
    /// As many uniform hash blocks as are ever asked for at a time, from the first time on.
    uniform_blocks: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(device: &'a Device<'a>, position: u64, uniform: &'a [u8]) -> Self {
        Self { device, position, pending: Vec::new(), uniform, uniform_blocks: Vec::new() }
    }

    pub(super) fn add(&mut self, output: Output) -> Result<()> {
        match output {
            Output::Bytes(bytes) => {
                memory::reserve(&mut self.pending, bytes.len())?;
                self.pending.extend_from_slice(&bytes);
                if self.pending.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
            }
            Output::Uniform(len) => {
                self.flush()?;
                if self.uniform_blocks.is_empty() {
                    let count = (UNIFORM_BYTES / self.uniform.len()).max(1);
                    memory::reserve(&mut self.uniform_blocks, count * self.uniform.len())?;
                    (0..count).for_each(|_| self.uniform_blocks.extend_from_slice(self.uniform));
                }
                self.device.write_out_at(&self.uniform_blocks[..len], self.position)?;
                self.position += len as u64;
                Ok(())
            }
        }
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        if !self.pending.is_empty() {
            self.device.write_out_at(&self.pending, self.position)?;
            self.position += self.pending.len() as u64;
            self.pending.clear();
        }
        Ok(())
    }
}
