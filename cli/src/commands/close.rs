//! `close`: take a mapping down.

use dmverity::dm::{Error, MappingName, Removal, Removed, cancel_deferred_removal, deactivate, find};
use serde::Serialize;

use crate::arguments::Close;
use crate::escape::{escaped, text_of};
use crate::failure::{Exit, Failure, Result};
use crate::report::Report;

#[derive(Serialize)]
struct CloseFields {
    name: String,
    /// What happened to the mapping, or to its deferred removal.
    removal: &'static str,
}

pub(crate) fn run(close: &Close) -> Result<Report> {
    // Messages name the mapping as the caller did.
    let given = text_of(&close.mapping);
    let removed = remove(close).map_err(|error| match named(error, &given) {
        // Callers know this exit code for close, and another one for everything else.
        error @ Error::NoDeviceMapper { .. } => Failure { exit: Exit::Device, ..Failure::from(error) },
        error => error.into(),
    })?;
    let (name, removed) = removed;
    let (removal, text) = match removed {
        None => ("cancelled", String::new()),
        Some(Removed::Scheduled) => {
            ("scheduled", format!("Device {} is still active and scheduled for deferred removal.\n", escaped(&given)))
        }
        Some(_) => ("done", String::new()),
    };
    Ok(Report::new(text, CloseFields { name: name.to_string(), removal }))
}

/// Removes the mapping; with what became of it, or `None` if a deferred removal was cancelled.
fn remove(close: &Close) -> dmverity::dm::Result<(MappingName, Option<Removed>)> {
    let word = &close.mapping;
    let name = find(word)?.ok_or_else(|| Error::MappingInactive { name: text_of(word) })?;
    let removed = if close.cancel_deferred {
        cancel_deferred_removal(&name).map(|()| None)
    } else {
        let when = if close.deferred { Removal::Deferred } else { Removal::Now };
        deactivate(&name, when).map(Some)
    };
    Ok((name, removed?))
}

/// The same error, with this name for the mapping.
fn named(mut error: Error, given: &str) -> Error {
    if let Error::MappingInactive { name }
    | Error::MappingBusy { name, .. }
    | Error::MappingNotVerity { name }
    | Error::MappingLocked { name } = &mut error
    {
        given.clone_into(name);
    }
    error
}
