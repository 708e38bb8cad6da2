//! Signatures, read from bytes.

use std::fmt;

use der::asn1::{Any, AnyRef, ObjectIdentifier};
use der::{Decode, Encode, Tag, Tagged};
use spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};
use x509_cert::name::Name;

use super::ber;
use super::certificate::Certificate;
use super::cms::{self, Attribute, ContentInfo, SetBytes, SignedData, SignerIdentifier};
use super::digest::DigestAlgorithm;
use super::error::{Error, Result};
use super::pem;
use super::scheme;
use super::time::Time;

/// The longest signature that is read, in bytes, and padding. The kernel takes at most 32,767 bytes.
const MOST_BYTES: usize = 1 << 20;

/// The largest numbers of signers, certificates and attributes.
const MOST_SIGNERS: usize = 16;
const MOST_CERTIFICATES: usize = 32;
const MOST_ATTRIBUTES: usize = 64;

/// A signature: a CMS message of type `SignedData`, in DER.
///
/// That it can be read says nothing of whether it is right: [`Verifier`](super::Verifier) finds that out.
///
/// ```
/// use dmverity::signature::Signature;
///
/// # let bytes = include_bytes!("../../examples/signature/signature.p7s");
/// let signature = Signature::parse(bytes)?;
/// assert_eq!(signature.signers()[0].algorithm(), "ECDSA with sha256");
/// # Ok::<(), dmverity::signature::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Signature {
    message: Message,
    der: Vec<u8>,
    padding: usize,
}

impl Signature {
    /// Reads a signature. NULs after it are its padding, as in a partition; nothing else may follow.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        check_size(bytes)?;
        if pem::is_pem(bytes) {
            return Err(Error::Pem);
        }
        let (der, rest) = divided(bytes)?;
        if rest.iter().any(|each| *each != 0) {
            return Err(Error::TrailingBytes { found: rest.len() });
        }
        check_inside(der)?;
        let message = Message::decode(der)?;
        message.check_form()?;
        Ok(Self { message, der: der.to_vec(), padding: rest.len() })
    }

    /// Its bytes in DER, without padding.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// How many NULs followed it.
    pub fn padding(&self) -> usize {
        self.padding
    }

    /// The certificates in it. Being there does not make them trusted.
    pub fn certificates(&self) -> &[Certificate] {
        &self.message.certificates
    }

    /// Who signed, at least one.
    pub fn signers(&self) -> &[Signer] {
        &self.message.signers
    }

    pub(super) fn message(&self) -> &Message {
        &self.message
    }
}

pub(super) fn check_size(bytes: &[u8]) -> Result<()> {
    match bytes.len() {
        found if found > MOST_BYTES => Err(Error::TooLarge { what: "signature", found, most: MOST_BYTES }),
        _ => Ok(()),
    }
}

/// A signature and what follows it.
pub(super) fn divided(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let (whole, rest) = AnyRef::from_der_partial(bytes).map_err(not_der)?;
    if whole.tag() != Tag::Sequence {
        return Err(Error::NotDer { what: "signature", reason: format!("it starts with {}", whole.tag()) });
    }
    Ok((&bytes[..bytes.len() - rest.len()], rest))
}

/// Refuses what is not DER in parts that are not looked at further, such as attributes that are not signed.
fn check_inside(der: &[u8]) -> Result<()> {
    match ber::normal(der) {
        Some(normal) if normal.has_indefinite_lengths => Err(Error::IndefiniteLength),
        Some(normal) if normal.has_long_lengths => {
            Err(Error::NotDer { what: "signature", reason: "a length inside is longer than needed".to_owned() })
        }
        Some(_) => Ok(()),
        None => Err(Error::NotDer { what: "signature", reason: "a value inside ends too early".to_owned() }),
    }
}

/// What a message has, before it is known whether its parts fit together.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) version: u8,
    pub(super) digests: Vec<ObjectIdentifier>,
    pub(super) content_type: ObjectIdentifier,
    pub(super) content: Option<Vec<u8>>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) signers: Vec<Signer>,
}

/// One signer of a message.
#[derive(Clone, Debug)]
pub struct Signer {
    pub(super) version: u8,
    pub(super) id: SignerId,
    pub(super) digest: ObjectIdentifier,
    pub(super) attributes: Option<Attributes>,
    pub(super) algorithm: AlgorithmIdentifierOwned,
    pub(super) signature: Vec<u8>,
}

/// How a message names the certificate of a signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SignerId {
    IssuerAndSerial { issuer: Vec<u8>, serial: Vec<u8> },
    KeyId(Vec<u8>),
}

/// Attributes that are signed together with the content.
#[derive(Clone, Debug)]
pub(super) struct Attributes {
    /// The SET OF in DER, which is what is signed.
    pub(super) der: Vec<u8>,
    pub(super) content_type: Option<ObjectIdentifier>,
    pub(super) message_digest: Option<Vec<u8>>,
    pub(super) signing_time: Option<Time>,
    pub(super) has_smime_capabilities: bool,
}

impl Signer {
    /// The digest with which the content is signed, such as `sha256`.
    pub fn digest(&self) -> String {
        DigestAlgorithm::from_oid(self.digest)
            .map_or_else(|| self.digest.to_string(), |digest| digest.name().to_owned())
    }

    /// The algorithm of the signature, such as `RSA` or `ECDSA with sha256`.
    pub fn algorithm(&self) -> String {
        scheme::name_of(self.algorithm.oid)
    }

    /// Whether attributes, such as the time, are signed together with the content.
    pub fn has_attributes(&self) -> bool {
        self.attributes.is_some()
    }

    /// The time of signing, which only the signer vouches for.
    pub fn signing_time(&self) -> Option<Time> {
        self.attributes.as_ref()?.signing_time
    }

    pub(super) fn algorithm_identifier(&self) -> AlgorithmIdentifierRef<'_> {
        AlgorithmIdentifierRef {
            oid: self.algorithm.oid,
            parameters: self.algorithm.parameters.as_ref().map(Any::to_ref),
        }
    }
}

/// The certificate that made it, as the message names it.
impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

impl fmt::Display for SignerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IssuerAndSerial { issuer, serial } => {
                let serial = hex::encode_upper(serial);
                match Name::from_der(issuer) {
                    Ok(issuer) => write!(f, "certificate {serial} of issuer {issuer}"),
                    Err(_) => write!(f, "certificate {serial} of an unreadable issuer"),
                }
            }
            Self::KeyId(id) => write!(f, "key {}", hex::encode_upper(id)),
        }
    }
}

impl SignerId {
    /// The version of a `SignerInfo` with it, which RFC 5652 asks for.
    pub(super) fn cms_version(&self) -> u8 {
        if matches!(self, Self::KeyId(_)) { 3 } else { 1 }
    }

    /// Whether this is how a message names this certificate.
    pub(super) fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::IssuerAndSerial { issuer, serial } => {
                issuer == certificate.issuer_der() && serial == certificate.serial_bytes()
            }
            Self::KeyId(id) => certificate.key_id() == Some(id),
        }
    }
}

impl Message {
    /// Reads a message that may break rules which need more than its structure to be known.
    pub(super) fn decode(der: &[u8]) -> Result<Self> {
        let info = match ContentInfo::from_der(der) {
            Ok(info) => info,
            Err(_) if SignedData::from_der(der).is_ok() => return Err(Error::BareSignedData),
            Err(error) => return Err(not_der(error)),
        };
        if info.content_type != cms::SIGNED_DATA {
            return Err(Error::NotSignedData { found: info.content_type.to_string() });
        }
        let data: SignedData<'_> = info.content.decode_as().map_err(not_der)?;
        let digests: Vec<AlgorithmIdentifierRef<'_>> =
            data.digest_algorithms.elements(MOST_SIGNERS).map_err(not_der)?;
        let content = match data.content.content {
            Some(content) if content.tag() != Tag::OctetString => {
                return Err(Error::malformed(format!("its content is {}", content.tag())));
            }
            content => content.map(|content| content.value().to_vec()),
        };
        Ok(Self {
            version: data.version,
            digests: digests.iter().map(|digest| digest.oid).collect(),
            content_type: data.content.content_type,
            content,
            certificates: certificates(data.certificates)?,
            signers: signers(data.signers)?,
        })
    }

    /// The rules of RFC 5652 for what has to be there, and for version numbers.
    fn check_form(&self) -> Result<()> {
        if self.signers.is_empty() {
            return Err(Error::malformed("it has no signer"));
        }
        for signer in &self.signers {
            let needed = signer.id.cms_version();
            if signer.version != needed {
                let found = signer.version;
                return Err(Error::malformed(format!("SignerInfo of version {found} in place of {needed}")));
            }
            if !self.digests.contains(&signer.digest) {
                return Err(Error::malformed("its list of digests lacks the signer's"));
            }
        }
        let is_3 = self.content_type != cms::DATA || self.signers.iter().any(|signer| signer.version == 3);
        let needed = if is_3 { 3 } else { 1 };
        if self.version != needed {
            return Err(Error::malformed(format!("SignedData of version {} in place of {needed}", self.version)));
        }
        Ok(())
    }
}

fn not_der(error: der::Error) -> Error {
    match error.kind() {
        der::ErrorKind::IndefiniteLength => Error::IndefiniteLength,
        _ => Error::not_der("signature", error),
    }
}

fn certificates(set: Option<SetBytes<'_>>) -> Result<Vec<Certificate>> {
    let Some(set) = set else { return Ok(Vec::new()) };
    let found: Vec<AnyRef<'_>> = set.elements(MOST_CERTIFICATES).map_err(not_der)?;
    found
        .iter()
        .map(|certificate| match certificate.tag() {
            Tag::Sequence => Certificate::from_der(&certificate.to_der().map_err(not_der)?),
            tag => Err(Error::malformed(format!("its certificate is {tag}"))),
        })
        .collect()
}

fn signers(set: SetBytes<'_>) -> Result<Vec<Signer>> {
    let found: Vec<cms::SignerInfo<'_>> = set.elements(MOST_SIGNERS).map_err(not_der)?;
    found
        .iter()
        .map(|signer| {
            let id = match &signer.signer {
                SignerIdentifier::IssuerAndSerial(both) => SignerId::IssuerAndSerial {
                    issuer: both.issuer.to_der().map_err(not_der)?,
                    serial: both.serial.as_bytes().to_vec(),
                },
                SignerIdentifier::KeyId(id) => SignerId::KeyId(id.as_bytes().to_vec()),
            };
            Ok(Signer {
                version: signer.version,
                id,
                digest: signer.digest_algorithm.oid,
                attributes: signer.signed_attributes.map(attributes).transpose()?,
                algorithm: AlgorithmIdentifierOwned {
                    oid: signer.signature_algorithm.oid,
                    parameters: signer.signature_algorithm.parameters.map(Any::from),
                },
                signature: signer.signature.as_bytes().to_vec(),
            })
        })
        .collect()
}

fn attributes(set: SetBytes<'_>) -> Result<Attributes> {
    let all: Vec<AnyRef<'_>> = set.elements(MOST_ATTRIBUTES).map_err(not_der)?;
    let encoded = all.iter().map(Encode::to_der).collect::<der::Result<Vec<_>>>().map_err(not_der)?;
    // What is signed is the DER of the set, so that its order matters.
    if !encoded.is_sorted() {
        return Err(Error::malformed("its signed attributes are not in DER's order"));
    }
    let all: Vec<Attribute<'_>> = set.elements(MOST_ATTRIBUTES).map_err(not_der)?;
    let value = |attribute_type| -> Result<Option<AnyRef<'_>>> {
        let mut found = all.iter().filter(|attribute| attribute.attribute_type == attribute_type);
        let Some(attribute) = found.next() else { return Ok(None) };
        let values: Vec<AnyRef<'_>> = attribute.values.elements(2).map_err(not_der)?;
        match (&values[..], found.next()) {
            ([value], None) => Ok(Some(*value)),
            _ => Err(Error::malformed(format!("its attribute {attribute_type} has several values or none"))),
        }
    };
    let content_type: Option<ObjectIdentifier> =
        value(cms::CONTENT_TYPE)?.map(AnyRef::decode_as).transpose().map_err(not_der)?;
    let message_digest = match value(cms::MESSAGE_DIGEST)? {
        Some(value) if value.tag() == Tag::OctetString => Some(value.value().to_vec()),
        Some(_) => return Err(Error::malformed("its message digest is no OCTET STRING")),
        None => None,
    };
    let signing_time = match value(cms::SIGNING_TIME)? {
        Some(value) => {
            let encoded = value.to_der().map_err(not_der)?;
            Some(x509_cert::time::Time::from_der(&encoded).map_err(not_der)?.to_unix_duration().as_secs())
        }
        None => None,
    };
    Ok(Attributes {
        der: set.to_der().map_err(not_der)?,
        content_type,
        message_digest,
        signing_time: signing_time.map(Time::from_unix),
        has_smime_capabilities: all.iter().any(|attribute| attribute.attribute_type == cms::SMIME_CAPABILITIES),
    })
}
