//! The ways to hash many blocks on this processor.

use super::algorithm::HashAlgorithm;
use super::function::Function;
use super::lanes::constants;
use super::lanes::portable::Portable;
use super::lanes::salted::{Pair, Salted};
use super::lanes::{Sha1, Sha256, Sha512};
#[cfg(target_arch = "aarch64")]
use crate::cpu::{ArmCe, ArmCeSha512, Neon};
#[cfg(target_arch = "x86_64")]
use crate::cpu::{Avx2, Avx512, ShaNi};

/// A way to hash many blocks that this processor can run. The digests are the same with each.
#[derive(Clone, Copy, Debug)]
pub struct Backend(Kind);

/// The tokens prove that the processor can run them.
#[derive(Clone, Copy, Debug)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    ShaNi(ShaNi),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "aarch64")]
    ArmCe(ArmCe),
    #[cfg(target_arch = "aarch64")]
    ArmCeSha512(ArmCeSha512),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    Portable,
}

impl Backend {
    /// The backends that this processor can run and that hash with `algorithm`, the fastest first. The last one is
    /// `portable`, which is always available, and the only one for algorithms other than SHA-1 and SHA-2.
    ///
    /// A build with `--cfg dmverity_backend="NAME"` knows only the one of that name and `portable`. So does, in a build
    /// with debug assertions, a process with `DMVERITY_BACKEND=NAME` in its environment.
    pub fn available(algorithm: HashAlgorithm) -> Vec<Self> {
        with_lanes(algorithm.function()).into_iter().chain([Kind::Portable]).map(Self).collect()
    }

    /// `avx512`, `sha_ni`, `avx2`, `arm_ce`, `neon` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::ShaNi(_) => "sha_ni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Kind::ArmCe(_) | Kind::ArmCeSha512(_) => "arm_ce",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "neon",
            Kind::Portable => "portable",
        }
    }
}

/// The backends of this processor besides the portable one, the fastest first.
#[cfg(target_arch = "x86_64")]
fn with_lanes(function: Function) -> Vec<Kind> {
    let (avx512, avx2) = (Avx512::new().map(Kind::Avx512), Avx2::new().map(Kind::Avx2));
    match function {
        Function::Sha256 | Function::Sha224 => {
            [avx512, ShaNi::new().map(Kind::ShaNi), avx2].into_iter().flatten().collect()
        }
        Function::Sha1 | Function::Sha512 | Function::Sha384 | Function::Sha512_256 | Function::Sha512_224 => {
            [avx512, avx2].into_iter().flatten().collect()
        }
        _ => Vec::new(),
    }
}

/// A processor without instructions for SHA-512 is as fast with whole registers as with halves of vectors.
#[cfg(target_arch = "aarch64")]
fn with_lanes(function: Function) -> Vec<Kind> {
    match function {
        Function::Sha1 | Function::Sha256 | Function::Sha224 => {
            [ArmCe::new().map(Kind::ArmCe), Neon::new().map(Kind::Neon)].into_iter().flatten().collect()
        }
        Function::Sha512 | Function::Sha384 | Function::Sha512_256 | Function::Sha512_224 => {
            ArmCeSha512::new().map(Kind::ArmCeSha512).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Other architectures have only what the crates of the hash functions provide.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn with_lanes(_: Function) -> Vec<Kind> {
    Vec::new()
}

/// A hash function that lanes support, prepared for salted blocks of one size.
#[derive(Clone, Debug)]
pub(crate) enum InLanes {
    Sha1(Salted<Sha1>),
    Sha256(Salted<Sha256>),
    Sha512(Salted<Sha512>),
}

impl InLanes {
    /// Prepares for blocks of `block_size` bytes with a salt before or after each; `None` for other functions.
    pub(crate) fn new(function: Function, before: &[u8], block_size: usize, after: &[u8]) -> Option<Self> {
        let sha256 = |initial| Self::Sha256(Salted::new(initial, before, block_size, after));
        let sha512 = |initial| Self::Sha512(Salted::new(initial, before, block_size, after));
        Some(match function {
            Function::Sha1 => Self::Sha1(Salted::new(&constants::SHA1, before, block_size, after)),
            Function::Sha224 => sha256(&constants::SHA224),
            Function::Sha256 => sha256(&constants::SHA256),
            Function::Sha384 => sha512(&constants::SHA384),
            Function::Sha512 => sha512(&constants::SHA512),
            Function::Sha512_224 => sha512(&constants::SHA512_224),
            Function::Sha512_256 => sha512(&constants::SHA512_256),
            _ => return None,
        })
    }

    /// Hashes pairs, and returns those that are too few for `backend`: a wide one leaves the tail to the next.
    pub(crate) fn hash<'a, 'p>(&self, backend: Backend, pairs: &'p mut [Pair<'a>]) -> &'p mut [Pair<'a>] {
        match (self, backend.0) {
            (Self::Sha1(salted), Kind::Portable) => salted.hash(Portable, pairs),
            (Self::Sha256(salted), Kind::Portable) => salted.hash(Portable, pairs),
            (Self::Sha512(salted), Kind::Portable) => salted.hash(Portable, pairs),
            #[cfg(target_arch = "x86_64")]
            (Self::Sha1(salted), Kind::Avx512(avx512)) => salted.hash::<16>(avx512, pairs),
            #[cfg(target_arch = "x86_64")]
            (Self::Sha256(salted), Kind::Avx512(avx512)) => salted.hash::<16>(avx512, pairs),
            #[cfg(target_arch = "x86_64")]
            (Self::Sha512(salted), Kind::Avx512(avx512)) => salted.hash::<8>(avx512, pairs),
            #[cfg(target_arch = "x86_64")]
            (Self::Sha256(salted), Kind::ShaNi(sha_ni)) => salted.hash::<4>(sha_ni, pairs),
            #[cfg(target_arch = "x86_64")]
            (Self::Sha1(_) | Self::Sha512(_), Kind::ShaNi(_)) => pairs,
            #[cfg(target_arch = "x86_64")]
            (Self::Sha1(salted), Kind::Avx2(avx2)) => salted.hash::<8>(avx2, pairs),
            #[cfg(target_arch = "x86_64")]
            (Self::Sha256(salted), Kind::Avx2(avx2)) => salted.hash::<8>(avx2, pairs),
            #[cfg(target_arch = "x86_64")]
            (Self::Sha512(salted), Kind::Avx2(avx2)) => salted.hash::<4>(avx2, pairs),
            #[cfg(target_arch = "aarch64")]
            (Self::Sha1(salted), Kind::ArmCe(arm_ce)) => salted.hash::<3>(arm_ce, pairs),
            #[cfg(target_arch = "aarch64")]
            (Self::Sha256(salted), Kind::ArmCe(arm_ce)) => salted.hash::<3>(arm_ce, pairs),
            #[cfg(target_arch = "aarch64")]
            (Self::Sha512(salted), Kind::ArmCeSha512(arm_ce)) => salted.hash::<2>(arm_ce, pairs),
            #[cfg(target_arch = "aarch64")]
            (Self::Sha1(salted), Kind::Neon(neon)) => salted.hash::<4>(neon, pairs),
            #[cfg(target_arch = "aarch64")]
            (Self::Sha256(salted), Kind::Neon(neon)) => salted.hash::<4>(neon, pairs),
            #[cfg(target_arch = "aarch64")]
            (Self::Sha1(_) | Self::Sha256(_), Kind::ArmCeSha512(_))
            | (Self::Sha512(_), Kind::ArmCe(_) | Kind::Neon(_)) => pairs,
        }
    }
}
