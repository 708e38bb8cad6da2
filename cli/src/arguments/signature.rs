//! `signature`: what is found out about a signature.

use std::path::PathBuf;

use super::image::RootHashOptions;
use super::trust::TrustOptions;
use super::words::Words;
use crate::escape::text_of;
use crate::failure::{Failure, Result};

/// `signature`.
pub(crate) struct Signature {
    pub(crate) question: Question,
    pub(crate) file: PathBuf,
    pub(crate) root_hash: RootHashOptions,
    pub(crate) trust: TrustOptions,
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Who would take it.
    Lint,
    /// Whether it is right and its signer is trusted.
    Verify,
}

impl Signature {
    pub(super) fn of(words: &Words) -> Result<Self> {
        let word = text_of(words.word(0));
        let question = match word.as_str() {
            "lint" => Question::Lint,
            "verify" => Question::Verify,
            _ => {
                return Err(
                    Failure::usage(format!("signature: unknown word {word}")).hint("lint and verify are known.")
                );
            }
        };
        let trust = TrustOptions::of(words)?;
        if question == Question::Verify && !trust.is_given() {
            return Err(Failure::usage("signature: verify requires option --trusted or --ca"));
        }
        let root_hash =
            RootHashOptions { argument: words.rest.get(2).map(text_of), file: words.path_option("root-hash-file") };
        Ok(Self { question, file: words.path(1), root_hash, trust })
    }
}
