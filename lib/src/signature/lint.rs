//! Who would take a signature.

use super::certificate::Certificate;
use super::digest::DigestAlgorithm;
use super::error::Error;
use super::kernel;
use super::message::Signer;
use super::reading::{Answer, Reader, Reading};
use super::seen::{Form, Seen};
use super::systemd;

/// What readers make of a signature. Nothing in it says that the signature is to be trusted.
#[derive(Clone, Debug)]
pub struct Lint {
    readings: Vec<Reading>,
    notes: Vec<String>,
    signers: Vec<Signer>,
    certificates: Vec<Certificate>,
}

impl Lint {
    /// What each reader makes of it, in the order of [`Reader::ALL`].
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// What is odd about it.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Who signed, as far as it can be read.
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// The certificates in it, as far as it can be read.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Whether every reader refuses it.
    pub fn is_refused_by_all(&self) -> bool {
        self.readings.iter().all(|reading| reading.answer == Answer::Refused)
    }
}

/// Tells who would take a signature, and why not. If `content` is given, usually a root hash, and the certificate of
/// the signer is in the signature or among those given, a wrong signature is noticed too. If `trusted` is given, it is
/// what the readers trust.
///
/// ```
/// use dmverity::signature::{Answer, Reader, lint};
///
/// # let bytes = include_bytes!("../../examples/signature/signature.p7s");
/// let lint = lint(bytes, None, None);
/// let linux_7 = lint.readings().iter().find(|reading| reading.reader() == Reader::Linux7);
/// assert_eq!(linux_7.map(|reading| reading.answer()), Some(Answer::Taken));
/// ```
pub fn lint(bytes: &[u8], content: Option<&[u8]>, trusted: Option<&[Certificate]>) -> Lint {
    let seen = Seen::new(bytes, content, trusted);
    let readings = Reader::ALL.map(|reader| {
        let result = if reader == Reader::Systemd { systemd::read(&seen) } else { kernel::read(reader, &seen) };
        Reading::new(reader, result)
    });
    let notes = notes(&seen);
    let (signers, certificates) = match seen.form {
        Form::Message(found) => (found.message.signers, found.message.certificates),
        _ => (Vec::new(), Vec::new()),
    };
    Lint { readings: readings.into(), notes, signers, certificates }
}

fn notes(seen: &Seen<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let Form::Message(found) = &seen.form else { return notes };
    if found.has_indefinite_lengths {
        notes.push("It is BER with indefinite lengths, not DER; verify refuses it.".to_owned());
    }
    if found.trailing > 0 {
        let (count, what) = (found.trailing, if found.is_padding { "NULs" } else { "bytes" });
        notes.push(format!("{count} {what} follow the signature."));
    }
    for signer in &found.message.signers {
        if signer.known_digest().is_ok_and(DigestAlgorithm::is_weak) {
            notes.push(format!("Collisions of {} can be computed.", signer.digest()));
        }
        match seen.certificate_of(signer) {
            None if seen.content.is_some() => {
                notes.push("The signature was not checked: the signer's certificate is not known.".to_owned());
            }
            Some(certificate) => notes.extend(about(certificate)),
            None => {}
        }
    }
    notes.dedup();
    notes
}

fn about(certificate: &Certificate) -> Vec<String> {
    let mut notes = Vec::new();
    match certificate.public_key() {
        Ok(key) if key.is_short() => notes.push(format!("The key is {}; 2048 bits are the least today.", key.name())),
        Ok(_) => {}
        Err(error @ Error::RsaSize { .. }) => notes.push(format!("The certificate has {error}; verify refuses it.")),
        Err(error) => notes.push(format!("The key was not used: {error}.")),
    }
    if let Err(error) = certificate.check_extensions() {
        notes.push(format!("{error}; verify refuses it, the kernel may not."));
    }
    notes
}
