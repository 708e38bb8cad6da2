//! What a lint sees of a signature, however it is encoded.

use super::ber::{self, Normal};
use super::certificate::Certificate;
use super::error::Error;
use super::message::{Message, Signer, check_size};
use super::pem;

/// Everything that readers decide by.
pub(super) struct Seen<'a> {
    /// The length of the file.
    pub(super) size: usize,
    pub(super) form: Form,
    pub(super) content: Option<&'a [u8]>,
    /// Whom the reader trusts, if that is known.
    pub(super) trusted: Option<&'a [Certificate]>,
}

/// The file.
pub(super) enum Form {
    Pem,
    Unreadable(Error),
    Message(Box<SeenMessage>),
}

/// A message, and how it is encoded.
pub(super) struct SeenMessage {
    pub(super) message: Message,
    pub(super) has_indefinite_lengths: bool,
    pub(super) has_long_lengths: bool,
    /// What follows.
    pub(super) trailing: usize,
    /// Whether that is NULs alone.
    pub(super) is_padding: bool,
}

impl<'a> Seen<'a> {
    pub(super) fn new(bytes: &[u8], content: Option<&'a [u8]>, trusted: Option<&'a [Certificate]>) -> Self {
        let form = if pem::is_pem(bytes) { Form::Pem } else { read(bytes).unwrap_or_else(Form::Unreadable) };
        Self { size: bytes.len(), form, content, trusted }
    }

    /// The certificates among which a signer's may be.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        let embedded = match &self.form {
            Form::Message(seen) => &seen.message.certificates[..],
            _ => &[],
        };
        self.trusted.into_iter().flatten().chain(embedded)
    }

    pub(super) fn certificate_of(&self, signer: &Signer) -> Option<&Certificate> {
        self.certificates().find(|certificate| signer.id.names(certificate))
    }
}

fn read(bytes: &[u8]) -> Result<Form, Error> {
    check_size(bytes)?;
    let no_ber = || Error::NotDer { what: "signature", reason: "it is not even BER".to_owned() };
    let Normal { der, consumed, has_indefinite_lengths, has_long_lengths } = ber::normal(bytes).ok_or_else(no_ber)?;
    let rest = &bytes[consumed..];
    Ok(Form::Message(Box::new(SeenMessage {
        message: Message::decode(&der)?,
        has_indefinite_lengths,
        has_long_lengths,
        trailing: rest.len(),
        is_padding: rest.iter().all(|each| *each == 0),
    })))
}

/// Why a signature is wrong: what it was made for in place of the content, if that is a usual mistake.
pub(super) fn mistake(message: &Message, signer: &Signer, certificate: &Certificate, content: &[u8]) -> &'static str {
    let is_for = |content: &[u8]| signer.check(message, certificate, content).is_ok();
    let with = |end: &[u8]| [content, end].concat();
    if is_for(&with(b"\n")) || is_for(&with(b"\r\n")) {
        return "it was made for the root hash with a newline at its end";
    }
    if is_for(&content.to_ascii_uppercase()) {
        return "it was made for the root hash in upper case";
    }
    "it is not for this root hash, or was changed"
}
