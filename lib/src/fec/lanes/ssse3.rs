//! SSSE3: the products of the halves of 16 bytes are looked up at once.

// The instructions read and write through addresses.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_loadu_si128, _mm_set1_epi8, _mm_setzero_si128, _mm_shuffle_epi8, _mm_srli_epi64,
    _mm_storeu_si128, _mm_xor_si128,
};

use super::rows::{Part, PartMut};
use crate::cpu::Ssse3;

add_products_with!(Ssse3, "ssse3", __m128i, 16, [u8; 32], rows_at_a_time: 1, at_a_time: 4, 1 2 3);

#[target_feature(enable = "ssse3")]
#[inline]
fn zero() -> __m128i {
    _mm_setzero_si128()
}

/// # Safety
/// 16 bytes can be read there.
#[target_feature(enable = "ssse3")]
#[inline]
unsafe fn load(address: *const u8) -> __m128i {
    // SAFETY: as the caller promises; no alignment is required.
    unsafe { _mm_loadu_si128(address.cast()) }
}

/// # Safety
/// 16 bytes can be written there.
#[target_feature(enable = "ssse3")]
#[inline]
unsafe fn store(address: *mut u8, vector: __m128i) {
    // SAFETY: as the caller promises; no alignment is required.
    unsafe { _mm_storeu_si128(address.cast(), vector) }
}

#[target_feature(enable = "ssse3")]
#[inline]
fn add(a: __m128i, b: __m128i) -> __m128i {
    _mm_xor_si128(a, b)
}

/// The low and the high half of each byte.
#[target_feature(enable = "ssse3")]
#[inline]
fn split(bytes: __m128i) -> [__m128i; 2] {
    let low = _mm_set1_epi8(0x0F);
    [_mm_and_si128(bytes, low), _mm_and_si128(_mm_srli_epi64::<4>(bytes), low)]
}

/// The products of each low and each high half, to be looked up.
#[target_feature(enable = "ssse3")]
#[inline]
fn factor(coefficient: [u8; 32]) -> [__m128i; 2] {
    // SAFETY: both halves of the array can be read, and no alignment is required.
    unsafe { [_mm_loadu_si128(coefficient.as_ptr().cast()), _mm_loadu_si128(coefficient.as_ptr().add(16).cast())] }
}

#[target_feature(enable = "ssse3")]
#[inline]
fn product(factor: [__m128i; 2], bytes: [__m128i; 2]) -> __m128i {
    add(_mm_shuffle_epi8(factor[0], bytes[0]), _mm_shuffle_epi8(factor[1], bytes[1]))
}
