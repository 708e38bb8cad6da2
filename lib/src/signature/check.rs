//! Whether a signer's key made a signature over some content.

use super::certificate::Certificate;
use super::digest::DigestAlgorithm;
use super::error::{Error, Result};
use super::message::{Message, Signer};
use super::scheme::Scheme;

/// The content that a message was made for: what is in it has to be what was asked for.
pub(super) fn check_content(message: &Message, content: &[u8]) -> Result<()> {
    match &message.content {
        Some(found) if found != content => Err(Error::OtherContent),
        _ => Ok(()),
    }
}

impl Signer {
    /// The digest with which it signs.
    pub(super) fn known_digest(&self) -> Result<DigestAlgorithm> {
        let oid = self.digest;
        DigestAlgorithm::from_oid(oid).ok_or_else(|| Error::Unsupported { what: format!("digest {oid}") })
    }

    /// Checks that the key of this certificate signed this content.
    pub(super) fn check(&self, message: &Message, certificate: &Certificate, content: &[u8]) -> Result<()> {
        let digest = self.known_digest()?;
        let (scheme, digest) = Scheme::of(&self.algorithm_identifier(), Some(digest))?;
        let wrong = || Error::Wrong { signer: certificate.subject() };
        let hash = match &self.attributes {
            None => digest.digest(content),
            Some(attributes) => {
                if attributes.content_type != Some(message.content_type) {
                    return Err(Error::malformed("its attributes do not name the type of the content"));
                }
                let found = attributes.message_digest.as_ref();
                let found = found.ok_or_else(|| Error::malformed("its attributes lack the digest of the content"))?;
                if *found != digest.digest(content) {
                    return Err(wrong());
                }
                digest.digest(&attributes.der)
            }
        };
        let is_right = certificate.public_key()?.has_signed(scheme, digest, &hash, &self.signature);
        if is_right { Ok(()) } else { Err(wrong()) }
    }
}
