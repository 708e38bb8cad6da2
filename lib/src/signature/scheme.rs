//! How a signature is computed: the algorithm identifiers of signatures.

use der::asn1::ObjectIdentifier;
use rsa::pkcs1::RsaPssParamsOwned;
use spki::AlgorithmIdentifierRef;

use super::digest::DigestAlgorithm;
use super::error::{Error, Result};

/// How a key signs a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    RsaPkcs1,
    RsaPss { salt_len: usize },
    Ecdsa,
}

pub(super) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(super) const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

use DigestAlgorithm as D;

/// The identifiers that name both key and digest.
const COMBINED: [(&str, Scheme, DigestAlgorithm); 21] = [
    ("1.2.840.113549.1.1.4", Scheme::RsaPkcs1, D::Md5),
    ("1.2.840.113549.1.1.5", Scheme::RsaPkcs1, D::Sha1),
    ("1.2.840.113549.1.1.14", Scheme::RsaPkcs1, D::Sha224),
    ("1.2.840.113549.1.1.11", Scheme::RsaPkcs1, D::Sha256),
    ("1.2.840.113549.1.1.12", Scheme::RsaPkcs1, D::Sha384),
    ("1.2.840.113549.1.1.13", Scheme::RsaPkcs1, D::Sha512),
    ("1.2.840.113549.1.1.15", Scheme::RsaPkcs1, D::Sha512_224),
    ("1.2.840.113549.1.1.16", Scheme::RsaPkcs1, D::Sha512_256),
    ("2.16.840.1.101.3.4.3.13", Scheme::RsaPkcs1, D::Sha3_224),
    ("2.16.840.1.101.3.4.3.14", Scheme::RsaPkcs1, D::Sha3_256),
    ("2.16.840.1.101.3.4.3.15", Scheme::RsaPkcs1, D::Sha3_384),
    ("2.16.840.1.101.3.4.3.16", Scheme::RsaPkcs1, D::Sha3_512),
    ("1.2.840.10045.4.1", Scheme::Ecdsa, D::Sha1),
    ("1.2.840.10045.4.3.1", Scheme::Ecdsa, D::Sha224),
    ("1.2.840.10045.4.3.2", Scheme::Ecdsa, D::Sha256),
    ("1.2.840.10045.4.3.3", Scheme::Ecdsa, D::Sha384),
    ("1.2.840.10045.4.3.4", Scheme::Ecdsa, D::Sha512),
    ("2.16.840.1.101.3.4.3.9", Scheme::Ecdsa, D::Sha3_224),
    ("2.16.840.1.101.3.4.3.10", Scheme::Ecdsa, D::Sha3_256),
    ("2.16.840.1.101.3.4.3.11", Scheme::Ecdsa, D::Sha3_384),
    ("2.16.840.1.101.3.4.3.12", Scheme::Ecdsa, D::Sha3_512),
];

/// Algorithms that are known by name only.
const UNSUPPORTED: [(&str, &str); 9] = [
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
    ("1.2.840.10040.4.1", "DSA"),
    ("2.16.840.1.101.3.4.3.2", "DSA"),
    ("1.2.643.7.1.1.1.1", "GOST R 34.10-2012"),
    ("1.2.643.7.1.1.1.2", "GOST R 34.10-2012"),
];

/// The name of an algorithm, or its object identifier.
pub(super) fn name_of(oid: ObjectIdentifier) -> String {
    let text = oid.to_string();
    if let Some((_, scheme, digest)) = combined(oid) {
        let key = if scheme == Scheme::Ecdsa { "ECDSA" } else { "RSA" };
        return format!("{key} with {}", digest.name());
    }
    match UNSUPPORTED.iter().find(|(known, _)| *known == text) {
        Some((_, name)) => (*name).to_owned(),
        None if oid == RSA_ENCRYPTION => "RSA".to_owned(),
        None if oid == RSA_PSS => "RSA-PSS".to_owned(),
        None => format!("algorithm {text}"),
    }
}

/// Whether an algorithm is known by name only.
pub(super) fn is_known_but_unsupported(oid: ObjectIdentifier) -> bool {
    let text = oid.to_string();
    UNSUPPORTED.iter().any(|(known, _)| *known == text)
}

pub(super) fn combined(oid: ObjectIdentifier) -> Option<(&'static str, Scheme, DigestAlgorithm)> {
    let text = oid.to_string();
    COMBINED.iter().find(|row| row.0 == text).copied()
}

/// The identifier of ECDSA with a digest.
pub(super) fn ecdsa_oid(digest: DigestAlgorithm) -> Option<ObjectIdentifier> {
    let row = COMBINED.iter().find(|row| row.1 == Scheme::Ecdsa && row.2 == digest)?;
    ObjectIdentifier::new(row.0).ok()
}

impl Scheme {
    /// The scheme and digest of a signature algorithm; `digest` is the one that is named separately.
    pub(super) fn of(
        algorithm: &AlgorithmIdentifierRef<'_>,
        digest: Option<DigestAlgorithm>,
    ) -> Result<(Self, DigestAlgorithm)> {
        let unsupported = || Error::Unsupported { what: name_of(algorithm.oid) };
        let (scheme, named) = if algorithm.oid == RSA_PSS {
            pss(algorithm)?
        } else {
            if algorithm.parameters.is_some_and(|parameters| !parameters.is_null()) {
                return Err(Error::malformed(format!("{} has parameters", name_of(algorithm.oid))));
            }
            match combined(algorithm.oid) {
                Some((_, scheme, named)) => (scheme, named),
                None if algorithm.oid == RSA_ENCRYPTION => (Self::RsaPkcs1, digest.ok_or_else(unsupported)?),
                None => return Err(unsupported()),
            }
        };
        if digest.is_some_and(|digest| digest != named) {
            return Err(Error::malformed("its two algorithm identifiers name different digests"));
        }
        Ok((scheme, named))
    }
}

/// The parameters of RSA-PSS. The mask has to be made with the same digest, as all tools do.
fn pss(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<(Scheme, DigestAlgorithm)> {
    let parameters = algorithm.parameters.ok_or_else(|| Error::malformed("RSA-PSS without parameters"))?;
    let parameters: RsaPssParamsOwned =
        parameters.decode_as().map_err(|error: der::Error| Error::not_der("parameters of RSA-PSS", error))?;
    let digest = DigestAlgorithm::from_oid(parameters.hash.oid);
    let digest = digest.ok_or_else(|| Error::Unsupported { what: format!("digest {}", parameters.hash.oid) })?;
    let mask = parameters.mask_gen.parameters.as_ref().map(|mask| mask.oid);
    if mask != Some(digest.oid()) {
        return Err(Error::Unsupported { what: "RSA-PSS with two different digests".to_owned() });
    }
    Ok((Scheme::RsaPss { salt_len: usize::from(parameters.salt_len) }, digest))
}
