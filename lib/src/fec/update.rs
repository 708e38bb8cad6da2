//! New parity where blocks have changed. Only the rounds that have such a block are touched, in one of two ways:
//!
//! - Parity is linear: what is added to a block adds its own parity to that of the round. This needs the old contents
//!   of each changed block, and reads nothing else. Parity that was wrong before stays wrong.
//! - Where the old contents of a data block are not known, the round is encoded anew, from all of its blocks. Each of
//!   them has to be as the new tree says: a wrong block that went into the parity could never be corrected again.
//!
//! The old contents of hash blocks are always known: they are on the hash device until the new ones are written.

use std::ops::Range;

use crate::error::{Area, Error, Result};
use crate::fec::Areas;
use crate::fec::encode::{Buffers, COLUMNS, Encoder, width};
use crate::fec::source::What;
use crate::hash::BlockHasher;
use crate::io::{Device, Overlay};
use crate::memory;
use crate::tree::{UpdatedTree, merged};
use crate::work::{Progress, Work, ranges_in_order};

/// How many bytes of parity a round has.
pub(crate) fn round_bytes(image: &Areas<'_>) -> usize {
    let params = image.layout.params();
    params.hash_block_size().as_usize() * params.fec().map_or(0, |fec| fec.roots as usize)
}

/// The parity of all rounds in which a block has changed, by their numbers. Nothing is written. With `old_data` the
/// difference is enough everywhere.
///
/// # Errors
/// [`Error::Unproven`] for blocks that are read and not as the tree says.
pub(crate) fn update(
    image: &Areas<'_>,
    tree: UpdatedTree<'_>,
    old_data: Option<&Device<'_>>,
    progress: &mut Progress,
    work: &Work<'_>,
) -> Result<Overlay> {
    let params = image.layout.params();
    let hasher = params.hasher(params.hash_block_size());
    let update = Update { image, encoder: Encoder::new(image), tree, hasher };
    // Nothing proves what is in the only block of an image but its own new contents.
    let old_data = old_data.filter(|_| !image.layout.levels().is_empty());
    let mut parity = Overlay::new(round_bytes(image));
    let of_data = rounds_of(&tree.updated.data, image.area.rounds);
    let (anew, mut touched) = if old_data.is_some() { (Vec::new(), of_data) } else { (of_data, Vec::new()) };
    update.encode(&anew, progress, work, &mut parity)?;
    let hash: Vec<Range<u64>> = tree.updated.blocks.numbers().map(|number| number..number + 1).collect();
    touched.extend(rounds_of(&hash, image.area.rounds));
    let mut scratch = update.encoder.scratch(update.block())?;
    for round in merged(&touched).into_iter().flatten().filter(|round| !is_in(&anew, *round)) {
        work.check()?;
        parity.add(round, &update.by_difference(round, old_data, &mut scratch)?)?;
    }
    Ok(parity)
}

/// The rounds of these covered blocks, in order.
fn rounds_of(blocks: &[Range<u64>], rounds: u64) -> Vec<Range<u64>> {
    let mut found = Vec::new();
    for blocks in blocks {
        if blocks.end - blocks.start >= rounds {
            return Vec::from_iter(Some(0..rounds));
        }
        let (first, len) = (blocks.start % rounds, blocks.end - blocks.start);
        found.push(first..rounds.min(first + len));
        found.push(0..(first + len).saturating_sub(rounds));
    }
    merged(&found)
}

fn is_in(ranges: &[Range<u64>], number: u64) -> bool {
    ranges.get(ranges.partition_point(|range| range.end <= number)).is_some_and(|range| range.contains(&number))
}

struct Update<'a> {
    image: &'a Areas<'a>,
    encoder: Encoder<'a>,
    tree: UpdatedTree<'a>,
    hasher: BlockHasher,
}

impl Update<'_> {
    fn block(&self) -> usize {
        self.hasher.block_size().as_usize()
    }

    /// Encodes rounds anew, several at a time.
    fn encode(
        &self,
        rounds: &[Range<u64>],
        progress: &mut Progress,
        work: &Work<'_>,
        parity: &mut Overlay,
    ) -> Result<()> {
        let block = self.block() as u64;
        let at_a_time = (COLUMNS as u64 / block).max(1);
        let cut = |range: &Range<u64>| {
            let end = range.end;
            range.clone().step_by(usize::try_from(at_a_time).expect("a few")).map(move |first| (first, end))
        };
        let mut pieces = rounds.iter().flat_map(cut).map(|(first, end)| first..end.min(first + at_a_time));
        let mut next = || {
            work.check()?;
            Ok(pieces.next())
        };
        let examine = |rounds: Range<u64>| {
            let columns = rounds.start * block..rounds.end * block;
            self.encode_columns(&columns, &mut self.encoder.scratch(width(&columns))?)
        };
        let mut deliver = |rounds: Range<u64>, bytes: Vec<u8>| {
            for (round, bytes) in rounds.clone().zip(bytes.chunks_exact(round_bytes(self.image))) {
                parity.add(round, bytes)?;
            }
            progress.done += self.encoder.bytes_in((rounds.end - rounds.start) * block);
            work.report(*progress);
            Ok(())
        };
        let workers = self.encoder.workers(&self.encoder.all_columns(), work);
        ranges_in_order(workers, &mut next, &examine, &mut deliver)
    }

    /// The parity of whole rounds, all of whose blocks are as the tree says.
    fn encode_columns(&self, columns: &Range<u64>, scratch: &mut Buffers) -> Result<Vec<u8>> {
        let zeros = memory::zeroed(width(columns))?;
        scratch.parity.clear();
        let rows = 0..self.encoder.code.data_symbols();
        let what = What::Repaired(&self.tree.updated.blocks);
        self.encoder.add(rows, (columns, what), &mut scratch.input, &mut scratch.parity, |first, batch| {
            for (row, bytes) in (first as u64..).zip(batch) {
                let number = (row * self.encoder.columns + columns.start) / self.block() as u64;
                if let Some(wrong) = self.tree.first_wrong(&self.hasher, number, bytes.unwrap_or(&zeros))? {
                    return Err(self.unproven(wrong));
                }
            }
            Ok(())
        })?;
        Ok(self.encoder.finish(width(columns), scratch).to_vec())
    }

    /// The stored parity of a round, changed by the difference between old and new blocks.
    fn by_difference(&self, round: u64, old_data: Option<&Device<'_>>, scratch: &mut Buffers) -> Result<Vec<u8>> {
        scratch.parity.clear();
        for symbol in 0..self.encoder.code.data_symbols() {
            let number = symbol as u64 * self.image.area.rounds + round;
            if self.tree.updated.is_changed(number) {
                let difference = self.difference(number, old_data)?;
                self.encoder.add_row(symbol, &difference, scratch);
            }
        }
        let mut stored = memory::zeroed(round_bytes(self.image))?;
        let position = self.image.area.bytes.start + round * stored.len() as u64;
        self.image.fec.read_at(&mut stored, position)?;
        let difference = self.encoder.finish(self.block(), scratch);
        stored.iter_mut().zip(difference).for_each(|(stored, difference)| *stored ^= difference);
        Ok(stored)
    }

    /// What has to be added to the old contents of a block to get the new ones.
    fn difference(&self, number: u64, old_data: Option<&Device<'_>>) -> Result<Vec<u8>> {
        let mut block = self.encoder.covered.read_block(number, What::Repaired(&self.tree.updated.blocks))?;
        if self.tree.first_wrong(&self.hasher, number, &block)?.is_some() {
            return Err(self.unproven(number));
        }
        let old = match old_data.filter(|_| self.tree.old.nodes().is_data(number)) {
            Some(device) => self.old_block(number, device)?,
            None => self.tree.old.block(number)?.to_vec(),
        };
        block.iter_mut().zip(old).for_each(|(new, old)| *new ^= old);
        Ok(block)
    }

    /// A data block as it was, which the old tree proves.
    fn old_block(&self, number: u64, device: &Device<'_>) -> Result<Vec<u8>> {
        let position = number * self.hasher.block_size().bytes();
        let mut old = memory::zeroed(self.block())?;
        device.read_at(&mut old, position)?;
        if self.hasher.digest(&old) == self.tree.old.digest_of(number)? {
            return Ok(old);
        }
        Err(Error::Unproven { area: Area::Data, path: device.path().to_owned(), position })
    }

    fn unproven(&self, number: u64) -> Error {
        let (device, position) = self.encoder.covered.locate(number * self.hasher.block_size().bytes());
        let area = if self.tree.old.nodes().is_data(number) { Area::Data } else { Area::Hash };
        Error::Unproven { area, path: device.path().to_owned(), position }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_belong_to_rounds_that_begin_again_after_the_last() {
        let within = |blocks: &[Range<u64>], rounds| -> Vec<u64> {
            let found = rounds_of(blocks, rounds);
            assert!(found.is_sorted_by(|one, next| one.end < next.start));
            (0..rounds + 2).filter(|&round| is_in(&found, round)).collect()
        };
        assert_eq!(within(&[3..5, 12..14], 10), [2, 3, 4]);
        assert_eq!(within(std::slice::from_ref(&(8..12)), 10), [0, 1, 8, 9]);
        assert_eq!(within(std::slice::from_ref(&(5..15)), 10), (0..10).collect::<Vec<u64>>());
        assert_eq!(within(&[7..8, 17..18], 1), [0]);
    }
}
