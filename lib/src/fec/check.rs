//! Checks the hash tree and the parity of an image in one pass: the data are read once, column by column, and hashed
//! and encoded while a processor still has them in its cache.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::columns::Columns;
use crate::error::Result;
use crate::fec::Areas;
use crate::fec::encode::{Buffers, COLUMNS, Encoder, width};
use crate::fec::one_pass::runs;
use crate::fec::repair::MOST_FAILURES;
use crate::fec::source::What;
use crate::format::{FecArea, Layout};
use crate::memory;
use crate::tree::{self, Leaves, Verification};
use crate::value::{BlockSize, RootHash};
use crate::work::{Progress, Work, in_order};

/// How much memory all threads may need where the page cache is not bypassed.
const MOST_SCRATCH: usize = 24 << 20;

/// An image of which less than one byte in so many is data, and the rest holes, is checked faster in two passes.
const HOLES: u64 = 8;

/// What was found before anything was corrected.
#[derive(Debug)]
pub(crate) struct Checked {
    /// What the hash tree says.
    pub(crate) verification: Verification,
    /// Columns whose parity may be wrong. That of all others fits the blocks as they are.
    pub(crate) suspects: Columns,
}

impl Checked {
    /// What was found without a look at the parity.
    pub(crate) fn of_tree(verification: Verification, layout: &Layout, area: &FecArea) -> Self {
        let columns = area.rounds * layout.params().hash_block_size().bytes();
        Self { verification, suspects: Columns::from(0..columns) }
    }
}

/// The result for some columns.
struct Piece {
    columns: Range<u64>,
    /// What is wrong with the data.
    data: Verification,
    bytes_hashed: u64,
    /// Those whose parity is not that of the blocks.
    suspects: Vec<Range<u64>>,
}

/// Checks everything in one pass; `None` if two passes are better, or a single one that only hashes, because little is
/// right. What was done by then is in `progress`. The columns that are suspects are not counted as done.
pub(crate) fn check(
    image: &Areas<'_>,
    root_hash: &RootHash,
    progress: &mut Progress,
    work: &Work<'_>,
) -> Result<Option<Checked>> {
    let encoder = Encoder::new(image);
    if !is_worth_it(image, &encoder, work) || tree::top_digest(image.layout, image.hash)? != *root_hash {
        return Ok(None);
    }
    let pass = Pass { image, encoder: &encoder, leaves: Leaves::new(image.layout, (image.data, image.hash), work) };
    let hopeless = AtomicBool::new(false);
    let all = encoder.all_columns();
    let mut stretches = encoder.stretches(&all, work);
    let next = || if hopeless.load(Ordering::Relaxed) { Ok(None) } else { stretches() };
    let mut checked = Checked { verification: Verification::keeping(MOST_FAILURES), suspects: Columns::default() };
    let scratch = || encoder.scratch(encoder.at_a_time);
    in_order(
        workers(&encoder, &all, work),
        next,
        scratch,
        |scratch, columns| {
            let piece = pass.examine(columns, scratch)?;
            if piece.data.failures() > pass.most_failures(&piece.columns) {
                hopeless.store(true, Ordering::Relaxed);
            }
            Ok(piece)
        },
        |piece| {
            checked.verification.append(piece.data);
            if checked.verification.all_failures().is_none() {
                hopeless.store(true, Ordering::Relaxed);
            }
            for columns in piece.suspects {
                checked.suspects.push(columns, encoder.columns);
            }
            let right = width(&piece.columns) as u64 - checked.suspects.count_in(&piece.columns);
            progress.done += piece.bytes_hashed + encoder.bytes_in(right);
            work.report(*progress);
            Ok(())
        },
    )?;
    if hopeless.into_inner() {
        return Ok(None);
    }
    pass.leaves.sort(&mut checked.verification);
    let Checked { verification, suspects } = checked;
    let devices = (image.data, image.hash);
    let verification = tree::verify_levels(1, image.layout, root_hash, devices, verification, progress, work)?;
    Ok(Some(Checked { verification, suspects }))
}

fn is_worth_it(image: &Areas<'_>, encoder: &Encoder<'_>, work: &Work<'_>) -> bool {
    let params = image.layout.params();
    let memory = work.hashing_threads().saturating_mul(encoder.scratch_bytes());
    let is_fast = (encoder.covered.is_cold() || memory <= MOST_SCRATCH)
        && encoder.covered.bytes_of_data() > params.data_bytes() / HOLES;
    is_fast && !image.layout.levels().is_empty() && COLUMNS.is_multiple_of(params.data_block_size().as_usize())
}

/// How many threads work on it: as many as hash elsewhere, or, around the page cache, as encode elsewhere.
fn workers(encoder: &Encoder<'_>, columns: &Columns, work: &Work<'_>) -> usize {
    if encoder.covered.is_cold() {
        return encoder.workers(columns, work);
    }
    columns.stretches(encoder.at_a_time as u64).take(work.hashing_threads()).count()
}

struct Pass<'a> {
    image: &'a Areas<'a>,
    encoder: &'a Encoder<'a>,
    leaves: Leaves<'a>,
}

impl Pass<'_> {
    fn block(&self) -> BlockSize {
        self.image.layout.params().data_block_size()
    }

    /// With more failures than this in some columns, an image is likely to be beyond correction: the columns have
    /// blocks of all of it.
    fn most_failures(&self, columns: &Range<u64>) -> u64 {
        2 * self.encoder.code.roots() as u64 * (columns.end - columns.start) / self.block().bytes()
    }

    fn examine(&self, columns: Range<u64>, scratch: &mut Buffers) -> Result<Piece> {
        let Self { image, encoder, leaves } = self;
        let (roots, block) = (encoder.code.roots(), self.block());
        let mut data = Verification::keeping(usize::MAX);
        let mut bytes_hashed = 0;
        scratch.parity.clear();
        let (rows, Buffers { input, parity, .. }) = (0..encoder.code.data_symbols(), &mut *scratch);
        encoder.add(rows, (&columns, What::All), input, parity, |first, batch| {
            let runs = runs(encoder, block.bytes(), &columns, (first, batch));
            bytes_hashed += runs.iter().map(|run| (run.blocks.end - run.blocks.start) * block.bytes()).sum::<u64>();
            data.append(leaves.check(&runs)?);
            Ok(())
        })?;
        let computed = encoder.finish(width(&columns), scratch);
        let mut stored = memory::zeroed(computed.len())?;
        image.fec.read_at(&mut stored, image.area.bytes.start + columns.start * roots as u64)?;
        let mut suspects = Vec::new();
        if stored != computed {
            let round = block.as_usize() * roots;
            let pairs = stored.chunks(round).zip(computed.chunks(round));
            let rounds = (columns.start..columns.end).step_by(block.as_usize());
            let wrong = rounds.zip(pairs).filter(|(_, (stored, computed))| stored != computed);
            suspects.extend(wrong.map(|(start, _)| start..start + block.bytes()));
        }
        Ok(Piece { columns, data, bytes_hashed, suspects })
    }
}

#[cfg(test)]
mod tests;
