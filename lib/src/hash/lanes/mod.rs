//! SHA-1 and SHA-2 over several blocks side by side, one in each lane of the processor's vectors or in turns.
//!
//! `sha1` and `sha2` hold the algorithms, once for every width; `avx512`, `avx2`, `sha_ni`, `arm_ce` and `neon` are
//! the leaves that contain the instructions, each for its token; `portable` hashes one block at a time. `salted` cuts
//! salted blocks into what leaves take.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[macro_use]
mod macros;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[macro_use]
mod sha1;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[macro_use]
mod sha2;

#[cfg(target_arch = "aarch64")]
mod arm_ce;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod constants;
mod family;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod portable;
pub(crate) mod salted;
#[cfg(target_arch = "x86_64")]
mod sha_ni;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use family::lane_pointers;
pub(crate) use family::{Compress, Family, Sha1, Sha256, Sha512, Word};
