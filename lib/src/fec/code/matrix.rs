//! Matrices over GF(256). A Reed-Solomon code processes many codewords at once by multiplying with a matrix.

use super::field::{invert, multiply};

/// The factor of each input in each output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matrix {
    inputs: usize,
    outputs: usize,
    /// The coefficients of the first input, one for each output, then those of the next.
    coefficients: Vec<u8>,
}

impl Matrix {
    /// With the coefficients that `of` gives for an input and an output.
    pub(crate) fn new(inputs: usize, outputs: usize, of: impl Fn(usize, usize) -> u8) -> Self {
        let coefficients = (0..inputs * outputs).map(|index| of(index / outputs, index % outputs)).collect();
        Self { inputs, outputs, coefficients }
    }

    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The coefficient of input `input` in output `output`.
    pub(crate) fn at(&self, input: usize, output: usize) -> u8 {
        self.coefficients[input * self.outputs + output]
    }

    /// All coefficients, input by input.
    pub(crate) fn coefficients(&self) -> &[u8] {
        &self.coefficients
    }

    /// The inverse of this square matrix; `None` if there is none.
    pub(crate) fn inverse(&self) -> Option<Self> {
        debug_assert_eq!(self.inputs, self.outputs, "only square matrices have inverses");
        let size = self.inputs;
        let mut left = self.clone();
        let mut right = Self::new(size, size, |input, output| u8::from(input == output));
        for column in 0..size {
            let pivot = (column..size).find(|&row| left.at(row, column) != 0)?;
            for matrix in [&mut left, &mut right] {
                matrix.swap(column, pivot);
            }
            let factor = invert(left.at(column, column));
            for matrix in [&mut left, &mut right] {
                matrix.scale(column, factor);
            }
            for row in (0..size).filter(|&row| row != column) {
                let factor = left.at(row, column);
                for matrix in [&mut left, &mut right] {
                    matrix.add(row, column, factor);
                }
            }
        }
        Some(right)
    }

    fn row(&mut self, input: usize) -> &mut [u8] {
        &mut self.coefficients[input * self.outputs..][..self.outputs]
    }

    fn swap(&mut self, a: usize, b: usize) {
        for output in 0..self.outputs {
            self.coefficients.swap(a * self.outputs + output, b * self.outputs + output);
        }
    }

    fn scale(&mut self, input: usize, factor: u8) {
        for value in self.row(input) {
            *value = multiply(*value, factor);
        }
    }

    /// Adds `factor` times row `from` to row `to`.
    fn add(&mut self, to: usize, from: usize, factor: u8) {
        for output in 0..self.outputs {
            let value = multiply(self.at(from, output), factor);
            self.row(to)[output] ^= value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses_undo_and_some_matrices_have_none() {
        let mut rng = fastrand::Rng::with_seed(1);
        for size in 1..=if cfg!(miri) { 6 } else { 24 } {
            let bytes: Vec<u8> = (0..size * size).map(|_| rng.u8(..)).collect();
            let matrix = Matrix::new(size, size, |input, output| bytes[input * size + output]);
            let Some(inverse) = matrix.inverse() else { continue };
            let product = Matrix::new(size, size, |input, output| {
                (0..size).fold(0, |sum, middle| sum ^ multiply(matrix.at(input, middle), inverse.at(middle, output)))
            });
            assert_eq!(product, Matrix::new(size, size, |input, output| u8::from(input == output)));
        }
        assert_eq!(Matrix::new(2, 2, |_, output| [3, 5][output]).inverse(), None);
        // A zero where the first pivot would be.
        let swapped = Matrix::new(3, 3, |input, output| u8::from((input + 1) % 3 == output));
        assert_eq!(swapped.inverse(), Some(Matrix::new(3, 3, |input, output| u8::from((output + 1) % 3 == input))));
    }
}
