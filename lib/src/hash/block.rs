//! Salted hashing of blocks. [`BlockHasher::hash_blocks`] is the one way in which data and hash blocks are hashed.

use blake2::{Blake2b, Blake2s};
use digest::Digest;
use digest::consts::{U16, U20, U28, U32, U48, U64};

use super::{Function, HashAlgorithm, HashType};
use crate::params::Salt;
use crate::units::BlockSize;

/// Hashes blocks with a salt, as a hash type says: `H(salt || block)` for type 1, `H(block || salt)` for type 0.
#[derive(Clone, Debug)]
pub struct BlockHasher {
    algorithm: HashAlgorithm,
    hash_type: HashType,
    salt: Salt,
}

impl BlockHasher {
    /// A hasher for one image.
    pub fn new(algorithm: HashAlgorithm, hash_type: HashType, salt: Salt) -> Self {
        Self { algorithm, hash_type, salt }
    }

    /// The length of the digests in bytes.
    pub fn digest_size(&self) -> usize {
        self.algorithm.digest_size()
    }

    /// Hashes adjacent blocks: the digest of block `i` of `blocks` goes to `digests[i * stride..]`. The bytes between
    /// the end of a digest and the next multiple of `stride` are left alone.
    ///
    /// # Panics
    /// If `blocks` is not a whole number of blocks, `stride` is less than the digest's size, or `digests` is too short.
    pub fn hash_blocks(&self, blocks: &[u8], block_size: BlockSize, digests: &mut [u8], stride: usize) {
        let size = self.digest_size();
        assert!(blocks.len().is_multiple_of(block_size.as_usize()), "whole blocks only");
        assert!(stride >= size, "digests must not overlap");
        let count = blocks.len() / block_size.as_usize();
        assert!(count == 0 || digests.len() >= (count - 1) * stride + size, "room for every digest");
        let pairs = blocks.chunks_exact(block_size.as_usize()).zip(digests.chunks_mut(stride));
        self.dispatch(pairs.map(|(block, digest)| (block, &mut digest[..size])));
    }

    /// Picks the hash function once for all of `pairs` (a block, and room for exactly its digest).
    fn dispatch<'a>(&self, pairs: impl Iterator<Item = (&'a [u8], &'a mut [u8])>) {
        match self.algorithm.function() {
            Function::Md5 => self.run::<md5::Md5>(pairs),
            Function::Sha1 => self.run::<sha1::Sha1>(pairs),
            Function::Sha224 => self.run::<sha2::Sha224>(pairs),
            Function::Sha256 => self.run::<sha2::Sha256>(pairs),
            Function::Sha384 => self.run::<sha2::Sha384>(pairs),
            Function::Sha512 => self.run::<sha2::Sha512>(pairs),
            Function::Sha512_224 => self.run::<sha2::Sha512_224>(pairs),
            Function::Sha512_256 => self.run::<sha2::Sha512_256>(pairs),
            Function::Sha3_224 => self.run::<sha3::Sha3_224>(pairs),
            Function::Sha3_256 => self.run::<sha3::Sha3_256>(pairs),
            Function::Sha3_384 => self.run::<sha3::Sha3_384>(pairs),
            Function::Sha3_512 => self.run::<sha3::Sha3_512>(pairs),
            Function::Blake2b160 => self.run::<Blake2b<U20>>(pairs),
            Function::Blake2b256 => self.run::<Blake2b<U32>>(pairs),
            Function::Blake2b384 => self.run::<Blake2b<U48>>(pairs),
            Function::Blake2b512 => self.run::<Blake2b<U64>>(pairs),
            Function::Blake2s128 => self.run::<Blake2s<U16>>(pairs),
            Function::Blake2s160 => self.run::<Blake2s<U20>>(pairs),
            Function::Blake2s224 => self.run::<Blake2s<U28>>(pairs),
            Function::Blake2s256 => self.run::<Blake2s<U32>>(pairs),
            Function::Ripemd160 => self.run::<ripemd::Ripemd160>(pairs),
            Function::Whirlpool => self.run::<whirlpool::Whirlpool>(pairs),
            Function::Sm3 => self.run::<sm3::Sm3>(pairs),
            Function::Streebog256 => self.run::<streebog::Streebog256>(pairs),
            Function::Streebog512 => self.run::<streebog::Streebog512>(pairs),
        }
    }

    fn run<'a, D: Digest + Clone>(&self, pairs: impl Iterator<Item = (&'a [u8], &'a mut [u8])>) {
        let (before, after) = match self.hash_type {
            HashType::Normal => (self.salt.as_bytes(), &[][..]),
            HashType::ChromeOs => (&[][..], self.salt.as_bytes()),
        };
        // The state after the leading salt is the same for every block.
        let salted = D::new_with_prefix(before);
        for (block, digest) in pairs {
            let mut state = salted.clone();
            state.update(block);
            state.update(after);
            digest.copy_from_slice(&state.finalize());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digests of the empty-salt, 512-byte block of zeros would prove little; these are of bytes 0, 1, .. 250, 0, ..
    fn painted(len: usize) -> Vec<u8> {
        (0..len).map(|offset| u8::try_from(offset % 251).expect("below 251")).collect()
    }

    fn hasher(name: &str, hash_type: HashType, salt: &[u8]) -> BlockHasher {
        let algorithm = HashAlgorithm::from_name(name).expect("known");
        BlockHasher::new(algorithm, hash_type, Salt::new(salt).expect("short enough"))
    }

    #[test]
    fn declared_digest_sizes_are_the_functions_own() {
        let block_size = BlockSize::new(512).expect("valid");
        for algorithm in HashAlgorithm::all() {
            let hasher = BlockHasher::new(algorithm, HashType::Normal, Salt::default());
            let mut digest = vec![0; algorithm.digest_size()];
            // `copy_from_slice` inside panics when the table's size is not the function's.
            hasher.hash_blocks(&painted(512), block_size, &mut digest, algorithm.digest_size());
            assert!(digest.iter().any(|&byte| byte != 0));
        }
    }

    #[test]
    fn salt_goes_before_the_block_in_type_1_and_after_it_in_type_0() {
        let block = painted(1024);
        let salt = [0xA5; 33];
        let mut normal = [0; 32];
        hasher("sha256", HashType::Normal, &salt).hash_blocks(&block, BlockSize::new(1024).unwrap(), &mut normal, 32);
        assert_eq!(normal[..], sha2::Sha256::digest([&salt[..], &block].concat())[..]);
        let mut chrome = [0; 32];
        hasher("sha256", HashType::ChromeOs, &salt).hash_blocks(&block, BlockSize::new(1024).unwrap(), &mut chrome, 32);
        assert_eq!(chrome[..], sha2::Sha256::digest([&block[..], &salt].concat())[..]);
    }

    #[test]
    fn any_number_of_blocks_gives_the_digests_of_each_and_leaves_the_gaps_alone() {
        let block_size = BlockSize::new(512).unwrap();
        for count in [0, 1, 2, 3, 7, 31, 64] {
            let blocks = painted(512 * count);
            let hasher = hasher("sha1", HashType::Normal, b"salt");
            let mut digests = vec![0xEE; 32 * count];
            hasher.hash_blocks(&blocks, block_size, &mut digests, 32);
            for index in 0..count {
                let alone = sha1::Sha1::digest([b"salt", &blocks[index * 512..][..512]].concat());
                assert_eq!(digests[index * 32..][..20], alone[..]);
                assert_eq!(digests[index * 32 + 20..][..12], [0xEE; 12]);
            }
        }
    }
}
