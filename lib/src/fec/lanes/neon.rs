//! NEON: the products of the halves of 16 bytes are looked up at once.

// The instructions read and write through addresses.
#![allow(unsafe_code)]

use std::arch::aarch64::{uint8x16_t, vandq_u8, vdupq_n_u8, veorq_u8, vld1q_u8, vqtbl1q_u8, vshrq_n_u8, vst1q_u8};

use super::rows::{Part, PartMut};
use crate::cpu::Neon;

add_products_with!(Neon, "neon", uint8x16_t, 16, [u8; 32], rows_at_a_time: 1, at_a_time: 8, 1 2 3 4 5 6 7);

#[target_feature(enable = "neon")]
#[inline]
fn zero() -> uint8x16_t {
    vdupq_n_u8(0)
}

/// # Safety
/// 16 bytes can be read there.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn load(address: *const u8) -> uint8x16_t {
    // SAFETY: as the caller promises; no alignment is required.
    unsafe { vld1q_u8(address) }
}

/// # Safety
/// 16 bytes can be written there.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn store(address: *mut u8, vector: uint8x16_t) {
    // SAFETY: as the caller promises; no alignment is required.
    unsafe { vst1q_u8(address, vector) }
}

#[target_feature(enable = "neon")]
#[inline]
fn add(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    veorq_u8(a, b)
}

/// The low and the high half of each byte.
#[target_feature(enable = "neon")]
#[inline]
fn split(bytes: uint8x16_t) -> [uint8x16_t; 2] {
    [vandq_u8(bytes, vdupq_n_u8(0x0F)), vshrq_n_u8::<4>(bytes)]
}

/// The products of each low and each high half, to be looked up.
#[target_feature(enable = "neon")]
#[inline]
fn factor(coefficient: [u8; 32]) -> [uint8x16_t; 2] {
    // SAFETY: both halves of the array can be read.
    unsafe { [vld1q_u8(coefficient.as_ptr()), vld1q_u8(coefficient.as_ptr().add(16))] }
}

#[target_feature(enable = "neon")]
#[inline]
fn product(factor: [uint8x16_t; 2], bytes: [uint8x16_t; 2]) -> uint8x16_t {
    add(vqtbl1q_u8(factor[0], bytes[0]), vqtbl1q_u8(factor[1], bytes[1]))
}
