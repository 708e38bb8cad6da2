//! Signatures with a key that is somewhere else: what has to be signed there, and what becomes of the answer.

use super::certificate::Certificate;
use super::digest::DigestAlgorithm;
use super::error::{Error, Result};
use super::pem;
use super::public_key::{PublicKey, with_curve};
use super::scheme::Scheme;
use super::sign::{SignOptions, message};

/// The longest raw signature that is read, in bytes: far more than RSA-8192 in hexadecimal digits.
const MOST_BYTES: usize = 16 << 10;

/// What a key in a security module or a service has to sign.
///
/// ```
/// use dmverity::signature::{DigestAlgorithm, Prepared};
///
/// let prepared = Prepared::new(b"00ff", DigestAlgorithm::Sha256)?;
/// // SHA-256 with RSA: the module hashes and signs this.
/// assert_eq!(prepared.content(), b"00ff");
/// // It signs this digest, and knows the algorithm.
/// assert_eq!(prepared.digest().len(), 32);
/// // It pads and signs this (CKM_RSA_PKCS).
/// assert!(prepared.digest_info().ends_with(prepared.digest()));
/// # Ok::<(), dmverity::signature::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    content: Vec<u8>,
    algorithm: DigestAlgorithm,
    digest: Vec<u8>,
    digest_info: Vec<u8>,
}

impl Prepared {
    /// What has to be signed for this content.
    pub fn new(content: &[u8], algorithm: DigestAlgorithm) -> Result<Self> {
        let digest = algorithm.digest(content);
        let digest_info = algorithm.info(&digest)?;
        Ok(Self { content: content.to_vec(), algorithm, digest, digest_info })
    }

    /// The content itself.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// The digest's algorithm.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// The digest of the content.
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// The digest and its algorithm in DER, as PKCS#1 v1.5 signs them.
    pub fn digest_info(&self) -> &[u8] {
        &self.digest_info
    }
}

/// Makes a signature from a raw one, which the key of this certificate made over the content: as bytes, in hexadecimal
/// digits or base64, or as Vault writes it (`vault:v1:...`). One of an elliptic curve is DER, or both numbers of the
/// same length one after the other, as PKCS#11 has them. It is checked before it is used.
pub fn join(content: &[u8], certificate: &Certificate, raw: &[u8], options: &SignOptions) -> Result<Vec<u8>> {
    if raw.len() > MOST_BYTES {
        return Err(Error::TooLarge { what: "raw signature", found: raw.len(), most: MOST_BYTES });
    }
    let key = certificate.public_key()?;
    let digest = options.digest_for(&key)?;
    let scheme = if matches!(key, PublicKey::Rsa(_)) { Scheme::RsaPkcs1 } else { Scheme::Ecdsa };
    let hash = digest.digest(content);
    let candidates: Vec<Vec<u8>> = forms(raw).iter().flat_map(|form| key.raw_forms(form)).collect();
    if candidates.is_empty() {
        return Err(Error::RawSignature { found: raw.len(), expected: key.raw_length() });
    }
    let right = candidates.iter().find(|candidate| key.has_signed(scheme, digest, &hash, candidate));
    let right = right.ok_or_else(|| Error::Wrong { signer: certificate.subject() })?;
    message(certificate, right, options)
}

/// What the bytes may mean: themselves, and what they are as text.
fn forms(raw: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![raw.to_vec()];
    if let Ok(text) = std::str::from_utf8(raw) {
        let text = text.trim();
        // `vault:v1:` and base64.
        let text =
            text.strip_prefix("vault:v").and_then(|rest| rest.split_once(':')).map_or(text, |(_, base64)| base64);
        let digits: String = text.split(|each: char| each.is_whitespace() || each == ':').collect();
        forms.extend(hex::decode(digits).ok());
        forms.extend(pem::base64(text).map(|bytes| bytes.to_vec()));
    }
    forms
}

impl PublicKey {
    /// The raw signatures that these bytes can be, as CMS has them.
    fn raw_forms(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        with_curve!(self,
        Self::Rsa(key) => {
            let is_one = bytes.len() == rsa::traits::PublicKeyParts::size(key);
            if is_one { vec![bytes.to_vec()] } else { Vec::new() }
        },
        _key: curve => {
            let der = curve::ecdsa::Signature::from_der(bytes);
            let both = curve::ecdsa::Signature::from_slice(bytes);
            [der, both].into_iter().flatten().map(|signature| signature.to_der().as_bytes().to_vec()).collect()
        })
    }

    fn raw_length(&self) -> String {
        match self {
            Self::Rsa(key) => format!("{} bytes", rsa::traits::PublicKeyParts::size(key)),
            Self::P256(_) => "DER or 64 bytes".to_owned(),
            Self::P384(_) => "DER or 96 bytes".to_owned(),
            Self::P521(_) => "DER or 132 bytes".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
