//! Processor features as tokens. Holding a token proves that the processor and the system support the feature, so that
//! code which needs it is safe to call.

/// The only extension that this build uses, if it was built with `--cfg dmverity_backend="NAME"`.
#[cfg(target_arch = "x86_64")]
pub(crate) const FORCED: Option<&str> = if cfg!(dmverity_backend = "avx512") {
    Some("avx512")
} else if cfg!(dmverity_backend = "sha_ni") {
    Some("sha_ni")
} else if cfg!(dmverity_backend = "avx2") {
    Some("avx2")
} else if cfg!(dmverity_backend = "portable") {
    Some("portable")
} else {
    None
};

/// Defines tokens: the name of the build's option that they belong to, and the features that they prove.
#[cfg(target_arch = "x86_64")]
macro_rules! tokens {
    ($($(#[$meta:meta])* $token:ident = $name:literal: $($feature:tt),+;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $token(());

        impl $token {
            /// The proof, if the processor and the system support the features, and this build is not restricted to
            /// another backend.
            pub(crate) fn new() -> Option<Self> {
                let is_known = FORCED.is_none_or(|forced| forced == $name);
                (is_known $(&& std::is_x86_feature_detected!($feature))+).then_some(Self(()))
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
