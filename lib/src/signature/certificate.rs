//! X.509 certificates.

use std::ops::Range;

use der::asn1::BitString;
use der::oid::AssociatedOid;
use der::{Decode, Encode, Reader, SliceReader};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use x509_cert::TbsCertificate;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName, SubjectKeyIdentifier};

use super::digest::DigestAlgorithm;
use super::error::{Error, Result};
use super::pem;
use super::public_key::PublicKey;
use super::scheme::Scheme;
use super::time::Time;

/// The longest certificate that is read, in bytes. The largest ones today, with keys of ML-DSA, have 8 KiB.
const MOST_BYTES: usize = 64 << 10;

/// The longest file of certificates that is read, in bytes.
const MOST_TEXT: usize = 4 << 20;

/// An X.509 certificate.
///
/// ```
/// use dmverity::signature::Certificate;
///
/// # let pem = include_str!("../../examples/signature/signer.crt");
/// let certificate = Certificate::from_pem_first(pem)?;
/// assert_eq!(certificate.subject(), "CN=Example p256");
/// assert_eq!(certificate.serial(), "6DC9B4E5BF25AECE696912BBCF51CC908EDBCC8A");
/// # Ok::<(), dmverity::signature::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Vec<u8>,
    /// The bytes of `der` that the issuer signed.
    signed: Range<usize>,
    tbs: TbsCertificate,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    signature_algorithm: Vec<u8>,
    signature: BitString,
    key_id: Option<Vec<u8>>,
}

/// Two are equal if all of their bytes are.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

/// What a certificate may be used for, as its extensions say.
pub(super) struct Usage {
    pub(super) is_authority: bool,
    pub(super) path_len: Option<u8>,
    /// `None` if it does not say.
    pub(super) may_sign_certificates: Option<bool>,
    /// `None` if it does not say.
    pub(super) may_sign: Option<bool>,
}

impl Certificate {
    /// Reads a certificate in DER.
    pub fn from_der(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MOST_BYTES {
            return Err(Error::TooLarge { what: "certificate", found: bytes.len(), most: MOST_BYTES });
        }
        Self::decode(bytes).map_err(|error| Error::not_der("certificate", error))
    }

    /// Reads the first certificate of a PEM text, as systemd does.
    pub fn from_pem_first(text: &str) -> Result<Self> {
        Self::in_text(text)?.next().ok_or(Error::NoCertificate)?
    }

    /// Reads every certificate of a PEM text; there is at least one.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>> {
        let found = Self::in_text(text)?.collect::<Result<Vec<_>>>()?;
        if found.is_empty() { Err(Error::NoCertificate) } else { Ok(found) }
    }

    /// Reads the certificates of a file, PEM or DER.
    pub fn all_from_bytes(bytes: &[u8]) -> Result<Vec<Self>> {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains("-----BEGIN ") => Self::all_from_pem(text),
            // DER starts with a SEQUENCE.
            _ if bytes.first() == Some(&0x30) => Ok(vec![Self::from_der(bytes)?]),
            _ => Err(Error::NoCertificate),
        }
    }

    fn in_text(text: &str) -> Result<impl Iterator<Item = Result<Self>>> {
        if text.len() > MOST_TEXT {
            return Err(Error::TooLarge { what: "file of certificates", found: text.len(), most: MOST_TEXT });
        }
        let is_certificate = |label: &str| matches!(label, "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE");
        Ok(pem::blocks(text).filter(move |block| is_certificate(&block.label)).map(|block| {
            let no_base64 = || Error::NotDer { what: "certificate", reason: "no base64".to_owned() };
            Self::from_der(&block.bytes.ok_or_else(no_base64)?)
        }))
    }

    fn decode(bytes: &[u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(bytes)?;
        let (signed, signature_algorithm, signature) = reader.sequence(|inner| -> der::Result<_> {
            Ok((inner.tlv_bytes()?, inner.tlv_bytes()?, BitString::decode(inner)?))
        })?;
        reader.finish()?;
        AlgorithmIdentifierRef::from_der(signature_algorithm)?;
        let tbs = TbsCertificate::from_der(signed)?;
        // The one inside is signed.
        if tbs.signature().to_der()? != signature_algorithm {
            return Err(der::ErrorKind::Value { tag: der::Tag::Sequence }.into());
        }
        // It follows the header of the outer SEQUENCE.
        let header =
            bytes.len() - signed.len() - signature_algorithm.len() - usize::try_from(signature.encoded_len()?)?;
        let key_id = tbs.get_extension::<SubjectKeyIdentifier>()?.map(|(_, id)| id.0.as_bytes().to_vec());
        tbs.get_extension::<BasicConstraints>()?;
        tbs.get_extension::<KeyUsage>()?;
        Ok(Self {
            der: bytes.to_vec(),
            signed: header..header + signed.len(),
            issuer: tbs.issuer().to_der()?,
            subject: tbs.subject().to_der()?,
            signature_algorithm: signature_algorithm.to_vec(),
            signature,
            key_id,
            tbs,
        })
    }

    /// Its bytes in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of its bytes, as in the JSON of a signature partition.
    pub fn fingerprint(&self) -> [u8; 32] {
        <sha2::Sha256 as digest::Digest>::digest(&self.der).into()
    }

    /// Whose it is, in the form of RFC 4514: the most specific part comes first.
    pub fn subject(&self) -> String {
        self.tbs.subject().to_string()
    }

    /// Who issued it.
    pub fn issuer(&self) -> String {
        self.tbs.issuer().to_string()
    }

    /// Its serial number in hexadecimal digits.
    pub fn serial(&self) -> String {
        hex::encode_upper(self.serial_bytes())
    }

    /// The first second at which it is valid.
    pub fn not_before(&self) -> Time {
        Time::from_unix(self.tbs.validity().not_before.to_unix_duration().as_secs())
    }

    /// The last second at which it is valid.
    pub fn not_after(&self) -> Time {
        Time::from_unix(self.tbs.validity().not_after.to_unix_duration().as_secs())
    }

    /// Whether it is valid at this time.
    pub(super) fn is_valid_at(&self, time: Time) -> bool {
        (self.not_before()..=self.not_after()).contains(&time)
    }

    /// The kind of its key, such as `RSA-2048` or `P-256`.
    pub fn key_name(&self) -> Result<String> {
        Ok(self.public_key()?.name())
    }

    pub(super) fn serial_bytes(&self) -> &[u8] {
        self.tbs.serial_number().as_bytes()
    }

    /// The subject's name in DER.
    pub(super) fn subject_der(&self) -> &[u8] {
        &self.subject
    }

    /// The issuer's name in DER.
    pub(super) fn issuer_der(&self) -> &[u8] {
        &self.issuer
    }

    pub(super) fn key_id(&self) -> Option<&[u8]> {
        self.key_id.as_deref()
    }

    /// An error about it.
    pub(super) fn refused(&self, reason: impl Into<String>) -> Error {
        Error::Certificate { subject: self.subject(), reason: reason.into() }
    }

    pub(super) fn public_key(&self) -> Result<PublicKey> {
        let info = self.tbs.subject_public_key_info();
        let bytes = info.to_der().map_err(|error| Error::not_der("public key", error))?;
        let info = SubjectPublicKeyInfoRef::try_from(&bytes[..]).map_err(|error| self.refused(error.to_string()))?;
        PublicKey::new(&info)
    }

    /// Refuses critical extensions whose meaning is not known here, as RFC 5280 asks.
    pub(super) fn check_extensions(&self) -> Result<()> {
        // Extended key usage is read and not asked for: the kernel and systemd ignore it.
        let known = [BasicConstraints::OID, KeyUsage::OID, ExtendedKeyUsage::OID, SubjectAltName::OID];
        let extensions = self.tbs.extensions().into_iter().flatten();
        match extensions.into_iter().find(|extension| extension.critical && !known.contains(&extension.extn_id)) {
            None => Ok(()),
            Some(unknown) => Err(self.refused(format!("critical extension {} is not known", unknown.extn_id))),
        }
    }

    pub(super) fn usage(&self) -> Usage {
        // They could be read when the certificate was.
        let constraints = self.tbs.get_extension::<BasicConstraints>().ok().flatten().map(|(_, found)| found);
        let usage = self.tbs.get_extension::<KeyUsage>().ok().flatten().map(|(_, found)| found);
        Usage {
            is_authority: constraints.as_ref().is_some_and(|constraints| constraints.ca),
            path_len: constraints.and_then(|constraints| constraints.path_len_constraint),
            may_sign_certificates: usage.map(|usage| usage.key_cert_sign()),
            may_sign: usage.map(|usage| usage.digital_signature() || usage.non_repudiation()),
        }
    }

    /// The digest with which its issuer signed it, if its algorithm is known.
    pub(super) fn issuer_digest(&self) -> Option<DigestAlgorithm> {
        let algorithm = AlgorithmIdentifierRef::from_der(&self.signature_algorithm).ok()?;
        Scheme::of(&algorithm, None).ok().map(|(_, digest)| digest)
    }

    /// Whether the key of `issuer` signed this certificate.
    pub(super) fn is_signed_by(&self, issuer: &Self) -> Result<bool> {
        let algorithm = AlgorithmIdentifierRef::from_der(&self.signature_algorithm);
        let algorithm = algorithm.map_err(|error| Error::not_der("certificate", error))?;
        let (scheme, digest) = Scheme::of(&algorithm, None)?;
        let Some(signature) = self.signature.as_bytes() else { return Ok(false) };
        let hash = digest.digest(&self.der[self.signed.clone()]);
        Ok(issuer.public_key()?.has_signed(scheme, digest, &hash, signature))
    }
}
