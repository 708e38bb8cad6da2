//! The actions about disk images.

use std::ffi::OsStr;
use std::path::PathBuf;

use dmverity::ddi::{Architecture, Policy};

use super::image::{ImageOptions, architecture};
use super::sign::Key;
use super::web::WebOptions;
use super::words::{Words, exact};
use super::work::LongWork;
use super::{contradictions, requires_option};
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};

/// `inspect`.
pub(crate) struct Inspect {
    pub(crate) image: PathBuf,
    pub(crate) policy: Option<Policy>,
    pub(crate) web: WebOptions,
}

impl Inspect {
    pub(super) fn of(words: &Words) -> Result<Self> {
        Ok(Self {
            image: words.path(0),
            policy: words.value("policy").map(|text| policy(&text)).transpose()?,
            web: WebOptions::of(words)?,
        })
    }
}

/// `build`.
pub(crate) struct Build {
    pub(crate) output: PathBuf,
    pub(crate) root: Option<PathBuf>,
    pub(crate) usr: Option<PathBuf>,
    pub(crate) architecture: Option<Architecture>,
    pub(crate) image: ImageOptions,
    /// From which salt and UUIDs are derived.
    pub(crate) salt_seed: Option<String>,
    /// Whether signature partitions are reserved.
    pub(crate) defer_signature: bool,
    /// Who signs the root hashes: key and certificate.
    pub(crate) signer: Option<(Key, PathBuf)>,
    pub(crate) min_size: bool,
    pub(crate) sector_size: Option<u64>,
    pub(crate) root_hash_file: Option<PathBuf>,
    pub(crate) dry_run: bool,
    pub(crate) work: LongWork,
}

impl Build {
    pub(super) fn of(words: &Words, name: &'static str) -> Result<Self> {
        let (root, usr) = (words.path_option("root"), words.path_option("usr"));
        if root.is_none() && usr.is_none() {
            return Err(requires_option(name, "--root or --usr"));
        }
        contradictions::check_build(words)?;
        let signer = Key::with_certificate(words, name)?;
        Ok(Self {
            output: words.path_option("output").ok_or_else(|| requires_option(name, "--output"))?,
            root,
            usr,
            architecture: words.value("arch").map(|name| architecture(&name)).transpose()?,
            image: ImageOptions::of(words)?,
            salt_seed: words.value("salt-seed").map(|text| exact("salt-seed", &text)).transpose()?,
            defer_signature: words.flag("defer-signature"),
            signer,
            min_size: words.flag("min-size"),
            sector_size: words.number("sector-size")?,
            root_hash_file: words.path_option("root-hash-file"),
            dry_run: words.flag("dry-run"),
            work: LongWork::of(words, name)?,
        })
    }
}

pub(super) fn policy(text: &OsStr) -> Result<Policy> {
    Policy::parse(&text_of(text))
        .map_err(|error| Failure::new(Exit::Parameters, "Invalid image policy.").hint(format!("{error}.")))
}
