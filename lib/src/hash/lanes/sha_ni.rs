//! SHA-NI: SHA-256 of four messages whose instructions take turns, so that each one's latency is spent on the others.

// The instructions read and write through addresses.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_loadu_si128, _mm_set_epi32, _mm_set_epi64x, _mm_setzero_si128,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
    _mm_storeu_si128,
};

use super::constants::K32;
use super::{Compress, Family, Sha256, lane_pointers};
use crate::cpu::ShaNi;

/// How many messages take turns.
const LANES: usize = 4;

compress_with!(ShaNi: Sha256, 4, sha256);

/// # Safety
/// Each of `messages` points to `chunks` chunks that can be read.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
unsafe fn sha256(state: &mut [[u32; LANES]; 8], messages: &[*const u8; LANES], chunks: usize) {
    let big_endian = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    // The instructions want a state in two registers, the words in this order.
    let mut abef = [_mm_setzero_si128(); LANES];
    let mut cdgh = [_mm_setzero_si128(); LANES];
    for lane in 0..LANES {
        let word = |index: usize| state[index][lane].cast_signed();
        abef[lane] = _mm_set_epi32(word(0), word(1), word(4), word(5));
        cdgh[lane] = _mm_set_epi32(word(2), word(3), word(6), word(7));
    }
    for chunk in 0..chunks {
        let (abef_before, cdgh_before) = (abef, cdgh);
        // Words 0 to 3, 4 to 7, 8 to 11 and 12 to 15 of each message.
        let mut w = [[_mm_setzero_si128(); LANES]; 4];
        for (group, w) in w.iter_mut().enumerate() {
            for (w, message) in w.iter_mut().zip(messages) {
                // SAFETY: the chunk is one of those that the caller vouches for; no alignment is asked for.
                let bytes = unsafe { _mm_loadu_si128(message.add(chunk * 64 + group * 16).cast()) };
                *w = _mm_shuffle_epi8(bytes, big_endian);
            }
        }
        for k in &K32[..3] {
            for group in 0..4 {
                four_rounds(&mut abef, &mut cdgh, &w[group], k, group);
                schedule(&mut w, group);
            }
        }
        for (group, words) in w.iter().enumerate() {
            four_rounds(&mut abef, &mut cdgh, words, &K32[3], group);
        }
        for lane in 0..LANES {
            abef[lane] = _mm_add_epi32(abef[lane], abef_before[lane]);
            cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_before[lane]);
        }
    }
    for lane in 0..LANES {
        // From the lowest word of a register to the highest: which word of the state it is.
        for (vector, order) in [(abef[lane], [5, 4, 1, 0]), (cdgh[lane], [7, 6, 3, 2])] {
            let mut words = [0; 4];
            // SAFETY: 16 bytes are writable through the reference, and no alignment is asked for.
            unsafe { _mm_storeu_si128(words.as_mut_ptr().cast(), vector) }
            for (index, word) in order.into_iter().zip(words) {
                state[index][lane] = word;
            }
        }
    }
}

/// Four rounds of each message, with the words of group `group` of 16 rounds whose constants are `k`.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
#[inline]
fn four_rounds(
    abef: &mut [__m128i; LANES],
    cdgh: &mut [__m128i; LANES],
    words: &[__m128i; LANES],
    k: &[u32; 16],
    group: usize,
) {
    let constant = |index: usize| k[group * 4 + index].cast_signed();
    let constants = _mm_set_epi32(constant(3), constant(2), constant(1), constant(0));
    for lane in 0..LANES {
        let sum = _mm_add_epi32(words[lane], constants);
        cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], sum);
        abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], _mm_shuffle_epi32::<0x0E>(sum));
    }
}

/// Replaces the words of a group by those 16 rounds later.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
#[inline]
fn schedule(w: &mut [[__m128i; LANES]; 4], group: usize) {
    let [first, second, third, fourth] = [0, 1, 2, 3].map(|ahead| w[(group + ahead) % 4]);
    for (lane, later) in w[group].iter_mut().enumerate() {
        let seven_back = _mm_alignr_epi8::<4>(fourth[lane], third[lane]);
        let sum = _mm_add_epi32(_mm_sha256msg1_epu32(first[lane], second[lane]), seven_back);
        *later = _mm_sha256msg2_epu32(sum, fourth[lane]);
    }
}
