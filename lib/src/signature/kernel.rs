//! What kernels make of a signature. The rules are what Debian's kernels 6.1, 6.12 and 7.2 answered to each form.

use super::certificate::Certificate;
use super::cms;
use super::digest::DigestAlgorithm;
use super::error::Error;
use super::message::{Message, Signer};
use super::reading::{Reader, Refusal, refused, refused_somehow};
use super::scheme::{self, RSA_ENCRYPTION, Scheme};
use super::seen::{Form, Seen, SeenMessage, mistake};

/// The longest payload of a user key, through which a signature reaches the kernel.
const MOST_BYTES: usize = 32_767;

/// The largest DER of a signature by P-256.
const P256_MOST_BYTES: usize = 72;

/// What a kernel says: what it depends on, and why it is taken.
pub(super) fn read(reader: Reader, seen: &Seen<'_>) -> Result<(Vec<String>, String), Refusal> {
    let found = match &seen.form {
        Form::Pem => return refused("EBADMSG", "the signature is PEM text; it has to be DER"),
        Form::Unreadable(Error::BareSignedData) => {
            return refused("EBADMSG", "SignedData without the ContentInfo around it");
        }
        Form::Unreadable(error) => return refused("EBADMSG", error.to_string()),
        Form::Message(found) => found,
    };
    if seen.size > MOST_BYTES {
        let size = seen.size;
        return refused("EINVAL", format!("the file has {size} bytes; a key of the kernel has at most {MOST_BYTES}"));
    }
    let mut conditions = encoding(reader, found);
    check_message(&found.message)?;
    for signer in &found.message.signers {
        conditions.extend(check_signer(reader, signer)?);
        let key = seen.certificate_of(signer).and_then(|certificate| certificate.public_key().ok());
        if key.is_some_and(|key| key.rsa_bits() > Some(4096)) {
            conditions.push("RSA keys of more than 4096 bits were not tried".to_owned());
        }
    }
    if found.message.content.is_some() {
        return refused("EBADMSG", "the signature contains the content; it has to be detached");
    }
    let trusted = trusted(reader, seen, &found.message)?;
    check_content(reader, seen, &found.message)?;
    Ok((conditions, trusted))
}

/// What is not DER, and is taken nevertheless.
fn encoding(reader: Reader, found: &SeenMessage) -> Vec<String> {
    let mut conditions = Vec::new();
    if found.has_long_lengths {
        conditions.push("lengths are longer than needed (BER), which was not tried".to_owned());
    }
    if found.trailing > 0 && !found.is_padding && reader != Reader::Linux7 {
        conditions.push(format!("{} bytes follow the signature, which was tried with NULs only", found.trailing));
    }
    conditions
}

/// Rules for the whole message, in the kernel's order.
fn check_message(message: &Message) -> Result<(), Refusal> {
    if !matches!(message.version, 1 | 3) {
        return refused("EINVAL", format!("SignedData of version {}", message.version));
    }
    if message.digests.is_empty() {
        return refused("EBADMSG", "the set of digests is empty");
    }
    if message.content_type != cms::DATA {
        return refused("EINVAL", format!("the content is of type {}, not data", message.content_type));
    }
    if message.signers.is_empty() {
        return refused("EBADMSG", "it has no signer");
    }
    Ok(())
}

/// Rules for a signer; what the answer depends on.
fn check_signer(reader: Reader, signer: &Signer) -> Result<Vec<String>, Refusal> {
    let mut conditions = Vec::new();
    let Some(digest) = DigestAlgorithm::from_oid(signer.digest) else {
        return refused("ENOPKG", format!("digest {} is not supported", signer.digest));
    };
    check_digest(reader, digest)?.into_iter().for_each(|condition| conditions.push(condition));
    let algorithm = signer.algorithm.oid;
    let name = scheme::name_of(algorithm);
    match scheme::combined(algorithm) {
        _ if algorithm == RSA_ENCRYPTION => {}
        Some((_, Scheme::Ecdsa, _)) if reader == Reader::LinuxWithoutEcdsa => {
            return refused_somehow(format!("{name}: the kernel is built without CRYPTO_ECDSA"));
        }
        Some((_, Scheme::Ecdsa, _)) => {
            if reader == Reader::LinuxWithEcdsa && signer.signature.len() > P256_MOST_BYTES {
                conditions.push("curves larger than P-256 were not tried on this kernel".to_owned());
            }
        }
        None if scheme::is_known_but_unsupported(algorithm) && reader == Reader::Linux7 => {
            return refused("ENOKEY", format!("certificates for {name} cannot be added to a keyring"));
        }
        None if scheme::is_known_but_unsupported(algorithm) => {
            return refused_somehow(format!("{name} is not supported"));
        }
        Some(_) => {
            return refused("ENOPKG", format!("the signature's algorithm is {name}; it has to be RSA (rsaEncryption)"));
        }
        None => return refused("ENOPKG", format!("{name} is not supported")),
    }
    if signer.attributes.as_ref().is_some_and(|attributes| attributes.has_smime_capabilities) {
        return refused("EKEYREJECTED", "the signed attributes have S/MIME capabilities; sign without attributes");
    }
    Ok(conditions)
}

fn check_digest(reader: Reader, digest: DigestAlgorithm) -> Result<Option<String>, Refusal> {
    use DigestAlgorithm as D;
    let name = digest.name();
    match digest {
        D::Md5 if reader == Reader::LinuxWithoutEcdsa => Ok(None),
        D::Sha3_256 | D::Sha3_384 | D::Sha3_512 if reader != Reader::LinuxWithoutEcdsa => {
            Ok(Some(format!("{name} needs the kernel's module sha3 to be loaded; else it is refused with ENOPKG")))
        }
        D::Sha1 | D::Sha224 | D::Sha256 | D::Sha384 | D::Sha512 => Ok(None),
        _ => refused("ENOPKG", format!("{name} is not supported")),
    }
}

/// Why the kernel trusts a message, or what it needs to.
fn trusted(reader: Reader, seen: &Seen<'_>, message: &Message) -> Result<String, Refusal> {
    for signer in &message.signers {
        let (found, needed) = (signer.version, signer.id.cms_version());
        if found != needed || message.version != needed {
            let data = message.version;
            return refused("EBADMSG", format!("SignedData of version {data} with SignerInfo of version {found}"));
        }
    }
    let keyrings = reader.keyrings().join(", ");
    let Some(ring) = seen.trusted else {
        return Ok(format!("if the signer's certificate, or one that leads to it, is in a keyring ({keyrings})"));
    };
    match message.signers.iter().find_map(|signer| link(signer, message, ring)) {
        Some(link) => Ok(link),
        None => refused(
            "ENOKEY",
            "no given certificate is the signer's, nor do certificates in the signature lead to the signer's",
        ),
    }
}

/// How the kernel gets from a keyring to a signer; it does not look at what certificates may be used for.
fn link(signer: &Signer, message: &Message, ring: &[Certificate]) -> Option<String> {
    if ring.iter().any(|certificate| signer.id.names(certificate)) {
        return Some("the signer's certificate is a given one".to_owned());
    }
    let mut last = message.certificates.iter().find(|certificate| signer.id.names(certificate))?;
    // Each certificate of the message is in a chain once.
    for _ in 0..=message.certificates.len() {
        let issued = |issuer: &&Certificate| {
            issuer.subject_der() == last.issuer_der() && last.is_signed_by(issuer).unwrap_or(false)
        };
        if ring.contains(last) || ring.iter().any(|issuer| issued(&issuer)) {
            return Some("certificates in the signature lead to a given one".to_owned());
        }
        last = message.certificates.iter().find(issued)?;
    }
    None
}

/// Whether the signature is for this content, as far as certificates tell.
fn check_content(reader: Reader, seen: &Seen<'_>, message: &Message) -> Result<(), Refusal> {
    for signer in &message.signers {
        let embedded = message.certificates.iter().find(|certificate| signer.id.names(certificate));
        if let (Some(certificate), Some(time)) = (embedded, signer.signing_time())
            && !certificate.is_valid_at(time)
        {
            return refused("EKEYREJECTED", format!("signed at {time}, when the certificate in it was not valid"));
        }
        let (Some(certificate), Some(content)) = (seen.certificate_of(signer), seen.content) else { continue };
        if let Err(Error::Wrong { .. }) = signer.check(message, certificate, content) {
            let errno = match reader {
                // The keyring that is asked last does not have the key.
                Reader::LinuxWithEcdsa => "ENOKEY",
                Reader::Linux7 if embedded.is_some() => "EINVAL",
                _ => "EKEYREJECTED",
            };
            return refused(errno, mistake(message, signer, certificate, content));
        }
    }
    Ok(())
}
