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
pub(crate) mod root_device;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod verify;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dmverity::{HashAlgorithm, Layout, Params, ParamsBuilder, RootHash, SharedDevices};

use self::expect::Expectation;
use crate::arguments::{ImageOptions, ImageToCheck, RootHashOptions};
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};

/// More than the digits of any root hash: the rest of the file is ignored.
const ROOT_HASH_FILE_READ: u64 = 4096;

fn root_hash_text(options: &RootHashOptions) -> Result<RootHashText> {
    if let Some(path) = &options.file {
        return read_root_hash_file(path);
    }
    options.argument.clone().map(RootHashText::Argument).ok_or_else(no_root_hash)
}

fn no_root_hash() -> Failure {
    Failure::new(Exit::Parameters, "Command requires <root_hash> or --root-hash-file option as argument.")
}

/// A root hash before the algorithm that makes it is known.
pub(crate) enum RootHashText {
    Argument(String),
    /// The beginning of a file.
    File(PathBuf, Vec<u8>),
}

impl RootHashText {
    pub(crate) fn parse(&self, algorithm: HashAlgorithm) -> Result<RootHash> {
        let (path, bytes) = match self {
            Self::Argument(text) => return Ok(RootHash::from_hex(text, algorithm)?),
            Self::File(path, bytes) => (path, bytes),
        };
        // As with the reference tool: the digits come first, and the rest is ignored.
        let digits = 2 * algorithm.digest_size();
        let Some(text) = bytes.get(..digits) else {
            let failure = Failure::new(Exit::Parameters, format!("Invalid root hash file {}.", text_of(path)));
            return Err(failure.hint(format!(
                "it has {} bytes, but a {} root hash has {digits} hexadecimal digits.",
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

/// All of a file, `None` if it has more than `most` bytes: it may be an endless device.
fn read_bounded(path: &Path, most: u64, what: &str) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(|error| {
        Failure::new(Exit::Device, format!("Cannot read {what} {}.", text_of(path))).because(&error)
    })?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

/// An existing image.
struct Image {
    params: Params,
    root_hash: RootHash,
    warnings: Vec<String>,
}

/// What is needed to check an existing image: its parameters from the superblock, or, with `--no-superblock`, from the
/// options; and the root hash. They agree with `--expect` and `--expect-data-blocks`.
///
/// Several things may be wrong. Callers rely on which of them is named: first a missing device, the hash
/// device before the data device, then the superblock, the FEC device and last the root hash.
fn image_to_check(image: &ImageToCheck) -> Result<Image> {
    let ImageToCheck { data, hash, root_hash, options, expect } = image;
    if root_hash.argument.is_none() && root_hash.file.is_none() {
        return Err(no_root_hash());
    }
    check_devices([hash.as_path(), data])?;
    let expectation = Expectation::of(expect)?;
    let params = if options.no_superblock {
        let (builder, bytes) = (options.params()?, dmverity::device_size(data)?);
        let params = on(data, builder.clone(), bytes)?;
        let params = match options.fec.after_tree(hash, || Ok(params.clone()))? {
            Some(fec) => on(data, builder.fec(fec), bytes)?,
            None => params,
        };
        // A tree over its own blocks has a root hash too: with one of them it is that block's digest.
        let shared = SharedDevices { data_and_hash: dmverity::is_same_device(data, hash), ..SharedDevices::default() };
        Layout::new(&params)?.check_overlaps(shared, None)?;
        params
    } else {
        load(options, Some(data), hash)?
    };
    expectation.check(&params)?;
    // It may not be needed, but it was named.
    check_devices(options.fec.device.as_deref())?;
    let root_hash = root_hash_text(root_hash)?;
    let root_hash = root_hash.parse(params.algorithm())?;
    expectation.check_root_hash(&root_hash)?;
    let mut warnings = Vec::from_iter(ignored_blocks(options, &params));
    if options.no_superblock {
        warnings.extend(misplaced::unused_superblock(hash, params.hash_offset()));
    } else {
        warnings.extend(misplaced::contradictions(options, &params));
    }
    Ok(Image { params, root_hash, warnings })
}

/// The parameters of an image over a data device of `bytes` bytes.
fn on(data: &Path, builder: ParamsBuilder, bytes: u64) -> dmverity::Result<Params> {
    builder.build(bytes).map_err(|error| error.on_device(data))
}

/// The parameters that the superblock has, and FEC as the options have it.
fn load(options: &ImageOptions, data: Option<&Path>, hash: &Path) -> Result<Params> {
    let offset = options.hash_offset.on(hash)?;
    let params = dmverity::load(hash, offset, options.fec.fec()?)
        .map_err(|error| misplaced::explain(error, options.hash_offset, data, hash))?;
    match options.fec.after_tree(hash, || Ok(params.clone()))? {
        Some(fec) => Ok(dmverity::load(hash, offset, Some(fec))?),
        None => Ok(params),
    }
}

/// Whether the devices exist, can be read, and are devices.
fn check_devices<'a>(devices: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    devices.into_iter().try_for_each(|device| Ok(dmverity::device_size(device).map(drop)?))
}

/// A warning if `--data-blocks` contradicts the superblock, which is used as in the reference tool.
fn ignored_blocks(options: &ImageOptions, params: &Params) -> Option<String> {
    let found = params.data_blocks();
    let given = options.data_blocks().filter(|&given| given != found)?;
    Some(format!(
        "the superblock says {found} data blocks; --data-blocks={given} is ignored, see --expect-data-blocks."
    ))
}

/// A path as JSON holds it.
fn shown(path: &Path) -> String {
    text_of(path)
}
