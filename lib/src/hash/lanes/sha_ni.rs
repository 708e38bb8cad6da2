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
        abef[lane] = vector(state[5][lane], state[4][lane], state[1][lane], state[0][lane]);
        cdgh[lane] = vector(state[7][lane], state[6][lane], state[3][lane], state[2][lane]);
    }
    for chunk in 0..chunks {
        let (abef_before, cdgh_before) = (abef, cdgh);
        // Words 0 to 3, 4 to 7, 8 to 11 and 12 to 15 of each message.
        let mut w = [[_mm_setzero_si128(); LANES]; 4];
        for (group, w) in w.iter_mut().enumerate() {
            for (w, message) in w.iter_mut().zip(messages) {
                // SAFETY: the chunk is one of those that the caller vouches for; no alignment is required.
                let bytes = unsafe { _mm_loadu_si128(message.add(chunk * 64 + group * 16).cast()) };
                *w = _mm_shuffle_epi8(bytes, big_endian);
            }
        }
        // Which group it is, is written out: a register has no index, and whether a compiler unrolls a loop over groups
        // depends on how a program is built.
        macro_rules! four_rounds {
            (($k:ident) $group:literal) => {
                let [k0, k1, k2, k3] = $k.as_chunks::<4>().0[$group];
                let constants = vector(k0, k1, k2, k3);
                for lane in 0..LANES {
                    let sum = _mm_add_epi32(w[$group][lane], constants);
                    cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], sum);
                    abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], _mm_shuffle_epi32::<0x0E>(sum));
                }
            };
        }
        macro_rules! four_rounds_and_schedule {
            (($k:ident) $group:literal) => {
                four_rounds!(($k) $group);
                // The same words 16 rounds later.
                for lane in 0..LANES {
                    let (third, fourth) = (w[($group + 2) % 4][lane], w[($group + 3) % 4][lane]);
                    let first_and_second = _mm_sha256msg1_epu32(w[$group][lane], w[($group + 1) % 4][lane]);
                    let sum = _mm_add_epi32(first_and_second, _mm_alignr_epi8::<4>(fourth, third));
                    w[$group][lane] = _mm_sha256msg2_epu32(sum, fourth);
                }
            };
        }
        // A loop over these would cost a tenth.
        let [k1, k2, k3, k4] = &K32;
        rounds!(four_rounds_and_schedule (k1): 0 1 2 3);
        rounds!(four_rounds_and_schedule (k2): 0 1 2 3);
        rounds!(four_rounds_and_schedule (k3): 0 1 2 3);
        rounds!(four_rounds (k4): 0 1 2 3);
        for lane in 0..LANES {
            abef[lane] = _mm_add_epi32(abef[lane], abef_before[lane]);
            cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_before[lane]);
        }
    }
    for lane in 0..LANES {
        // From the lowest word of a register to the highest: which word of the state it is.
        for (vector, order) in [(abef[lane], [5, 4, 1, 0]), (cdgh[lane], [7, 6, 3, 2])] {
            let mut words = [0; 4];
            // SAFETY: 16 bytes are writable through the reference, and no alignment is required.
            unsafe { _mm_storeu_si128(words.as_mut_ptr().cast(), vector) }
            for (index, word) in order.into_iter().zip(words) {
                state[index][lane] = word;
            }
        }
    }
}

/// These words, the first one lowest.
#[target_feature(enable = "sse2")]
#[inline]
fn vector(first: u32, second: u32, third: u32, fourth: u32) -> __m128i {
    _mm_set_epi32(fourth.cast_signed(), third.cast_signed(), second.cast_signed(), first.cast_signed())
}
