//! AVX2: the products of the halves of 32 bytes are looked up at once.

// The instructions read and write through addresses.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_loadu_si256, _mm256_set1_epi8,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi64, _mm256_storeu_si256, _mm256_xor_si256,
};

use super::rows::{Part, PartMut};
use crate::cpu::Avx2;

add_products_with!(Avx2, "avx2", __m256i, 32, [u8; 32], rows_at_a_time: 1, at_a_time: 4, 1 2 3);

#[target_feature(enable = "avx2")]
#[inline]
fn zero() -> __m256i {
    _mm256_setzero_si256()
}

/// # Safety
/// 32 bytes can be read there.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn load(address: *const u8) -> __m256i {
    // SAFETY: as the caller promises; no alignment is required.
    unsafe { _mm256_loadu_si256(address.cast()) }
}

/// # Safety
/// 32 bytes can be written there.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn store(address: *mut u8, vector: __m256i) {
    // SAFETY: as the caller promises; no alignment is required.
    unsafe { _mm256_storeu_si256(address.cast(), vector) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_xor_si256(a, b)
}

/// The low and the high half of each byte.
#[target_feature(enable = "avx2")]
#[inline]
fn split(bytes: __m256i) -> [__m256i; 2] {
    let low = _mm256_set1_epi8(0x0F);
    [_mm256_and_si256(bytes, low), _mm256_and_si256(_mm256_srli_epi64::<4>(bytes), low)]
}

/// The products of each low and each high half, to be looked up.
#[target_feature(enable = "avx2")]
#[inline]
fn factor(coefficient: [u8; 32]) -> [__m256i; 2] {
    // SAFETY: both halves of the array can be read, and no alignment is required.
    unsafe {
        [
            _mm256_broadcastsi128_si256(_mm_loadu_si128(coefficient.as_ptr().cast())),
            _mm256_broadcastsi128_si256(_mm_loadu_si128(coefficient.as_ptr().add(16).cast())),
        ]
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn product(factor: [__m256i; 2], bytes: [__m256i; 2]) -> __m256i {
    add(_mm256_shuffle_epi8(factor[0], bytes[0]), _mm256_shuffle_epi8(factor[1], bytes[1]))
}
