//! The actions, one file each, and what several of them share.

pub(crate) mod benchmark;
pub(crate) mod close;
pub(crate) mod dump;
pub(crate) mod expect;
pub(crate) mod features;
pub(crate) mod format;
mod image;
pub(crate) mod open;
pub(crate) mod plan;
pub(crate) mod repair;
mod root_device;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod verify;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dmverity::layout::SharedDevices;
use dmverity::table::{OnCorruption, OnError, TableOptions};
use dmverity::{HashAlgorithm, Layout, Params, RootHash};

use self::expect::Expectation;
use crate::arguments::Arguments;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};

/// Longer than any root hash in hexadecimal digits; a file of more is none.
const ROOT_HASH_FILE_MAX: u64 = 4096;

/// The root hash's text: from `--root-hash-file`, which counts where both are given, or argument `index`.
fn root_hash_text(arguments: &Arguments, index: usize) -> Result<RootHashText> {
    if let Some(path) = arguments.path_option("root-hash-file") {
        return read_root_hash_file(&path);
    }
    arguments.text(index).map(|text| RootHashText { text, file: None }).ok_or_else(|| {
        Failure::new(Exit::Parameters, "Command requires <root_hash> or --root-hash-file option as argument.")
    })
}

/// A root hash before the algorithm that makes it is known.
pub(crate) struct RootHashText {
    text: String,
    file: Option<PathBuf>,
}

impl RootHashText {
    pub(crate) fn parse(&self, algorithm: HashAlgorithm) -> Result<RootHash> {
        RootHash::from_hex(&self.text, algorithm).map_err(|error| {
            let failure = Failure::from(error);
            match &self.file {
                None => failure,
                Some(path) => failure.hint(format!("it was read from {}.", text_of(path))),
            }
        })
    }
}

/// The first word of the file: the digits, with or without a newline after them.
pub(crate) fn read_root_hash_file(path: &Path) -> Result<RootHashText> {
    let bytes = read_bounded(path, ROOT_HASH_FILE_MAX, "root hash file")?.unwrap_or_default();
    match text_of(OsStr::from_bytes(&bytes)).split_ascii_whitespace().next() {
        Some(text) => Ok(RootHashText { text: text.to_owned(), file: Some(path.to_owned()) }),
        None => Err(Failure::new(Exit::Parameters, format!("Invalid root hash file {}.", text_of(path)))),
    }
}

/// All of a file, `None` if it has more than `most` bytes: it may be a device without end.
fn read_bounded(path: &Path, most: u64, what: &str) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(|error| {
        Failure::new(Exit::Device, format!("Cannot read {what} {}.", text_of(path))).because(&error)
    })?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

/// An image that is there.
struct Image {
    params: Params,
    root_hash: RootHash,
    warnings: Vec<String>,
}

/// What is needed to check an existing image: its parameters from the superblock, or, with `--no-superblock`, from the
/// options; and the root hash, which is argument `index` unless it comes from a file. They are what `--expect` and
/// `--expect-data-blocks` want them to be.
fn image_to_check(arguments: &Arguments, data: &Path, hash: &Path, index: usize) -> Result<Image> {
    let root_hash = root_hash_text(arguments, index)?;
    let expectation = Expectation::of(arguments)?;
    let params = if arguments.flag("no-superblock") {
        let params = arguments.params()?.build(data, dmverity::device_size(data)?)?;
        // A tree over its own blocks has a root hash, too: with one of them it is that block's digest.
        let shared = SharedDevices { data_and_hash: dmverity::is_same_device(data, hash), ..SharedDevices::default() };
        Layout::new(&params)?.check_overlaps(shared, None)?;
        params
    } else {
        dmverity::load(hash, arguments.hash_offset_on(hash)?, arguments.fec()?)?
    };
    expectation.check(&params)?;
    let root_hash = root_hash.parse(params.algorithm())?;
    expectation.check_root_hash(&root_hash)?;
    let warnings = Vec::from_iter(ignored_blocks(arguments, &params)?);
    Ok(Image { params, root_hash, warnings })
}

/// That the superblock counts where `--data-blocks` says something else, as in the reference tool.
fn ignored_blocks(arguments: &Arguments, params: &Params) -> Result<Option<String>> {
    let found = params.data_blocks();
    let given = arguments.number("data-blocks")?.filter(|&given| given > 0 && given != found);
    Ok(given.map(|given| {
        format!("the superblock says {found} data blocks; --data-blocks={given} is ignored, see --expect-data-blocks.")
    }))
}

/// What the options ask the kernel to do, and a warning where one of them overrides another.
fn table_options(arguments: &Arguments) -> (TableOptions, Option<String>) {
    let flag = |option| arguments.flag(option);
    // As the reference tool has it: of two that are given together, the one that protects more counts.
    let on_corruption = [
        ("restart-on-corruption", OnCorruption::Restart),
        ("panic-on-corruption", OnCorruption::Panic),
        ("ignore-corruption", OnCorruption::Ignore),
    ]
    .into_iter()
    .find_map(|(option, value)| flag(option).then_some(value));
    let is_overridden = flag("ignore-corruption") && on_corruption != Some(OnCorruption::Ignore);
    let on_error = match on_corruption.filter(|_| flag("error-as-corruption")) {
        Some(OnCorruption::Restart) => Some(OnError::Restart),
        Some(OnCorruption::Panic) => Some(OnError::Panic),
        Some(OnCorruption::Ignore) | None => None,
    };
    let options = TableOptions {
        on_corruption,
        on_error,
        ignore_zero_blocks: flag("ignore-zero-blocks"),
        check_at_most_once: flag("check-at-most-once"),
        try_verify_in_tasklet: flag("use-tasklets"),
        ..TableOptions::default()
    };
    (options, is_overridden.then(|| "--panic-on-corruption overrides --ignore-corruption.".to_owned()))
}

/// A path as JSON holds it.
fn shown(path: &Path) -> String {
    text_of(path)
}
