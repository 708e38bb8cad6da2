//! Checks parity whose covered blocks are known to be right.

use std::ops::{AddAssign, Range};

use crate::error::Result;
use crate::fec::Areas;
use crate::fec::code::SYMBOLS;
use crate::fec::encode::{Buffers, Encoder};
use crate::fec::source::What;
use crate::format::FecArea;
use crate::io::Overlay;
use crate::memory;

/// Errors in the parity of some columns, and in the blocks that only the parity can check.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ParityFaults {
    /// Wrong bytes of parity.
    pub(crate) parity: u64,
    /// Wrong bytes of blocks after the tree.
    pub(crate) outside: u64,
    /// Codewords with errors that cannot be located.
    pub(crate) unknown: u64,
}

impl AddAssign for ParityFaults {
    fn add_assign(&mut self, other: Self) {
        self.parity += other.parity;
        self.outside += other.outside;
        self.unknown += other.unknown;
    }
}

/// Checks the parity of some columns, all of whose blocks in the tree are proven with `overlay`. What it has to be is
/// written with `write`.
pub(crate) fn check_parity(
    encoder: &Encoder<'_>,
    image: &Areas<'_>,
    columns: &Range<u64>,
    tree_end: u64,
    overlay: &Overlay,
    write: bool,
    scratch: &mut Buffers,
) -> Result<ParityFaults> {
    let roots = encoder.code.roots();
    let offset = image.area.bytes.start + columns.start * roots as u64;
    let computed = encoder.parity(columns, What::Repaired(overlay), scratch)?;
    let mut stored = memory::zeroed(computed.len())?;
    image.fec.read_at(&mut stored, offset)?;
    let mut faults = ParityFaults::default();
    if stored == computed {
        return Ok(faults);
    }
    let mut changed: Option<Range<usize>> = None;
    let block = encoder.columns / image.area.rounds;
    let pieces = stored.chunks_exact_mut(roots).zip(computed.chunks_exact(roots)).enumerate();
    for (index, (stored, computed)) in pieces.filter(|(_, (stored, computed))| stored != computed) {
        let round = (columns.start + index as u64) / block;
        let outside = outside_symbols(encoder, image.area, round, tree_end);
        let wrong = if outside.contains(&true) {
            // Nothing proves the blocks after the tree: the code has to tell whether it is they or the parity.
            let difference: Vec<u8> = stored.iter().zip(computed).map(|(stored, computed)| stored ^ computed).collect();
            let found = encoder.code.decode(&encoder.code.syndromes_of_parity(&difference), &[]);
            let Some(found) = found.filter(|found| found.iter().all(|&(symbol, _)| outside[symbol])) else {
                faults.unknown += 1;
                continue;
            };
            let in_parity = |&(symbol, value)| Some((usize::checked_sub(symbol, SYMBOLS - roots)?, value));
            let parity: Vec<_> = found.iter().filter_map(in_parity).collect();
            faults.outside += (found.len() - parity.len()) as u64;
            for &(root, value) in &parity {
                stored[root] ^= value;
            }
            parity.len()
        } else {
            let wrong = stored.iter().zip(computed).filter(|(stored, computed)| stored != computed).count();
            stored.copy_from_slice(computed);
            wrong
        };
        if wrong > 0 {
            faults.parity += wrong as u64;
            let start = changed.map_or(index * roots, |changed| changed.start);
            changed = Some(start..(index + 1) * roots);
        }
    }
    if let Some(changed) = changed.filter(|_| write) {
        image.fec.write_at(&stored[changed.clone()], offset + changed.start as u64)?;
    }
    Ok(faults)
}

/// Which symbols of a round's codewords only the code can correct: blocks after the tree, and, if there are any,
/// the parity.
fn outside_symbols(encoder: &Encoder<'_>, area: &FecArea, round: u64, tree_end: u64) -> [bool; SYMBOLS] {
    let mut outside = [false; SYMBOLS];
    let data_symbols = encoder.code.data_symbols();
    for (symbol, outside) in outside.iter_mut().enumerate().take(data_symbols) {
        *outside = (tree_end..area.blocks).contains(&(symbol as u64 * area.rounds + round));
    }
    if outside.contains(&true) {
        outside[data_symbols..].fill(true);
    }
    outside
}
