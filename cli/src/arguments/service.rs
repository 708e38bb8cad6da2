//! What the actions have in common that hand out an image until they are told to end.

use super::contradictions::together;
use super::image::ImageToCheck;
use super::reading::{Events, ReaderOptions};
use super::words::Words;
use crate::failure::Result;

/// What is handed out, and what is said meanwhile.
pub(crate) struct ServiceOptions {
    pub(crate) image: ImageToCheck,
    pub(crate) reader: ReaderOptions,
    /// Whether what is printed is JSON.
    pub(crate) json: bool,
    /// Whether nothing is said at the end.
    pub(crate) is_quiet: bool,
}

impl ServiceOptions {
    pub(super) fn of(words: &Words) -> Result<Self> {
        let reader = ReaderOptions::of(words)?;
        let json = words.flag("json");
        if json && reader.events == Some(Events::Stdout) {
            return Err(together("--json", "--events-json=-"));
        }
        Ok(Self { image: ImageToCheck::of(words)?, reader, json, is_quiet: words.flag("batch-mode") })
    }
}
