//! The root hash that an image is checked with, as it was given.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dmverity::{HashAlgorithm, RootHash};

use crate::arguments::RootHashOptions;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};

/// More than the digits of any root hash: the rest of the file is ignored.
const ROOT_HASH_FILE_READ: u64 = 4096;

pub(super) fn text(options: &RootHashOptions) -> Result<RootHashText> {
    if let Some(path) = &options.file {
        return read_file(path);
    }
    options.argument.clone().map(RootHashText::Argument).ok_or_else(missing)
}

pub(super) fn missing() -> Failure {
    Failure::new(Exit::Parameters, "Command requires <root_hash> or --root-hash-file option as argument.")
}

/// A root hash before the algorithm that makes it is known.
pub(crate) enum RootHashText {
    Argument(String),
    /// The beginning of a file.
    File(PathBuf, Vec<u8>),
}

impl RootHashText {
    /// The root hash, whatever algorithm made it; `None` if it is none.
    pub(super) fn guess(&self) -> Option<RootHash> {
        match self {
            Self::Argument(text) => text.parse().ok(),
            Self::File(_, bytes) => {
                let digits = bytes.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
                std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()
            }
        }
    }

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

pub(crate) fn read_file(path: &Path) -> Result<RootHashText> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| {
        Failure::new(Exit::Device, format!("Cannot read root hash file {}.", text_of(path))).because(&error)
    })?;
    file.take(ROOT_HASH_FILE_READ).read_to_end(&mut bytes).map_err(|error| {
        Failure::new(Exit::Parameters, format!("Invalid root hash file {}.", text_of(path))).because(&error)
    })?;
    Ok(RootHashText::File(path.to_owned(), bytes))
}
