//! Processor features as tokens. Holding a token proves that the processor and the system support the feature, so that
//! code which needs it is safe to call.

#[cfg(target_arch = "aarch64")]
use std::arch::is_aarch64_feature_detected as is_detected;
#[cfg(target_arch = "x86_64")]
use std::arch::is_x86_feature_detected as is_detected;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::env;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::sync::OnceLock;

/// The only extension that this build uses, if it was built with `--cfg dmverity_backend="NAME"`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const BUILT_FOR: Option<&str> = if cfg!(dmverity_backend = "avx512") {
    Some("avx512")
} else if cfg!(dmverity_backend = "sha_ni") {
    Some("sha_ni")
} else if cfg!(dmverity_backend = "avx2") {
    Some("avx2")
} else if cfg!(dmverity_backend = "arm_ce") {
    Some("arm_ce")
} else if cfg!(dmverity_backend = "neon") {
    Some("neon")
} else if cfg!(dmverity_backend = "portable") {
    Some("portable")
} else {
    None
};

/// The only extension that this process uses, if it is held to one: by its build, or, if it was built with debug
/// assertions, by the environment variable `DMVERITY_BACKEND`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) fn held_to() -> Option<&'static str> {
    static ASKED_FOR: OnceLock<Option<String>> = OnceLock::new();
    if cfg!(debug_assertions) && BUILT_FOR.is_none() {
        ASKED_FOR.get_or_init(|| env::var("DMVERITY_BACKEND").ok()).as_deref()
    } else {
        BUILT_FOR
    }
}

/// Defines tokens: the name of the build's option that they belong to, and the features that they prove.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! tokens {
    ($($(#[$meta:meta])* $token:ident = $name:literal: $($feature:tt),+;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $token(());

        impl $token {
            /// The proof, if the processor and the system support the features, and this process is not held to
            /// another backend.
            pub(crate) fn new() -> Option<Self> {
                // No leaf was written for vectors whose bytes are in the other order.
                let is_known = cfg!(target_endian = "little") && held_to().is_none_or(|held_to| held_to == $name);
                (is_known $(&& is_detected!($feature))+).then_some(Self(()))
            }
        }
    )+};
}

#[cfg(target_arch = "x86_64")]
tokens! {
    /// AVX-512F and AVX-512BW.
    Avx512 = "avx512": "avx512f", "avx512bw";
    /// The same with GFNI.
    Avx512Gfni = "avx512": "avx512f", "avx512bw", "gfni";
    /// AVX2.
    Avx2 = "avx2": "avx2";
    /// SHA-NI, SSSE3 and SSE4.1.
    ShaNi = "sha_ni": "sha", "ssse3", "sse4.1";
    /// SSSE3; it multiplies in builds that are restricted to SHA-NI.
    Ssse3 = "sha_ni": "ssse3";
}

#[cfg(target_arch = "aarch64")]
tokens! {
    /// The Cryptographic Extension's instructions for SHA-1 and SHA-256.
    ArmCe = "arm_ce": "sha2";
    /// Those for SHA-512, which Rust and the compiler count among SHA-3's.
    ArmCeSha512 = "arm_ce": "sha3";
    /// Vectors of 128 bits.
    Neon = "neon": "neon";
}
