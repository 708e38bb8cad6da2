//! Blocks with a salt before or after them, hashed in lanes.

use std::array;

use super::portable::Portable;
use super::{Compress, Family, Word};

/// A block, and room for exactly its digest.
pub(in crate::hash) type Pair<'a> = (&'a [u8], &'a mut [u8]);

/// The bytes before and after each block, cut into chunks: whole chunks of a leading salt are already in the state, and
/// the rest shifts the block.
#[derive(Clone, Debug)]
pub(in crate::hash) struct Salted<F: Family> {
    state: [F::Word; 8],
    /// The leading bytes that do not fill a chunk.
    head: Vec<u8>,
    /// The trailing bytes, the padding and the length.
    ending: Vec<u8>,
}

/// The longest of what follows the last whole chunk of a block: part of a chunk, a salt, the padding.
const LONGEST_ENDING: usize = 128 + 256 + 2 * 128;

impl<F: Family> Salted<F> {
    /// Prepares for blocks of `block_size` bytes with `before` and `after` around each.
    pub(in crate::hash) fn new(initial: &[F::Word; 8], before: &[u8], block_size: usize, after: &[u8]) -> Self
    where
        Portable: Compress<F, 1>,
    {
        let whole = before.len() / F::CHUNK * F::CHUNK;
        let mut state = initial.map(|word| [word]);
        Portable.compress(&mut state, &[&before[..whole]]);
        let len = before.len() + block_size + after.len();
        let padded = (len + 1 + F::CHUNK / 8).next_multiple_of(F::CHUNK);
        let mut ending = after.to_vec();
        ending.push(0x80);
        ending.resize(after.len() + padded - len, 0);
        let bits = (len as u64 * 8).to_be_bytes();
        let at = ending.len() - bits.len();
        ending[at..].copy_from_slice(&bits);
        Self { state: state.map(|[word]| word), head: before[whole..].to_vec(), ending }
    }

    /// Hashes all pairs in groups of `L`, except a last group of at most half as many, which is returned for a narrower
    /// backend.
    pub(in crate::hash) fn hash<'a, 'p, const L: usize>(
        &self,
        compress: impl Compress<F, L>,
        pairs: &'p mut [Pair<'a>],
    ) -> &'p mut [Pair<'a>] {
        let in_groups = pairs.len().next_multiple_of(L);
        let end = if in_groups - pairs.len() < L.div_ceil(2) { pairs.len() } else { in_groups - L };
        let (now, left) = pairs.split_at_mut(end);
        for group in now.chunks_mut(L) {
            // Lanes without a block of their own repeat the first one.
            let blocks = array::from_fn(|lane| group.get(lane).unwrap_or(&group[0]).0);
            let state = self.states(compress, &blocks);
            for (lane, (_, digest)) in group.iter_mut().enumerate() {
                let bytes = F::Word::bytes(array::from_fn(|word| state[word][lane]));
                digest.copy_from_slice(&bytes[..digest.len()]);
            }
        }
        left
    }

    fn states<const L: usize>(&self, compress: impl Compress<F, L>, blocks: &[&[u8]; L]) -> [[F::Word; L]; 8] {
        let mut state = self.state.map(|word| [word; L]);
        let mut from = 0;
        if !self.head.is_empty() {
            from = F::CHUNK - self.head.len();
            let mut first = [[0; 128]; L];
            for (chunk, block) in first.iter_mut().zip(blocks) {
                chunk[..self.head.len()].copy_from_slice(&self.head);
                chunk[self.head.len()..F::CHUNK].copy_from_slice(&block[..from]);
            }
            compress.compress(&mut state, &first.each_ref().map(|chunk| &chunk[..F::CHUNK]));
        }
        let to = blocks[0].len() - (blocks[0].len() - from) % F::CHUNK;
        compress.compress(&mut state, &blocks.map(|block| &block[from..to]));
        if to == blocks[0].len() {
            compress.compress(&mut state, &[self.ending.as_slice(); L]);
        } else {
            let rest = blocks[0].len() - to;
            let mut last = [[0; LONGEST_ENDING]; L];
            for (bytes, block) in last.iter_mut().zip(blocks) {
                bytes[..rest].copy_from_slice(&block[to..]);
                bytes[rest..rest + self.ending.len()].copy_from_slice(&self.ending);
            }
            compress.compress(&mut state, &last.each_ref().map(|bytes| &bytes[..rest + self.ending.len()]));
        }
        state
    }
}
