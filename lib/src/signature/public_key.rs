//! Public keys, and what they say of a signature.

use der::Decode;
use der::asn1::ObjectIdentifier;
use ecdsa::signature::hazmat::PrehashVerifier;
use rsa::pkcs1::RsaPublicKeyRef;
use rsa::traits::{PublicKeyParts, SignatureScheme};
use rsa::{Pkcs1v15Sign, Pss};
use spki::SubjectPublicKeyInfoRef;

use super::digest::{DigestAlgorithm, with_hasher};
use super::error::{Error, Result};
use super::scheme::{self, RSA_ENCRYPTION, RSA_PSS, Scheme};

pub(super) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(super) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
pub(super) const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// The sizes of RSA moduli that are accepted, in bits: larger ones would make checking slow.
const RSA_BITS: std::ops::RangeInclusive<usize> = 1024..=8192;

/// A public key that signatures are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    Rsa(rsa::PublicKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
}

/// Runs code for the key of a curve, and for RSA.
macro_rules! with_curve {
    ($key:expr, $rsa:pat => $with_rsa:expr, $inner:ident: $curve:ident => $with_curve:expr) => {
        match $key {
            $rsa => $with_rsa,
            Self::P256($inner) => {
                use p256 as $curve;
                $with_curve
            }
            Self::P384($inner) => {
                use p384 as $curve;
                $with_curve
            }
            Self::P521($inner) => {
                use p521 as $curve;
                $with_curve
            }
        }
    };
}
pub(super) use with_curve;

impl PublicKey {
    pub(super) fn new(info: &SubjectPublicKeyInfoRef<'_>) -> Result<Self> {
        let unreadable = |reason: String| Error::NotDer { what: "public key", reason };
        let bits = info.subject_public_key.as_bytes().ok_or_else(|| unreadable("unused bits".to_owned()))?;
        let algorithm = &info.algorithm;
        if algorithm.oid == RSA_ENCRYPTION || algorithm.oid == RSA_PSS {
            let key = RsaPublicKeyRef::from_der(bits).map_err(|error| unreadable(error.to_string()))?;
            check_rsa_size(key.modulus.as_bytes())?;
            return rsa::PublicKey::try_from(key).map(Self::Rsa).map_err(|error| unreadable(error.to_string()));
        }
        if algorithm.oid != EC {
            return Err(Error::Unsupported { what: format!("a key for {}", scheme::name_of(algorithm.oid)) });
        }
        let curve = algorithm.parameters_oid().map_err(|error| unreadable(error.to_string()))?;
        let no_point = |_| unreadable("no point of its curve".to_owned());
        match curve {
            P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(bits).map(Self::P256).map_err(no_point),
            P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(bits).map(Self::P384).map_err(no_point),
            P521 => p521::ecdsa::VerifyingKey::from_sec1_bytes(bits).map(Self::P521).map_err(no_point),
            other => Err(Error::Unsupported { what: format!("elliptic curve {other}") }),
        }
    }

    /// The kind of key, such as `RSA-2048` or `P-256`.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Rsa(key) => format!("RSA-{}", key.n().bit_width_vartime()),
            Self::P256(_) => "P-256".to_owned(),
            Self::P384(_) => "P-384".to_owned(),
            Self::P521(_) => "P-521".to_owned(),
        }
    }

    /// The size of an RSA key.
    pub(super) fn rsa_bits(&self) -> Option<u32> {
        match self {
            Self::Rsa(key) => Some(key.n().bit_width_vartime()),
            _ => None,
        }
    }

    /// Whether it is an RSA key whose size is no longer recommended.
    pub(super) fn is_short(&self) -> bool {
        self.rsa_bits().is_some_and(|bits| bits < 2048)
    }

    /// Whether this key made a signature of a digest.
    pub(super) fn has_signed(&self, scheme: Scheme, digest: DigestAlgorithm, hash: &[u8], signature: &[u8]) -> bool {
        with_curve!(self,
            Self::Rsa(key) => match scheme {
                Scheme::RsaPkcs1 => {
                    pkcs1(digest, hash).is_ok_and(|scheme| scheme.verify(key, hash, signature).is_ok())
                }
                Scheme::RsaPss { salt_len } => with_hasher!(digest, Hasher => {
                    Pss::<Hasher>::new_with_salt(salt_len).verify(key, hash, signature).is_ok()
                }),
                Scheme::Ecdsa => false,
            },
            key: curve => scheme == Scheme::Ecdsa
                && curve::ecdsa::Signature::from_der(signature)
                    .is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok()))
    }
}

/// PKCS#1 v1.5 for a digest.
pub(super) fn pkcs1(digest: DigestAlgorithm, hash: &[u8]) -> Result<Pkcs1v15Sign> {
    let mut prefix = digest.info(hash)?;
    prefix.truncate(prefix.len() - hash.len());
    Ok(Pkcs1v15Sign { hash_len: Some(hash.len()), prefix: prefix.into() })
}

/// Refuses moduli of other sizes before anything is computed with them; big-endian, without leading zeros.
pub(super) fn check_rsa_size(modulus: &[u8]) -> Result<()> {
    let bits = match modulus.first() {
        None => 0,
        Some(first) => 8 * modulus.len() - first.leading_zeros() as usize,
    };
    if RSA_BITS.contains(&bits) { Ok(()) } else { Err(Error::RsaSize { bits }) }
}
