//! The options about who is trusted to sign root hashes.

use std::ffi::OsString;
use std::path::PathBuf;

use dmverity::signature::Time;

use super::contradictions;
use super::words::{Words, exact};
use crate::failure::{Exit, Failure, Result};

/// What a certificate's fingerprint starts with in place of a path.
const FINGERPRINT: &str = "sha256:";

/// Who is trusted, and when certificates have to be valid.
pub(crate) struct TrustOptions {
    pub(crate) trusted: Vec<Trusted>,
    /// Certificates of authorities.
    pub(crate) authorities: Vec<PathBuf>,
    pub(crate) intermediates: Vec<PathBuf>,
    pub(crate) at: Option<Time>,
}

/// A signer that is trusted.
pub(crate) enum Trusted {
    /// The holder of the certificate in a file.
    File(PathBuf),
    /// The holder of the certificate with this fingerprint.
    Fingerprint([u8; 32]),
}

impl Trusted {
    fn of(value: OsString) -> Result<Self> {
        let Some(digits) = value.to_str().and_then(|text| text.strip_prefix(FINGERPRINT)) else {
            return Ok(Self::File(value.into()));
        };
        let bytes = parse_fingerprint(digits);
        let invalid = || {
            Failure::new(Exit::Parameters, "Invalid fingerprint in --trusted.")
                .hint(format!("after {FINGERPRINT} come 64 hexadecimal digits; colons between them are skipped."))
        };
        bytes.map(Self::Fingerprint).ok_or_else(invalid)
    }
}

fn parse_fingerprint(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits.replace(':', ""), &mut bytes).ok().map(|()| bytes)
}

impl TrustOptions {
    pub(super) fn of(words: &Words) -> Result<Self> {
        let paths = |option| words.values(option).into_iter().map(PathBuf::from).collect();
        let options = Self {
            trusted: words.values("trusted").into_iter().map(Trusted::of).collect::<Result<_>>()?,
            authorities: paths("ca"),
            intermediates: paths("intermediate"),
            at: words.value("at").map(|text| time(&exact("at", &text)?)).transpose()?,
        };
        let needs_trust = ["intermediate", "at"].into_iter().find(|option| words.given(option));
        match needs_trust {
            Some(option) if !options.is_given() => Err(contradictions::needs_trust(option)),
            _ => Ok(options),
        }
    }

    /// Whether a signer or an authority is trusted, so that a signature has to be checked.
    pub(crate) fn is_given(&self) -> bool {
        !self.trusted.is_empty() || !self.authorities.is_empty()
    }
}

fn time(text: &str) -> Result<Time> {
    text.parse().map_err(|_| {
        Failure::new(Exit::Parameters, format!("Invalid time {text}."))
            .hint("--at takes a time such as 2026-11-26T12:28:43Z, or @ and seconds since 1970.")
    })
}
