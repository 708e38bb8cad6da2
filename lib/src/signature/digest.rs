//! The digests with which content and certificates are signed.

use der::asn1::ObjectIdentifier;
use der::asn1::{AnyRef, OctetStringRef};
use der::{Encode, Sequence};
use spki::AlgorithmIdentifierRef;

use super::error::{Error, Result};

/// A digest that signatures use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // Their names.
pub enum DigestAlgorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512_224,
    Sha512_256,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}

use DigestAlgorithm as D;

/// Names as OpenSSL has them, and object identifiers.
const TABLE: [(DigestAlgorithm, &str, ObjectIdentifier); 12] = [
    (D::Md5, "md5", ObjectIdentifier::new_unwrap("1.2.840.113549.2.5")),
    (D::Sha1, "sha1", ObjectIdentifier::new_unwrap("1.3.14.3.2.26")),
    (D::Sha224, "sha224", ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.4")),
    (D::Sha256, "sha256", ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1")),
    (D::Sha384, "sha384", ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2")),
    (D::Sha512, "sha512", ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3")),
    (D::Sha512_224, "sha512-224", ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.5")),
    (D::Sha512_256, "sha512-256", ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.6")),
    (D::Sha3_224, "sha3-224", ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.7")),
    (D::Sha3_256, "sha3-256", ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.8")),
    (D::Sha3_384, "sha3-384", ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.9")),
    (D::Sha3_512, "sha3-512", ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.10")),
];

/// Runs code for the type that computes a digest.
macro_rules! with_hasher {
    ($algorithm:expr, $hasher:ident => $code:expr) => {{
        use $crate::signature::DigestAlgorithm as D;
        macro_rules! run {
            ($type:ty) => {{
                type $hasher = $type;
                $code
            }};
        }
        match $algorithm {
            D::Md5 => run!(md5::Md5),
            D::Sha1 => run!(sha1::Sha1),
            D::Sha224 => run!(sha2::Sha224),
            D::Sha256 => run!(sha2::Sha256),
            D::Sha384 => run!(sha2::Sha384),
            D::Sha512 => run!(sha2::Sha512),
            D::Sha512_224 => run!(sha2::Sha512_224),
            D::Sha512_256 => run!(sha2::Sha512_256),
            D::Sha3_224 => run!(sha3::Sha3_224),
            D::Sha3_256 => run!(sha3::Sha3_256),
            D::Sha3_384 => run!(sha3::Sha3_384),
            D::Sha3_512 => run!(sha3::Sha3_512),
        }
    }};
}
pub(super) use with_hasher;

impl DigestAlgorithm {
    /// All of them.
    pub const ALL: [Self; 12] = {
        let mut all = [Self::Md5; 12];
        let mut index = 0;
        while index < all.len() {
            all[index] = TABLE[index].0;
            index += 1;
        }
        all
    };

    /// Those that new signatures can use, the first three with every key.
    pub const SIGNING: [Self; 5] = [Self::Sha256, Self::Sha384, Self::Sha512, Self::Sha3_256, Self::Sha3_512];

    /// The digest of this name, such as `sha256` or `sha3-512`.
    ///
    /// ```
    /// use dmverity::signature::DigestAlgorithm;
    ///
    /// assert_eq!(DigestAlgorithm::from_name("sha256"), Some(DigestAlgorithm::Sha256));
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    pub(super) fn from_oid(oid: ObjectIdentifier) -> Option<Self> {
        TABLE.iter().find(|row| row.2 == oid).map(|row| row.0)
    }

    pub(super) fn oid(self) -> ObjectIdentifier {
        self.row().2
    }

    fn row(self) -> &'static (Self, &'static str, ObjectIdentifier) {
        TABLE.iter().find(|row| row.0 == self).expect("the table has every digest")
    }

    /// The digest of some bytes.
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        with_hasher!(self, Hasher => <Hasher as digest::Digest>::digest(bytes).to_vec())
    }

    /// Collisions of it can be computed.
    pub(super) fn is_weak(self) -> bool {
        matches!(self, Self::Md5 | Self::Sha1)
    }

    /// `DigestInfo` of PKCS#1: what an RSA key signs.
    pub(super) fn info(self, hash: &[u8]) -> Result<Vec<u8>> {
        let algorithm = AlgorithmIdentifierRef { oid: self.oid(), parameters: Some(AnyRef::NULL) };
        let digest = OctetStringRef::new(hash).map_err(|error| Error::not_der("digest", error))?;
        DigestInfo { algorithm, digest }.to_der().map_err(|error| Error::not_der("digest", error))
    }
}

#[derive(Sequence)]
struct DigestInfo<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    digest: &'a OctetStringRef,
}
