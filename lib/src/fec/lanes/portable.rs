//! Products of a byte with the coefficients of eight outputs, looked up at once; or sums and doublings of eight bytes
//! in one word.

use super::rows::{Part, PartMut, transposed};
use crate::fec::code::Matrix;
use crate::fec::code::field::{alpha, double, multiply};

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

/// How many words of columns [`add_powers`] processes at a time: what it adds up stays in registers.
const WORDS: usize = 4;

/// Whether [`add_powers`] can multiply by this matrix: each input is added to the first output, and counts twice as
/// much as the next one in the second.
pub(super) fn has_powers(matrix: &Matrix) -> bool {
    let inputs = 0..matrix.inputs();
    matrix.outputs() == 2
        && inputs.clone().all(|input| matrix.at(input, 0) == 1)
        && inputs.skip(1).all(|input| matrix.at(input - 1, 1) == multiply(alpha(1), matrix.at(input, 1)))
}

/// The same as [`add`] for two outputs of a matrix that has powers, by Horner's method: what the rows so far contribute
/// is doubled for each further row, and multiplied in the end by what the last one is multiplied by.
pub(super) fn add_powers(tables: &[Table], rows: Part<'_>, outputs: &mut PartMut<'_>) {
    let Some(last) = tables.last() else { return };
    for column in (0..outputs.width).step_by(8 * WORDS) {
        let (mut sums, mut powers) = ([0; WORDS], [0; WORDS]);
        for input in 0..tables.len() {
            let bytes: &[u8; 8 * WORDS] = rows.row(input)[column..].first_chunk().expect("whole words");
            let words = bytes.as_chunks().0.iter().map(|&word| u64::from_le_bytes(word));
            for ((sum, power), word) in sums.iter_mut().zip(&mut powers).zip(words) {
                *sum ^= word;
                *power = double(*power) ^ word;
            }
        }
        for (output, sum) in outputs.row(0)[column..].iter_mut().zip(sums.map(u64::to_le_bytes).as_flattened()) {
            *output ^= sum;
        }
        for (output, power) in outputs.row(1)[column..].iter_mut().zip(powers.map(u64::to_le_bytes).as_flattened()) {
            *output ^= last[usize::from(*power)].to_le_bytes()[1];
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
