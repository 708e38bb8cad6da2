//! Every product looked up.

use super::rows::{Rows, TILE};
use crate::fec::code::field::PRODUCTS;

/// Adds to each of `outputs` its products with `rows`. Each row has `count` coefficients, one for each output.
pub(super) fn add(coefficients: &[u8], count: usize, rows: &Rows, width: usize, outputs: &mut Rows) {
    for start in (0..width).step_by(TILE) {
        let columns = start..width.min(start + TILE);
        for (input, factors) in coefficients.chunks_exact(count).enumerate() {
            let row = &rows.row(input, width)[columns.clone()];
            for (output, &factor) in factors.iter().enumerate() {
                let products = &PRODUCTS[usize::from(factor)];
                for (sum, &byte) in outputs.row_mut(output, width)[columns.clone()].iter_mut().zip(row) {
                    *sum ^= products[usize::from(byte)];
                }
            }
        }
    }
}
