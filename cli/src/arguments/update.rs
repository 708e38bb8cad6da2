//! The options of `update`.

use std::ffi::OsStr;
use std::ops::Range;
use std::path::PathBuf;

use super::contradictions::together;
use super::image::ImageToCheck;
use super::words::Words;
use super::work::LongWork;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::root_hash_file;

/// `update`.
pub(crate) struct Update {
    pub(crate) image: ImageToCheck,
    /// In bytes of the data.
    pub(crate) ranges: Vec<Range<u64>>,
    /// A file with more of them.
    pub(crate) dirty: Option<PathBuf>,
    pub(crate) old_data: Option<PathBuf>,
    pub(crate) dry_run: bool,
    pub(crate) new_root_hash_file: Option<PathBuf>,
    pub(crate) work: LongWork,
}

impl Update {
    pub(super) fn of(words: &Words, name: &'static str) -> Result<Self> {
        let update = Self {
            image: ImageToCheck::of(words)?,
            ranges: words.values("range").iter().map(|text| range(text)).collect::<Result<_>>()?,
            dirty: words.path_option("dirty"),
            old_data: words.path_option("old-data"),
            dry_run: words.flag("dry-run"),
            new_root_hash_file: words.path_option("new-root-hash-file"),
            work: LongWork::of(words, name)?,
        };
        if update.ranges.is_empty() && update.dirty.is_none() {
            return Err(Failure::usage(format!("{name}: requires --range or --dirty")));
        }
        match &update.new_root_hash_file {
            Some(path) if words.flag("json") && root_hash_file::is_stdout(path) => {
                Err(together("--json", "--new-root-hash-file=-"))
            }
            _ => Ok(update),
        }
    }
}

/// `OFFSET:LENGTH`.
fn range(text: &OsStr) -> Result<Range<u64>> {
    let parsed = text.to_str().and_then(|text| {
        let (offset, length) = text.split_once(':')?;
        let offset: u64 = offset.parse().ok()?;
        Some(offset..offset.checked_add(length.parse().ok()?)?)
    });
    parsed.ok_or_else(|| {
        Failure::new(Exit::Parameters, "Invalid value of option --range.")
            .hint(format!("it is OFFSET:LENGTH, two decimal numbers of bytes, not {}.", text_of(text)))
    })
}
