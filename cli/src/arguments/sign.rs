//! `sign`: what is signed, with which key, and where the signature goes.

use std::path::PathBuf;

use dmverity::signature::{DigestAlgorithm, SignOptions};

use super::image::{Choice, RootHashOptions};
use super::words::{Words, exact};
use super::{contradictions, requires_option};
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::root_hash_file;

/// `sign`.
pub(crate) struct Sign {
    pub(crate) content: Content,
    pub(crate) digest: DigestAlgorithm,
    pub(crate) task: Task,
}

/// What is signed.
pub(crate) enum Content {
    /// Its argument may also be a disk image.
    RootHash(RootHashOptions, Choice),
    /// The bytes of a file.
    Manifest(PathBuf),
}

/// What is done.
pub(crate) enum Task {
    /// Show what another program has to sign.
    Prepare,
    Make(Make),
}

/// A signature is made.
pub(crate) struct Make {
    pub(crate) source: Source,
    pub(crate) certificate: PathBuf,
    pub(crate) options: SignOptions,
    pub(crate) embeds_certificate: bool,
    /// `None` for the signature partition of a disk image.
    pub(crate) output: Option<PathBuf>,
}

/// Who signs.
pub(crate) enum Source {
    Key(Key),
    /// Another program has signed.
    Raw(PathBuf),
}

/// A private key in a file.
pub(crate) struct Key {
    pub(crate) path: PathBuf,
    pub(crate) passphrase: Option<PathBuf>,
}

impl Key {
    pub(super) fn of(words: &Words, path: PathBuf) -> Self {
        Self { path, passphrase: words.path_option("passphrase-file") }
    }

    /// A key and its certificate, for an action that can do without.
    pub(super) fn with_certificate(words: &Words, name: &str) -> Result<Option<(Self, PathBuf)>> {
        match (words.path_option("key"), words.path_option("certificate")) {
            (Some(key), Some(certificate)) => Ok(Some((Self::of(words, key), certificate))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(requires_option(name, "--certificate")),
            (None, Some(_)) => Err(requires_option(name, "--key")),
        }
    }
}

impl Sign {
    pub(super) fn of(words: &Words) -> Result<Self> {
        let digest = digest(words)?;
        let needed = |option: &str| {
            words.path_option(option).ok_or_else(|| Failure::usage(format!("sign: requires option --{option}")))
        };
        let root_hash =
            RootHashOptions { argument: words.rest.first().map(text_of), file: words.path_option("root-hash-file") };
        let content = match words.path_option("manifest") {
            Some(_) if root_hash.argument.is_some() => {
                return Err(contradictions::together("--manifest", "<root_hash>"));
            }
            Some(path) => Content::Manifest(path),
            None => Content::RootHash(root_hash, Choice::of(words)?),
        };
        if words.flag("prepare") {
            return Ok(Self { content, digest, task: Task::Prepare });
        }
        let source = match words.path_option("join") {
            Some(raw) => Source::Raw(raw),
            None => Source::Key(Key::of(words, needed("key")?)),
        };
        // Any other word may be a disk image, whose signature has a place in it.
        let is_image = matches!(&content, Content::RootHash(RootHashOptions { argument: Some(word), file: None }, _)
            if !word.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let output = if is_image { words.path_option("output") } else { Some(needed("output")?) };
        if words.flag("json") && output.as_deref().is_some_and(root_hash_file::is_stdout) {
            return Err(contradictions::together("--json", "--output=-"));
        }
        let embeds_certificate = words.flag("embed-certificate");
        let options =
            SignOptions::new().digest(digest).embed_certificate(embeds_certificate).smime(words.flag("smime"));
        let make = Make { source, certificate: needed("certificate")?, options, embeds_certificate, output };
        Ok(Self { content, digest, task: Task::Make(make) })
    }
}

fn digest(words: &Words) -> Result<DigestAlgorithm> {
    let Some(value) = words.value("digest") else { return Ok(DigestAlgorithm::Sha256) };
    let name = exact("digest", &value)?;
    DigestAlgorithm::from_name(&name).ok_or_else(|| {
        let names: Vec<&str> = DigestAlgorithm::SIGNING.iter().map(|digest| digest.name()).collect();
        Failure::new(Exit::Parameters, format!("Unknown digest {name}."))
            .hint(format!("known ones are {}.", names.join(", ")))
    })
}
