//! SHA-256 and SHA-512 over several messages side by side, written once for every vector width. Source: FIPS 180-4.
//!
//! Lane `i` of every vector belongs to message `i`; word `w` of a state or of a chunk is one vector.

/// Expands to a function that compresses every chunk of several messages, in the terms of a module of vector
/// operations.
macro_rules! sha2_compress {
    (
        $name:ident, $feature:literal, $ops:ident, $word:ty, $lanes:literal, $constants:path,
        big0: $b0:tt, big1: $b1:tt, small0: $s0:tt, small1: $s1:tt
    ) => {
        /// # Safety
        /// Each of `messages` points to `chunks` chunks that can be read.
        #[target_feature(enable = $feature)]
        unsafe fn $name(state: &mut [[$word; $lanes]; 8], messages: &[*const u8; $lanes], chunks: usize) {
            use $ops::{add, add_constant, big_sigma, choose, load, load_chunk, majority, small_sigma, splat, store};

            let mut sum = [splat(0); 8];
            for (sum, words) in sum.iter_mut().zip(state.iter()) {
                *sum = load(words);
            }
            for chunk in 0..chunks {
                // SAFETY: the chunk is one of those that the caller vouches for.
                let mut w = unsafe { load_chunk(messages, chunk) };
                let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = sum;
                let [constants @ .., last] = &$constants;
                macro_rules! round {
                    (($k:ident) $i:literal) => {
                        // One addition more than necessary: `d` is added early, which shortens the path from this `e`
                        // to the next one.
                        let early = add(h, add_constant(w[$i], $k[$i]));
                        let chosen = choose(e, f, g);
                        let sigma = sigma!(big_sigma $b1 e);
                        let t = add(add(early, chosen), sigma);
                        let s = add(sigma!(big_sigma $b0 a), majority(a, b, c));
                        h = g;
                        g = f;
                        f = e;
                        e = add(add(add(d, early), chosen), sigma);
                        d = c;
                        c = b;
                        b = a;
                        a = add(t, s);
                    };
                }
                macro_rules! round_and_schedule {
                    (($k:ident) $i:literal) => {
                        round!(($k) $i);
                        // The same word 16 rounds later.
                        let early = add(w[$i], w[($i + 9) % 16]);
                        let s = add(
                            sigma!(small_sigma $s0 w[($i + 1) % 16]),
                            sigma!(small_sigma $s1 w[($i + 14) % 16]),
                        );
                        w[$i] = add(early, s);
                    };
                }
                for k in constants {
                    rounds!(round_and_schedule (k): 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
                }
                rounds!(round (last): 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
                for (sum, now) in sum.iter_mut().zip([a, b, c, d, e, f, g, h]) {
                    *sum = add(*sum, now);
                }
            }
            for (words, sum) in state.iter_mut().zip(sum) {
                store(words, sum);
            }
        }
    };
}
