//! The actions, one file each, and what several of them share.

pub(crate) mod benchmark;
pub(crate) mod close;
pub(crate) mod dump;
pub(crate) mod features;
pub(crate) mod format;
pub(crate) mod open;
pub(crate) mod repair;
pub(crate) mod status;
pub(crate) mod verify;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use dmverity::{FecArea, HashAlgorithm, Layout, Params, RootHash};

use crate::arguments::Arguments;
use crate::failure::{Exit, Failure, Result, system_words};
use crate::output::Fields;

/// Longer than any root hash in hexadecimal digits; a file of this or more is none.
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
struct RootHashText {
    text: String,
    file: Option<PathBuf>,
}

impl RootHashText {
    fn parse(&self, algorithm: HashAlgorithm) -> Result<RootHash> {
        RootHash::from_hex(&self.text, algorithm).map_err(|error| {
            let failure = Failure::from(error);
            match &self.file {
                None => failure,
                Some(path) => failure.hint(format!("it was read from {}.", path.display())),
            }
        })
    }
}

/// The first word of the file: the digits, with or without a newline after them.
fn read_root_hash_file(path: &Path) -> Result<RootHashText> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(ROOT_HASH_FILE_MAX).read_to_end(&mut bytes)).map_err(|error| {
        Failure::new(Exit::Device, format!("Cannot read root hash file {}.", path.display())).hint(system_words(&error))
    })?;
    match String::from_utf8_lossy(&bytes).split_ascii_whitespace().next() {
        Some(text) => Ok(RootHashText { text: text.to_owned(), file: Some(path.to_owned()) }),
        None => Err(Failure::new(Exit::Parameters, format!("Invalid root hash file {}.", path.display()))),
    }
}

/// What is needed to check an existing image: its parameters from the superblock, or, with `--no-superblock`, from the
/// options; and the root hash, which is argument `index` unless it comes from a file.
fn image_to_check(arguments: &Arguments, data: &Path, hash: &Path, index: usize) -> Result<(Params, RootHash)> {
    let root_hash = root_hash_text(arguments, index)?;
    let params = if arguments.flag("no-superblock") {
        arguments.params()?.build(data, dmverity::device_size(data)?)?
    } else {
        dmverity::load(hash, arguments.hash_offset()?, arguments.fec()?)?
    };
    let root_hash = root_hash.parse(params.algorithm())?;
    Ok((params, root_hash))
}

/// Texts that format repeats as they were given, and dump reads from the superblock.
struct Spelling {
    uuid: String,
    algorithm: String,
}

/// What format and dump print of an image.
fn header(
    hash: &Path,
    spelling: &Spelling,
    layout: &Layout,
    fec_area: Option<&FecArea>,
    root_hash: Option<&RootHash>,
) -> String {
    let params = layout.params();
    let mut fields = Fields::titled(&format!("VERITY header information for {}.", hash.display()));
    fields.add("UUID", &spelling.uuid);
    fields.add("Hash type", params.hash_type().number());
    fields.add("Data blocks", params.data_blocks());
    fields.add("Data block size", format!("{} [bytes]", params.data_block_size()));
    fields.add("Hash blocks", layout.hash_blocks());
    fields.add("Hash block size", format!("{} [bytes]", params.hash_block_size()));
    fields.add("Hash algorithm", &spelling.algorithm);
    if let (Some(fec), Some(area)) = (params.fec(), fec_area) {
        fields.add_narrow("FEC RS roots", fec.roots);
        fields.add_narrow("FEC blocks", area.rounds * u64::from(fec.roots));
    }
    fields.add("Salt", params.salt());
    if let Some(root_hash) = root_hash {
        fields.add_narrow("Root hash", root_hash);
    }
    let fec_bytes = |area: &FecArea| area.bytes.end - area.bytes.start;
    if params.hash_offset() == 0 {
        // As the reference tool: with the parity, if it lies there too.
        let parity = fec_area.filter(|area| area.on_hash_device).map_or(0, fec_bytes);
        fields.add("Hash device size", format!("{} [bytes]", layout.hash_end() + parity));
    }
    if let Some(area) = fec_area.filter(|area| area.bytes.start == 0) {
        fields.add("FEC device size", format!("{} [bytes]", fec_bytes(area)));
    }
    fields.into_text()
}
