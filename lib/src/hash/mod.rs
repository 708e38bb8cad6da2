//! Hash algorithms by name, and the hashing of salted blocks.
//!
//! An algorithm has a name in userland (`ripemd160`), which stands in superblocks and on command lines, and one in the
//! kernel's crypto API (`rmd160`), which goes into tables. Both are accepted everywhere; what was read from a superblock
//! is written back in the same spelling. The reference tool also accepts every name that its crypto library has
//! (`sha2-256`), and writes it into superblocks: the module `also_known` has those.

mod also_known;
mod backend;
mod block;
mod lanes;
mod sponge;

pub use backend::Backend;
#[cfg(target_arch = "x86_64")]
pub(crate) use backend::FORCED;
pub use block::BlockHasher;

use std::fmt;

use crate::error::{Error, Result};

/// How digests are computed and packed into hash blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HashType {
    /// Type 0, the original Chrome OS format: the salt is hashed after the block, digests are packed without padding.
    ChromeOs,
    /// Type 1: the salt is hashed before the block, each digest is padded with zeros to a power of two.
    #[default]
    Normal,
}

impl HashType {
    /// The hash type with this number, or [`Error::HashType`].
    pub fn new(number: u64) -> Result<Self> {
        match number {
            0 => Ok(Self::ChromeOs),
            1 => Ok(Self::Normal),
            found => Err(Error::HashType { found }),
        }
    }

    /// The number in superblocks, tables and on command lines.
    pub const fn number(self) -> u32 {
        match self {
            Self::ChromeOs => 0,
            Self::Normal => 1,
        }
    }
}

/// The hash functions, one variant each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Function {
    Md4,
    Md5,
    Md5Sha1,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512_224,
    Sha512_256,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
    Keccak224,
    Keccak256,
    Keccak384,
    Keccak512,
    KeccakKmac128,
    KeccakKmac256,
    Shake128,
    Shake256,
    Blake2b160,
    Blake2b256,
    Blake2b384,
    Blake2b512,
    Blake2s128,
    Blake2s160,
    Blake2s224,
    Blake2s256,
    Ripemd160,
    Whirlpool,
    Sm3,
    Streebog256,
    Streebog512,
}

/// One spelling of one algorithm.
struct Spelling {
    name: &'static str,
    kernel_name: &'static str,
    function: Function,
    digest_size: usize,
}

const fn same(name: &'static str, function: Function, digest_size: usize) -> Spelling {
    Spelling { name, kernel_name: name, function, digest_size }
}

const fn alias(name: &'static str, kernel_name: &'static str, function: Function, digest_size: usize) -> Spelling {
    Spelling { name, kernel_name, function, digest_size }
}

/// The names of the kernel's algorithms. The first spelling of a function is userland's own.
static SPELLINGS: &[Spelling] = &[
    same("sha256", Function::Sha256, 32),
    same("sha512", Function::Sha512, 64),
    same("sha1", Function::Sha1, 20),
    same("sha224", Function::Sha224, 28),
    same("sha384", Function::Sha384, 48),
    same("sha512-224", Function::Sha512_224, 28),
    same("sha512-256", Function::Sha512_256, 32),
    same("sha3-224", Function::Sha3_224, 28),
    same("sha3-256", Function::Sha3_256, 32),
    same("sha3-384", Function::Sha3_384, 48),
    same("sha3-512", Function::Sha3_512, 64),
    same("blake2b-160", Function::Blake2b160, 20),
    same("blake2b-256", Function::Blake2b256, 32),
    same("blake2b-384", Function::Blake2b384, 48),
    same("blake2b-512", Function::Blake2b512, 64),
    same("blake2s-128", Function::Blake2s128, 16),
    same("blake2s-160", Function::Blake2s160, 20),
    same("blake2s-224", Function::Blake2s224, 28),
    same("blake2s-256", Function::Blake2s256, 32),
    alias("ripemd160", "rmd160", Function::Ripemd160, 20),
    same("rmd160", Function::Ripemd160, 20),
    alias("whirlpool", "wp512", Function::Whirlpool, 64),
    same("wp512", Function::Whirlpool, 64),
    same("sm3", Function::Sm3, 32),
    same("md5", Function::Md5, 16),
    same("streebog256", Function::Streebog256, 32),
    alias("stribog256", "streebog256", Function::Streebog256, 32),
    same("streebog512", Function::Streebog512, 64),
    alias("stribog512", "streebog512", Function::Streebog512, 64),
];

/// A hash algorithm, under the name it was asked for.
///
/// Two values are equal when they are the same function, however it was spelled. `Display` repeats the name as it was
/// written.
#[derive(Clone, Copy)]
pub struct HashAlgorithm {
    spelling: &'static Spelling,
    /// Which letters of the name were capitals: a bit for each, the first letter's is the lowest.
    capitals: u32,
}

impl HashAlgorithm {
    /// The algorithm of this name, in any spelling and any case, or [`Error::HashAlgorithm`].
    pub fn from_name(name: &str) -> Result<Self> {
        let capital = |(index, byte): (usize, u8)| u32::from(byte.is_ascii_uppercase()) << index;
        SPELLINGS
            .iter()
            .chain(also_known::SPELLINGS)
            .find(|spelling| spelling.name.eq_ignore_ascii_case(name))
            .map(|spelling| Self { spelling, capitals: name.bytes().enumerate().map(capital).sum() })
            .ok_or_else(|| Error::HashAlgorithm { name: name.to_owned() })
    }

    /// SHA-256, what is used when nothing else is said.
    pub fn sha256() -> Self {
        Self::of(&SPELLINGS[0])
    }

    /// Every algorithm that a kernel may have, under each name that it has there or in userland.
    pub fn all() -> impl Iterator<Item = Self> {
        SPELLINGS.iter().map(Self::of)
    }

    /// What is accepted beyond that: names that the reference tool takes from its crypto library and writes into
    /// superblocks, some of them of algorithms that no kernel has.
    pub fn also_known() -> impl Iterator<Item = Self> {
        also_known::SPELLINGS.iter().map(Self::of)
    }

    const fn of(spelling: &'static Spelling) -> Self {
        Self { spelling, capitals: 0 }
    }

    /// The name it was asked for, in lower case; at most 31 bytes, as the superblock needs it.
    pub fn name(self) -> &'static str {
        self.spelling.name
    }

    /// The name in the kernel's crypto API, for tables.
    pub fn kernel_name(self) -> &'static str {
        self.spelling.kernel_name
    }

    /// What else a kernel may call it: every other spelling of it in [`all`](Self::all).
    pub fn other_names(self) -> impl Iterator<Item = &'static str> {
        let kernel_name = self.kernel_name();
        SPELLINGS
            .iter()
            .filter(move |spelling| spelling.function == self.function() && spelling.name != kernel_name)
            .map(|spelling| spelling.name)
    }

    /// The digest's length in bytes, at most 64.
    pub fn digest_size(self) -> usize {
        self.spelling.digest_size
    }

    fn function(self) -> Function {
        self.spelling.function
    }
}

impl Default for HashAlgorithm {
    fn default() -> Self {
        Self::sha256()
    }
}

impl PartialEq for HashAlgorithm {
    fn eq(&self, other: &Self) -> bool {
        self.function() == other.function()
    }
}

impl Eq for HashAlgorithm {}

impl fmt::Debug for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = self.name().chars().enumerate();
        let written: String = letters
            .map(|(index, letter)| if self.capitals >> index & 1 == 1 { letter.to_ascii_uppercase() } else { letter })
            .collect();
        f.pad(&written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_superblock_and_are_unique() {
        let mut seen = std::collections::BTreeSet::new();
        for spelling in SPELLINGS.iter().chain(also_known::SPELLINGS) {
            assert!(spelling.name.len() <= 31);
            assert_eq!(spelling.name, spelling.name.to_ascii_lowercase());
            assert!(seen.insert(spelling.name), "{}", spelling.name);
        }
    }

    #[test]
    fn both_spellings_of_an_algorithm_are_known_in_any_case() {
        for (userland, kernel) in
            [("ripemd160", "rmd160"), ("whirlpool", "wp512"), ("Stribog256", "streebog256"), ("SHA256", "sha256")]
        {
            let algorithm = HashAlgorithm::from_name(userland).expect("known");
            assert_eq!(
                (algorithm.name(), algorithm.to_string()),
                (&*userland.to_ascii_lowercase(), userland.to_owned())
            );
            assert_eq!(algorithm.kernel_name(), kernel);
            assert_eq!(algorithm, HashAlgorithm::from_name(kernel).expect("known"));
        }
        assert_ne!(HashAlgorithm::from_name("sha256").ok(), HashAlgorithm::from_name("sm3").ok());
    }

    #[test]
    fn other_spellings_are_the_same_algorithm_and_have_the_kernels_name() {
        for algorithm in HashAlgorithm::also_known() {
            let same: Vec<_> = HashAlgorithm::all().filter(|known| *known == algorithm).collect();
            for known in &same {
                assert_eq!(known.digest_size(), algorithm.digest_size(), "{algorithm}");
                assert_eq!(known.kernel_name(), algorithm.kernel_name(), "{algorithm}");
                assert!(known.other_names().all(|name| name != algorithm.name()), "no kernel calls it {algorithm}");
            }
        }
        let sha = HashAlgorithm::from_name("SHA2-512/256").unwrap();
        assert_eq!((sha.to_string().as_str(), sha.name()), ("SHA2-512/256", "sha2-512/256"));
        assert_eq!((sha.kernel_name(), sha), ("sha512-256", HashAlgorithm::from_name("sha512-256").unwrap()));
    }
}
