//! Signatures of root hashes: CMS messages as the kernel and systemd take them.
//!
//! This module is in [feature](crate#features) `signature`.

mod ber;
mod certificate;
mod chain;
mod check;
mod cms;
mod digest;
mod error;
mod kernel;
mod lint;
mod message;
mod pem;
mod prepare;
mod private_key;
mod public_key;
mod reading;
mod scheme;
mod seen;
mod sign;
mod systemd;
mod time;
mod verifier;

pub use certificate::Certificate;
pub use digest::DigestAlgorithm;
pub use error::{Error, Result};
pub use lint::{Lint, lint};
pub use message::{Signature, Signer};
pub use prepare::{Prepared, join};
pub use private_key::PrivateKey;
pub use reading::{Answer, Reader, Reading};
pub use sign::{SignOptions, sign};
pub use time::{Time, TimeError};
pub use verifier::{Verified, Verifier};

#[cfg(test)]
mod tests;
