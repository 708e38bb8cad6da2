//! Signatures of root hashes, checked before anything else is done with an image.

use std::path::Path;

use dmverity::signature::{Certificate, Error, Signature, Verified, Verifier};

use super::{invalid, read_whole};
use crate::arguments::{TrustOptions, Trusted};
use crate::failure::{Exit, Failure, Result};

/// The longest file of certificates, in bytes.
const CERTIFICATES_MAX: u64 = 4 << 20;

/// Who is trusted.
pub(crate) struct Trust(Verifier);

impl Trust {
    /// Reads the certificates; `None` without any, so that no signature has to be checked.
    pub(crate) fn read(options: &TrustOptions) -> Result<Option<Self>> {
        if !options.is_given() {
            return Ok(None);
        }
        let mut verifier = Verifier::new();
        for trusted in &options.trusted {
            verifier = match trusted {
                // As systemd does: one certificate in a file.
                Trusted::File(path) => verifier.signer(certificate(path)?),
                Trusted::Fingerprint(fingerprint) => verifier.fingerprint(*fingerprint),
            };
        }
        for path in &options.authorities {
            verifier = certificates(path)?.into_iter().fold(verifier, Verifier::authority);
        }
        for path in &options.intermediates {
            verifier = certificates(path)?.into_iter().fold(verifier, Verifier::intermediate);
        }
        Ok(Some(Self(options.at.into_iter().fold(verifier, Verifier::at))))
    }

    /// Checks a signature of this content. What is found has the signer, the chain, and warnings.
    pub(crate) fn check(&self, content: &[u8], signature: &[u8]) -> Result<Verified> {
        let verified = Signature::parse(signature).and_then(|signature| self.0.verify(content, &signature));
        verified.map_err(|error| refused(&error))
    }
}

/// The first certificate of a file.
pub(super) fn certificate(path: &Path) -> Result<Certificate> {
    // There is at least one.
    Ok(certificates(path)?.swap_remove(0))
}

/// Every certificate of a file, PEM or DER.
pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let bytes = read_whole(path, CERTIFICATES_MAX, "certificate file")?;
    Certificate::all_from_bytes(&bytes).map_err(|error| invalid("certificate file", path).hint(format!("{error}.")))
}

/// A signature that is refused: by its form, its signer or its content.
pub(super) fn refused(error: &Error) -> Failure {
    let failure = Failure::new(Exit::Permission, format!("Signature refused: {error}."));
    match error {
        Error::Pem => failure.hint("convert it: openssl pkcs7 -in FILE -outform der -out NEW_FILE"),
        Error::IndefiniteLength => {
            failure.hint("sign again without -stream: kernels take it, but it has two readings.")
        }
        Error::NotTrusted { reason: Some(reason), .. } => failure.hint(format!("{reason}.")),
        Error::NotTrusted { reason: None, .. } => failure.hint(
            "--trusted has to name the signer's own certificate; --ca names an authority that issued it, with \
             --intermediate for certificates between them that the signature lacks.",
        ),
        Error::Wrong { .. } => {
            failure.hint("a root hash is signed in lower-case digits without a newline; signature lint tells more.")
        }
        Error::OtherContent => failure.hint("root hashes are signed without -nodetach."),
        Error::Unsupported { .. } => failure.hint("RSA, and ECDSA with P-256, P-384 or P-521 are supported."),
        Error::NotValidAt { .. } => failure.hint("--at asks for this time; without it dates cause warnings only."),
        _ => failure,
    }
}
