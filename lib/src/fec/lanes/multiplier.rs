//! A matrix in the form in which a backend multiplies by it.

use super::portable::{self, Table};
use super::rows::{Part, PartMut, Rows, TILE};
#[cfg(target_arch = "aarch64")]
use crate::cpu::Neon;
#[cfg(target_arch = "x86_64")]
use crate::cpu::{Avx2, Avx512Gfni, Ssse3};
use crate::fec::code::Matrix;

/// A way to multiply that this processor can run. The products are the same with each.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backend {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512Gfni),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Ssse3(Ssse3),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    Portable,
}

impl Backend {
    /// The backends of this processor, the fastest first. A process that is held to a backend has only one besides the
    /// portable one: that of the name, `ssse3` for `sha_ni`.
    pub(crate) fn available() -> Vec<Self> {
        with_vectors().into_iter().chain([Self::Portable]).collect()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Ssse3(_) => "ssse3",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
            Self::Portable => "portable",
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn with_vectors() -> Vec<Backend> {
    let all =
        [Avx512Gfni::new().map(Backend::Avx512), Avx2::new().map(Backend::Avx2), Ssse3::new().map(Backend::Ssse3)];
    all.into_iter().flatten().collect()
}

#[cfg(target_arch = "aarch64")]
fn with_vectors() -> Vec<Backend> {
    Neon::new().map(Backend::Neon).into_iter().collect()
}

/// Other architectures have no leaves.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn with_vectors() -> Vec<Backend> {
    Vec::new()
}

/// A matrix in the form in which a backend multiplies by it.
#[derive(Debug)]
pub(crate) struct Multiplier {
    inputs: usize,
    outputs: usize,
    coefficients: Coefficients,
}

/// Each in the order of [`Matrix::coefficients`].
#[derive(Debug)]
enum Coefficients {
    /// As matrices over GF(2).
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512Gfni, Vec<u64>),
    /// As the products of each low and each high half of a byte.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2, Vec<[u8; 32]>),
    #[cfg(target_arch = "x86_64")]
    Ssse3(Ssse3, Vec<[u8; 32]>),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon, Vec<[u8; 32]>),
    Portable(Vec<Table>),
    /// Of a matrix that has powers.
    PortablePowers(Vec<Table>),
}

impl Multiplier {
    /// With the fastest backend there is.
    pub(crate) fn new(matrix: &Matrix) -> Self {
        let fastest = Backend::available()[0];
        Self::with_backend(matrix, fastest)
    }

    pub(crate) fn with_backend(matrix: &Matrix, backend: Backend) -> Self {
        let bytes = matrix.coefficients();
        let coefficients = match backend {
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512(token) => Coefficients::Avx512(token, bytes.iter().map(|&byte| bits_of(byte)).collect()),
            #[cfg(target_arch = "x86_64")]
            Backend::Avx2(token) => Coefficients::Avx2(token, halves(bytes)),
            #[cfg(target_arch = "x86_64")]
            Backend::Ssse3(token) => Coefficients::Ssse3(token, halves(bytes)),
            #[cfg(target_arch = "aarch64")]
            Backend::Neon(token) => Coefficients::Neon(token, halves(bytes)),
            Backend::Portable if portable::has_powers(matrix) => Coefficients::PortablePowers(portable::tables(matrix)),
            Backend::Portable => Coefficients::Portable(portable::tables(matrix)),
        };
        Self { inputs: matrix.inputs(), outputs: matrix.outputs(), coefficients }
    }

    /// How many outputs there are.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Adds to each of `outputs` what it gets of the first `count` of `rows`, which are the inputs from `first` on.
    ///
    /// # Panics
    /// If there are fewer inputs, rows or outputs, or their width is not a multiple of [`WIDTH`].
    ///
    /// [`WIDTH`]: super::rows::WIDTH
    pub(crate) fn add(&self, first: usize, count: usize, rows: Part<'_>, outputs: &mut PartMut<'_>) {
        let (end, width) = (first + count, self.outputs);
        match &self.coefficients {
            #[cfg(target_arch = "x86_64")]
            Coefficients::Avx512(token, all) => token.add(&all[first * width..end * width], width, rows, outputs),
            #[cfg(target_arch = "x86_64")]
            Coefficients::Avx2(token, all) => token.add(&all[first * width..end * width], width, rows, outputs),
            #[cfg(target_arch = "x86_64")]
            Coefficients::Ssse3(token, all) => token.add(&all[first * width..end * width], width, rows, outputs),
            #[cfg(target_arch = "aarch64")]
            Coefficients::Neon(token, all) => token.add(&all[first * width..end * width], width, rows, outputs),
            Coefficients::Portable(all) => {
                let tables = width.div_ceil(8);
                portable::add(&all[first * tables..end * tables], width, rows, outputs);
            }
            Coefficients::PortablePowers(all) => portable::add_powers(&all[first..end], rows, outputs),
        }
    }

    /// Adds to the first `width` bytes of each of `outputs` what it gets of `rows`, which are all inputs.
    pub(crate) fn add_all(&self, rows: &Rows, width: usize, outputs: &mut Rows) {
        for start in (0..width).step_by(TILE) {
            let columns = start..width.min(start + TILE);
            self.add(0, self.inputs, rows.part(0, &columns), &mut outputs.part_mut(0, &columns));
        }
    }

    /// Makes x + y + z, x + y + f (y + z) and x + z + f (y + z) of rows x, y and z, where f is the first coefficient.
    ///
    /// # Panics
    /// If the widths differ or are not a multiple of [`WIDTH`].
    ///
    /// [`WIDTH`]: super::rows::WIDTH
    pub(crate) fn mix(&self, rows: [&mut [u8]; 3]) {
        match &self.coefficients {
            #[cfg(target_arch = "x86_64")]
            Coefficients::Avx512(token, all) => token.mix(all[0], rows),
            #[cfg(target_arch = "x86_64")]
            Coefficients::Avx2(token, all) => token.mix(all[0], rows),
            #[cfg(target_arch = "x86_64")]
            Coefficients::Ssse3(token, all) => token.mix(all[0], rows),
            #[cfg(target_arch = "aarch64")]
            Coefficients::Neon(token, all) => token.mix(all[0], rows),
            Coefficients::Portable(all) | Coefficients::PortablePowers(all) => portable::mix(&all[0], rows),
        }
    }
}

/// Multiplication by `factor` as a matrix over GF(2), in the order that the instruction expects: the byte for the
/// highest bit of the product comes lowest.
#[cfg(target_arch = "x86_64")]
fn bits_of(factor: u8) -> u64 {
    let mut rows = [0_u8; 8];
    for bit in 0..8 {
        let product = crate::fec::code::field::multiply(factor, 1 << bit);
        for (row, bits) in rows.iter_mut().enumerate() {
            *bits |= (product >> (7 - row) & 1) << bit;
        }
    }
    u64::from_le_bytes(rows)
}

/// For each of `factors` the products with 0 to 15, then with 0 to 15 times 16.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(never)]
fn halves(factors: &[u8]) -> Vec<[u8; 32]> {
    let of = |&factor| {
        std::array::from_fn(|index| {
            let half = u8::try_from(index % 16).expect("half a byte");
            crate::fec::code::field::multiply(factor, if index < 16 { half } else { half << 4 })
        })
    };
    factors.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::super::rows::WIDTH;
    use super::*;
    use crate::fec::code::field::multiply;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn what_the_processor_has_is_used_unless_a_build_is_held_to_another_way() {
        let available = Backend::available();
        let is_known = |name| crate::cpu::held_to().is_none_or(|held_to| held_to == name);
        let has = |is: fn(&Backend) -> bool| available.iter().any(is);
        assert_eq!(has(|it| matches!(it, Backend::Avx2(_))), is_x86_feature_detected!("avx2") && is_known("avx2"));
        assert_eq!(has(|it| matches!(it, Backend::Ssse3(_))), is_x86_feature_detected!("ssse3") && is_known("sha_ni"));
        assert!(matches!(available.last(), Some(Backend::Portable)));
    }

    #[test]
    fn every_backend_makes_the_products_of_the_field() {
        let mut rng = fastrand::Rng::with_seed(6);
        let backends = Backend::available();
        let all = (1..=24).map(|outputs| (37, outputs)).chain([(1, 1), (256, 9), (253, 2), (231, 24)]);
        // Only some under Miri.
        let sizes: Vec<_> = if cfg!(miri) { vec![(1, 1), (9, 3)] } else { all.collect() };
        for (inputs, outputs) in sizes {
            // All 256 factors in some.
            let factors: Vec<u8> = (0..inputs * outputs).map(|index| u8::try_from(index % 251).unwrap()).collect();
            let matrix = Matrix::new(inputs, outputs, |input, output| factors[input * outputs + output] ^ 0xFE);
            let width = WIDTH * rng.usize(1..=3);
            let mut rows = Rows::new(inputs, width + WIDTH).unwrap();
            for input in 0..inputs {
                rows.row_mut(input, width).fill_with(|| rng.u8(..));
            }
            let mut expected = Rows::new(outputs, width).unwrap();
            for output in 0..outputs {
                for column in 0..width {
                    // Something is there already.
                    let products =
                        (0..inputs).map(|input| multiply(matrix.at(input, output), rows.row(input, width)[column]));
                    expected.row_mut(output, width)[column] = products.fold(0x5A, |sum, product| sum ^ product);
                }
            }
            for &backend in &backends {
                let multiplier = Multiplier::with_backend(&matrix, backend);
                let mut made = Rows::new(outputs, width + WIDTH).unwrap();
                for output in 0..outputs {
                    made.row_mut(output, width + WIDTH).fill(0x5A);
                }
                // In two parts, the second of which starts elsewhere.
                let (first, columns) = (inputs / 3, 0..width);
                multiplier.add(0, first, rows.part(0, &columns), &mut made.part_mut(0, &columns));
                let rest = rows.part(first, &columns);
                multiplier.add(first, inputs - first, rest, &mut made.part_mut(0, &columns));
                for output in 0..outputs {
                    assert!(
                        made.row(output, width) == expected.row(output, width),
                        "{backend:?}, {inputs} inputs, output {output} of {outputs}"
                    );
                    assert!(
                        made.row(output, width + WIDTH)[width..].iter().all(|&byte| byte == 0x5A),
                        "beyond the width"
                    );
                }
            }
        }
        #[cfg(target_arch = "x86_64")]
        for (name, there) in [("avx512", Avx512Gfni::new().is_some()), ("avx2", Avx2::new().is_some())] {
            if !there {
                println!("skipped: this processor has no {name}");
            }
        }
    }
}
