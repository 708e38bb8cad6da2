//! What proves a root hash: the signature of a trusted signer.

use dmverity::RootHash;
use dmverity::signature::{Signature, Verified, Verifier};

use super::found::StoredSignature;
use super::requested_signature;
use super::trust::{self, Trust};
use crate::arguments::{ImageToCheck, SignatureOption};
use crate::failure::{Exit, Failure, Result};

/// Checks the signature of a root hash if the options say who is trusted: the signature that an option asks for, or the
/// one that is stored with the image.
pub(super) fn check(
    image: &ImageToCheck,
    trust: Option<&Trust>,
    root_hash: &RootHash,
    stored: Option<&[u8]>,
) -> Result<Option<Verified>> {
    trust.map(|trust| signed(trust, image.signature.as_ref(), root_hash, stored)).transpose()
}

/// The same with a trusted signer or authority.
pub(super) fn signed(
    trust: &Trust,
    option: Option<&SignatureOption>,
    root_hash: &RootHash,
    stored: Option<&[u8]>,
) -> Result<Verified> {
    let requested = requested_signature::requested(option, stored)?;
    let signature = requested.as_deref().or(stored).ok_or_else(|| {
        Failure::new(Exit::Permission, "There is no signature of the root hash to be checked.")
            .hint("--root-hash-signature names the file that it is in.")
    })?;
    trust.check(root_hash.to_string().as_bytes(), signature)
}

/// Checks a stored signature as far as that goes without trusting anybody: it is by the certificate that is in it.
pub(super) fn check_own(root_hash: &RootHash, stored: &StoredSignature) -> Result<()> {
    let signature = Signature::parse(&stored.bytes).map_err(|error| trust::refused(&error))?;
    let certificates = signature.certificates();
    if certificates.is_empty() {
        return Ok(());
    }
    let verifier = certificates.iter().cloned().fold(Verifier::new(), Verifier::signer);
    let own = verifier.verify(root_hash.to_string().as_bytes(), &signature);
    let own = own.map_err(|error| trust::refused(&error))?;
    let signer = own.signer();
    if stored.fingerprint.is_none_or(|fingerprint| fingerprint == signer.fingerprint()) {
        return Ok(());
    }
    Err(Failure::new(Exit::Permission, "Signature refused: its partition names another certificate.")
        .hint(format!("the signer is {}.", signer.subject())))
}
