//! Whether a new mapping can be read: its first and last data block are read, which shows a wrong root hash, and damage
//! at both ends and in the tree above them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use dmverity::dm::{MappingName, MappingStatus, Removal, deactivate, status};
use dmverity::messages::CORRUPTED_AT_ONCE;
use dmverity::{Params, RootHash};

use super::source::Source;
use super::verify::{REPAIR_WRITES_ZEROS, must_be_zeros};
use crate::failure::{Exit, Failure};

/// Reads `start` bytes at the start of a mapping, and `end` bytes at its end.
pub(super) fn read_ends(node: &Path, start: u64, end: u64) -> io::Result<()> {
    let mut file = File::open(node)?;
    io::copy(&mut (&file).take(start), &mut io::sink())?;
    let bytes = file.seek(SeekFrom::End(0))?;
    let len = usize::try_from(end.min(bytes)).map_err(io::Error::other)?;
    file.read_exact_at(&mut vec![0; len], bytes - len as u64)
}

/// What the kernel reports about a mapping.
pub(super) fn mapping(name: &MappingName) -> Option<MappingStatus> {
    status(name).ok().flatten()
}

/// Whether the kernel has found something in it that does not match the root hash.
pub(super) fn is_corrupted(name: &MappingName) -> bool {
    mapping(name).and_then(|mapping| mapping.verity).is_some_and(|verity| verity.status.corrupted)
}

/// Reads the first and the last data block, and closes the mapping again if the kernel does not return them as
/// verified.
pub(super) fn check(name: &MappingName, source: &Source, params: &Params, root_hash: &RootHash) -> Result<(), Failure> {
    let block = params.data_block_size().bytes();
    let read = read_ends(&name.node(), block, block);
    let failure = if is_corrupted(name) {
        Failure::new(Exit::Permission, CORRUPTED_AT_ONCE).hint(
            "its first or its last data block does not match the root hash: the root hash is wrong, or data or hash \
             tree were changed.",
        )
    } else {
        let Err(error) = read else { return Ok(()) };
        Failure::new(Exit::Permission, "First and last data block cannot be read after activation.").because(&error)
    };
    let failure = failure.hints(about_zeros(source, params, root_hash));
    Err(closed(name, failure))
}

/// The failure after the mapping was closed, or with the reason why it could not be.
pub(super) fn closed(name: &MappingName, mut failure: Failure) -> Failure {
    if let Err(error) = deactivate(name, Removal::Now) {
        let closing = Failure::from(error);
        failure.lines.extend(closing.lines);
        failure.hints.extend(closing.hints);
    }
    failure
}

/// A hint that the first or the last data block has to be zeros, if that is what is wrong.
pub(super) fn about_zeros(source: &Source, params: &Params, root_hash: &RootHash) -> Vec<String> {
    let ends = [0, params.data_blocks() - 1];
    let must = |&block: &u64| {
        let image = source.open_without_fec();
        image.and_then(|image| image.must_be_zeros(params, root_hash, block)).unwrap_or(false)
    };
    let hint = |block| must_be_zeros(&format!("data block {block}"));
    let mut hints: Vec<String> = ends.iter().filter(|block| must(block)).map(hint).collect();
    hints.dedup();
    if !hints.is_empty() {
        hints.push(REPAIR_WRITES_ZEROS.to_owned());
    }
    hints
}
