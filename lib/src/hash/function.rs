//! The supported hash functions.

/// The hash functions, one variant each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Function {
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

impl Function {
    /// The digest's length in bytes, at most 64.
    pub(super) const fn digest_size(self) -> usize {
        match self {
            Self::Md4 | Self::Md5 | Self::Shake128 | Self::Blake2s128 => 16,
            Self::Sha1 | Self::Blake2b160 | Self::Blake2s160 | Self::Ripemd160 => 20,
            Self::Sha224 | Self::Sha512_224 | Self::Sha3_224 | Self::Keccak224 | Self::Blake2s224 => 28,
            Self::Sha256
            | Self::Sha512_256
            | Self::Sha3_256
            | Self::Keccak256
            | Self::KeccakKmac128
            | Self::Shake256
            | Self::Blake2b256
            | Self::Blake2s256
            | Self::Sm3
            | Self::Streebog256 => 32,
            Self::Md5Sha1 => 36,
            Self::Sha384 | Self::Sha3_384 | Self::Keccak384 | Self::Blake2b384 => 48,
            Self::Sha512
            | Self::Sha3_512
            | Self::Keccak512
            | Self::KeccakKmac256
            | Self::Blake2b512
            | Self::Whirlpool
            | Self::Streebog512 => 64,
        }
    }
}
