//! The table of names: what each hash function is called, by the kernel, in userland and by the reference tool's
//! library.

use super::function::Function;

/// One spelling of one algorithm.
pub(super) struct Spelling {
    pub(super) name: &'static str,
    pub(super) kernel_name: &'static str,
    pub(super) function: Function,
}

const fn same(name: &'static str, function: Function) -> Spelling {
    Spelling { name, kernel_name: name, function }
}

const fn alias(name: &'static str, kernel_name: &'static str, function: Function) -> Spelling {
    Spelling { name, kernel_name, function }
}

/// The names of the kernel's algorithms. The first spelling of a function is userland's own.
pub(super) static OF_KERNELS: &[Spelling] = &[
    same("sha256", Function::Sha256),
    same("sha512", Function::Sha512),
    same("sha1", Function::Sha1),
    same("sha224", Function::Sha224),
    same("sha384", Function::Sha384),
    same("sha512-224", Function::Sha512_224),
    same("sha512-256", Function::Sha512_256),
    same("sha3-224", Function::Sha3_224),
    same("sha3-256", Function::Sha3_256),
    same("sha3-384", Function::Sha3_384),
    same("sha3-512", Function::Sha3_512),
    same("blake2b-160", Function::Blake2b160),
    same("blake2b-256", Function::Blake2b256),
    same("blake2b-384", Function::Blake2b384),
    same("blake2b-512", Function::Blake2b512),
    same("blake2s-128", Function::Blake2s128),
    same("blake2s-160", Function::Blake2s160),
    same("blake2s-224", Function::Blake2s224),
    same("blake2s-256", Function::Blake2s256),
    alias("ripemd160", "rmd160", Function::Ripemd160),
    same("rmd160", Function::Ripemd160),
    alias("whirlpool", "wp512", Function::Whirlpool),
    same("wp512", Function::Whirlpool),
    same("sm3", Function::Sm3),
    same("md5", Function::Md5),
    same("streebog256", Function::Streebog256),
    alias("stribog256", "streebog256", Function::Streebog256),
    same("streebog512", Function::Streebog512),
    alias("stribog512", "streebog512", Function::Streebog512),
];

/// Names that the reference tool accepts because its crypto library does, and writes into superblocks in lower case:
/// found by trying it, built with OpenSSL, with every name and object identifier that OpenSSL 3.0, 3.5 and 3.6 have,
/// their legacy algorithms included. Kernels know none of these names; a table has the kernel's own if there is one.
pub(super) static ALSO_KNOWN: &[Spelling] = &[
    alias("sha-1", "sha1", Function::Sha1),
    alias("ssl3-sha1", "sha1", Function::Sha1),
    alias("1.3.14.3.2.26", "sha1", Function::Sha1),
    alias("sha-224", "sha224", Function::Sha224),
    alias("sha2-224", "sha224", Function::Sha224),
    alias("2.16.840.1.101.3.4.2.4", "sha224", Function::Sha224),
    alias("sha-256", "sha256", Function::Sha256),
    alias("sha2-256", "sha256", Function::Sha256),
    alias("2.16.840.1.101.3.4.2.1", "sha256", Function::Sha256),
    alias("sha-384", "sha384", Function::Sha384),
    alias("sha2-384", "sha384", Function::Sha384),
    alias("2.16.840.1.101.3.4.2.2", "sha384", Function::Sha384),
    alias("sha-512", "sha512", Function::Sha512),
    alias("sha2-512", "sha512", Function::Sha512),
    alias("2.16.840.1.101.3.4.2.3", "sha512", Function::Sha512),
    alias("sha-512/224", "sha512-224", Function::Sha512_224),
    alias("sha2-512/224", "sha512-224", Function::Sha512_224),
    alias("2.16.840.1.101.3.4.2.5", "sha512-224", Function::Sha512_224),
    alias("sha-512/256", "sha512-256", Function::Sha512_256),
    alias("sha2-512/256", "sha512-256", Function::Sha512_256),
    alias("2.16.840.1.101.3.4.2.6", "sha512-256", Function::Sha512_256),
    alias("2.16.840.1.101.3.4.2.7", "sha3-224", Function::Sha3_224),
    alias("2.16.840.1.101.3.4.2.8", "sha3-256", Function::Sha3_256),
    alias("2.16.840.1.101.3.4.2.9", "sha3-384", Function::Sha3_384),
    alias("2.16.840.1.101.3.4.2.10", "sha3-512", Function::Sha3_512),
    alias("blake2b512", "blake2b-512", Function::Blake2b512),
    alias("1.3.6.1.4.1.1722.12.2.1.16", "blake2b-512", Function::Blake2b512),
    alias("blake2s256", "blake2s-256", Function::Blake2s256),
    alias("1.3.6.1.4.1.1722.12.2.2.8", "blake2s-256", Function::Blake2s256),
    alias("ripemd", "rmd160", Function::Ripemd160),
    alias("ripemd-160", "rmd160", Function::Ripemd160),
    alias("1.3.36.3.2.1", "rmd160", Function::Ripemd160),
    alias("1.0.10118.3.0.55", "wp512", Function::Whirlpool),
    alias("1.2.156.10197.1.401", "sm3", Function::Sm3),
    alias("ssl3-md5", "md5", Function::Md5),
    alias("1.2.840.113549.2.5", "md5", Function::Md5),
    alias("md4", "md4", Function::Md4),
    alias("1.2.840.113549.2.4", "md4", Function::Md4),
    alias("md5-sha1", "md5-sha1", Function::Md5Sha1),
    alias("keccak-224", "keccak-224", Function::Keccak224),
    alias("keccak-256", "keccak-256", Function::Keccak256),
    alias("keccak-384", "keccak-384", Function::Keccak384),
    alias("keccak-512", "keccak-512", Function::Keccak512),
    alias("keccak-kmac-128", "keccak-kmac-128", Function::KeccakKmac128),
    alias("keccak-kmac128", "keccak-kmac-128", Function::KeccakKmac128),
    alias("keccak-kmac-256", "keccak-kmac-256", Function::KeccakKmac256),
    alias("keccak-kmac256", "keccak-kmac-256", Function::KeccakKmac256),
    alias("shake128", "shake128", Function::Shake128),
    alias("shake-128", "shake128", Function::Shake128),
    alias("2.16.840.1.101.3.4.2.11", "shake128", Function::Shake128),
    alias("shake256", "shake256", Function::Shake256),
    alias("shake-256", "shake256", Function::Shake256),
    alias("2.16.840.1.101.3.4.2.12", "shake256", Function::Shake256),
];
