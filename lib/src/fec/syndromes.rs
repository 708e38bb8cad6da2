//! Parity of many codewords at once, by way of their syndromes.
//!
//! Syndrome j of a codeword's data is the sum of d(i) a^(j (254 - i)) over its symbols i. It takes one multiplication
//! for every three symbols, because b = a^85 is a cube root of 1: what i, i + 85 and i + 170 add to it is
//!
//! ```text
//! a^(j (254 - i)) (d(i) + b^(2 j) d(i + 85) + b^j d(i + 170))
//! ```
//!
//! and the sum in parentheses has three values only, by the remainder of j divided by 3. With b^2 = b + 1 a single
//! multiplication makes all three. In the end the parity is what erased symbols would have to be, so that all syndromes
//! become zero: each of the few syndromes is multiplied once for each symbol of the parity.

use super::code::{Code, Matrix, SYMBOLS, alpha, weight};
use super::lanes::{Backend, Multiplier, Rows, TILE};
use crate::error::Result;

/// How many symbols are processed at a time. Their rows stay in a processor's second-level cache.
pub(crate) const BATCH: usize = 18;

/// With fewer roots it takes longer to make the sums in parentheses than to multiply each symbol.
const LEAST_MIXED: usize = 3;

/// Computes syndromes of a code's data, and from them the parity.
#[derive(Debug)]
pub(crate) struct Syndromes {
    /// If symbols are mixed.
    cube_root: Option<Multiplier>,
    /// What the three sums are multiplied by, or all symbols.
    weights: Vec<Multiplier>,
    to_parity: Multiplier,
}

impl Syndromes {
    /// With the fastest backend there is.
    pub(crate) fn new(code: Code) -> Self {
        let fastest = Backend::available()[0];
        Self::with_backend(code, fastest)
    }

    pub(crate) fn with_backend(code: Code, backend: Backend) -> Self {
        let roots = code.roots();
        let is_mixed = roots >= LEAST_MIXED;
        let multiplier = |matrix: &Matrix| Multiplier::with_backend(matrix, backend);
        let parts = if is_mixed { 3 } else { 1 };
        let weights = (0..parts).map(|part| {
            let outputs = (roots - part).div_ceil(parts);
            multiplier(&Matrix::new(SYMBOLS / parts, outputs, |symbol, index| weight(symbol, part + parts * index)))
        });
        let parity: Vec<usize> = (code.data_symbols()..SYMBOLS).collect();
        let to_parity = Code::erasure_matrix(&parity);
        let order: Vec<usize> = (0..parts).flat_map(|part| (part..roots).step_by(parts)).collect();
        Self {
            cube_root: is_mixed.then(|| multiplier(&Matrix::new(1, 1, |_, _| alpha(SYMBOLS / 3)))),
            weights: weights.collect(),
            to_parity: multiplier(&Matrix::new(roots, roots, |input, output| to_parity.at(order[input], output))),
        }
    }

    /// How many symbols a part of the codewords has: a third of them, or all if symbols are not mixed.
    pub(crate) fn part(&self) -> usize {
        SYMBOLS / self.weights.len()
    }

    /// How many symbols of each part are processed at a time.
    pub(crate) fn at_a_time(&self) -> usize {
        BATCH / self.weights.len()
    }

    /// Adds what some symbols contribute to the syndromes of `width` codewords: `count` symbols, at most
    /// [`Self::at_a_time`], from number `first` of each part on. The first part's rows come first in [`BATCH`] rows,
    /// and each part has as many as are processed at a time. Rows are not the same afterwards.
    ///
    /// There is a row for each syndrome: if symbols are mixed, first those with the numbers 0, 3 and so on, then 1, 4
    /// and so on.
    pub(crate) fn add(&self, (first, count): (usize, usize), rows: &mut Rows, width: usize, syndromes: &mut Rows) {
        let at_a_time = self.at_a_time();
        for start in (0..width).step_by(TILE) {
            let columns = start..width.min(start + TILE);
            if let Some(cube_root) = &self.cube_root {
                for index in 0..count {
                    cube_root.mix(rows.three_mut([index, at_a_time + index, 2 * at_a_time + index], &columns));
                }
            }
            let mut number = 0;
            for (part, weights) in self.weights.iter().enumerate() {
                let rows = rows.part(part * at_a_time, &columns);
                weights.add(first, count, rows, &mut syndromes.part_mut(number, &columns));
                number += weights.outputs();
            }
        }
    }

    /// Rows for the syndromes of a tile.
    pub(crate) fn tile(&self) -> Result<Rows> {
        Rows::new(self.to_parity.outputs(), TILE)
    }

    /// Turns syndromes into the parity that goes with the data. Whatever is in the `tile` is overwritten.
    pub(crate) fn finish(&self, width: usize, rows: &mut Rows, tile: &mut Rows) {
        let roots = self.to_parity.outputs();
        for start in (0..width).step_by(TILE) {
            let columns = start..width.min(start + TILE);
            for root in 0..roots {
                let row = &mut rows.row_mut(root, width)[columns.clone()];
                tile.row_mut(root, row.len()).copy_from_slice(row);
                row.fill(0);
            }
            self.to_parity.add(0, roots, tile.part(0, &(0..columns.len())), &mut rows.part_mut(0, &columns));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_makes_the_parity_that_division_leaves() {
        let mut rng = fastrand::Rng::with_seed(8);
        let all = if cfg!(miri) { vec![2, 5] } else { (2..=24).collect() };
        for (roots, backend) in
            all.into_iter().flat_map(|roots| Backend::available().into_iter().map(move |it| (roots, it)))
        {
            let code = Code::new(roots);
            let syndromes = Syndromes::with_backend(code, backend);
            // Two tiles and some columns, of which some are looked at.
            let width = if cfg!(miri) { 128 } else { 2 * TILE + 128 };
            let mut data = Rows::new(SYMBOLS, width).unwrap();
            for symbol in 0..code.data_symbols() {
                data.row_mut(symbol, width).fill_with(|| rng.u8(..));
            }
            let mut batch = Rows::new(BATCH, width).unwrap();
            let mut made = Rows::new(code.roots(), width).unwrap();
            let (part, at_a_time) = (syndromes.part(), syndromes.at_a_time());
            for first in (0..part).step_by(at_a_time) {
                let count = at_a_time.min(part - first);
                for (number, at) in (0..SYMBOLS / part).flat_map(|number| (0..count).map(move |at| (number, at))) {
                    let row = data.row(number * part + first + at, width);
                    batch.row_mut(number * at_a_time + at, width).copy_from_slice(row);
                }
                syndromes.add((first, count), &mut batch, width, &mut made);
            }
            syndromes.finish(width, &mut made, &mut syndromes.tile().unwrap());
            for column in (0..width).step_by(37) {
                let codeword: Vec<u8> =
                    (0..code.data_symbols()).map(|symbol| data.row(symbol, width)[column]).collect();
                let parity: Vec<u8> = (0..code.roots()).map(|root| made.row(root, width)[column]).collect();
                assert_eq!(parity, code.remainder(&codeword), "{roots} roots, {backend:?}, column {column}");
            }
        }
    }
}
