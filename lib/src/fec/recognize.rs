//! Whether bytes are an image's parity.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::fec::Areas;
use crate::fec::encode::{COLUMNS, Encoder};
use crate::fec::source::What;
use crate::memory;

/// This many matching codewords that differ from each other, and are not zeros, are no coincidence. Others may be
/// wrong: the data may have been changed since.
const ENOUGH: usize = 16;

/// Whether the image's FEC area holds its parity, as far as the codewords of the first round, the last, and one between
/// them tell; of each round, the first `most` are looked at, and those in whole steps.
pub(crate) fn holds_parity(image: &Areas<'_>, most: u64) -> Result<bool> {
    let encoder = Encoder::new(image);
    let roots = encoder.code.roots();
    let block = image.layout.params().hash_block_size().bytes();
    let last = image.area.rounds.saturating_sub(1);
    let mut scratch = encoder.scratch(COLUMNS)?;
    let (mut right, mut all_right) = (BTreeSet::new(), true);
    for round in BTreeSet::from([0, last / 2, last]) {
        for start in (round * block..round * block + block.min(most)).step_by(COLUMNS) {
            let columns = start..((round + 1) * block).min(start + COLUMNS as u64);
            let computed = encoder.parity(&columns, What::All, &mut scratch)?;
            let mut stored = memory::zeroed(computed.len())?;
            image.fec.read_at(&mut stored, image.area.bytes.start + start * roots as u64)?;
            all_right &= stored == computed;
            let codewords = stored.chunks_exact(roots).zip(computed.chunks_exact(roots));
            // Blocks that repeat a byte have the same parity in many columns, which one coincidence would make right.
            for (_, parity) in codewords.filter(|(stored, computed)| stored == computed) {
                if right.len() < ENOUGH && parity.iter().any(|&byte| byte != 0) {
                    right.insert(parity.to_vec());
                }
            }
        }
    }
    Ok(all_right || right.len() >= ENOUGH)
}
