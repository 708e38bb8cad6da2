//! Salted hashing of blocks. [`BlockHasher::hash_blocks`] is the one way in which data and hash blocks are hashed.

use std::sync::OnceLock;

use blake2::{Blake2b, Blake2s};
use digest::Digest;
use digest::consts::{U16, U20, U28, U32, U48, U64};

use super::algorithm::{HashAlgorithm, HashType};
use super::backend::{Backend, InLanes};
use super::function::Function;
use super::lanes::salted::Pair;
use super::sponge::Sponge;
use crate::value::{BlockSize, Salt};

/// Hashes blocks of one size with a salt, as a hash type says: `H(salt || block)` for type 1, `H(block || salt)` for
/// type 0.
///
/// # Examples
/// The path from the second data block to the root hash, in a tree of one level. The example `verifying_reader` follows
/// it in any image.
/// ```
/// use dmverity::{Devices, Layout, Params, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| directory.path().join(name);
/// # std::fs::write(path("data.img"), [7; 40960])?;
/// # let devices = Devices::new(path("data.img"), path("hash.img"));
/// # let root_hash = dmverity::format(&devices, Params::builder(), &Work::default())?.root_hash;
/// let params = dmverity::load(&devices.hash, 0, None)?;
/// let layout = Layout::new(&params)?;
/// let (data_hasher, hash_hasher) = (params.hasher(params.data_block_size()), params.hasher(params.hash_block_size()));
/// let (data, hash) = (std::fs::read(&devices.data)?, std::fs::read(&devices.hash)?);
///
/// let [level] = layout.levels() else { panic!("10 digests fit one block") };
/// let at = usize::try_from(level.first_block)? * 4096;
/// let top = &hash[at..at + 4096];
/// assert_eq!(hash_hasher.digest(top), root_hash.as_bytes());
/// let digest = data_hasher.digest(&data[4096..8192]);
/// assert_eq!(digest, top[layout.digest_stride()..][..digest.len()]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct BlockHasher {
    algorithm: HashAlgorithm,
    hash_type: HashType,
    salt: Salt,
    block_size: BlockSize,
    /// The fastest first; each takes what the one before it leaves.
    backends: Vec<Backend>,
    in_lanes: Option<InLanes>,
    zero_digest: OnceLock<Vec<u8>>,
}

impl BlockHasher {
    /// A hasher with the fastest backend for the algorithm that there is on this processor.
    pub fn new(algorithm: HashAlgorithm, hash_type: HashType, salt: Salt, block_size: BlockSize) -> Self {
        let (before, after) = around(hash_type, &salt);
        let in_lanes = InLanes::new(algorithm.function(), before, block_size.as_usize(), after);
        let backends = Backend::available(algorithm);
        Self { algorithm, hash_type, salt, block_size, backends, in_lanes, zero_digest: OnceLock::new() }
    }

    /// The same with one backend for all blocks, except those that are too few for it.
    #[must_use]
    pub fn with_backend(mut self, backend: Backend) -> Self {
        self.backends.retain(|other| other.name() == "portable");
        self.backends.insert(0, backend);
        self
    }

    /// The length of the digests in bytes.
    pub fn digest_size(&self) -> usize {
        self.algorithm.digest_size()
    }

    /// The size of the blocks.
    pub fn block_size(&self) -> BlockSize {
        self.block_size
    }

    /// The digest of a block of zeros, which is computed only once.
    pub fn zero_digest(&self) -> &[u8] {
        self.zero_digest.get_or_init(|| self.digest(&vec![0; self.block_size.as_usize()]))
    }

    /// The digest of one block.
    ///
    /// # Panics
    /// If it does not have the blocks' size.
    pub fn digest(&self, block: &[u8]) -> Vec<u8> {
        assert_eq!(block.len(), self.block_size.as_usize(), "one block");
        let mut digest = vec![0; self.digest_size()];
        self.hash_pairs(&mut [(block, &mut digest)]);
        digest
    }

    /// Hashes adjacent blocks: the digest of block `i` of `blocks` goes to `digests[i * stride..]`. The bytes between
    /// the end of a digest and the next multiple of `stride` are left alone.
    ///
    /// # Panics
    /// If `blocks` is not a whole number of blocks, `stride` is less than the digest's size, or `digests` is too short.
    pub fn hash_blocks(&self, blocks: &[u8], digests: &mut [u8], stride: usize) {
        let (block_size, size) = (self.block_size.as_usize(), self.digest_size());
        assert!(blocks.len().is_multiple_of(block_size), "whole blocks only");
        assert!(stride >= size, "digests must not overlap");
        let count = blocks.len() / block_size;
        assert!(count == 0 || digests.len() >= (count - 1) * stride + size, "room for every digest");
        self.hash_each(
            blocks.chunks_exact(block_size).zip(digests.chunks_mut(stride).map(|digest| &mut digest[..size])),
        );
    }

    /// Hashes blocks at any addresses, each to a place for its digest. The more at a time, the better.
    pub(crate) fn hash_each<'a>(&self, blocks: impl Iterator<Item = Pair<'a>>) {
        let mut pairs = Vec::with_capacity(blocks.size_hint().0);
        for (block, digest) in blocks {
            if is_zero(block) {
                digest.copy_from_slice(self.zero_digest());
            } else {
                pairs.push((block, digest));
            }
        }
        self.hash_pairs(&mut pairs);
    }

    fn hash_pairs(&self, pairs: &mut [Pair<'_>]) {
        match &self.in_lanes {
            Some(in_lanes) => {
                let left = self.backends.iter().fold(pairs, |left, &backend| in_lanes.hash(backend, left));
                debug_assert!(left.is_empty(), "the portable backend takes all there are");
            }
            None => self.dispatch(pairs),
        }
    }

    /// Picks the hash function once for all pairs.
    fn dispatch(&self, pairs: &mut [Pair<'_>]) {
        match self.algorithm.function() {
            Function::Sha1
            | Function::Sha224
            | Function::Sha256
            | Function::Sha384
            | Function::Sha512
            | Function::Sha512_224
            | Function::Sha512_256 => unreachable!("there are lanes for them"),
            Function::Md4 => self.run::<md4::Md4>(pairs),
            Function::Md5 => self.run::<md5::Md5>(pairs),
            Function::Md5Sha1 => self.run_md5_sha1(pairs),
            Function::Sha3_224 => self.run::<sha3::Sha3_224>(pairs),
            Function::Sha3_256 => self.run::<sha3::Sha3_256>(pairs),
            Function::Sha3_384 => self.run::<sha3::Sha3_384>(pairs),
            Function::Sha3_512 => self.run::<sha3::Sha3_512>(pairs),
            Function::Keccak224 => self.run::<sha3::Keccak224>(pairs),
            Function::Keccak256 => self.run::<sha3::Keccak256>(pairs),
            Function::Keccak384 => self.run::<sha3::Keccak384>(pairs),
            Function::Keccak512 => self.run::<sha3::Keccak512>(pairs),
            Function::KeccakKmac128 => self.run_sponge(&Sponge::kmac(128), pairs),
            Function::KeccakKmac256 => self.run_sponge(&Sponge::kmac(256), pairs),
            Function::Shake128 => self.run_sponge(&Sponge::shake(128), pairs),
            Function::Shake256 => self.run_sponge(&Sponge::shake(256), pairs),
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

    fn run<D: Digest + Clone>(&self, pairs: &mut [Pair<'_>]) {
        let (before, after) = around(self.hash_type, &self.salt);
        // The state after the leading salt is the same for every block.
        let salted = D::new_with_prefix(before);
        for (block, digest) in pairs {
            let mut state = salted.clone();
            state.update(block);
            state.update(after);
            digest.copy_from_slice(&state.finalize());
        }
    }

    fn run_sponge(&self, sponge: &Sponge, pairs: &mut [Pair<'_>]) {
        let (before, after) = around(self.hash_type, &self.salt);
        let mut salted = sponge.clone();
        salted.update(before);
        for (block, digest) in pairs {
            let mut state = salted.clone();
            state.update(block);
            state.update(after);
            state.finalize_into(digest);
        }
    }

    /// One digest after the other.
    fn run_md5_sha1(&self, pairs: &mut [Pair<'_>]) {
        let (before, after) = around(self.hash_type, &self.salt);
        for (block, digest) in pairs {
            let (md5, sha1) = digest.split_at_mut(16);
            let message = [before, *block, after];
            md5.copy_from_slice(&message.iter().fold(md5::Md5::new(), Digest::chain_update).finalize());
            sha1.copy_from_slice(&message.iter().fold(sha1::Sha1::new(), Digest::chain_update).finalize());
        }
    }
}

/// What is hashed before and after each block.
fn around(hash_type: HashType, salt: &Salt) -> (&[u8], &[u8]) {
    match hash_type {
        HashType::Normal => (salt.as_bytes(), &[]),
        HashType::ChromeOs => (&[], salt.as_bytes()),
    }
}

/// Whether all bytes are zero. If not, the first bytes usually show it.
pub(crate) fn is_zero(block: &[u8]) -> bool {
    let (pieces, rest) = block.as_chunks::<64>();
    pieces.iter().all(|piece| *piece == [0; 64]) && rest.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digests of zeros would prove little; these are of bytes 0, 1, .. 250, 0, ..
    fn painted(len: usize) -> Vec<u8> {
        (0..len).map(|offset| u8::try_from(offset % 251).expect("below 251")).collect()
    }

    fn hasher(name: &str, hash_type: HashType, salt: &[u8], block_size: u64) -> BlockHasher {
        let algorithm = HashAlgorithm::from_name(name).expect("known");
        let salt = Salt::new(salt).expect("short enough");
        BlockHasher::new(algorithm, hash_type, salt, BlockSize::new(block_size).expect("valid"))
    }

    #[test]
    fn declared_digest_sizes_are_the_functions_own() {
        for algorithm in HashAlgorithm::all().chain(HashAlgorithm::also_known()) {
            let hasher = hasher(algorithm.name(), HashType::Normal, &[], 512);
            let mut digest = vec![0; algorithm.digest_size()];
            // `copy_from_slice` inside panics when the table's size is not the function's.
            hasher.hash_blocks(&painted(512), &mut digest, algorithm.digest_size());
            assert!(digest.iter().any(|&byte| byte != 0));
        }
    }

    #[test]
    fn salt_goes_before_the_block_in_type_1_and_after_it_in_type_0() {
        // In lanes, and alone.
        for (name, digest) in [
            ("sha256", (|message: &[u8]| sha2::Sha256::digest(message).to_vec()) as fn(&[u8]) -> Vec<u8>),
            ("sha3-256", |message| sha3::Sha3_256::digest(message).to_vec()),
        ] {
            let block = painted(1024);
            let salt = [0xA5; 33];
            let mut normal = [0; 32];
            hasher(name, HashType::Normal, &salt, 1024).hash_blocks(&block, &mut normal, 32);
            assert_eq!(normal[..], digest(&[&salt[..], &block].concat()));
            let mut chrome = [0; 32];
            hasher(name, HashType::ChromeOs, &salt, 1024).hash_blocks(&block, &mut chrome, 32);
            assert_eq!(chrome[..], digest(&[&block[..], &salt].concat()));
        }
    }

    #[test]
    fn blocks_of_zeros_are_like_any_other() {
        for name in ["sha256", "sha512", "sha1", "blake2b-256"] {
            let hasher = hasher(name, HashType::Normal, b"salt", 512);
            // All zeros, then all but the last byte, then all but the first.
            let mut blocks = vec![0; 5 * 512];
            blocks[2 * 512 - 1] = 1;
            blocks[2 * 512] = 1;
            let size = hasher.digest_size();
            let mut digests = vec![0; 5 * size];
            hasher.hash_blocks(&blocks, &mut digests, size);
            for (block, digest) in blocks.chunks(512).zip(digests.chunks(size)) {
                let mut alone = vec![0; size];
                hasher.hash_pairs(&mut [(block, &mut alone)]);
                assert_eq!(digest, alone, "{name}");
            }
            assert_eq!(&digests[..size], hasher.zero_digest());
            assert_ne!(&digests[size..2 * size], hasher.zero_digest());
            assert_ne!(&digests[2 * size..3 * size], hasher.zero_digest());
        }
    }

    /// Every backend gives what the hash function's own crate gives, for every number of blocks in a group and left
    /// over, and every way in which a salt spans chunks; and leaves the gaps between digests alone.
    fn check_backends<D: Digest>(name: &str) {
        // Fewer than a chunk, so that the block is shifted; such that the padding needs one more; whole chunks; the
        // most.
        let salts = [0, 1, 8, 32, 47, 48, 55, 56, 63, 64, 65, 111, 112, 119, 120, 127, 128, 129, 192, 255, 256];
        let algorithm = HashAlgorithm::from_name(name).expect("known");
        let blocks = painted(512 * 49);
        for salt in salts.map(|len| painted(len + 3)[3..].to_vec()) {
            for hash_type in [HashType::Normal, HashType::ChromeOs] {
                let expected: Vec<_> = blocks
                    .chunks(512)
                    .map(|block| {
                        let (before, after): (&[u8], &[u8]) =
                            if hash_type == HashType::Normal { (&salt, &[]) } else { (&[], &salt) };
                        D::new().chain_update(before).chain_update(block).chain_update(after).finalize()
                    })
                    .collect();
                for backend in Backend::available(algorithm) {
                    let hasher = hasher(name, hash_type, &salt, 512).with_backend(backend);
                    for count in (0..=33).chain([49]) {
                        let mut digests = vec![0xEE; 72 * count];
                        hasher.hash_blocks(&blocks[..512 * count], &mut digests, 72);
                        for (digest, expected) in digests.chunks(72).zip(&expected) {
                            let (digest, gap) = digest.split_at(algorithm.digest_size());
                            assert_eq!(
                                digest,
                                &expected[..],
                                "{name} {backend:?} {hash_type:?} {count} {}",
                                salt.len()
                            );
                            assert!(gap.iter().all(|&byte| byte == 0xEE));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_backend_gives_the_digests_of_the_hash_function() {
        check_backends::<sha1::Sha1>("sha1");
        check_backends::<sha2::Sha224>("sha224");
        check_backends::<sha2::Sha256>("sha256");
        check_backends::<sha2::Sha384>("sha384");
        check_backends::<sha2::Sha512>("sha512");
        check_backends::<sha2::Sha512_224>("sha512-224");
        check_backends::<sha2::Sha512_256>("sha512-256");
        for name in ["sha1", "sha256", "sha512"] {
            let there: Vec<_> = Backend::available(HashAlgorithm::from_name(name).unwrap())
                .iter()
                .map(|backend| backend.name())
                .collect();
            for backend in
                ["avx512", "sha_ni", "avx2", "arm_ce", "neon"].iter().filter(|backend| !there.contains(backend))
            {
                println!(
                    "skipped: {name} by {backend}, which this processor, this build or the algorithm does not have"
                );
            }
        }
    }

    #[test]
    fn every_block_size_is_hashed_whole() {
        for name in ["sha1", "sha256", "sha512"] {
            for block_size in (9..=19).map(|log2| 1 << log2) {
                let hasher = hasher(name, HashType::Normal, b"salt", block_size);
                let blocks = painted(hasher.block_size().as_usize() * 5);
                let mut digests = vec![0; 64 * 5];
                for backend in Backend::available(hasher.algorithm) {
                    hasher.clone().with_backend(backend).hash_blocks(&blocks, &mut digests, 64);
                    for (block, digest) in blocks.chunks(hasher.block_size().as_usize()).zip(digests.chunks(64)) {
                        let message = [b"salt", block].concat();
                        let expected = match name {
                            "sha1" => sha1::Sha1::digest(message).to_vec(),
                            "sha256" => sha2::Sha256::digest(message).to_vec(),
                            _ => sha2::Sha512::digest(message).to_vec(),
                        };
                        assert_eq!(digest[..expected.len()], expected, "{name} {backend:?} {block_size}");
                    }
                }
            }
        }
    }
}
