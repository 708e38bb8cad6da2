//! `mount-file`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::contradictions::together;
use super::image::ImageToCheck;
use super::reading::{Events, ReaderOptions};
use super::words::Words;
use crate::failure::Result;

/// `mount-file`.
pub(crate) struct MountFile {
    pub(crate) image: ImageToCheck,
    pub(crate) reader: ReaderOptions,
    pub(crate) directory: PathBuf,
    /// Whether the page cache keeps nothing of the file.
    pub(crate) direct_io: bool,
    /// Whether other users can read the file.
    pub(crate) allow_other: bool,
    /// A command that is run while the file is mounted: program and arguments. Empty if there is none.
    pub(crate) command: Vec<OsString>,
    /// Whether what is printed is JSON.
    pub(crate) json: bool,
    /// Whether nothing is said at the end.
    pub(crate) is_quiet: bool,
}

impl MountFile {
    pub(super) fn of(words: &Words) -> Result<Self> {
        let reader = ReaderOptions::of(words)?;
        let json = words.flag("json");
        if json && reader.events == Some(Events::Stdout) {
            return Err(together("--json", "--events-json=-"));
        }
        Ok(Self {
            image: ImageToCheck::of(words)?,
            reader,
            directory: words.directory.clone().expect("the action needs it: it was counted").into(),
            direct_io: words.flag("direct-io"),
            allow_other: words.flag("allow-other"),
            command: words.values("exec"),
            json,
            is_quiet: words.flag("batch-mode"),
        })
    }
}
