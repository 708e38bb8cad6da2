//! SHA-1 over several messages side by side, written once for every vector width. Source: FIPS 180-4.
//!
//! Lane `i` of every vector belongs to message `i`; word `w` of a state or of a chunk is one vector.

/// Expands to a function that compresses every chunk of several messages, in the terms of a module of vector
/// operations.
macro_rules! sha1_compress {
    ($name:ident, $feature:literal, $ops:ident, $lanes:literal) => {
        /// # Safety
        /// Each of `messages` points to `chunks` chunks that can be read.
        #[target_feature(enable = $feature)]
        unsafe fn $name(state: &mut [[u32; $lanes]; 8], messages: &[*const u8; $lanes], chunks: usize) {
            use $ops::{add, add_constant, choose, load, load_chunk, majority, rotate_left, splat, store, xor, xor3};

            let mut sum = [splat(0); 5];
            for (sum, words) in sum.iter_mut().zip(state.iter()) {
                *sum = load(words);
            }
            for chunk in 0..chunks {
                // SAFETY: the chunk is one of those that the caller vouches for.
                let mut w = unsafe { load_chunk(messages, chunk) };
                let [mut a, mut b, mut c, mut d, mut e] = sum;
                macro_rules! round {
                    (($f:ident $constant:literal) $i:literal) => {
                        let early = add(add(e, add_constant(w[$i], $constant)), $f(b, c, d));
                        e = d;
                        d = c;
                        c = rotate_left::<30>(b);
                        b = a;
                        a = add(early, rotate_left::<5>(a));
                    };
                }
                macro_rules! round_and_schedule {
                    (($f:ident $constant:literal) $i:literal) => {
                        round!(($f $constant) $i);
                        // The same word 16 rounds later.
                        let early = xor3(w[$i], w[($i + 2) % 16], w[($i + 8) % 16]);
                        w[$i] = rotate_left::<1>(xor(early, w[($i + 13) % 16]));
                    };
                }
                rounds!(round_and_schedule (choose 0x5a82_7999): 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
                rounds!(round_and_schedule (choose 0x5a82_7999): 0 1 2 3);
                rounds!(round_and_schedule (xor3 0x6ed9_eba1): 4 5 6 7 8 9 10 11 12 13 14 15);
                rounds!(round_and_schedule (xor3 0x6ed9_eba1): 0 1 2 3 4 5 6 7);
                rounds!(round_and_schedule (majority 0x8f1b_bcdc): 8 9 10 11 12 13 14 15);
                rounds!(round_and_schedule (majority 0x8f1b_bcdc): 0 1 2 3 4 5 6 7 8 9 10 11);
                rounds!(round_and_schedule (xor3 0xca62_c1d6): 12 13 14 15);
                rounds!(round (xor3 0xca62_c1d6): 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
                for (sum, now) in sum.iter_mut().zip([a, b, c, d, e]) {
                    *sum = add(*sum, now);
                }
            }
            for (words, sum) in state.iter_mut().zip(sum) {
                store(words, sum);
            }
        }
    };
}
