//! The content of a signature partition: a JSON object, padded with NULs.

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::value::RootHash;

/// The signature of a root hash, as the signature partition of a disk image holds it.
///
/// ```
/// use dmverity::ddi::SignaturePartition;
///
/// let made = SignaturePartition { root_hash: vec![7; 32].into(), fingerprint: None, signature: vec![1, 2, 3] };
/// let bytes = made.to_bytes();
/// assert!(bytes.starts_with(b"{\"rootHash\":\"0707"));
/// assert_eq!(bytes.len(), 16384);
/// assert_eq!(SignaturePartition::parse(&bytes)?, made);
/// # Ok::<(), dmverity::ddi::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignaturePartition {
    /// The root hash that is signed.
    pub root_hash: RootHash,
    /// The SHA-256 of the signer's certificate in DER, if it is there.
    pub fingerprint: Option<[u8; 32]>,
    /// The signature: CMS in DER.
    pub signature: Vec<u8>,
}

/// The fields in the order in which systemd-repart writes them.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Fields {
    root_hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate_fingerprint: Option<String>,
    signature: String,
}

impl SignaturePartition {
    /// The most bytes that a signature partition has: systemd reads no larger one.
    pub const MAX_BYTES: u64 = 4 << 20;

    /// The size of the partition that [`to_bytes`](Self::to_bytes) fills unless the text needs a larger one.
    pub const BYTES: usize = 16384;

    /// The text fills up whole units of this many bytes.
    const UNIT: usize = 4096;

    /// Reads the bytes of a whole partition. Fields that are doubled, missing or unknown, any spelling but the one
    /// that is written, and anything but NULs after the text are refused.
    ///
    /// # Errors
    /// [`Error::SignaturePartition`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let refused = |why: &str| Error::SignaturePartition { why: why.to_owned() };
        if bytes.len() as u64 > Self::MAX_BYTES {
            return Err(refused("it has more than 4 MiB"));
        }
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        let (text, padding) = bytes.split_at(end);
        if Self::is_empty(padding) {
            if text.is_empty() {
                return Err(refused("it is empty"));
            }
        } else {
            return Err(refused("there is more than NULs after its text"));
        }
        let fields: Fields =
            serde_json::from_slice(text).map_err(|error| Error::SignaturePartition { why: error.to_string() })?;
        let root_hash = lower_hex(&fields.root_hash).filter(|bytes| !bytes.is_empty());
        let root_hash = root_hash.ok_or_else(|| refused("rootHash is not lower-case hexadecimal"))?;
        let fingerprint = match fields.certificate_fingerprint {
            None => None,
            Some(text) => {
                let bytes = lower_hex(&text).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
                Some(bytes.ok_or_else(|| refused("certificateFingerprint is no SHA-256 in lower-case hexadecimal"))?)
            }
        };
        let signature = Base64::decode_vec(&fields.signature).map_err(|_| refused("signature is not base64"))?;
        if signature.is_empty() {
            return Err(refused("signature is empty"));
        }
        Ok(Self { root_hash: RootHash::new(root_hash), fingerprint, signature })
    }

    /// Whether the bytes of a partition are those of one that is to be filled later.
    pub fn is_empty(bytes: &[u8]) -> bool {
        bytes.iter().all(|&byte| byte == 0)
    }

    /// The text, as systemd-repart writes it.
    pub fn to_json(&self) -> String {
        let fields = Fields {
            root_hash: self.root_hash.to_string(),
            certificate_fingerprint: self.fingerprint.map(hex::encode),
            signature: Base64::encode_string(&self.signature),
        };
        serde_json::to_string(&fields).expect("three texts")
    }

    /// The bytes of the partition: the text, padded with NULs to 16384 bytes or, if it is longer, to a multiple of
    /// 4096.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.to_json().into_bytes();
        bytes.resize(bytes.len().next_multiple_of(Self::UNIT).max(Self::BYTES), 0);
        bytes
    }
}

/// The bytes of hexadecimal digits as this library writes them.
fn lower_hex(text: &str) -> Option<Vec<u8>> {
    hex::decode(text).ok().filter(|bytes| hex::encode(bytes) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(bytes: impl AsRef<[u8]>) -> String {
        match SignaturePartition::parse(bytes.as_ref()) {
            Err(Error::SignaturePartition { why }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for (len, fingerprint, bytes) in [(1, None, 16384), (12_000, Some([0xAB; 32]), 16384), (12_300, None, 20480)] {
            let made = SignaturePartition { root_hash: vec![0xAB; 32].into(), fingerprint, signature: vec![7; len] };
            assert_eq!(made.to_bytes().len(), bytes, "{len}");
            assert_eq!(SignaturePartition::parse(&made.to_bytes()).unwrap(), made);
            // Without the padding too.
            assert_eq!(SignaturePartition::parse(made.to_json().as_bytes()).unwrap(), made);
        }
    }

    #[test]
    fn other_fields_and_spellings_are_refused() {
        let good = r#"{"rootHash":"ab","signature":"AQID"}"#;
        assert_eq!(SignaturePartition::parse(good.as_bytes()).unwrap().signature, [1, 2, 3]);
        for (from, to, expected) in [
            ("\"ab\"", "\"AB\"", "rootHash is not lower-case hexadecimal"),
            ("\"ab\"", "\"abc\"", "rootHash is not lower-case hexadecimal"),
            ("\"ab\"", "\"\"", "rootHash is not lower-case hexadecimal"),
            ("\"ab\"", "7", "invalid type: integer `7`"),
            ("AQID", "AQI", "signature is not base64"),
            ("AQID", "AQID\\n", "signature is not base64"),
            ("AQID", "AQJ=", "signature is not base64"),
            ("AQID", "", "signature is empty"),
            ("{", "{\"rootHash\":\"ab\",", "duplicate field `rootHash`"),
            ("{", "{\"more\":1,", "unknown field `more`"),
            ("\"rootHash\":\"ab\",", "", "missing field `rootHash`"),
            (",\"signature\":\"AQID\"", "", "missing field `signature`"),
            ("{", "{\"certificateFingerprint\":\"ab\",", "certificateFingerprint is no SHA-256"),
            ("}", "}}", "trailing characters"),
            ("}", "", "EOF while parsing"),
            ("}", "}\0\0x", "more than NULs"),
        ] {
            let why = why(good.replacen(from, to, 1));
            assert!(why.contains(expected), "{from} {to}: {why}");
        }
        assert_eq!(why([0; 4096]), "it is empty");
        assert_eq!(why([]), "it is empty");
        assert_eq!(why(vec![b' '; (4 << 20) + 1]), "it has more than 4 MiB");
        assert!(why(vec![b'['; 4 << 20]).contains("invalid type"));
    }
}
