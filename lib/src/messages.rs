//! The reference tool's words for errors: the lines that scripts look for, and that both the command and the C library
//! print. The text of an [`Error`] itself is for programs in Rust.
//!
//! Paths are in them byte for byte, which is why they are not `String`s: the code that prints them decides what becomes
//! of characters that a terminal would obey.

mod header;
#[cfg(feature = "dm")]
mod mapping;

use std::ffi::{OsStr, OsString};
use std::path::Path;

pub use header::{Header, header_title, of_geometry, of_header};
#[cfg(feature = "dm")]
pub use mapping::{CORRUPTED_AT_ONCE, of_mapping, of_signature, of_silent_udev};

use crate::error::{Area, Error, WithCauses};
use crate::fec::Repair;
use crate::image::Diagnosis;
use crate::tree::{Failure, Verification};

/// The lines for an error of an image, without newlines. There is one at least, and the last is the last that the
/// reference tool prints.
///
/// # Examples
/// ```
/// use dmverity::{BlockSize, messages};
///
/// let error = BlockSize::new(1000).expect_err("it is no power of two");
/// assert_eq!(messages::of_image(&error), ["Unsupported VERITY block size."]);
/// ```
pub fn of_image(error: &Error) -> Vec<OsString> {
    match error {
        Error::Superblock { path, source } => {
            let invalid = with_path("Device ", path, " is not a valid VERITY device.");
            match &**source {
                Error::NotVerity => vec![invalid],
                reason => of_image(reason).into_iter().take(1).chain([invalid]).collect(),
            }
        }
        other => vec![of_parameters(other).or_else(|| of_device(other)).unwrap_or_else(|| with_causes(other).into())],
    }
}

/// Errors that name no device.
fn of_parameters(error: &Error) -> Option<OsString> {
    let text = match error {
        Error::BlockSize { .. } => "Unsupported VERITY block size.".into(),
        Error::HashAlgorithm { name } => format!("Hash algorithm {name} not supported."),
        Error::HashType { found } => format!("Unsupported VERITY hash type {found}."),
        Error::SaltText | Error::SaltLength { .. } => "Invalid salt string specified.".into(),
        Error::RootHashText | Error::RootHashLength { .. } => "Invalid root hash string specified.".into(),
        Error::Offset { area, .. } => format!("Unsupported VERITY {area} offset."),
        Error::FecRoots { .. } => "Invalid number of parity bytes.".into(),
        Error::FecBlockSizes { .. } => "Block sizes must match for FEC.".into(),
        Error::FecDevice | Error::FecGap { .. } => "Unsupported VERITY FEC offset.".into(),
        Error::Overlap { first, second, .. } => {
            let first = match first {
                Area::Data => "Data",
                Area::Hash => "Hash",
                Area::Fec => "FEC",
            };
            format!("{first} area overlaps with {second} area.")
        }
        Error::TooManyBlocks { .. } => "Device offset overflow.".into(),
        Error::TooFewBytes { .. } => "Device data is too small.".into(),
        Error::NotVerity => "There is no VERITY superblock.".into(),
        Error::SuperblockVersion { found } => format!("Unsupported VERITY version {found}."),
        Error::SuperblockCorrupted { .. } => "VERITY header corrupted.".into(),
        Error::OutsideData { .. } => "Changes are not within the data.".into(),
        Error::Unexpected { field, expected, found } => {
            format!("Image is not the expected one: {field} is {found}, expected {expected}.")
        }
        Error::Seed { .. } => "Invalid salt seed specified.".into(),
        Error::Unwritable { line, value } => format!("Cannot write {value:?} in {line}."),
        Error::NoPartitionUuids => "Root hash is too short for partition UUIDs.".into(),
        Error::OutOfMemory { .. } => "Not enough memory.".into(),
        _ => return None,
    };
    Some(text.into())
}

/// Errors that name a device or file.
fn of_device(error: &Error) -> Option<OsString> {
    let device = |path: &Path, rest| with_path("Device ", path, rest);
    Some(match error {
        Error::NoDataBlocks { path, .. } => device(path.as_deref().unwrap_or(Path::new("data")), " is too small."),
        Error::DeviceTooSmall { path, .. } => device(path, " is too small."),
        Error::StreamTooShort { path, .. } => with_path("The data from ", path, " ended too early."),
        Error::StreamTooLong { path, .. } => with_path("The data from ", path, " go on after their end."),
        Error::TreeInStream { path, .. } => with_path("The data from ", path, " have a hash tree already."),
        Error::NoHashArea { path } => device(path, " is not a valid VERITY device."),
        Error::SeveralHashAreas { path, .. } => device(path, " has more than one VERITY superblock."),
        Error::BehindHashArea { path, .. } => device(path, " has data after its hash area."),
        Error::UnfinishedHashArea { path, .. } => {
            device(path, " has an unfinished hash area and was changed afterwards.")
        }
        Error::NotWritable { area, path, .. } => {
            let area = if *area == Area::Fec { "FEC" } else { "hash" };
            with_path(&format!("Cannot create {area} image "), path, " for writing.")
        }
        Error::AmongDeviceNodes { path } | Error::Open { path, .. } => {
            device(path, " does not exist or access denied.")
        }
        Error::WrongRoot { path } => device(path, " has a hash tree with another root hash."),
        Error::Unproven { path, .. } => device(path, " has a block that is not what the root hash proves."),
        Error::UnfinishedUpdate { path } => device(path, " has a hash tree whose update was interrupted."),
        Error::NoTree { path } => device(path, " has no hash tree."),
        Error::PlainTree { path, .. } => device(path, " seems to end with a hash tree already."),
        Error::Changed { path, .. } => device(path, " is being changed by another process."),
        Error::FileSystemTooLarge { path, .. } => device(path, " has a file system that reaches into its hash area."),
        Error::NotDevice { path } | Error::NotFile { path } => device(path, " is not compatible."),
        Error::DeviceBusy { path } => busy(path),
        Error::DeviceLocked { path } => device(path, " is in use by another process."),
        Error::Io { action, path, .. } => with_path(&format!("Cannot {action} device "), path, "."),
        _ => return None,
    })
}

/// The last line about an image whose blocks are wrong.
pub const DATA_AREA_FAILED: &str = "Verification of data area failed.";

/// The line about damage that is more than FEC can correct.
pub const BEYOND_REPAIR: &str = "Errors cannot be repaired with FEC device.";

/// What a verification has found, a line each; none for an intact image.
pub fn of_verification(found: &Verification) -> Vec<String> {
    if found.is_good() {
        return Vec::new();
    }
    let describe = |failure: &Failure| match failure {
        Failure::DataBlock { position } | Failure::HashBlock { position } => {
            format!("Verification failed at position {position}.")
        }
        Failure::SpareArea { position } => format!("Spare area is not zeroed at position {position}."),
    };
    let mut lines: Vec<String> = found.first_failures().iter().map(describe).collect();
    let unnamed = found.failures() - found.first_failures().len() as u64;
    if unnamed > 0 {
        lines.push(format!("Verification failed at {unnamed} more positions."));
    }
    let last = if found.failures() > 0 { DATA_AREA_FAILED } else { "Verification of root hash failed." };
    lines.push(last.to_owned());
    lines
}

/// How many errors FEC can correct.
pub fn of_repair(repair: &Repair) -> String {
    format!("Found {} repairable errors with FEC device.", repair.wrong_bytes())
}

/// What a verification has found, and what FEC says of it; none for an intact image.
pub fn of_diagnosis(found: &Diagnosis) -> Vec<String> {
    let mut lines = of_verification(&found.verification);
    match &found.repair {
        Some(Ok(repair)) if repair.is_complete() => lines.push(of_repair(repair)),
        Some(_) => lines.push(BEYOND_REPAIR.to_owned()),
        None => (),
    }
    lines
}

/// A block device that something else uses.
fn busy(path: &Path) -> OsString {
    with_path("Cannot use device ", path, " which is in use (already mapped or mounted).")
}

/// Words around a path, whose bytes stay as they are.
fn with_path(before: &str, path: impl AsRef<OsStr>, after: &str) -> OsString {
    let mut line = OsString::from(before);
    line.push(path);
    line.push(after);
    line
}

/// The text of an error without words of its own, followed by its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    format!("{}.", WithCauses(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_superblock_that_cannot_be_used_has_its_reason_before_the_device() {
        let of = |source| of_image(&Error::Superblock { path: "/h".into(), source: Box::new(source) });
        assert_eq!(of(Error::NotVerity), ["Device /h is not a valid VERITY device."]);
        assert_eq!(
            of(Error::HashType { found: 7 }),
            ["Unsupported VERITY hash type 7.", "Device /h is not a valid VERITY device."]
        );
    }

    #[test]
    fn an_error_without_words_of_its_own_says_its_causes() {
        let source = std::io::Error::other("the cause");
        assert_eq!(of_image(&Error::Random { source }), ["no random numbers: the cause."]);
    }

    #[cfg(unix)]
    #[test]
    fn the_bytes_of_a_path_are_kept() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = Path::new(OsStr::from_bytes(b"/d\xff")).to_owned();
        let lines = of_image(&Error::NotDevice { path });
        assert_eq!(lines, [OsStr::from_bytes(b"Device /d\xff is not compatible.")]);
    }
}
