//! Hash algorithms by name.
//!
//! An algorithm has a name in userland (`ripemd160`), which superblocks and command lines use, and one in the kernel's
//! crypto API (`rmd160`), which tables use. Both are accepted everywhere; a name from a superblock is written back in
//! the same spelling. The reference tool accepts every other name that its crypto library has (`sha2-256`), and writes
//! it into superblocks: the module `names` lists them all.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::function::Function;
use super::names::{ALSO_KNOWN, OF_KERNELS, Spelling};
use crate::error::{Error, Result};
use crate::value::{RootHash, text_conversions};

/// How digests are computed and packed into hash blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(try_from = "u64", into = "u64"))]
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

impl TryFrom<u64> for HashType {
    type Error = Error;

    fn try_from(number: u64) -> Result<Self> {
        Self::new(number)
    }
}

impl From<HashType> for u64 {
    fn from(hash_type: HashType) -> Self {
        hash_type.number().into()
    }
}

/// A hash algorithm, under the name it was asked for.
///
/// Two values are equal when they are the same function, however it was spelled. `Display` repeats the name as it was
/// written.
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "String", into = "String")
)]
pub struct HashAlgorithm {
    spelling: &'static Spelling,
    /// Which letters of the name were capitals: one bit each, the lowest for the first letter.
    capitals: u32,
}

impl HashAlgorithm {
    /// The algorithm of this name, in any spelling and any case, or [`Error::HashAlgorithm`].
    pub fn from_name(name: &str) -> Result<Self> {
        let capital = |(index, byte): (usize, u8)| u32::from(byte.is_ascii_uppercase()) << index;
        OF_KERNELS
            .iter()
            .chain(ALSO_KNOWN)
            .find(|spelling| spelling.name.eq_ignore_ascii_case(name))
            .map(|spelling| Self { spelling, capitals: name.bytes().enumerate().map(capital).sum() })
            .ok_or_else(|| Error::HashAlgorithm { name: name.to_owned() })
    }

    /// SHA-256, the default.
    pub fn sha256() -> Self {
        Self::of(&OF_KERNELS[0])
    }

    /// Every algorithm that a kernel may have, under each name that it has there or in userland.
    pub fn all() -> impl Iterator<Item = Self> {
        OF_KERNELS.iter().map(Self::of)
    }

    /// What is accepted beyond that: names that the reference tool takes from its crypto library and writes into
    /// superblocks, some of them of algorithms that no kernel has.
    pub fn also_known() -> impl Iterator<Item = Self> {
        ALSO_KNOWN.iter().map(Self::of)
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
        OF_KERNELS
            .iter()
            .filter(move |spelling| spelling.function == self.function() && spelling.name != kernel_name)
            .map(|spelling| spelling.name)
    }

    /// The digest's length in bytes, at most 64.
    pub fn digest_size(self) -> usize {
        self.function().digest_size()
    }

    pub(super) fn function(self) -> Function {
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

impl Hash for HashAlgorithm {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function().hash(state);
    }
}

/// As [`HashAlgorithm::from_name`].
impl FromStr for HashAlgorithm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::from_name(name)
    }
}

text_conversions!(HashAlgorithm);

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

/// Root hashes whose algorithm is known.
impl RootHash {
    /// Reads hexadecimal digits of either case and checks that they are a digest of `algorithm`.
    pub fn from_hex(text: &str, algorithm: HashAlgorithm) -> Result<Self> {
        let bytes = hex::decode(text).map_err(|_| Error::RootHashText)?;
        let root_hash = Self::new(bytes);
        root_hash.check_length(algorithm)?;
        Ok(root_hash)
    }

    /// Checks that it is as long as the digests that `algorithm` makes.
    pub(crate) fn check_length(&self, algorithm: HashAlgorithm) -> Result<()> {
        let (found, needed) = (self.as_bytes().len(), algorithm.digest_size());
        if found == needed { Ok(()) } else { Err(Error::RootHashLength { found, needed, algorithm: algorithm.name() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_superblock_and_are_unique() {
        let mut seen = std::collections::BTreeSet::new();
        for spelling in OF_KERNELS.iter().chain(ALSO_KNOWN) {
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

    #[test]
    fn root_hashes_have_the_length_of_the_digest() {
        let sha1 = HashAlgorithm::from_name("sha1").unwrap();
        assert_eq!(RootHash::from_hex(&"AB".repeat(20), sha1).unwrap().to_string(), "ab".repeat(20));
        assert!(matches!(RootHash::from_hex(&"ab".repeat(19), sha1), Err(Error::RootHashLength { .. })));
        assert!(matches!(RootHash::from_hex("xyz", sha1), Err(Error::RootHashText)));
        assert_eq!(RootHash::from_hex(&"0f".repeat(20), sha1).unwrap().as_bytes(), [15; 20]);
    }
}
