//! Where the signature of a root hash is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use base64ct::{Base64, Encoding};

use super::words::Words;
use crate::failure::{Exit, Failure, Result};

/// What `--root-hash-signature` says, as systemd's option of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignatureOption {
    /// In this file.
    File(PathBuf),
    /// It is the value itself, after `base64:`.
    Given(Vec<u8>),
    /// With the image: in its signature partition, or in the file next to it.
    Stored,
}

/// Begins a signature that is itself the value.
const BASE64: &[u8] = b"base64:";

impl SignatureOption {
    pub(super) fn of(words: &Words) -> Result<Option<Self>> {
        words.value("root-hash-signature").as_deref().map(Self::parse).transpose()
    }

    fn parse(value: &OsStr) -> Result<Self> {
        if value == "auto" {
            return Ok(Self::Stored);
        }
        let Some(text) = value.as_bytes().strip_prefix(BASE64) else { return Ok(Self::File(value.into())) };
        let text = std::str::from_utf8(text).ok();
        text.and_then(|text| Base64::decode_vec(text).ok())
            .filter(|bytes| !bytes.is_empty())
            .map(Self::Given)
            .ok_or_else(|| {
                Failure::new(Exit::Parameters, "Invalid value of option --root-hash-signature.")
                    .hint("what follows base64: is not base64 with its padding.")
            })
    }

    /// The value by which another system reads it: a path, or the signature itself.
    pub(crate) fn base64(signature: &[u8]) -> String {
        format!("base64:{}", Base64::encode_string(signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_a_file_or_itself_or_with_the_image() {
        let parse = |value: &str| SignatureOption::parse(OsStr::new(value));
        assert_eq!(parse("auto").unwrap(), SignatureOption::Stored);
        assert_eq!(parse("./auto").unwrap(), SignatureOption::File("./auto".into()));
        let given = SignatureOption::Given(vec![1, 2, 3, 4]);
        assert_eq!(parse("base64:AQIDBA==").unwrap(), given);
        assert_eq!(SignatureOption::base64(&[1, 2, 3, 4]), "base64:AQIDBA==");
        for wrong in ["base64:", "base64:AQIDBA", "base64:AQ ID", "base64:AQIDB===", "base64:\u{e9}"] {
            assert_eq!(parse(wrong).unwrap_err().exit, Exit::Parameters, "{wrong}");
        }
        assert!(SignatureOption::parse(OsStr::from_bytes(b"base64:\xff")).is_err());
    }
}
