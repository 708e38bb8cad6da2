//! Files on web servers, in a build without the feature `http`: there are none.
#![allow(clippy::trivially_copy_pass_by_ref, clippy::unnecessary_wraps)] // They have the form of what they stand for.

use std::io;
use std::path::Path;

use dmverity::ReadAt;
use serde::Serialize;

use crate::arguments::WebOptions;
use crate::failure::{Failure, Result};

/// A file on a web server, of which there is none.
pub(super) enum Remote {}

/// What was fetched from web servers, which is nothing.
#[derive(Clone, Copy, Serialize)]
pub(super) enum FetchedFields {}

impl FetchedFields {
    pub(super) fn of<'a>(mut files: impl Iterator<Item = &'a Remote>) -> Option<Self> {
        files.next().map(|file| match *file {})
    }

    pub(super) fn line(&self) -> String {
        match *self {}
    }
}

impl ReadAt for Remote {
    fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
        match *self {}
    }

    fn size(&self) -> io::Result<u64> {
        match *self {}
    }
}

/// Arguments that are URLs were refused before.
pub(super) fn open(options: &WebOptions, name: &Path, _: Option<&()>) -> Result<Remote> {
    Err(Failure::usage(format!("{}: cannot be opened", crate::escape::text_of(options.url(name)))))
}

pub(super) fn cache(_: &WebOptions) -> Result<Option<()>> {
    Ok(None)
}
