//! The actions, one file each, and what several of them share.

pub(crate) mod benchmark;
mod check_root;
pub(crate) mod close;
pub(crate) mod dump;
pub(crate) mod expect;
pub(crate) mod features;
pub(crate) mod format;
mod image;
mod like;
mod misplaced;
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

/// More than the digits of any root hash: what follows them in the file does not count.
const ROOT_HASH_FILE_READ: u64 = 4096;

/// The root hash's text: from `--root-hash-file`, which counts where both are given, or argument `index`.
fn root_hash_text(arguments: &Arguments, index: usize) -> Result<RootHashText> {
    if let Some(path) = arguments.path_option("root-hash-file") {
        return read_root_hash_file(&path);
    }
    arguments.text(index).map(RootHashText::Argument).ok_or_else(no_root_hash)
}

fn no_root_hash() -> Failure {
    Failure::new(Exit::Parameters, "Command requires <root_hash> or --root-hash-file option as argument.")
}

/// A root hash before the algorithm that makes it is known.
pub(crate) enum RootHashText {
    Argument(String),
    /// What a file begins with.
    File(PathBuf, Vec<u8>),
}

impl RootHashText {
    pub(crate) fn parse(&self, algorithm: HashAlgorithm) -> Result<RootHash> {
        let (path, bytes) = match self {
            Self::Argument(text) => return Ok(RootHash::from_hex(text, algorithm)?),
            Self::File(path, bytes) => (path, bytes),
        };
        // As the reference tool has it: the digits come first, and whatever follows them does not count.
        let digits = 2 * algorithm.digest_size();
        let Some(text) = bytes.get(..digits) else {
            let failure = Failure::new(Exit::Parameters, format!("Invalid root hash file {}.", text_of(path)));
            return Err(failure.hint(format!(
                "it has {} bytes, and a root hash by {} has {digits} hexadecimal digits.",
                bytes.len(),
                algorithm.name()
            )));
        };
        RootHash::from_hex(&text_of(OsStr::from_bytes(text)), algorithm)
            .map_err(|error| Failure::from(error).hint(format!("it was read from {}.", text_of(path))))
    }
}

pub(crate) fn read_root_hash_file(path: &Path) -> Result<RootHashText> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| {
        Failure::new(Exit::Device, format!("Cannot read root hash file {}.", text_of(path))).because(&error)
    })?;
    file.take(ROOT_HASH_FILE_READ).read_to_end(&mut bytes).map_err(|error| {
        Failure::new(Exit::Parameters, format!("Invalid root hash file {}.", text_of(path))).because(&error)
    })?;
    Ok(RootHashText::File(path.to_owned(), bytes))
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
///
/// Several things may be wrong. Callers rely on which of them is named: first a device that is not there, the hash device
/// before the data device, then the superblock, the FEC device and last the root hash.
fn image_to_check(arguments: &Arguments, data: &Path, hash: &Path, index: usize) -> Result<Image> {
    if arguments.text(index).is_none() && !arguments.given("root-hash-file") {
        return Err(no_root_hash());
    }
    check_devices([hash, data])?;
    let expectation = Expectation::of(arguments)?;
    let params = if arguments.flag("no-superblock") {
        let (builder, bytes) = (arguments.params()?, dmverity::device_size(data)?);
        let params = builder.clone().build(data, bytes)?;
        let params = match arguments.fec_after_tree(hash, || Ok(params.clone()))? {
            Some(fec) => builder.fec(fec).build(data, bytes)?,
            None => params,
        };
        // A tree over its own blocks has a root hash, too: with one of them it is that block's digest.
        let shared = SharedDevices { data_and_hash: dmverity::is_same_device(data, hash), ..SharedDevices::default() };
        Layout::new(&params)?.check_overlaps(shared, None)?;
        params
    } else {
        load(arguments, Some(data), hash)?
    };
    expectation.check(&params)?;
    // It may not be needed, but it was named.
    check_devices(arguments.path_option("fec-device").as_deref())?;
    let root_hash = root_hash_text(arguments, index)?;
    let root_hash = root_hash.parse(params.algorithm())?;
    expectation.check_root_hash(&root_hash)?;
    let mut warnings = Vec::from_iter(ignored_blocks(arguments, &params)?);
    if arguments.flag("no-superblock") {
        warnings.extend(misplaced::unused_superblock(hash, params.hash_offset()));
    } else {
        warnings.extend(misplaced::contradictions(arguments, &params)?);
    }
    Ok(Image { params, root_hash, warnings })
}

/// The parameters that the superblock has, and FEC as the options have it.
fn load(arguments: &Arguments, data: Option<&Path>, hash: &Path) -> Result<Params> {
    let offset = arguments.hash_offset_on(hash)?;
    let params = dmverity::load(hash, offset, arguments.fec()?)
        .map_err(|error| misplaced::explain(error, arguments, data, hash))?;
    match arguments.fec_after_tree(hash, || Ok(params.clone()))? {
        Some(fec) => Ok(dmverity::load(hash, offset, Some(fec))?),
        None => Ok(params),
    }
}

/// Whether the devices are there and can be read, and are devices.
fn check_devices<'a>(devices: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    devices.into_iter().try_for_each(|device| Ok(dmverity::device_size(device).map(drop)?))
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
