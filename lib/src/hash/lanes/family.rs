//! Families of hash functions, and what compresses them.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::array;

/// A family of hash functions: they compress chunks alike and differ in their initial state and the digest's length.
pub(crate) trait Family {
    /// What states and chunks are made of.
    type Word: Word;
    /// The bytes of a chunk; an eighth of them are the message's length in its padding.
    const CHUNK: usize;
}

/// SHA-1. Its states have five words; the other three are not used.
#[derive(Clone, Debug)]
pub(crate) struct Sha1;

impl Family for Sha1 {
    type Word = u32;
    const CHUNK: usize = 64;
}

/// SHA-256 and SHA-224.
#[derive(Clone, Debug)]
pub(crate) struct Sha256;

impl Family for Sha256 {
    type Word = u32;
    const CHUNK: usize = 64;
}

/// SHA-512 and its truncated variants.
#[derive(Clone, Debug)]
pub(crate) struct Sha512;

impl Family for Sha512 {
    type Word = u64;
    const CHUNK: usize = 128;
}

/// A big-endian word of 32 or 64 bits.
pub(crate) trait Word: Copy + std::fmt::Debug {
    /// The bytes of eight words.
    fn bytes(words: [Self; 8]) -> [u8; 64];
}

impl Word for u32 {
    fn bytes(words: [Self; 8]) -> [u8; 64] {
        let mut bytes = [0; 64];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_be_bytes();
        }
        bytes
    }
}

impl Word for u64 {
    fn bytes(words: [Self; 8]) -> [u8; 64] {
        let mut bytes = [0; 64];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_be_bytes();
        }
        bytes
    }
}

/// Compresses messages in `L` lanes. Word `w` of the state of lane `i` is `state[w][i]`.
pub(crate) trait Compress<F: Family, const L: usize>: Copy {
    /// Compresses all of `messages` into the states.
    ///
    /// # Panics
    /// If they are not all of the same length, or not whole chunks.
    fn compress(self, state: &mut [[F::Word; L]; 8], messages: &[&[u8]; L]);
}

/// The messages' addresses, and how many chunks each one has.
///
/// # Panics
/// If they are not all of the same length, or not whole chunks.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) fn lane_pointers<F: Family, const L: usize>(messages: &[&[u8]; L]) -> ([*const u8; L], usize) {
    let len = messages[0].len();
    assert!(len.is_multiple_of(F::CHUNK) && messages.iter().all(|message| message.len() == len));
    (array::from_fn(|lane| messages[lane].as_ptr()), len / F::CHUNK)
}
