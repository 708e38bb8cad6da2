//! `close`: take a mapping down.

use dmverity::Error;
use dmverity::dm::{MappingName, Removal, Removed, cancel_deferred_removal, deactivate};

use crate::arguments::Arguments;
use crate::failure::{Exit, Failure, Result};
use crate::output;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let name = MappingName::from_name_or_path(&arguments.text(0).unwrap_or_default())?;
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
    if removed == Some(Removed::Scheduled) {
        output::print(&format!("Device {name} is still active and scheduled for deferred removal.\n"))?;
    }
    Ok(())
}
