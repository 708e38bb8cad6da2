//! What the fuzz targets call: the command line is read as the command reads it, and nothing is run that opens anything.

use std::ffi::OsString;

use crate::arguments::{self, Arguments, Request};
use crate::commands;
use crate::failure::{Failure, Result};
use crate::options::Action;
use crate::report::{self, Report};

/// What would be printed.
#[derive(Debug)]
pub struct Printed {
    /// On standard output and standard error, as text.
    pub text: String,
    /// With `--json`.
    pub json: String,
}

/// Reads a command line, program name first, and looks at every option as the actions do. `plan` is run as well, where it
/// names no device.
pub fn command_line(words: &[OsString]) -> Printed {
    match arguments::parse(words) {
        Ok(Request::Text(text)) => printed(None, Ok(Report { text, ..Report::default() })),
        Ok(Request::Run(mut arguments)) => {
            let warnings = std::mem::take(&mut arguments.warnings);
            let mut result = read(&arguments);
            match &mut result {
                Ok(report) => report,
                Err(failure) => failure.report.get_or_insert_default(),
            }
            .warnings
            .extend(warnings);
            printed(Some(arguments.name), result)
        }
        Err(failure) => printed(None, Err(failure)),
    }
}

fn read(arguments: &Arguments) -> Result<Report> {
    let _ = arguments.params()?;
    arguments.threads()?;
    arguments.data_block_size()?;
    arguments.fec()?;
    if arguments.action == Action::Plan && arguments.text(0).is_none() {
        return commands::plan::run(arguments);
    }
    Ok(Report::default())
}

fn printed(action: Option<&str>, result: Result<Report>) -> Printed {
    let (report, failure) = match result {
        Ok(report) => (report, None),
        Err(mut failure) => (failure.report.take().map(|report| *report).unwrap_or_default(), Some(failure)),
    };
    let json = report::json(action, &report, failure.as_ref());
    let text = report.text + &report.warnings.join("\n") + &failure.as_ref().map(Failure::text).unwrap_or_default();
    Printed { text, json }
}
