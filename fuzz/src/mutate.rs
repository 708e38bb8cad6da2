//! Plain mutations, from a target's stored inputs and dictionary but without its coverage.

use fastrand::Rng;

use crate::Target;

/// Boundary values.
const NUMBERS: &[u64] =
    &[0, 1, 2, 127, 128, 255, 256, 511, 512, 4095, 4096, 65535, 65536, 1 << 31, 1 << 32, 1 << 62, 1 << 63, u64::MAX];

/// Makes inputs.
#[derive(Debug)]
pub(crate) struct Mutator<'a> {
    target: &'a Target,
    corpus: Vec<Vec<u8>>,
    random: Rng,
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(target: &'a Target, seed: u64) -> Self {
        let corpus = target.corpus().into_iter().map(|(_, bytes)| bytes).collect();
        Self { target, corpus, random: Rng::with_seed(seed) }
    }

    /// The next input, in `bytes`.
    pub(crate) fn next(&mut self, bytes: &mut Vec<u8>) {
        bytes.clear();
        if self.random.u8(..) < 8 {
            // Random bytes only.
            bytes.extend((0..self.random.usize(..=self.target.max_len)).map(|_| self.random.u8(..)));
            return;
        }
        bytes.extend_from_slice(&self.corpus[self.random.usize(..self.corpus.len())]);
        for _ in 0..1 << self.random.u8(..5) {
            self.change(bytes);
        }
        bytes.truncate(self.target.max_len);
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let random = &mut self.random;
        let at = random.usize(..=bytes.len());
        // The length, usually small.
        let most = 1 << random.u8(..8);
        let len = random.usize(..most);
        let end = (at + len).min(bytes.len());
        match random.u8(..10) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            2 if at < bytes.len() => bytes[at] = random.u8(..),
            3 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(random.u8(..) % 32).wrapping_sub(16),
            4 => {
                bytes.drain(at..end);
            }
            5 => {
                let copy = bytes[at..end].to_vec();
                let to = random.usize(..=bytes.len());
                bytes.splice(to..to, copy);
            }
            6 => {
                let number = NUMBERS[random.usize(..NUMBERS.len())].wrapping_add(random.u64(..3)).wrapping_sub(1);
                let width = [1, 2, 4, 8][random.usize(..4)];
                let end = (at + width).min(bytes.len());
                bytes.splice(at..end, number.to_le_bytes()[..width].iter().copied());
            }
            7 if !self.target.dictionary.is_empty() => {
                let word = self.target.dictionary[random.usize(..self.target.dictionary.len())].as_bytes();
                let end = if random.bool() { at } else { (at + word.len()).min(bytes.len()) };
                bytes.splice(at..end, word.iter().copied());
            }
            8 => {
                // The front of one and the end of another.
                let other = &self.corpus[random.usize(..self.corpus.len())];
                let from = random.usize(..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => bytes.insert(at, random.u8(..)),
        }
    }
}
