//! Signatures, made.

use der::asn1::{AnyRef, IntRef, OctetStringRef};
use der::{Decode, Encode};
use spki::AlgorithmIdentifierRef;

use super::certificate::Certificate;
use super::cms::{
    self, ContentInfo, EncapsulatedContent, IssuerAndSerial, SetBytes, SignedData, SignerIdentifier, SignerInfo,
};
use super::digest::DigestAlgorithm;
use super::error::{Error, Result};
use super::private_key::PrivateKey;
use super::public_key::PublicKey;
use super::scheme::{self, RSA_ENCRYPTION};

/// What a new signature looks like. The default is what `openssl cms -sign -noattr -nocerts -binary` makes.
#[derive(Clone, Debug)]
pub struct SignOptions {
    digest: DigestAlgorithm,
    embed_certificate: bool,
    smime: bool,
    key_id: bool,
}

impl Default for SignOptions {
    fn default() -> Self {
        Self { digest: DigestAlgorithm::Sha256, embed_certificate: false, smime: false, key_id: false }
    }
}

impl SignOptions {
    /// The default: SHA-256, and no certificate inside.
    pub fn new() -> Self {
        Self::default()
    }

    /// The digest. Kernels and systemd agree on SHA-256, SHA-384 and SHA-512; an RSA key also signs SHA3-256 and
    /// SHA3-512, which kernels since 6.7 verify if they have the module.
    #[must_use]
    pub fn digest(mut self, digest: DigestAlgorithm) -> Self {
        self.digest = digest;
        self
    }

    /// Puts the signer's certificate into the signature. The kernel needs it there unless it has it.
    #[must_use]
    pub fn embed_certificate(mut self, embed: bool) -> Self {
        self.embed_certificate = embed;
        self
    }

    /// Writes the digest's identifier as `openssl smime` does, with parameters of NULL.
    #[must_use]
    pub fn smime(mut self, smime: bool) -> Self {
        self.smime = smime;
        self
    }

    /// Names the certificate by its subject key identifier, as `openssl cms -keyid` does. systemd cannot read that.
    #[must_use]
    pub fn key_id(mut self, key_id: bool) -> Self {
        self.key_id = key_id;
        self
    }

    pub(super) fn digest_for(&self, key: &PublicKey) -> Result<DigestAlgorithm> {
        use DigestAlgorithm as D;
        let digest = self.digest;
        match (key, digest) {
            (_, D::Sha256 | D::Sha384 | D::Sha512) | (PublicKey::Rsa(_), D::Sha3_256 | D::Sha3_512) => Ok(digest),
            (PublicKey::Rsa(_), _) => Err(Error::Digest { digest: digest.name(), key: "RSA" }),
            _ => Err(Error::Digest { digest: digest.name(), key: "elliptic curve" }),
        }
    }
}

/// Signs content, which is usually a root hash as lower-case hexadecimal digits, without a newline.
///
/// For RSA keys, and the same options, the bytes are those that OpenSSL makes.
///
/// ```
/// use dmverity::signature::{Certificate, PrivateKey, SignOptions, sign};
///
/// # let key = include_str!("../../examples/signature/signer.key");
/// # let certificate = include_str!("../../examples/signature/signer.crt");
/// # let root_hash = include_str!("../../examples/signature/root-hash");
/// let key = PrivateKey::from_pem(key, None)?;
/// let certificate = Certificate::from_pem_first(certificate)?;
/// let signature = sign(root_hash.as_bytes(), &key, &certificate, &SignOptions::new())?;
/// # Ok::<(), dmverity::signature::Error>(())
/// ```
pub fn sign(content: &[u8], key: &PrivateKey, certificate: &Certificate, options: &SignOptions) -> Result<Vec<u8>> {
    let public = certificate.public_key()?;
    if public != key.public_key() {
        return Err(Error::KeyMismatch { subject: certificate.subject() });
    }
    let digest = options.digest_for(&public)?;
    let signature = key.sign(digest, &digest.digest(content))?;
    message(certificate, &signature, options)
}

/// The message around a raw signature.
pub(super) fn message(certificate: &Certificate, signature: &[u8], options: &SignOptions) -> Result<Vec<u8>> {
    encode(certificate, signature, options).map_err(|error| Error::not_der("signature", error))
}

fn encode(certificate: &Certificate, signature: &[u8], options: &SignOptions) -> der::Result<Vec<u8>> {
    let digest = options.digest;
    let digest_algorithm =
        AlgorithmIdentifierRef { oid: digest.oid(), parameters: options.smime.then_some(AnyRef::NULL) };
    let is_rsa = matches!(certificate.public_key(), Ok(PublicKey::Rsa(_)));
    let signature_algorithm = match scheme::ecdsa_oid(digest) {
        Some(oid) if !is_rsa => AlgorithmIdentifierRef { oid, parameters: None },
        _ => AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) },
    };
    let key_id = certificate.key_id().filter(|_| options.key_id);
    let signer = match key_id {
        Some(id) => SignerIdentifier::KeyId(OctetStringRef::new(id)?),
        None => SignerIdentifier::IssuerAndSerial(IssuerAndSerial {
            issuer: AnyRef::from_der(certificate.issuer_der())?,
            serial: IntRef::new(certificate.serial_bytes())?,
        }),
    };
    // Both structures have the same number: 3 if the key is named, else 1.
    let version = if key_id.is_some() { 3 } else { 1 };
    let signer = SignerInfo {
        version,
        signer,
        digest_algorithm,
        signed_attributes: None,
        signature_algorithm,
        signature: OctetStringRef::new(signature)?,
        unsigned_attributes: None,
    };
    let (digest_algorithms, signers) = (digest_algorithm.to_der()?, signer.to_der()?);
    let data = SignedData {
        version,
        digest_algorithms: SetBytes(&digest_algorithms),
        content: EncapsulatedContent { content_type: cms::DATA, content: None },
        certificates: options.embed_certificate.then_some(SetBytes(certificate.der())),
        revocations: None,
        signers: SetBytes(&signers),
    };
    let data = data.to_der()?;
    ContentInfo { content_type: cms::SIGNED_DATA, content: AnyRef::from_der(&data)? }.to_der()
}
