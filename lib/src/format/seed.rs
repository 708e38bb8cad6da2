//! Salts and UUIDs that follow from a text, so that two builders make the same bytes.
//!
//! ```text
//! salt = SHA-256("dmverity-salt:" TEXT)
//! UUID = the first 16 bytes of SHA-256("dmverity-uuid:" TEXT), marked as version 8 (RFC 9562)
//! ```
//! The derivation is part of the interface and will not change. No part of an image depends on the time.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::error::{Error, Result};
use crate::format::Params;
use crate::value::Salt;

/// A text that a salt and a UUID are derived from.
///
/// ```
/// let seed = dmverity::Seed::new("my-image 1.0")?;
/// // printf 'dmverity-salt:my-image 1.0' | sha256sum
/// assert!(seed.salt().to_string().starts_with("5ccf1dcc"));
/// assert_eq!(seed.uuid().get_version_num(), 8);
/// # Ok::<(), dmverity::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seed(String);

impl Seed {
    /// A seed from this text, which must not be empty or contain control characters: an unnoticed newline would make
    /// other bytes.
    ///
    /// # Errors
    /// [`Error::Seed`].
    pub fn new(text: &str) -> Result<Self> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(Error::Seed { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }

    /// The seed for images of these parameters about which nothing else is known: hash algorithm, hash type, data block
    /// size, hash block size and number of data blocks, with blanks between them. Images that are alike in these have
    /// the same salt and the same UUID.
    pub fn of_params(params: &Params) -> Self {
        Self(format!(
            "{} {} {} {} {}",
            params.algorithm(),
            params.hash_type().number(),
            params.data_block_size(),
            params.hash_block_size(),
            params.data_blocks()
        ))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The salt that follows from it, 32 bytes.
    pub fn salt(&self) -> Salt {
        Salt::new(&self.digest("dmverity-salt:")).expect("a digest is short enough")
    }

    /// The UUID that follows from it, of version 8.
    pub fn uuid(&self) -> Uuid {
        let digest = self.digest("dmverity-uuid:");
        let (bytes, _) = digest.split_first_chunk().expect("a digest is long enough");
        Builder::from_custom_bytes(*bytes).into_uuid()
    }

    fn digest(&self, purpose: &str) -> [u8; 32] {
        Sha256::new().chain_update(purpose).chain_update(&self.0).finalize().into()
    }
}

impl AsRef<str> for Seed {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Seed {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derivation_stays_as_it_is() {
        // printf 'dmverity-salt:abc' | sha256sum; printf 'dmverity-uuid:abc' | sha256sum
        let seed = Seed::new("abc").unwrap();
        assert_eq!(seed.salt().to_string(), "98b24c7276bb60871c75c8e306204b9c1e82a21f46886ac73d6a916fd2a1ed70");
        assert_eq!(seed.uuid().to_string(), "c7b3ae2a-5b38-8008-98af-18aba30467e0");
        let params = Params::builder().data_blocks(300).build(1 << 30).unwrap();
        assert_eq!(Seed::of_params(&params).as_str(), "sha256 1 4096 4096 300");
    }

    #[test]
    fn what_may_be_there_by_accident_is_refused() {
        for text in ["", "abc\n", "a\tb", "\u{7f}", "\0"] {
            assert!(matches!(Seed::new(text), Err(Error::Seed { .. })), "{text:?}");
        }
        assert!(Seed::new("Grüße 1.0").is_ok());
    }
}
