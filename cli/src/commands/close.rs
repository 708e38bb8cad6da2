//! `close`: take a mapping down.

use dmverity::Error;
use dmverity::dm::{MappingName, Removal, Removed, cancel_deferred_removal, deactivate};
use serde::Serialize;

use crate::arguments::Arguments;
use crate::escape::escaped;
use crate::failure::{Exit, Failure, Result};
use crate::report::Report;

#[derive(Serialize)]
struct CloseFields {
    name: String,
    /// What became of the mapping, or of its deferred removal.
    removal: &'static str,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Report> {
    let name = MappingName::from_name_or_path(arguments.word(0))?;
    let closed = if arguments.flag("cancel-deferred") {
        cancel_deferred_removal(&name).map(|()| None)
    } else {
        let when = if arguments.flag("deferred") { Removal::Deferred } else { Removal::Now };
        deactivate(&name, when).map(Some)
    };
    let removed = closed.map_err(|error| match error {
        // Callers know this exit code for close, and another one for everything else.
        Error::NoDeviceMapper { .. } => Failure { exit: Exit::Device, ..Failure::from(error) },
        error => error.into(),
    })?;
    let (removal, text) = match removed {
        None => ("cancelled", String::new()),
        Some(Removed::Scheduled) => (
            "scheduled",
            format!("Device {} is still active and scheduled for deferred removal.\n", escaped(name.as_str())),
        ),
        Some(_) => ("done", String::new()),
    };
    Ok(Report::new(text, CloseFields { name: name.to_string(), removal }))
}
