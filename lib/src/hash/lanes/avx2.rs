//! AVX2: 8 messages of SHA-256 or SHA-1, or 4 of SHA-512, side by side.

// The instructions read and write through addresses.
#![allow(unsafe_code)]
// Their names are long and say where they are from.
#![allow(clippy::wildcard_imports)]

use super::constants::{K32, K64};
use super::{Compress, Family, Sha1, Sha256, Sha512, lane_pointers};
use crate::cpu::Avx2;

compress_with!(Avx2: Sha256, 8, sha256);
compress_with!(Avx2: Sha1, 8, sha1);
compress_with!(Avx2: Sha512, 4, sha512);

sha2_compress!(
    sha256, "avx2", words32, u32, 8, K32,
    big0: (2, 13, 22), big1: (6, 11, 25), small0: (7, 18, 3), small1: (17, 19, 10)
);
sha2_compress!(
    sha512, "avx2", words64, u64, 4, K64,
    big0: (28, 34, 39), big1: (14, 18, 41), small0: (1, 8, 7), small1: (19, 61, 6)
);
sha1_compress!(sha1, "avx2", words32, 8);

/// Operations that do not depend on the width of words.
mod bits {
    use std::arch::x86_64::*;

    vector_operations! { "avx2";
        fn xor(a: __m256i, b: __m256i) -> __m256i { _mm256_xor_si256(a, b) }

        fn xor3(a: __m256i, b: __m256i, c: __m256i) -> __m256i { xor(xor(a, b), c) }

        fn choose(e: __m256i, f: __m256i, g: __m256i) -> __m256i { xor(g, _mm256_and_si256(e, xor(f, g))) }

        fn majority(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
            xor(b, _mm256_and_si256(xor(a, b), xor(b, c)))
        }

        /// The first and second halves of both, put together.
        fn halves(a: __m256i, b: __m256i) -> [__m256i; 2] {
            [_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)]
        }
    }

    /// The 32 bytes at `address`.
    ///
    /// # Safety
    /// They can be read.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) unsafe fn read(address: *const u8) -> __m256i {
        // SAFETY: the caller vouches for it, and no alignment is required.
        unsafe { _mm256_loadu_si256(address.cast()) }
    }
}

/// Vectors of 8 words of 32 bits.
mod words32 {
    use std::arch::x86_64::*;

    pub(crate) use super::bits::{choose, majority, xor, xor3};
    use super::bits::{halves, read};

    type Vector = __m256i;

    vector_operations! { "avx2";
        fn splat(word: u32) -> Vector { _mm256_set1_epi32(word.cast_signed()) }

        fn add(a: Vector, b: Vector) -> Vector { _mm256_add_epi32(a, b) }

        fn add_constant(a: Vector, constant: u32) -> Vector { add(a, splat(constant)) }

        fn rotate_left<N: u32>(a: Vector) -> Vector {
            _mm256_or_si256(_mm256_sllv_epi32(a, splat(N)), _mm256_srlv_epi32(a, splat(32 - N)))
        }

        fn rotate_right<N: u32>(a: Vector) -> Vector {
            _mm256_or_si256(_mm256_srlv_epi32(a, splat(N)), _mm256_sllv_epi32(a, splat(32 - N)))
        }

        fn big_sigma<R1: u32, R2: u32, R3: u32>(a: Vector) -> Vector {
            xor3(rotate_right::<R1>(a), rotate_right::<R2>(a), rotate_right::<R3>(a))
        }

        fn small_sigma<R1: u32, R2: u32, S: u32>(a: Vector) -> Vector {
            xor3(rotate_right::<R1>(a), rotate_right::<R2>(a), _mm256_srlv_epi32(a, splat(S)))
        }

        fn load(words: &[u32; 8]) -> Vector {
            // SAFETY: 32 bytes are readable through the reference.
            unsafe { read(words.as_ptr().cast()) }
        }

        fn store(words: &mut [u32; 8], vector: Vector) -> () {
            // SAFETY: 32 bytes are writable through the reference, and no alignment is required.
            unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
        }

        /// Rows to columns.
        fn transposed(rows: [Vector; 8]) -> [Vector; 8] {
            // Within each half of 128 bits: pairs of words, then of pairs; then the halves themselves.
            let mut quads = [splat(0); 8];
            for i in [0, 4] {
                let low01 = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
                let high01 = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
                let low23 = _mm256_unpacklo_epi32(rows[i + 2], rows[i + 3]);
                let high23 = _mm256_unpackhi_epi32(rows[i + 2], rows[i + 3]);
                quads[i] = _mm256_unpacklo_epi64(low01, low23);
                quads[i + 1] = _mm256_unpackhi_epi64(low01, low23);
                quads[i + 2] = _mm256_unpacklo_epi64(high01, high23);
                quads[i + 3] = _mm256_unpackhi_epi64(high01, high23);
            }
            let mut columns = [splat(0); 8];
            for i in 0..4 {
                [columns[i], columns[i + 4]] = halves(quads[i], quads[i + 4]);
            }
            columns
        }
    }

    /// The 16 big-endian words of chunk `chunk` of each message.
    ///
    /// # Safety
    /// That chunk of each message can be read.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) unsafe fn load_chunk(messages: &[*const u8; 8], chunk: usize) -> [Vector; 16] {
        let big_endian = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203));
        let mut words = [splat(0); 16];
        for (part, words) in words.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let mut rows = [splat(0); 8];
            for (row, message) in rows.iter_mut().zip(messages) {
                // SAFETY: the caller vouches for these 32 of the chunk's 64 bytes.
                *row = _mm256_shuffle_epi8(unsafe { read(message.add(chunk * 64 + part * 32)) }, big_endian);
            }
            *words = transposed(rows);
        }
        words
    }
}

/// Vectors of 4 words of 64 bits.
mod words64 {
    use std::arch::x86_64::*;

    pub(crate) use super::bits::{choose, majority, xor3};
    use super::bits::{halves, read};

    type Vector = __m256i;

    vector_operations! { "avx2";
        fn splat(word: u64) -> Vector { _mm256_set1_epi64x(word.cast_signed()) }

        fn add(a: Vector, b: Vector) -> Vector { _mm256_add_epi64(a, b) }

        fn add_constant(a: Vector, constant: u64) -> Vector { add(a, splat(constant)) }

        fn rotate_right<N: u64>(a: Vector) -> Vector {
            _mm256_or_si256(_mm256_srlv_epi64(a, splat(N)), _mm256_sllv_epi64(a, splat(64 - N)))
        }

        fn big_sigma<R1: u64, R2: u64, R3: u64>(a: Vector) -> Vector {
            xor3(rotate_right::<R1>(a), rotate_right::<R2>(a), rotate_right::<R3>(a))
        }

        fn small_sigma<R1: u64, R2: u64, S: u64>(a: Vector) -> Vector {
            xor3(rotate_right::<R1>(a), rotate_right::<R2>(a), _mm256_srlv_epi64(a, splat(S)))
        }

        fn load(words: &[u64; 4]) -> Vector {
            // SAFETY: 32 bytes are readable through the reference.
            unsafe { read(words.as_ptr().cast()) }
        }

        fn store(words: &mut [u64; 4], vector: Vector) -> () {
            // SAFETY: 32 bytes are writable through the reference, and no alignment is required.
            unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
        }

        /// Rows to columns.
        fn transposed(rows: [Vector; 4]) -> [Vector; 4] {
            let [column0, column2] =
                halves(_mm256_unpacklo_epi64(rows[0], rows[1]), _mm256_unpacklo_epi64(rows[2], rows[3]));
            let [column1, column3] =
                halves(_mm256_unpackhi_epi64(rows[0], rows[1]), _mm256_unpackhi_epi64(rows[2], rows[3]));
            [column0, column1, column2, column3]
        }
    }

    /// The 16 big-endian words of chunk `chunk` of each message.
    ///
    /// # Safety
    /// That chunk of each message can be read.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) unsafe fn load_chunk(messages: &[*const u8; 4], chunk: usize) -> [Vector; 16] {
        let big_endian = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0809_0a0b_0c0d_0e0f, 0x0001_0203_0405_0607));
        let mut words = [splat(0); 16];
        for (part, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let mut rows = [splat(0); 4];
            for (row, message) in rows.iter_mut().zip(messages) {
                // SAFETY: the caller vouches for these 32 of the chunk's 128 bytes.
                *row = _mm256_shuffle_epi8(unsafe { read(message.add(chunk * 128 + part * 32)) }, big_endian);
            }
            *words = transposed(rows);
        }
        words
    }
}
