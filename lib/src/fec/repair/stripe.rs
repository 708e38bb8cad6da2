//! Corrects one round: the codewords that share the same blocks.

use std::ops::Range;

use crate::error::Result;
use crate::fec::Areas;
use crate::fec::code::{Code, MAX_ROOTS, SYMBOLS};
use crate::fec::encode::{Buffers, COLUMNS, Encoder};
use crate::fec::lanes::{Multiplier, Rows};
use crate::fec::source::What;
use crate::io::Overlay;
use crate::memory;

/// One in so many codewords is looked at to see whether any can be corrected.
const SAMPLE: usize = 64;

/// The codewords of one round, by their syndromes.
#[derive(Debug)]
pub(crate) struct Stripe {
    code: Code,
    stretches: Vec<Stretch>,
}

/// Some adjacent codewords.
#[derive(Debug)]
struct Stretch {
    /// Which bytes of a block are in them.
    bytes: Range<usize>,
    /// A row for each root.
    syndromes: Rows,
}

impl Stripe {
    /// Reads round `number`; blocks in `overlay` are taken from there.
    pub(crate) fn read(
        encoder: &Encoder<'_>,
        image: &Areas<'_>,
        number: u64,
        overlay: &Overlay,
        scratch: &mut Buffers,
    ) -> Result<Self> {
        let code = encoder.code;
        let roots = code.roots();
        let block = image.layout.params().hash_block_size().as_usize();
        let to_syndromes = Multiplier::new(&code.syndrome_matrix());
        let mut stored = memory::zeroed(COLUMNS.min(block) * roots)?;
        let mut stretches = Vec::new();
        for start in (0..block).step_by(COLUMNS) {
            let bytes = start..block.min(start + COLUMNS);
            let width = bytes.len();
            let first = number * block as u64 + start as u64;
            let stored = &mut stored[..width * roots];
            image.fec.read_at(stored, image.area.bytes.start + first * roots as u64)?;
            let difference = encoder.parity_rows(&(first..first + width as u64), What::Repaired(overlay), scratch)?;
            for root in 0..roots {
                let stored = stored[root..].iter().step_by(roots);
                for (difference, stored) in difference.row_mut(root, width).iter_mut().zip(stored) {
                    *difference ^= stored;
                }
            }
            let mut syndromes = Rows::new(roots, width)?;
            to_syndromes.add_all(difference, width, &mut syndromes);
            stretches.push(Stretch { bytes, syndromes });
        }
        Ok(Self { code, stretches })
    }

    /// Whether all codewords are valid, as far as the code can tell.
    pub(crate) fn is_good(&self) -> bool {
        let is_zero = |row: &[u8]| row.iter().all(|&syndrome| syndrome == 0);
        let is_good = |stretch: &Stretch| {
            (0..self.code.roots()).all(|root| is_zero(stretch.syndromes.row(root, stretch.bytes.len())))
        };
        self.stretches.iter().all(is_good)
    }

    /// The corrections of the blocks that are symbols `wanted`, if the symbols at `erasures` may be wrong, and besides
    /// them only those that are `movable`. Codewords that cannot be corrected add nothing.
    pub(crate) fn corrections(
        &self,
        erasures: &[usize],
        movable: &[bool; SYMBOLS],
        wanted: &[usize],
    ) -> Result<Vec<Vec<u8>>> {
        let block = self.stretches.last().map_or(0, |stretch| stretch.bytes.end);
        let mut corrections = wanted.iter().map(|_| memory::zeroed(block)).collect::<Result<Vec<_>>>()?;
        let erased = (!erasures.is_empty()).then(|| {
            (Multiplier::new(&Code::erasure_matrix(erasures)), Multiplier::new(&self.code.effect_matrix(erasures)))
        });
        for stretch in &self.stretches {
            let width = stretch.bytes.len();
            let mut explained = Rows::new(self.code.roots(), width)?;
            if let Some((to_values, to_syndromes)) = &erased {
                // First as if nothing else was wrong, which is true of most codewords.
                let mut values = Rows::new(erasures.len(), width)?;
                to_values.add_all(&stretch.syndromes, width, &mut values);
                to_syndromes.add_all(&values, width, &mut explained);
                for (symbol, correction) in wanted.iter().zip(&mut corrections) {
                    if let Some(index) = erasures.iter().position(|erasure| erasure == symbol) {
                        correction[stretch.bytes.clone()].copy_from_slice(values.row(index, width));
                    }
                }
            }
            self.correct_others(stretch, &explained, erasures, movable, |column, found| {
                for (symbol, correction) in wanted.iter().zip(&mut corrections) {
                    let value = found.iter().find(|(found, _)| found == symbol);
                    correction[stretch.bytes.start + column] = value.map_or(0, |&(_, value)| value);
                }
            });
        }
        Ok(corrections)
    }

    /// Whether any of some codewords, a few in each sector, can be corrected without erasures.
    pub(crate) fn are_some_correctable(&self, movable: &[bool; SYMBOLS]) -> bool {
        self.stretches.iter().any(|stretch| {
            (0..stretch.bytes.len()).step_by(SAMPLE).any(|column| {
                let syndromes = self.syndromes(stretch, column);
                let found = self.code.decode(&syndromes[..self.code.roots()], &[]);
                found.is_some_and(|found| found.iter().all(|&(symbol, _)| movable[symbol]))
            })
        })
    }

    /// The syndromes of one codeword.
    fn syndromes(&self, stretch: &Stretch, column: usize) -> [u8; MAX_ROOTS] {
        let mut syndromes = [0; MAX_ROOTS];
        for (root, syndrome) in syndromes.iter_mut().enumerate().take(self.code.roots()) {
            *syndrome = stretch.syndromes.row(root, stretch.bytes.len())[column];
        }
        syndromes
    }

    /// Corrects the block that is this symbol.
    pub(crate) fn correct(&mut self, symbol: usize, correction: &[u8]) -> Result<()> {
        let to_syndromes = Multiplier::new(&self.code.effect_matrix(&[symbol]));
        for stretch in &mut self.stretches {
            let width = stretch.bytes.len();
            let mut values = Rows::new(1, width)?;
            values.row_mut(0, width).copy_from_slice(&correction[stretch.bytes.clone()]);
            to_syndromes.add_all(&values, width, &mut stretch.syndromes);
        }
        Ok(())
    }

    /// Calls `take` with the corrections of each codeword whose syndromes are not `explained`.
    fn correct_others(
        &self,
        stretch: &Stretch,
        explained: &Rows,
        erasures: &[usize],
        movable: &[bool; SYMBOLS],
        mut take: impl FnMut(usize, &[(usize, u8)]),
    ) {
        let roots = self.code.roots();
        let width = stretch.bytes.len();
        for column in 0..width {
            let syndromes = self.syndromes(stretch, column);
            if (0..roots).all(|root| syndromes[root] == explained.row(root, width)[column]) {
                continue;
            }
            let mut found = self.code.decode(&syndromes[..roots], erasures).unwrap_or_default();
            if found.iter().any(|&(symbol, _)| !movable[symbol]) {
                found.clear();
            }
            take(column, &found);
        }
    }
}
