//! Differences in files.

use std::collections::BTreeSet;
use std::ffi::OsString;

use super::refusals::{is_refused, says};
use super::text::remove;
use crate::case::Kind;
use crate::compare::Comparison;
use crate::sandbox::End;

impl Comparison<'_> {
    pub(super) fn both_took_it(&self) -> bool {
        self.ours.end == End::Code(0) && self.theirs.end == End::Code(0)
    }

    /// The names of files that differ.
    fn different_files(&self) -> BTreeSet<OsString> {
        let (ours, theirs) = (&self.ours.files, &self.theirs.files);
        let names = ours.keys().chain(theirs.keys());
        names.filter(|&name| ours.get(name) != theirs.get(name)).cloned().collect()
    }
}

/// A refused command changes and prints nothing; the reference leaves unfinished files.
pub(super) fn refused(comparison: &mut Comparison<'_>) -> bool {
    let (ours, theirs) = (&comparison.ours, &mut comparison.theirs);
    if !is_refused(ours) || !is_refused(theirs) || ours.files != *comparison.before {
        return false;
    }
    let has_printed = ours.stdout.iter().all(|line| line.starts_with("Command failed"))
        && remove(&mut theirs.stdout, |line| !line.starts_with("Command failed"));
    let has_changed = ours.files != theirs.files;
    if has_changed {
        theirs.files = ours.files.clone();
    }
    has_changed || has_printed
}

/// All names of an option's file.
fn names(comparison: &Comparison<'_>, option: &str) -> Vec<OsString> {
    let Some(name) = comparison.value(option) else { return Vec::new() };
    let name = match name.to_str() {
        None => return vec![name],
        Some(name) => name.trim_start_matches("HERE/").trim_start_matches("./").trim_start_matches("dir/../"),
    };
    let names: &[&str] = match name {
        "d" | "hard-d" | "link-d" => &["d", "hard-d", "link-d"],
        "h" | "hard-h" | "link-h" => &["h", "hard-h", "link-h"],
        "dangling" => &["dangling", "nowhere"],
        name => &[name],
    };
    names.iter().map(OsString::from).collect()
}

/// The reference writes the root hash over the image that it has made.
pub(super) fn root_hash_over_image(comparison: &mut Comparison<'_>) -> bool {
    const REFUSED: &str = "Cannot create root hash file ";
    let is_explained = comparison.kind == Kind::Format
        && comparison.has("--root-hash-file")
        && comparison.ours.end == End::Code(1)
        && comparison.ours.files == *comparison.before
        && says(&comparison.ours, REFUSED)
        && !says(&comparison.theirs, REFUSED);
    comparison.take_if(is_explained)
}

/// The reference writes a file named `-`.
pub(super) fn root_hash_stream(comparison: &mut Comparison<'_>) -> bool {
    let differ = comparison.different_files();
    let is_explained = comparison.kind == Kind::Format
        && comparison.value("--root-hash-file").is_some_and(|value| value == "-")
        && comparison.both_took_it()
        && differ.iter().all(|file| file == "-");
    comparison.take_if(is_explained)
}

/// Whether ours has zeros wherever the two differ.
fn differs_in_zeros(comparison: &Comparison<'_>, file: &OsString) -> bool {
    let [ours, theirs] = [&comparison.ours, &comparison.theirs].map(|outcome| outcome.files.get(file));
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return false };
    ours.content.len() == theirs.content.len()
        && ours.content.iter().zip(theirs.content.iter()).all(|((start, one), (other_start, other))| {
            start == other_start
                && one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| one == other || *one == 0)
        })
}

/// An image of one data block has no tree. The reference can then put the superblock only at the start of a file, and
/// writes no parity. The bytes that it writes after a superblock may be uninitialized memory.
pub(super) fn one_data_block(comparison: &mut Comparison<'_>) -> bool {
    let has_one = comparison.ours.stdout.iter().any(|line| line.starts_with("Hash blocks:") && line.ends_with("\t0"));
    let is_explained = if comparison.both_took_it() {
        let names = names(comparison, "--fec-device");
        let differ = comparison.different_files();
        has_one
            && !differ.is_empty()
            && differ.iter().all(|file| names.contains(file) || differs_in_zeros(comparison, file))
    } else {
        has_one && is_refused(&comparison.theirs) && says(&comparison.theirs, "Error during update of verity header ")
    };
    comparison.take_if(is_explained)
}

/// Ours identifies a device itself, not its path.
pub(super) fn links(comparison: &mut Comparison<'_>) -> bool {
    let is_overlap = |line: &String| line.contains(" area overlaps with ");
    let is_link = |name: &OsString| name.to_str().is_some_and(|name| name.contains('-') || name.contains('/'));
    let names = comparison.arguments.iter().chain(&comparison.value("--fec-device")).any(is_link);
    let is_explained = comparison.ours.end == End::Code(1)
        && comparison.ours.files == *comparison.before
        && comparison.ours.stderr.iter().any(is_overlap)
        && comparison.theirs.end == End::Code(0)
        && names;
    comparison.take_if(is_explained)
}

/// The reference does not read what is between the end of the file and the FEC area.
pub(super) fn fec_after_the_end(comparison: &mut Comparison<'_>) -> bool {
    // It may fail later, when it writes the root hash.
    let is_made = comparison.ours.end == End::Code(0) || says(&comparison.ours, "Cannot write to root hash file ");
    let is_explained =
        is_made && is_refused(&comparison.theirs) && says(&comparison.theirs, "Failed to read RS block ");
    comparison.take_if(is_explained)
}

/// Data and tree in one file that ends within the data: the reference fills the file if it has read enough data by
/// then.
pub(super) fn filled_up(comparison: &mut Comparison<'_>) -> bool {
    const FAILS: &[&str] =
        &["Input/output error while creating hash area.", "Header detected but device ", "Failed to read RS block "];
    let is_explained = comparison.kind == Kind::Format
        && comparison.ours.end == End::Code(0)
        && is_refused(&comparison.theirs)
        && FAILS.iter().any(|line| says(&comparison.theirs, line));
    comparison.take_if(is_explained)
}
