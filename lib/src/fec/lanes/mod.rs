//! Multiplication of whole rows of bytes by a matrix over GF(256). `avx512`, `avx2`, `ssse3` and `neon` are the
//! leaves that contain the instructions, each for its token; `portable` looks products up.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[macro_use]
mod macros;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod multiplier;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod rows;
#[cfg(target_arch = "x86_64")]
mod ssse3;

pub(super) use multiplier::{Backend, Multiplier};
pub(super) use rows::{Rows, TILE, transposed};
