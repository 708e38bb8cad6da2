//! AVX-512: 16 messages of SHA-256 or SHA-1, or 8 of SHA-512, side by side.

// The instructions read and write through addresses.
#![allow(unsafe_code)]
// Their names are long and say where they are from.
#![allow(clippy::wildcard_imports)]

use super::constants::{K32, K64};
use super::{Compress, Family, Sha1, Sha256, Sha512, lane_pointers};
use crate::cpu::Avx512;

compress_with!(Avx512: Sha256, 16, sha256);
compress_with!(Avx512: Sha1, 16, sha1);
compress_with!(Avx512: Sha512, 8, sha512);

sha2_compress!(
    sha256, "avx512f,avx512bw", words32, u32, 16, K32,
    big0: (2, 13, 22), big1: (6, 11, 25), small0: (7, 18, 3), small1: (17, 19, 10)
);
sha2_compress!(
    sha512, "avx512f,avx512bw", words64, u64, 8, K64,
    big0: (28, 34, 39), big1: (14, 18, 41), small0: (1, 8, 7), small1: (19, 61, 6)
);
sha1_compress!(sha1, "avx512f,avx512bw", words32, 16);

/// Operations that do not depend on the width of words.
mod bits {
    use std::arch::x86_64::*;

    vector_operations! { "avx512f,avx512bw";
        fn xor(a: __m512i, b: __m512i) -> __m512i { _mm512_xor_si512(a, b) }

        fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i { _mm512_ternarylogic_epi32::<0x96>(a, b, c) }

        fn choose(e: __m512i, f: __m512i, g: __m512i) -> __m512i { _mm512_ternarylogic_epi32::<0xCA>(e, f, g) }

        fn majority(a: __m512i, b: __m512i, c: __m512i) -> __m512i { _mm512_ternarylogic_epi32::<0xE8>(a, b, c) }

        /// Puts quarters of 128 bits of four vectors together: all the first ones, the second, the third, the fourth.
        fn quarters(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [__m512i; 4] {
            let (even_ab, odd_ab) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xDD>(a, b));
            let (even_cd, odd_cd) = (_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xDD>(c, d));
            [
                _mm512_shuffle_i32x4::<0x88>(even_ab, even_cd),
                _mm512_shuffle_i32x4::<0x88>(odd_ab, odd_cd),
                _mm512_shuffle_i32x4::<0xDD>(even_ab, even_cd),
                _mm512_shuffle_i32x4::<0xDD>(odd_ab, odd_cd),
            ]
        }
    }

    /// The 64 bytes at `address`.
    ///
    /// # Safety
    /// They can be read.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(crate) unsafe fn read(address: *const u8) -> __m512i {
        // The lines of 16 blocks of 4096 bytes fall into one set of the first-level cache, which cannot hold that many:
        // the processor does not keep what the next chunks need. A prefetch reads nothing that a program can see,
        // whatever the address.
        // SAFETY: the caller vouches for the read, and no alignment is required; the prefetch has no requirements.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(address.wrapping_add(128).cast());
            _mm512_loadu_si512(address.cast())
        }
    }
}

/// Vectors of 16 words of 32 bits.
mod words32 {
    use std::arch::asm;
    use std::arch::x86_64::*;

    pub(crate) use super::bits::{choose, majority, xor, xor3};
    use super::bits::{quarters, read};

    type Vector = __m512i;

    vector_operations! { "avx512f,avx512bw";
        fn splat(word: u32) -> Vector { _mm512_set1_epi32(word.cast_signed()) }

        /// An addition that the compiler leaves in its place: otherwise it reorders the sums, which costs a tenth.
        fn add(a: Vector, b: Vector) -> Vector {
            let sum;
            // SAFETY: the instruction is one of AVX-512F's, which the feature above enables.
            unsafe {
                asm!("vpaddd {}, {}, {}", lateout(zmm_reg) sum, in(zmm_reg) a, in(zmm_reg) b,
                    options(pure, nomem, nostack, preserves_flags));
            }
            sum
        }

        /// Left to the compiler, which takes the constant from memory within the addition.
        fn add_constant(a: Vector, constant: u32) -> Vector { _mm512_add_epi32(a, splat(constant)) }

        fn rotate_left<N: i32>(a: Vector) -> Vector { _mm512_rol_epi32::<N>(a) }

        fn big_sigma<R1: i32, R2: i32, R3: i32>(a: Vector) -> Vector {
            xor3(_mm512_ror_epi32::<R1>(a), _mm512_ror_epi32::<R2>(a), _mm512_ror_epi32::<R3>(a))
        }

        fn small_sigma<R1: i32, R2: i32, S: u32>(a: Vector) -> Vector {
            xor3(_mm512_ror_epi32::<R1>(a), _mm512_ror_epi32::<R2>(a), _mm512_srli_epi32::<S>(a))
        }

        fn load(words: &[u32; 16]) -> Vector {
            // SAFETY: 64 bytes are readable through the reference, and no alignment is required.
            unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
        }

        fn store(words: &mut [u32; 16], vector: Vector) -> () {
            // SAFETY: 64 bytes are writable through the reference, and no alignment is required.
            unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
        }

        /// Rows to columns.
        fn transposed(rows: [Vector; 16]) -> [Vector; 16] {
            // Within each quarter of 128 bits: pairs of words, then of pairs; then the quarters themselves.
            let mut quads = [splat(0); 16];
            for i in [0, 4, 8, 12] {
                let low01 = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
                let high01 = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
                let low23 = _mm512_unpacklo_epi32(rows[i + 2], rows[i + 3]);
                let high23 = _mm512_unpackhi_epi32(rows[i + 2], rows[i + 3]);
                quads[i] = _mm512_unpacklo_epi64(low01, low23);
                quads[i + 1] = _mm512_unpackhi_epi64(low01, low23);
                quads[i + 2] = _mm512_unpacklo_epi64(high01, high23);
                quads[i + 3] = _mm512_unpackhi_epi64(high01, high23);
            }
            let mut columns = [splat(0); 16];
            for i in 0..4 {
                [columns[i], columns[i + 4], columns[i + 8], columns[i + 12]] =
                    quarters(quads[i], quads[i + 4], quads[i + 8], quads[i + 12]);
            }
            columns
        }
    }

    /// The 16 big-endian words of chunk `chunk` of each message.
    ///
    /// # Safety
    /// That chunk of each message can be read.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(crate) unsafe fn load_chunk(messages: &[*const u8; 16], chunk: usize) -> [Vector; 16] {
        let big_endian = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203));
        let mut rows = [splat(0); 16];
        for (row, message) in rows.iter_mut().zip(messages) {
            // SAFETY: the caller vouches for the chunk's 64 bytes.
            *row = _mm512_shuffle_epi8(unsafe { read(message.add(chunk * 64)) }, big_endian);
        }
        transposed(rows)
    }
}

/// Vectors of 8 words of 64 bits.
mod words64 {
    use std::arch::asm;
    use std::arch::x86_64::*;

    pub(crate) use super::bits::{choose, majority, xor3};
    use super::bits::{quarters, read};

    type Vector = __m512i;

    vector_operations! { "avx512f,avx512bw";
        fn splat(word: u64) -> Vector { _mm512_set1_epi64(word.cast_signed()) }

        /// An addition that the compiler leaves in its place, as for the shorter words.
        fn add(a: Vector, b: Vector) -> Vector {
            let sum;
            // SAFETY: the instruction is one of AVX-512F's, which the feature above enables.
            unsafe {
                asm!("vpaddq {}, {}, {}", lateout(zmm_reg) sum, in(zmm_reg) a, in(zmm_reg) b,
                    options(pure, nomem, nostack, preserves_flags));
            }
            sum
        }

        /// Left to the compiler, which takes the constant from memory within the addition.
        fn add_constant(a: Vector, constant: u64) -> Vector { _mm512_add_epi64(a, splat(constant)) }

        fn big_sigma<R1: i32, R2: i32, R3: i32>(a: Vector) -> Vector {
            xor3(_mm512_ror_epi64::<R1>(a), _mm512_ror_epi64::<R2>(a), _mm512_ror_epi64::<R3>(a))
        }

        fn small_sigma<R1: i32, R2: i32, S: u32>(a: Vector) -> Vector {
            xor3(_mm512_ror_epi64::<R1>(a), _mm512_ror_epi64::<R2>(a), _mm512_srli_epi64::<S>(a))
        }

        fn load(words: &[u64; 8]) -> Vector {
            // SAFETY: 64 bytes are readable through the reference, and no alignment is required.
            unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
        }

        fn store(words: &mut [u64; 8], vector: Vector) -> () {
            // SAFETY: 64 bytes are writable through the reference, and no alignment is required.
            unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
        }

        /// Rows to columns.
        fn transposed(rows: [Vector; 8]) -> [Vector; 8] {
            let low = |i: usize| _mm512_unpacklo_epi64(rows[i], rows[i + 1]);
            let high = |i: usize| _mm512_unpackhi_epi64(rows[i], rows[i + 1]);
            let [column0, column2, column4, column6] = quarters(low(0), low(2), low(4), low(6));
            let [column1, column3, column5, column7] = quarters(high(0), high(2), high(4), high(6));
            [column0, column1, column2, column3, column4, column5, column6, column7]
        }
    }

    /// The 16 big-endian words of chunk `chunk` of each message.
    ///
    /// # Safety
    /// That chunk of each message can be read.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(crate) unsafe fn load_chunk(messages: &[*const u8; 8], chunk: usize) -> [Vector; 16] {
        let big_endian = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0809_0a0b_0c0d_0e0f, 0x0001_0203_0405_0607));
        let mut words = [splat(0); 16];
        for (part, words) in words.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let mut rows = [splat(0); 8];
            for (row, message) in rows.iter_mut().zip(messages) {
                // SAFETY: the caller vouches for these 64 of the chunk's 128 bytes.
                *row = _mm512_shuffle_epi8(unsafe { read(message.add(chunk * 128 + part * 64)) }, big_endian);
            }
            *words = transposed(rows);
        }
        words
    }
}
