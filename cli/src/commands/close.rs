//! `close`: take a mapping down.

use dmverity::Error;
use dmverity::dm::{MappingName, Removal, cancel_deferred_removal, deactivate};

use crate::arguments::Arguments;
use crate::failure::{Exit, Failure, Result};

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let name = MappingName::from_name_or_path(&arguments.text(0).unwrap_or_default())?;
    let closed = if arguments.flag("cancel-deferred") {
        cancel_deferred_removal(&name)
    } else if arguments.flag("deferred") {
        deactivate(&name, Removal::Deferred)
    } else {
        deactivate(&name, Removal::Now)
    };
    closed.map_err(|error| match error {
        // Callers know this exit code for close, and another one for everything else.
        Error::NoDeviceMapper { .. } => Failure { exit: Exit::Device, ..Failure::from(error) },
        error => error.into(),
    })
}
