//! The code: the field GF(256), matrices over it, and Reed-Solomon on one codeword. Arithmetic only.

pub(crate) mod field;
mod matrix;
mod reed_solomon;

pub(crate) use field::alpha;
pub(crate) use matrix::Matrix;
pub(crate) use reed_solomon::{Code, MAX_ROOTS, SYMBOLS, weight};
