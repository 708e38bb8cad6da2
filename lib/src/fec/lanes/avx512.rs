//! AVX-512 with GFNI: a product of 64 bytes is one instruction, a multiplication by a matrix over GF(2).

// The instructions read and write through addresses.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512i, _mm512_gf2p8affine_epi64_epi8, _mm512_loadu_si512, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_storeu_si512, _mm512_xor_si512,
};

use super::rows::{Part, PartMut};
use crate::cpu::Avx512Gfni;

add_products_with!(
    Avx512Gfni, "avx512f,avx512bw,gfni", __m512i, 64, u64, rows_at_a_time: 2, at_a_time: 8, 1 2 3 4 5 6 7
);

#[target_feature(enable = "avx512f,avx512bw,gfni")]
#[inline]
fn zero() -> __m512i {
    _mm512_setzero_si512()
}

/// # Safety
/// 64 bytes can be read there.
#[target_feature(enable = "avx512f,avx512bw,gfni")]
#[inline]
unsafe fn load(address: *const u8) -> __m512i {
    // SAFETY: as the caller promises; no alignment is required.
    unsafe { _mm512_loadu_si512(address.cast()) }
}

/// # Safety
/// 64 bytes can be written there.
#[target_feature(enable = "avx512f,avx512bw,gfni")]
#[inline]
unsafe fn store(address: *mut u8, vector: __m512i) {
    // SAFETY: as the caller promises; no alignment is required.
    unsafe { _mm512_storeu_si512(address.cast(), vector) }
}

#[target_feature(enable = "avx512f,avx512bw,gfni")]
#[inline]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_xor_si512(a, b)
}

/// Whole bytes are multiplied.
#[target_feature(enable = "avx512f,avx512bw,gfni")]
#[inline]
fn split(bytes: __m512i) -> __m512i {
    bytes
}

#[target_feature(enable = "avx512f,avx512bw,gfni")]
#[inline]
fn factor(coefficient: u64) -> __m512i {
    _mm512_set1_epi64(coefficient.cast_signed())
}

#[target_feature(enable = "avx512f,avx512bw,gfni")]
#[inline]
fn product(factor: __m512i, bytes: __m512i) -> __m512i {
    _mm512_gf2p8affine_epi64_epi8::<0>(bytes, factor)
}
