//! Arm's Cryptographic Extension: several messages whose instructions take turns, so that each one's latency is spent
//! on the others.

// The instructions read and write through addresses.
#![allow(unsafe_code)]
// Their names are long and say where they are from.
#![allow(clippy::wildcard_imports)]

use std::arch::aarch64::*;

use super::constants::{K32, K64};
use super::{Compress, Family, Sha1, Sha256, Sha512, lane_pointers};
use crate::cpu::{ArmCe, ArmCeSha512};

/// How many messages of SHA-256 and SHA-1 take turns. Each needs eight of the 32 registers; a fourth would have to go
/// through memory.
const LANES: usize = 3;

/// How many of SHA-512, whose messages need twice as many.
const LANES_512: usize = 2;

compress_with!(ArmCe: Sha256, 3, sha256);
compress_with!(ArmCe: Sha1, 3, sha1);
compress_with!(ArmCeSha512: Sha512, 2, sha512);

/// # Safety
/// Each of `messages` points to `chunks` chunks that can be read.
#[target_feature(enable = "sha2")]
unsafe fn sha256(state: &mut [[u32; LANES]; 8], messages: &[*const u8; LANES], chunks: usize) {
    let zero = vdupq_n_u32(0);
    let (mut abcd, mut efgh) = ([zero; LANES], [zero; LANES]);
    for lane in 0..LANES {
        abcd[lane] = vector([state[0][lane], state[1][lane], state[2][lane], state[3][lane]]);
        efgh[lane] = vector([state[4][lane], state[5][lane], state[6][lane], state[7][lane]]);
    }
    for chunk in 0..chunks {
        let (abcd_before, efgh_before) = (abcd, efgh);
        // SAFETY: the chunk is one of those that the caller vouches for.
        let mut w = unsafe { load_chunk(messages, chunk) };
        // Which group it is, is written out: a register has no index, and whether a compiler unrolls a loop over groups
        // depends on how a program is built.
        macro_rules! four_rounds {
            (($k:ident) $group:literal) => {
                let constants = vector($k.as_chunks().0[$group]);
                for lane in 0..LANES {
                    let sum = vaddq_u32(w[$group][lane], constants);
                    let before = abcd[lane];
                    abcd[lane] = vsha256hq_u32(before, efgh[lane], sum);
                    efgh[lane] = vsha256h2q_u32(efgh[lane], before, sum);
                }
            };
        }
        macro_rules! four_rounds_and_schedule {
            (($k:ident) $group:literal) => {
                four_rounds!(($k) $group);
                // The same words 16 rounds later.
                for lane in 0..LANES {
                    let first_and_second = vsha256su0q_u32(w[$group][lane], w[($group + 1) % 4][lane]);
                    w[$group][lane] =
                        vsha256su1q_u32(first_and_second, w[($group + 2) % 4][lane], w[($group + 3) % 4][lane]);
                }
            };
        }
        let [k1, k2, k3, k4] = &K32;
        rounds!(four_rounds_and_schedule (k1): 0 1 2 3);
        rounds!(four_rounds_and_schedule (k2): 0 1 2 3);
        rounds!(four_rounds_and_schedule (k3): 0 1 2 3);
        rounds!(four_rounds (k4): 0 1 2 3);
        for lane in 0..LANES {
            abcd[lane] = vaddq_u32(abcd[lane], abcd_before[lane]);
            efgh[lane] = vaddq_u32(efgh[lane], efgh_before[lane]);
        }
    }
    for lane in 0..LANES {
        for (index, word) in words(abcd[lane]).into_iter().chain(words(efgh[lane])).enumerate() {
            state[index][lane] = word;
        }
    }
}

/// # Safety
/// Each of `messages` points to `chunks` chunks that can be read.
#[target_feature(enable = "sha2")]
unsafe fn sha1(state: &mut [[u32; LANES]; 8], messages: &[*const u8; LANES], chunks: usize) {
    let mut abcd = [vdupq_n_u32(0); LANES];
    let mut e = state[4];
    for lane in 0..LANES {
        abcd[lane] = vector([state[0][lane], state[1][lane], state[2][lane], state[3][lane]]);
    }
    for chunk in 0..chunks {
        let (abcd_before, e_before) = (abcd, e);
        // SAFETY: the chunk is one of those that the caller vouches for.
        let mut w = unsafe { load_chunk(messages, chunk) };
        macro_rules! four_rounds {
            (($function:ident $constant:literal) $group:literal) => {
                for lane in 0..LANES {
                    let sum = vaddq_u32(w[$group][lane], vdupq_n_u32($constant));
                    let next = vsha1h_u32(vgetq_lane_u32::<0>(abcd[lane]));
                    abcd[lane] = $function(abcd[lane], e[lane], sum);
                    e[lane] = next;
                }
            };
        }
        macro_rules! four_rounds_and_schedule {
            (($function:ident $constant:literal) $group:literal) => {
                four_rounds!(($function $constant) $group);
                // The same words 16 rounds later.
                for lane in 0..LANES {
                    let early =
                        vsha1su0q_u32(w[$group][lane], w[($group + 1) % 4][lane], w[($group + 2) % 4][lane]);
                    w[$group][lane] = vsha1su1q_u32(early, w[($group + 3) % 4][lane]);
                }
            };
        }
        // Choose, parity, majority, parity.
        rounds!(four_rounds_and_schedule (vsha1cq_u32 0x5a82_7999): 0 1 2 3 0);
        rounds!(four_rounds_and_schedule (vsha1pq_u32 0x6ed9_eba1): 1 2 3 0 1);
        rounds!(four_rounds_and_schedule (vsha1mq_u32 0x8f1b_bcdc): 2 3 0 1 2);
        rounds!(four_rounds_and_schedule (vsha1pq_u32 0xca62_c1d6): 3);
        rounds!(four_rounds (vsha1pq_u32 0xca62_c1d6): 0 1 2 3);
        for lane in 0..LANES {
            abcd[lane] = vaddq_u32(abcd[lane], abcd_before[lane]);
            e[lane] = e[lane].wrapping_add(e_before[lane]);
        }
    }
    for lane in 0..LANES {
        for (index, word) in words(abcd[lane]).into_iter().enumerate() {
            state[index][lane] = word;
        }
    }
    state[4] = e;
}

/// # Safety
/// Each of `messages` points to `chunks` chunks that can be read.
#[target_feature(enable = "sha3")]
unsafe fn sha512(state: &mut [[u64; LANES_512]; 8], messages: &[*const u8; LANES_512], chunks: usize) {
    // Words 0 and 1, 2 and 3, 4 and 5, 6 and 7 of each state.
    let mut sums = [[vdupq_n_u64(0); LANES_512]; 4];
    for (sums, words) in sums.iter_mut().zip(state.as_chunks::<2>().0) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum = vector64([words[0][lane], words[1][lane]]);
        }
    }
    for chunk in 0..chunks {
        let [mut ab, mut cd, mut ef, mut gh] = sums;
        // Words 0 and 1 to 14 and 15 of each message.
        let mut w = [[vdupq_n_u64(0); LANES_512]; 8];
        for (pair, w) in w.iter_mut().enumerate() {
            for (w, message) in w.iter_mut().zip(messages) {
                // SAFETY: the chunk is one of those that the caller vouches for; no alignment is required.
                let bytes = unsafe { vld1q_u8(message.add(chunk * 128 + pair * 16)) };
                *w = vreinterpretq_u64_u8(vrev64q_u8(bytes));
            }
        }
        macro_rules! two_rounds {
            (($k:ident) $pair:literal) => {
                let constants = vector64($k.as_chunks().0[$pair]);
                for lane in 0..LANES_512 {
                    let sum = vaddq_u64(w[$pair][lane], constants);
                    let sum = vaddq_u64(vextq_u64::<1>(sum, sum), gh[lane]);
                    let (fg, de) = (vextq_u64::<1>(ef[lane], gh[lane]), vextq_u64::<1>(cd[lane], ef[lane]));
                    let t = vsha512hq_u64(sum, fg, de);
                    let next = vsha512h2q_u64(t, cd[lane], ab[lane]);
                    gh[lane] = ef[lane];
                    ef[lane] = vaddq_u64(cd[lane], t);
                    cd[lane] = ab[lane];
                    ab[lane] = next;
                }
            };
        }
        macro_rules! two_rounds_and_schedule {
            (($k:ident) $pair:literal) => {
                two_rounds!(($k) $pair);
                // The same words 16 rounds later.
                for lane in 0..LANES_512 {
                    let early = vsha512su0q_u64(w[$pair][lane], w[($pair + 1) % 8][lane]);
                    let middle = vextq_u64::<1>(w[($pair + 4) % 8][lane], w[($pair + 5) % 8][lane]);
                    w[$pair][lane] = vsha512su1q_u64(early, w[($pair + 7) % 8][lane], middle);
                }
            };
        }
        let [k1, k2, k3, k4, k5] = &K64;
        rounds!(two_rounds_and_schedule (k1): 0 1 2 3 4 5 6 7);
        rounds!(two_rounds_and_schedule (k2): 0 1 2 3 4 5 6 7);
        rounds!(two_rounds_and_schedule (k3): 0 1 2 3 4 5 6 7);
        rounds!(two_rounds_and_schedule (k4): 0 1 2 3 4 5 6 7);
        rounds!(two_rounds (k5): 0 1 2 3 4 5 6 7);
        for (sums, now) in sums.iter_mut().zip([ab, cd, ef, gh]) {
            for (sum, now) in sums.iter_mut().zip(now) {
                *sum = vaddq_u64(*sum, now);
            }
        }
    }
    for (words, sums) in state.as_chunks_mut::<2>().0.iter_mut().zip(sums) {
        for (lane, sum) in sums.into_iter().enumerate() {
            [words[0][lane], words[1][lane]] = [vgetq_lane_u64::<0>(sum), vgetq_lane_u64::<1>(sum)];
        }
    }
}

/// Words 0 to 3, 4 to 7, 8 to 11 and 12 to 15 of chunk `chunk` of each message.
///
/// # Safety
/// That chunk of each message can be read.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn load_chunk(messages: &[*const u8; LANES], chunk: usize) -> [[uint32x4_t; LANES]; 4] {
    let mut w = [[vdupq_n_u32(0); LANES]; 4];
    for (group, w) in w.iter_mut().enumerate() {
        for (w, message) in w.iter_mut().zip(messages) {
            // SAFETY: the caller vouches for these 16 of the chunk's 64 bytes; no alignment is required.
            let bytes = unsafe { vld1q_u8(message.add(chunk * 64 + group * 16)) };
            *w = vreinterpretq_u32_u8(vrev32q_u8(bytes));
        }
    }
    w
}

#[target_feature(enable = "neon")]
#[inline]
fn vector(words: [u32; 4]) -> uint32x4_t {
    // SAFETY: 16 bytes are readable through the reference.
    unsafe { vld1q_u32(words.as_ptr()) }
}

#[target_feature(enable = "neon")]
#[inline]
fn vector64(words: [u64; 2]) -> uint64x2_t {
    // SAFETY: 16 bytes are readable through the reference.
    unsafe { vld1q_u64(words.as_ptr()) }
}

#[target_feature(enable = "neon")]
#[inline]
fn words(vector: uint32x4_t) -> [u32; 4] {
    let mut words = [0; 4];
    // SAFETY: 16 bytes are writable through the reference.
    unsafe { vst1q_u32(words.as_mut_ptr(), vector) }
    words
}
