//! One block at a time, by the crates of the hash functions. They use the processor's own hash instructions where there
//! are any, on other architectures too.

use super::{Compress, Sha1, Sha256, Sha512};

/// Every processor can run it.
#[derive(Clone, Copy, Debug)]
pub(in crate::hash) struct Portable;

impl Compress<Sha1, 1> for Portable {
    fn compress(self, state: &mut [[u32; 1]; 8], [message]: &[&[u8]; 1]) {
        let (chunks, rest) = message.as_chunks();
        assert!(rest.is_empty());
        let (words, _) = state.as_flattened_mut().split_first_chunk_mut().expect("eight are more than five");
        sha1::block_api::compress(words, chunks);
    }
}

impl Compress<Sha256, 1> for Portable {
    fn compress(self, state: &mut [[u32; 1]; 8], [message]: &[&[u8]; 1]) {
        let (chunks, rest) = message.as_chunks();
        assert!(rest.is_empty());
        let mut words = state.map(|[word]| word);
        sha2::block_api::compress256(&mut words, chunks);
        *state = words.map(|word| [word]);
    }
}

impl Compress<Sha512, 1> for Portable {
    fn compress(self, state: &mut [[u64; 1]; 8], [message]: &[&[u8]; 1]) {
        let (chunks, rest) = message.as_chunks();
        assert!(rest.is_empty());
        let mut words = state.map(|[word]| word);
        sha2::block_api::compress512(&mut words, chunks);
        *state = words.map(|word| [word]);
    }
}
