//! Private keys: how they are read, and what they sign.

use std::fmt;

use der::asn1::ObjectIdentifier;
use der::{Decode, SecretDocument};
use ecdsa::signature::hazmat::PrehashSigner;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use rsa::pkcs1::RsaPrivateKey as RsaPrivateKeyInfo;

use super::digest::DigestAlgorithm;
use super::error::{Error, Result};
use super::pem;
use super::public_key::{self, PublicKey, with_curve};

/// The longest file of a key that is read, in bytes.
const MOST_TEXT: usize = 1 << 20;

/// A private key, wiped from memory when it is dropped.
pub struct PrivateKey(Kind);

enum Kind {
    Rsa(Box<rsa::PrivateKey>),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
}

/// Shows the kind of key only.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public_key().name())
    }
}

impl PrivateKey {
    /// Reads the first private key of a PEM text: PKCS#8, encrypted (PBES2) or not, PKCS#1 (`RSA PRIVATE KEY`), or SEC1
    /// (`EC PRIVATE KEY`). The pass phrase is used if the key is encrypted.
    ///
    /// ```
    /// use dmverity::signature::PrivateKey;
    ///
    /// # let pem = include_str!("../../examples/signature/signer.key");
    /// let key = PrivateKey::from_pem(pem, None)?;
    /// # Ok::<(), dmverity::signature::Error>(())
    /// ```
    pub fn from_pem(text: &str, passphrase: Option<&[u8]>) -> Result<Self> {
        if text.len() > MOST_TEXT {
            return Err(Error::TooLarge { what: "private key", found: text.len(), most: MOST_TEXT });
        }
        let block = first_block(text).ok_or_else(|| refused("no PEM block ends with PRIVATE KEY"))?;
        if block.has_headers {
            return Err(refused("encrypted in the form from before PKCS#8"));
        }
        let bytes = block.bytes.ok_or_else(|| refused("no base64"))?;
        match block.label.as_str() {
            "PRIVATE KEY" => Self::from_pkcs8(&bytes),
            "ENCRYPTED PRIVATE KEY" => {
                let info =
                    EncryptedPrivateKeyInfoRef::try_from(&bytes[..]).map_err(|error| refused(error.to_string()))?;
                let passphrase = passphrase.ok_or(Error::NoPassphrase)?;
                Self::from_pkcs8(decrypted(&info, passphrase)?.as_bytes())
            }
            "RSA PRIVATE KEY" => Self::from_pkcs1(&bytes),
            "EC PRIVATE KEY" => Self::from_sec1(&bytes, None),
            other => Err(refused(format!("PEM of type {other}"))),
        }
    }

    /// Whether the first private key of a PEM text needs a pass phrase.
    pub fn is_encrypted(text: &str) -> bool {
        first_block(text).is_some_and(|block| block.label == "ENCRYPTED PRIVATE KEY")
    }

    fn from_pkcs8(bytes: &[u8]) -> Result<Self> {
        let info = PrivateKeyInfoRef::try_from(bytes).map_err(|error| refused(error.to_string()))?;
        let key = info.private_key.as_bytes();
        if info.algorithm.oid == super::scheme::RSA_ENCRYPTION {
            return Self::from_pkcs1(key);
        }
        match info.algorithm.parameters_oid() {
            Ok(curve) if info.algorithm.oid == public_key::EC => Self::from_sec1(key, Some(curve)),
            _ => {
                let name = super::scheme::name_of(info.algorithm.oid);
                Err(Error::Unsupported { what: format!("a private key for {name}") })
            }
        }
    }

    fn from_pkcs1(bytes: &[u8]) -> Result<Self> {
        let info = RsaPrivateKeyInfo::<der::asn1::UintRef<'_>>::from_der(bytes);
        let info = info.map_err(|error| refused(error.to_string()))?;
        public_key::check_rsa_size(info.modulus.as_bytes())?;
        let key = rsa::PrivateKey::try_from(info).map_err(|error| refused(error.to_string()))?;
        Ok(Self(Kind::Rsa(Box::new(key))))
    }

    /// The curve is named outside, by PKCS#8, or inside.
    fn from_sec1(bytes: &[u8], curve: Option<ObjectIdentifier>) -> Result<Self> {
        let info = sec1::EcPrivateKey::try_from(bytes).map_err(|error| refused(error.to_string()))?;
        let curve = curve.or_else(|| info.parameters.and_then(sec1::EcParameters::named_curve));
        let malformed = |_| refused("no scalar of its curve");
        let scalar = info.private_key;
        Ok(Self(match curve.ok_or_else(|| refused("its curve is not named"))? {
            public_key::P256 => Kind::P256(p256::ecdsa::SigningKey::from_slice(scalar).map_err(malformed)?),
            public_key::P384 => Kind::P384(p384::ecdsa::SigningKey::from_slice(scalar).map_err(malformed)?),
            public_key::P521 => Kind::P521(p521::ecdsa::SigningKey::from_slice(scalar).map_err(malformed)?),
            other => return Err(Error::Unsupported { what: format!("elliptic curve {other}") }),
        }))
    }

    /// The public key that belongs to it.
    pub(super) fn public_key(&self) -> PublicKey {
        match &self.0 {
            Kind::Rsa(key) => PublicKey::Rsa(key.to_public_key()),
            Kind::P256(key) => PublicKey::P256(*key.verifying_key()),
            Kind::P384(key) => PublicKey::P384(*key.verifying_key()),
            Kind::P521(key) => PublicKey::P521(*key.verifying_key()),
        }
    }

    /// Signs a digest: PKCS#1 v1.5 for RSA, DER for elliptic curves, whose signatures are those of RFC 6979 and so the
    /// same every time.
    pub(super) fn sign(&self, digest: DigestAlgorithm, hash: &[u8]) -> Result<Vec<u8>> {
        self.0.sign(digest, hash)
    }
}

impl Kind {
    fn sign(&self, digest: DigestAlgorithm, hash: &[u8]) -> Result<Vec<u8>> {
        let failed = |reason: String| Error::Signing { reason };
        with_curve!(self,
        Self::Rsa(key) => {
            key.sign(public_key::pkcs1(digest, hash)?, hash).map_err(|error| failed(error.to_string()))
        },
        key: curve => {
            let signature: curve::ecdsa::Signature =
                key.sign_prehash(hash).map_err(|error| failed(error.to_string()))?;
            Ok(signature.to_der().as_bytes().to_vec())
        })
    }
}

/// The first private key of a PEM text.
fn first_block(text: &str) -> Option<pem::Block> {
    pem::blocks(text).find(|block| block.label.ends_with("PRIVATE KEY"))
}

fn refused(reason: impl Into<String>) -> Error {
    Error::PrivateKey { reason: reason.into() }
}

fn decrypted(info: &EncryptedPrivateKeyInfoRef<'_>, passphrase: &[u8]) -> Result<SecretDocument> {
    use pkcs8::pkcs5::Error as Cause;
    info.decrypt(passphrase).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(Cause::DecryptFailed) | pkcs8::Error::Asn1(_) => Error::Passphrase,
        other => refused(other.to_string()),
    })
}

#[cfg(test)]
mod tests;
