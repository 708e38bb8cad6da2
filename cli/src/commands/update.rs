//! `update`: make hash tree and parity fit data that have changed in some places.

use std::path::Path;

use dmverity::{Changes, Error, Params, RootHash, Storage, Updated, Work};
use serde::Serialize;

use super::existing::{Image, image_to_check};
use super::source::Source;
use super::verify::uncovered;
use super::{dirty, open_device, shown};
use crate::arguments::{self, Place};
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::interruption;
use crate::report::Report;
use crate::root_hash_file::{Kind, RootHashFile};

#[derive(Serialize)]
struct UpdateFields {
    /// Whether nothing was written.
    dry_run: bool,
    data_device: String,
    hash_device: String,
    fec_device: Option<String>,
    old_root_hash: String,
    root_hash: String,
    /// Blocks of the ranges.
    hashed_blocks: u64,
    /// Those of them that are others than before.
    data_blocks: u64,
    hash_blocks: u64,
    parity_bytes: u64,
    /// Whether an interrupted update was undone before.
    undone: bool,
}

pub(crate) fn run(update: &arguments::Update) -> Result<Report> {
    if let Place::One(path) = &update.image.place {
        return Err(in_one(path));
    }
    let mut ranges = update.ranges.clone();
    if let Some(path) = &update.dirty {
        ranges.extend(dirty::read(path)?);
    }
    let Image { source, params, root_hash, mut warnings, .. } = image_to_check(&update.image)?;
    warnings.extend(uncovered(&source, &params)?);
    let file = new_root_hash_file(update, &source)?;
    let old_data = update.old_data.as_deref().map(open_device).transpose()?;
    let changes = Changes::of(ranges);
    let changes = match &old_data {
        Some(file) => changes.with_old_data(Storage::Read(file)),
        None => changes,
    };
    let done = interruption::watched(&update.work, source.data(), |work: &Work<'_>| {
        if update.dry_run {
            source.open()?.update_dry_run(&params, &root_hash, &changes, work)
        } else {
            source.update(&params, &root_hash, &changes, work)
        }
    })?;
    let done = done.map_err(|error| refused(error, update, &params))?;
    if done.undone {
        warnings.push("an update was interrupted before: it was undone first.".to_owned());
    }
    let fields = fields(update, &source, &root_hash, &done);
    // As format prints it.
    let text = format!("Root hash:      \t{}\n", done.root_hash);
    let mut report = Report { warnings, ..Report::new(text, fields) };
    report.last = Some(Box::new(move || file.map_or(Ok(()), |file| file.write(done.root_hash.to_string().as_bytes()))));
    Ok(report)
}

fn fields(update: &arguments::Update, source: &Source, old: &RootHash, done: &Updated) -> UpdateFields {
    UpdateFields {
        dry_run: update.dry_run,
        data_device: shown(source.data()),
        hash_device: shown(source.hash()),
        fec_device: source.fec().map(shown),
        old_root_hash: old.to_string(),
        root_hash: done.root_hash.to_string(),
        hashed_blocks: done.hashed_blocks,
        data_blocks: done.data_blocks,
        hash_blocks: done.hash_blocks,
        parity_bytes: done.parity_bytes,
        undone: done.undone,
    }
}

/// Where the new root hash goes, besides what is printed.
fn new_root_hash_file(update: &arguments::Update, source: &Source) -> Result<Option<RootHashFile>> {
    let Some(path) = update.new_root_hash_file.clone() else { return Ok(None) };
    let devices = [Some(("data", source.data())), Some(("hash", source.hash())), source.fec().map(|fec| ("FEC", fec))];
    let devices: Vec<(&str, &Path)> = devices.into_iter().flatten().collect();
    let file = RootHashFile::check(path, Kind::RootHash, &devices)?;
    // A dry run only says whether a file could be written.
    Ok(Some(file).filter(|file| !(update.dry_run && file.is_file())))
}

/// What belongs to the old root hash, beside the tree, cannot be changed here.
fn in_one(path: &Path) -> Failure {
    Failure::new(Exit::Parameters, format!("Cannot update {}, which is one argument.", text_of(path)))
        .hint(
            "partition UUIDs, signatures and files next to the image belong to the old root hash: make a disk image \
             anew with build, and the files with format.",
        )
        .hint("an image with its hash tree appended is both devices, with --hash-offset=auto.")
}

/// An error with what can be done about it.
fn refused(error: Error, update: &arguments::Update, params: &Params) -> Failure {
    match (&error, &update.old_data) {
        (Error::UnfinishedUpdate { .. }, _) => {
            let salt = params.salt().to_string();
            let uuid = params.uuid().map_or("--no-superblock".to_owned(), |uuid| format!("--uuid={uuid}"));
            Failure::from(error)
                .hint(format!("if that does not help, make the image anew: format --salt={salt} {uuid}"))
        }
        // It has no path of its own in the library.
        (Error::Unproven { path, position, .. }, Some(old)) if path == Path::new(Changes::OLD_DATA) => {
            Failure::new(Exit::Permission, format!("{} does not have the old data.", text_of(old))).hint(format!(
                "nothing was updated: the data block at byte {position} there is not what the old root hash proves."
            ))
        }
        _ => error.into(),
    }
}
