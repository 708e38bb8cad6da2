//! Parity of stretches of columns, and of a whole area.

use std::ops::Range;

use crate::error::Result;
use crate::fec::Areas;
use crate::fec::code::Code;
use crate::fec::columns::Columns;
use crate::fec::lanes::{Rows, transposed};
use crate::fec::source::{Covered, What};
use crate::fec::syndromes::{BATCH, Syndromes};
use crate::io::Reader;
use crate::memory;
use crate::work::{Progress, Work, in_order};

/// How many columns are encoded at a time: the length of a read. Their parity stays in a processor's own caches.
pub(crate) const COLUMNS: usize = 32 << 10;

/// More threads would need more memory than they are worth.
pub(crate) const MOST_THREADS: usize = 8;

/// The same if the page cache is bypassed: devices are faster with long reads, and with more of them in flight than
/// there are threads.
const COLD_COLUMNS: usize = 256 << 10;
const COLD_SCRATCH: usize = 8 << 20;
const COLD_READERS: usize = 3;
const MOST_COLD_THREADS: usize = 6;

/// Makes the parity of columns: column `c` is byte `c` of each row, and the rows are the covered bytes cut into as many
/// pieces as a codeword has data symbols.
#[derive(Debug)]
pub(crate) struct Encoder<'a> {
    pub(crate) code: Code,
    pub(crate) covered: Covered<'a>,
    /// The length of a row.
    pub(crate) columns: u64,
    syndromes: Syndromes,
    /// How many columns are encoded at a time when all of them are.
    pub(crate) at_a_time: usize,
}

/// Memory of one thread.
#[derive(Debug)]
pub(crate) struct Buffers {
    pub(crate) input: Input,
    /// Syndromes of the rows so far. They become parity in place.
    pub(crate) parity: Rows,
    /// See [`Syndromes::finish`].
    tile: Rows,
    /// Parity as it is stored. The buffer is somewhat longer than its contents.
    bytes: Vec<u8>,
}

/// Memory for what is encoded.
#[derive(Debug)]
pub(crate) struct Input {
    batch: Rows,
    reader: Reader,
}

impl<'a> Encoder<'a> {
    /// An encoder for everything that the image's FEC covers.
    ///
    /// # Panics
    /// If the parameters have no FEC.
    pub(crate) fn new(image: &Areas<'a>) -> Self {
        let params = image.layout.params();
        let code = Code::new(params.fec().expect("there is a FEC area").roots);
        let covered = Covered::new(image);
        let at_a_time = if covered.is_cold() {
            let most = COLD_SCRATCH / (BATCH + 2 * code.roots()) / COLUMNS * COLUMNS;
            most.min(COLD_COLUMNS)
        } else {
            COLUMNS
        };
        Self {
            code,
            covered,
            at_a_time,
            columns: image.area.rounds * params.hash_block_size().bytes(),
            syndromes: Syndromes::new(code),
        }
    }

    /// Memory for stretches of up to `columns` columns.
    pub(crate) fn scratch(&self, columns: usize) -> Result<Buffers> {
        let columns = usize::try_from(self.columns).map_or(columns, |all| all.min(columns));
        Ok(Buffers {
            input: Input { batch: Rows::new(BATCH, columns)?, reader: Reader::default() },
            parity: Rows::new(self.code.roots(), columns)?,
            tile: self.syndromes.tile()?,
            bytes: memory::zeroed(columns * self.code.roots() + 8)?,
        })
    }

    /// How much memory a thread needs that works on all columns.
    pub(crate) fn scratch_bytes(&self) -> usize {
        (BATCH + 2 * self.code.roots()) * self.at_a_time
    }

    /// Adds the contribution of some rows to the syndromes of some columns. A few rows are read at a time from each
    /// part of the codewords. After they are read, adjacent ones are passed to `look`: the number of the first one, and
    /// the bytes of each, or none if they are zeros.
    pub(crate) fn add(
        &self,
        rows: Range<usize>,
        (columns, what): (&Range<u64>, What<'_>),
        input: &mut Input,
        syndromes: &mut Rows,
        mut look: impl FnMut(usize, &[Option<&[u8]>]) -> Result<()>,
    ) -> Result<()> {
        let width = width(columns);
        let (part, at_a_time) = (self.syndromes.part(), self.syndromes.at_a_time());
        for first in (0..part).step_by(at_a_time) {
            let count = at_a_time.min(part - first);
            let mut is_read = [false; BATCH];
            for (number, is_read) in is_read.chunks_exact_mut(at_a_time).enumerate() {
                let start = number * part + first;
                let wanted = rows.start.max(start)..rows.end.min(start + count);
                let mut shown = [None; BATCH];
                for row in wanted.clone() {
                    let position = row as u64 * self.columns + columns.start;
                    let bytes = input.batch.row_mut(number * at_a_time + row - start, width);
                    is_read[row - start] = self.covered.read(position, bytes, what, &mut input.reader)?;
                }
                for (index, shown) in shown.iter_mut().enumerate().take(count).filter(|(index, _)| is_read[*index]) {
                    *shown = Some(input.batch.row(number * at_a_time + index, width));
                }
                if !wanted.is_empty() {
                    look(wanted.start, &shown[wanted.start - start..wanted.end - start])?;
                }
            }
            if is_read.contains(&true) {
                for index in (0..BATCH).filter(|&index| !is_read[index]) {
                    input.batch.row_mut(index, width).fill(0);
                }
                self.syndromes.add((first, count), &mut input.batch, width, syndromes);
            }
        }
        Ok(())
    }

    /// Adds the contribution of one row, of which these are the bytes of some columns, to the syndromes of those
    /// columns.
    pub(crate) fn add_row(&self, row: usize, bytes: &[u8], scratch: &mut Buffers) {
        let (part, at_a_time) = (self.syndromes.part(), self.syndromes.at_a_time());
        let batch = &mut scratch.input.batch;
        for index in (0..BATCH).step_by(at_a_time) {
            batch.row_mut(index, bytes.len()).fill(0);
        }
        batch.row_mut(row / part * at_a_time, bytes.len()).copy_from_slice(bytes);
        self.syndromes.add((row % part, 1), batch, bytes.len(), &mut scratch.parity);
    }

    /// The parity of some columns, in rows.
    pub(crate) fn parity_rows<'s>(
        &self,
        columns: &Range<u64>,
        what: What<'_>,
        scratch: &'s mut Buffers,
    ) -> Result<&'s mut Rows> {
        scratch.parity.clear();
        let rows = 0..self.code.data_symbols();
        self.add(rows, (columns, what), &mut scratch.input, &mut scratch.parity, |_, _| Ok(()))?;
        self.syndromes.finish(width(columns), &mut scratch.parity, &mut scratch.tile);
        Ok(&mut scratch.parity)
    }

    /// The parity of some columns as it is stored: that of the first column, then that of the next.
    pub(crate) fn parity<'s>(
        &self,
        columns: &Range<u64>,
        what: What<'_>,
        scratch: &'s mut Buffers,
    ) -> Result<&'s [u8]> {
        self.parity_rows(columns, what, scratch)?;
        Ok(self.as_stored(width(columns), scratch))
    }

    /// The parity that goes with the syndromes in the rows, as it is stored.
    pub(crate) fn finish<'s>(&self, width: usize, scratch: &'s mut Buffers) -> &'s [u8] {
        self.syndromes.finish(width, &mut scratch.parity, &mut scratch.tile);
        self.as_stored(width, scratch)
    }

    /// The parity that is in the rows as it is stored.
    fn as_stored<'s>(&self, width: usize, scratch: &'s mut Buffers) -> &'s [u8] {
        let roots = self.code.roots();
        interleave(&scratch.parity, roots, width, &mut scratch.bytes);
        &scratch.bytes[..width * roots]
    }

    /// These columns, some at a time.
    pub(crate) fn stretches<'s>(
        &'s self,
        columns: &'s Columns,
        work: &'s Work<'_>,
    ) -> impl FnMut() -> Result<Option<Range<u64>>> + Send + 's {
        let mut stretches = columns.stretches(self.at_a_time as u64);
        move || {
            work.check()?;
            Ok(stretches.next())
        }
    }

    /// All columns.
    pub(crate) fn all_columns(&self) -> Columns {
        Columns::from(0..self.columns)
    }

    /// How many bytes all rows have in this many columns.
    pub(crate) fn bytes_in(&self, columns: u64) -> u64 {
        columns * self.code.data_symbols() as u64
    }

    /// How many threads work on these columns.
    pub(crate) fn workers(&self, columns: &Columns, work: &Work<'_>) -> usize {
        let threads = work.hashing_threads();
        let workers = if self.covered.is_cold() {
            MOST_COLD_THREADS.min(threads + COLD_READERS)
        } else {
            MOST_THREADS.min(threads)
        };
        columns.stretches(self.at_a_time as u64).take(workers).count()
    }

    /// Has several threads work on these columns, some at a time, and passes on their results in order.
    pub(crate) fn for_columns<T: Send>(
        &self,
        columns: &Columns,
        progress: &mut Progress,
        work: &Work<'_>,
        examine: impl Fn(Range<u64>, &mut Buffers) -> Result<T> + Sync,
        mut deliver: impl FnMut(T) -> Result<()> + Send,
    ) -> Result<()> {
        let examine = |scratch: &mut Buffers, columns: Range<u64>| {
            let bytes = self.bytes_in(columns.end - columns.start);
            Ok((bytes, examine(columns, scratch)?))
        };
        let scratch = || self.scratch(self.at_a_time);
        let (workers, next) = (self.workers(columns, work), self.stretches(columns, work));
        in_order(workers, next, scratch, examine, |(bytes, result)| {
            deliver(result)?;
            progress.done += bytes;
            work.report(*progress);
            Ok(())
        })
    }
}

/// Writes the parity of what the image's FEC covers to the FEC device, which must have room for it.
pub(crate) fn encode(image: &Areas<'_>, progress: &mut Progress, work: &Work<'_>) -> Result<()> {
    let encoder = Encoder::new(image);
    let roots = encoder.code.roots() as u64;
    let examine = |columns: Range<u64>, scratch: &mut Buffers| {
        let bytes = encoder.parity(&columns, What::All, scratch)?;
        image.fec.write_out_at(bytes, image.area.bytes.start + columns.start * roots)
    };
    encoder.for_columns(&encoder.all_columns(), progress, work, examine, Ok)
}

/// How many columns these are.
pub(crate) fn width(columns: &Range<u64>) -> usize {
    usize::try_from(columns.end - columns.start).expect("as many columns as there is memory for")
}

/// Interleaves the columns of `count` rows. `bytes` has room for the result and seven more bytes, which mean nothing
/// afterwards. `width` is a multiple of eight.
pub(super) fn interleave(rows: &Rows, count: usize, width: usize, bytes: &mut [u8]) {
    for column in (0..width).step_by(8) {
        // Eight rows at a time. With fewer rows, what is written for one column spills into the next, whose own bytes
        // come later: the columns go forwards, and the last rows come first.
        for first in (0..count).step_by(8).rev() {
            let mut square = [0; 8];
            for (line, row) in square.iter_mut().zip(first..count) {
                let bytes = rows.row(row, width)[column..].first_chunk().expect("eight columns");
                *line = u64::from_le_bytes(*bytes);
            }
            for (index, line) in transposed(square).into_iter().enumerate() {
                bytes[(column + index) * count + first..][..8].copy_from_slice(&line.to_le_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let mut rng = fastrand::Rng::with_seed(7);
        for count in 1..=24 {
            let width = 8 * rng.usize(1..=40);
            let mut rows = Rows::new(count, width).unwrap();
            for row in 0..count {
                rows.row_mut(row, width).fill_with(|| rng.u8(..));
            }
            let mut bytes = vec![0; width * count + 8];
            interleave(&rows, count, width, &mut bytes);
            for (index, &byte) in bytes[..width * count].iter().enumerate() {
                assert_eq!(byte, rows.row(index % count, width)[index / count], "{count} {index}");
            }
        }
    }
}
