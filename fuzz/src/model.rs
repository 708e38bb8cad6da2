//! A second computation of the hash tree, written from the kernel's description of the format; it uses only the
//! library's parameter values.

use blake2::{Blake2b, Blake2s};
use digest::Digest;
use digest::consts::{U16, U20, U28, U32, U48, U64};
use dmverity::{HashType, Params};
use ripemd::Ripemd160;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};
use streebog::{Streebog256, Streebog512};

/// Every algorithm by one of its names.
pub(crate) const ALGORITHMS: &[&str] = &[
    "sha256",
    "sha1",
    "sha512",
    "md5",
    "sha224",
    "sha384",
    "sha512-224",
    "sha512-256",
    "sha3-224",
    "sha3-256",
    "sha3-384",
    "sha3-512",
    "blake2b-160",
    "blake2b-256",
    "blake2b-384",
    "blake2b-512",
    "blake2s-128",
    "blake2s-160",
    "blake2s-224",
    "blake2s-256",
    "rmd160",
    "wp512",
    "sm3",
    "streebog256",
    "streebog512",
];

fn digest(algorithm: &str, parts: [&[u8]; 2]) -> Vec<u8> {
    fn of<D: Digest>(parts: [&[u8]; 2]) -> Vec<u8> {
        parts.iter().fold(D::new(), D::chain_update).finalize().to_vec()
    }
    let function = match algorithm {
        "sha256" => of::<Sha256>,
        "sha1" => of::<Sha1>,
        "sha512" => of::<Sha512>,
        "md5" => of::<md5::Md5>,
        "sha224" => of::<Sha224>,
        "sha384" => of::<Sha384>,
        "sha512-224" => of::<Sha512_224>,
        "sha512-256" => of::<Sha512_256>,
        "sha3-224" => of::<Sha3_224>,
        "sha3-256" => of::<Sha3_256>,
        "sha3-384" => of::<Sha3_384>,
        "sha3-512" => of::<Sha3_512>,
        "blake2b-160" => of::<Blake2b<U20>>,
        "blake2b-256" => of::<Blake2b<U32>>,
        "blake2b-384" => of::<Blake2b<U48>>,
        "blake2b-512" => of::<Blake2b<U64>>,
        "blake2s-128" => of::<Blake2s<U16>>,
        "blake2s-160" => of::<Blake2s<U20>>,
        "blake2s-224" => of::<Blake2s<U28>>,
        "blake2s-256" => of::<Blake2s<U32>>,
        "rmd160" => of::<Ripemd160>,
        "wp512" => of::<whirlpool::Whirlpool>,
        "sm3" => of::<sm3::Sm3>,
        "streebog256" => of::<Streebog256>,
        "streebog512" => of::<Streebog512>,
        other => panic!("the model does not know {other}"),
    };
    function(parts)
}

/// The correct tree.
pub(crate) struct Tree {
    /// Where it starts on the hash device, in bytes.
    pub(crate) start: u64,
    /// The hash blocks, the top level first.
    pub(crate) bytes: Vec<u8>,
    pub(crate) root_hash: Vec<u8>,
}

impl Tree {
    /// The tree over `data`, which must hold all data blocks of the parameters.
    pub(crate) fn of(params: &Params, data: &[u8]) -> Self {
        let hash_block = params.hash_block_size().as_usize();
        let hash = |block: &[u8]| match params.hash_type() {
            HashType::Normal => digest(params.algorithm().kernel_name(), [params.salt().as_bytes(), block]),
            HashType::ChromeOs => digest(params.algorithm().kernel_name(), [block, params.salt().as_bytes()]),
        };
        let digest_size = hash(&[]).len();
        let stride = match params.hash_type() {
            HashType::Normal => digest_size.next_power_of_two(),
            HashType::ChromeOs => digest_size,
        };
        // As many as fit, rounded down to a power of two.
        let per_block = 1_usize << (hash_block / stride).ilog2();
        let data = &data[..usize::try_from(params.data_bytes()).expect("the data are in memory")];
        let mut digests: Vec<Vec<u8>> = data.chunks(params.data_block_size().as_usize()).map(hash).collect();
        let mut bytes = Vec::new();
        while digests.len() > 1 {
            let mut level = Vec::new();
            for block in digests.chunks(per_block) {
                let start = level.len();
                for digest in block {
                    level.extend(digest);
                    level.resize(level.len() + stride - digest_size, 0);
                }
                level.resize(start + hash_block, 0);
            }
            digests = level.chunks(hash_block).map(hash).collect();
            level.append(&mut bytes);
            bytes = level;
        }
        let offset = params.hash_offset();
        let start = if params.uuid().is_some() { offset + 512 } else { offset / hash_block as u64 * hash_block as u64 };
        Self { start: start.next_multiple_of(hash_block as u64), bytes, root_hash: digests.remove(0) }
    }
}
