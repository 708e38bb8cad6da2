//! Products of a byte with the coefficients of eight outputs, looked up at once.

use super::rows::{Part, PartMut, transposed};
use crate::fec::code::Matrix;
use crate::fec::code::field::multiply;

/// The products of each byte with up to eight coefficients, one byte for each.
pub(super) type Table = [u64; 256];

/// For each input a table for the first eight outputs, then one for the next.
pub(super) fn tables(matrix: &Matrix) -> Vec<Table> {
    let coefficients = matrix.coefficients().chunks_exact(matrix.outputs());
    coefficients.flat_map(|of_input| of_input.chunks(8).map(table)).collect()
}

fn table(coefficients: &[u8]) -> Table {
    let mut table = [0; 256];
    for bit in 0..8 {
        let mut products = [0; 8];
        for (product, &coefficient) in products.iter_mut().zip(coefficients) {
            *product = multiply(coefficient, 1 << bit);
        }
        // What this bit adds to the products of all bytes below.
        for byte in 0..1 << bit {
            table[1 << bit | byte] = table[byte] ^ u64::from_le_bytes(products);
        }
    }
    table
}

/// Adds to each of `count` outputs its products with rows, of which these are the tables.
pub(super) fn add(tables: &[Table], count: usize, rows: Part<'_>, outputs: &mut PartMut<'_>) {
    let groups = count.div_ceil(8);
    for (group, first) in (0..count).step_by(8).enumerate() {
        for column in (0..outputs.width).step_by(8) {
            let mut sums = [0; 8];
            for (input, table) in tables.iter().skip(group).step_by(groups).enumerate() {
                let bytes: &[u8; 8] = rows.row(input)[column..].first_chunk().expect("eight columns");
                for (sum, &byte) in sums.iter_mut().zip(bytes) {
                    *sum ^= table[usize::from(byte)];
                }
            }
            for (output, sum) in (first..count).zip(transposed(sums)) {
                let bytes: &mut [u8; 8] = outputs.row(output)[column..].first_chunk_mut().expect("eight columns");
                *bytes = (u64::from_le_bytes(*bytes) ^ sum).to_le_bytes();
            }
        }
    }
}

/// Makes x + y + z, x + y + f (y + z) and x + z + f (y + z) of rows x, y and z; `table` has the products with f.
pub(super) fn mix(table: &Table, [x, y, z]: [&mut [u8]; 3]) {
    for ((x, y), z) in x.iter_mut().zip(y).zip(z) {
        let both = *y ^ *z;
        let rest = *x ^ table[usize::from(both)].to_le_bytes()[0];
        (*x, *y, *z) = (*x ^ both, rest ^ *y, rest ^ *z);
    }
}
