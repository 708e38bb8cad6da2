//! `keyring`: the kernel's keyring of dm-verity.

use std::path::PathBuf;

use super::words::Words;
use crate::escape::text_of;
use crate::failure::{Failure, Result};

/// What is done with the keyring.
pub(crate) enum Keyring {
    /// These certificates are added.
    Add(Vec<PathBuf>),
    /// Nothing can be added any more.
    Seal,
}

impl Keyring {
    pub(super) fn of(words: &Words) -> Result<Self> {
        let word = text_of(words.word(0));
        let files: Vec<PathBuf> = words.rest.iter().skip(1).map(PathBuf::from).collect();
        match word.as_str() {
            "add" if files.is_empty() => Err(Failure::usage("keyring: add requires <certificate> as arguments")),
            "add" => Ok(Self::Add(files)),
            "seal" => Ok(Self::Seal),
            _ => Err(Failure::usage(format!("keyring: unknown word {word}")).hint("add and seal are known.")),
        }
    }
}
