//! Blocks of PEM text: base64 between two lines. Text around them is skipped, and lines may have any length.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

/// One block.
pub(super) struct Block {
    /// What its first line says it is.
    pub(super) label: String,
    /// Its bytes, or `None` if they are no base64. They may be a private key.
    pub(super) bytes: Option<Zeroizing<Vec<u8>>>,
    /// Whether it has headers, as encrypted keys had before PKCS#8.
    pub(super) has_headers: bool,
}

/// Every block of a text, in its order; the last one may be unfinished, and is left out then.
pub(super) fn blocks(text: &str) -> impl Iterator<Item = Block> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, begun) = rest.split_once("-----BEGIN ")?;
        let (label, after) = begun.split_once("-----")?;
        let (body, after) = after.split_once(&format!("-----END {label}-----"))?;
        rest = after;
        Some(Block { label: label.to_owned(), bytes: base64(body), has_headers: body.contains(':') })
    })
}

/// The bytes of base64 with whitespace anywhere.
pub(super) fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text: Zeroizing<Vec<u8>> = Zeroizing::new(text.bytes().filter(|each| !each.is_ascii_whitespace()).collect());
    let text = std::str::from_utf8(&text).ok()?;
    Base64::decode_vec(text).ok().map(Zeroizing::new)
}

/// Whether bytes are PEM text.
pub(super) fn is_pem(bytes: &[u8]) -> bool {
    let start = bytes.iter().take_while(|each| each.is_ascii_whitespace()).count();
    bytes[start..].starts_with(b"-----BEGIN ")
}
