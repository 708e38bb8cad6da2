//! What systemd's own check makes of a signature: OpenSSL's `PKCS7_verify` with the certificates of its folders. The
//! rules are what `openssl smime -verify` answered to each form.

use super::error::Error;
use super::message::SignerId;
use super::reading::{Refusal, refused_somehow};
use super::scheme::{self, RSA_PSS};
use super::seen::{Form, Seen, mistake};

/// What it depends on, and why it is taken.
pub(super) fn read(seen: &Seen<'_>) -> Result<(Vec<String>, String), Refusal> {
    let found = match &seen.form {
        Form::Pem => return refused_somehow("the signature is PEM text; it has to be DER"),
        Form::Unreadable(error) => return refused_somehow(error.to_string()),
        Form::Message(found) => found,
    };
    let message = &found.message;
    if message.signers.is_empty() {
        return refused_somehow("it has no signer");
    }
    let mut conditions = Vec::new();
    if found.has_long_lengths {
        conditions.push("lengths are longer than needed (BER), which was not tried".to_owned());
    }
    for signer in &message.signers {
        if matches!(signer.id, SignerId::KeyId(_)) {
            return refused_somehow("the signer is named by a key identifier, which PKCS #7 does not have");
        }
        if !message.digests.contains(&signer.digest) {
            return refused_somehow("the list of digests lacks the signer's");
        }
        let algorithm = signer.algorithm.oid;
        if algorithm == RSA_PSS {
            return refused_somehow("RSA-PSS, which PKCS #7 does not have");
        }
        if scheme::is_known_but_unsupported(algorithm) {
            conditions.push(format!("{} depends on the release of OpenSSL", scheme::name_of(algorithm)));
        }
        // Certificates in the signature are ignored.
        let mut trusted = seen.trusted.into_iter().flatten();
        let certificate = trusted.find(|certificate| signer.id.names(certificate));
        if seen.trusted.is_some() && certificate.is_none() {
            return refused_somehow("no given certificate is the signer's, and systemd builds no chains");
        }
        if let (Some(certificate), Some(content)) = (seen.certificate_of(signer), seen.content)
            && let Err(Error::Wrong { .. }) = signer.check(message, certificate, content)
        {
            return refused_somehow(mistake(message, signer, certificate, content));
        }
    }
    match seen.trusted {
        Some(_) => Ok((conditions, "the signer's certificate is a given one".to_owned())),
        None => Ok((conditions, "if the signer's own certificate is in one of its folders verity.d".to_owned())),
    }
}
