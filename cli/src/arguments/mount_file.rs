//! `mount-file`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::service::ServiceOptions;
use super::words::Words;
use crate::failure::Result;

/// `mount-file`.
pub(crate) struct MountFile {
    pub(crate) service: ServiceOptions,
    pub(crate) directory: PathBuf,
    /// Whether the page cache keeps nothing of the file.
    pub(crate) direct_io: bool,
    /// Whether other users can read the file.
    pub(crate) allow_other: bool,
    /// A command that is run while the file is mounted: program and arguments. Empty if there is none.
    pub(crate) command: Vec<OsString>,
}

impl MountFile {
    pub(super) fn of(words: &Words) -> Result<Self> {
        Ok(Self {
            service: ServiceOptions::of(words)?,
            directory: words.directory.clone().expect("the action needs it: it was counted").into(),
            direct_io: words.flag("direct-io"),
            allow_other: words.flag("allow-other"),
            command: words.values("exec"),
        })
    }
}
