//! What is written that differs.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use super::refusals::{is_refused, says};
use crate::case::Kind;
use crate::compare::Comparison;
use crate::sandbox::End;

impl Comparison<'_> {
    fn both_took_it(&self) -> bool {
        self.ours.end == End::Code(0) && self.theirs.end == End::Code(0)
    }

    /// The names of files that differ.
    fn different_files(&self) -> BTreeSet<OsString> {
        let (ours, theirs) = (&self.ours.files, &self.theirs.files);
        let names = ours.keys().chain(theirs.keys());
        names.filter(|&name| ours.get(name) != theirs.get(name)).cloned().collect()
    }
}

/// A refused command changes nothing; the reference leaves what it had begun.
pub(super) fn refused(comparison: &mut Comparison<'_>) -> bool {
    let (ours, theirs) = (&comparison.ours, &mut comparison.theirs);
    let is_explained =
        is_refused(ours) && is_refused(theirs) && ours.files == *comparison.before && ours.files != theirs.files;
    if is_explained {
        theirs.files = ours.files.clone();
    }
    is_explained
}

/// `format` replaces the root hash file, the reference writes into it.
pub(super) fn root_hash_file(comparison: &mut Comparison<'_>) -> bool {
    let Some(name) = comparison.value("--root-hash-file") else { return false };
    let name = name.trim_start_matches("HERE/").trim_start_matches("./").trim_start_matches("dir/../");
    // Where other names lead to the same file, they differ, too.
    let same: &[&str] = match name {
        "d" | "hard-d" | "link-d" => &["d", "hard-d", "link-d"],
        "h" | "hard-h" | "link-h" => &["h", "hard-h", "link-h"],
        "dangling" => &["dangling", "nowhere"],
        name => &[name],
    };
    let differ = comparison.different_files();
    let is_explained = comparison.both_took_it()
        && comparison.ours.stdout == comparison.theirs.stdout
        && !differ.is_empty()
        && differ.iter().all(|file| same.iter().any(|name| file == *name));
    comparison.take_if(is_explained)
}

/// An image of one data block has no tree. The reference then cannot put the superblock anywhere but to the start of a
/// file, and leaves the parity's file empty.
pub(super) fn one_data_block(comparison: &mut Comparison<'_>) -> bool {
    let has_one = comparison.ours.stdout.iter().any(|line| line.starts_with("Hash blocks:") && line.ends_with("\t0"));
    let is_explained = if comparison.both_took_it() {
        // It writes no parity then, into whatever file.
        let name = OsStr::new(comparison.value("--fec-device").unwrap_or_default());
        let [theirs, before] = [&comparison.theirs.files, comparison.before].map(|files| files.get(name));
        let writes_nothing = theirs == before || theirs.is_some_and(|file| file.bytes == 0);
        let differ = comparison.different_files();
        has_one && writes_nothing && differ.len() == 1 && differ.contains(name)
    } else {
        has_one && is_refused(&comparison.theirs) && says(&comparison.theirs, "Error during update of verity header ")
    };
    comparison.take_if(is_explained)
}

/// The reference does not read what is between the end of the file and the FEC area.
pub(super) fn fec_after_the_end(comparison: &mut Comparison<'_>) -> bool {
    let is_explained = comparison.ours.end == End::Code(0)
        && is_refused(&comparison.theirs)
        && says(&comparison.theirs, "Failed to read RS block ");
    comparison.take_if(is_explained)
}

/// Data and tree in one file that ends before the tree starts.
pub(super) fn gap(comparison: &mut Comparison<'_>) -> bool {
    let is_explained = comparison.kind == Kind::Format
        && comparison.theirs.end == End::Code(0)
        && comparison.ours.end == End::Code(1)
        && comparison.ours.files == *comparison.before
        && comparison.ours.stderr.len() == 1
        && says(&comparison.ours, "Device d is too small.");
    comparison.take_if(is_explained)
}

/// Ours fills the last block of the hash device's file where there is no tree.
pub(super) fn length(comparison: &mut Comparison<'_>) -> bool {
    let has_one = comparison.ours.stdout.iter().any(|line| line.starts_with("Hash blocks:") && line.ends_with("\t0"));
    let differ = comparison.different_files();
    let is_longer = |name: &OsString| match (comparison.ours.files.get(name), comparison.theirs.files.get(name)) {
        (Some(ours), Some(theirs)) => {
            let mut shorter = ours.clone();
            shorter.bytes = theirs.bytes;
            shorter.content = Arc::clone(&theirs.content);
            shorter == *theirs && ours.bytes > theirs.bytes && ours.without_zeros() == theirs.without_zeros()
        }
        _ => false,
    };
    let is_explained = comparison.both_took_it() && has_one && !differ.is_empty() && differ.iter().all(is_longer);
    comparison.take_if(is_explained)
}
