//! NEON: 4 messages of SHA-256 or SHA-1 side by side, for processors without the Cryptographic Extension.

// The instructions read and write through addresses.
#![allow(unsafe_code)]
// Their names are long and say where they are from.
#![allow(clippy::wildcard_imports)]

use super::constants::K32;
use super::{Compress, Family, Sha1, Sha256, lane_pointers};
use crate::cpu::Neon;

compress_with!(Neon: Sha256, 4, sha256);
compress_with!(Neon: Sha1, 4, sha1);

sha2_compress!(
    sha256, "neon", words32, u32, 4, K32,
    big0: (2, 13, 22), big1: (6, 11, 25), small0: (7, 18, 3), small1: (17, 19, 10)
);
sha1_compress!(sha1, "neon", words32, 4);

/// Vectors of 4 words of 32 bits.
mod words32 {
    use std::arch::aarch64::*;

    type Vector = uint32x4_t;

    vector_operations! { "neon";
        fn splat(word: u32) -> Vector { vdupq_n_u32(word) }

        fn add(a: Vector, b: Vector) -> Vector { vaddq_u32(a, b) }

        fn add_constant(a: Vector, constant: u32) -> Vector { add(a, splat(constant)) }

        fn xor(a: Vector, b: Vector) -> Vector { veorq_u32(a, b) }

        fn xor3(a: Vector, b: Vector, c: Vector) -> Vector { xor(xor(a, b), c) }

        fn choose(e: Vector, f: Vector, g: Vector) -> Vector { vbslq_u32(e, f, g) }

        fn majority(a: Vector, b: Vector, c: Vector) -> Vector { vbslq_u32(xor(a, b), c, b) }

        fn rotate_left<N: i32>(a: Vector) -> Vector {
            vorrq_u32(vshlq_u32(a, vdupq_n_s32(N)), vshlq_u32(a, vdupq_n_s32(N - 32)))
        }

        fn rotate_right<N: i32>(a: Vector) -> Vector {
            vorrq_u32(vshlq_u32(a, vdupq_n_s32(-N)), vshlq_u32(a, vdupq_n_s32(32 - N)))
        }

        fn big_sigma<R1: i32, R2: i32, R3: i32>(a: Vector) -> Vector {
            xor3(rotate_right::<R1>(a), rotate_right::<R2>(a), rotate_right::<R3>(a))
        }

        fn small_sigma<R1: i32, R2: i32, S: i32>(a: Vector) -> Vector {
            xor3(rotate_right::<R1>(a), rotate_right::<R2>(a), vshrq_n_u32::<S>(a))
        }

        fn load(words: &[u32; 4]) -> Vector {
            // SAFETY: 16 bytes are readable through the reference.
            unsafe { vld1q_u32(words.as_ptr()) }
        }

        fn store(words: &mut [u32; 4], vector: Vector) -> () {
            // SAFETY: 16 bytes are writable through the reference.
            unsafe { vst1q_u32(words.as_mut_ptr(), vector) }
        }

        /// The first and second halves of both, put together.
        fn halves(a: Vector, b: Vector) -> [Vector; 2] {
            let (a, b) = (vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b));
            [vreinterpretq_u32_u64(vtrn1q_u64(a, b)), vreinterpretq_u32_u64(vtrn2q_u64(a, b))]
        }

        /// Rows to columns.
        fn transposed(rows: [Vector; 4]) -> [Vector; 4] {
            // Pairs of words, then of pairs.
            let (even01, odd01) = (vtrn1q_u32(rows[0], rows[1]), vtrn2q_u32(rows[0], rows[1]));
            let (even23, odd23) = (vtrn1q_u32(rows[2], rows[3]), vtrn2q_u32(rows[2], rows[3]));
            let ([column0, column2], [column1, column3]) = (halves(even01, even23), halves(odd01, odd23));
            [column0, column1, column2, column3]
        }
    }

    /// The 16 big-endian words of chunk `chunk` of each message.
    ///
    /// # Safety
    /// That chunk of each message can be read.
    #[target_feature(enable = "neon")]
    #[inline]
    pub(crate) unsafe fn load_chunk(messages: &[*const u8; 4], chunk: usize) -> [Vector; 16] {
        let mut words = [splat(0); 16];
        for (part, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let mut rows = [splat(0); 4];
            for (row, message) in rows.iter_mut().zip(messages) {
                // SAFETY: the caller vouches for these 16 of the chunk's 64 bytes; no alignment is required.
                let bytes = unsafe { vld1q_u8(message.add(chunk * 64 + part * 16)) };
                *row = vreinterpretq_u32_u8(vrev32q_u8(bytes));
            }
            *words = transposed(rows);
        }
        words
    }
}
