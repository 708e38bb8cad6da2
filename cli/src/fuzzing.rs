//! What the fuzz targets call: the command line is read as the command reads it, and no device is opened.

use std::ffi::OsString;
use std::path::Path;

use dmverity::{Expected, HashAlgorithm, RootHash};

use crate::arguments::{self, Command, ImageOptions, Invocation, Planned, Request, Threads};
use crate::commands;
use crate::escape::escaped;
use crate::failure::{Exit, Failure, Result};
use crate::report::{self, Report};

/// What would be printed.
#[derive(Debug)]
pub struct Printed {
    /// On standard output and standard error, as text.
    pub text: String,
    /// With `--json`.
    pub json: String,
}

/// Reads a command line, program name first, and checks every option as the actions do. It runs `plan` too if that
/// names no device.
pub fn command_line(words: &[OsString]) -> Printed {
    match arguments::parse(words) {
        Ok(Request::Text(text)) => printed(None, Ok(Report { text, ..Report::default() })),
        Ok(Request::Run(invocation)) => {
            let Invocation { name, warnings, command, .. } = *invocation;
            let mut result = command.and_then(|command| read(&command));
            match &mut result {
                Ok(report) => report,
                Err(failure) => failure.report.get_or_insert_default(),
            }
            .warnings
            .extend(warnings);
            printed(Some(name), result)
        }
        Err(failure) => printed(None, Err(failure)),
    }
}

fn read(command: &Command) -> Result<Report> {
    let (image, threads) = match command {
        Command::Format(format) => (Some(&format.image), Some(format.work.threads)),
        Command::Verify(verify) => (Some(&verify.image.options), Some(verify.work.threads)),
        Command::Repair(repair) => (Some(&repair.image.options), Some(repair.work.threads)),
        Command::Open(open) => (Some(&open.image.options), None),
        Command::Dump(dump) => (Some(&dump.image), None),
        Command::Table(table) => (Some(&table.image.options), None),
        Command::Build(build) => (Some(&build.image), Some(build.work.threads)),
        Command::Benchmark(benchmark) => (Some(&benchmark.image), Some(benchmark.threads)),
        Command::Plan(plan) if matches!(plan.data, Planned::Size(_)) => return commands::plan::run(plan),
        _ => (None, None),
    };
    image.map(ImageOptions::params).transpose()?;
    threads.map(Threads::number).transpose()?;
    Ok(Report::default())
}

/// The object for a failure with these lines and hints, and with as many warnings.
pub fn json(texts: &[String]) -> String {
    let report = Report { warnings: texts.to_vec(), ..Report::default() };
    let failure = Failure::of_lines(Exit::Parameters, texts.to_vec()).hints(texts.iter().cloned());
    report::json(None, &report, Some(&failure))
}

/// What a root hash file says, if that is a root hash of this algorithm.
///
/// # Errors
/// What the command would print.
pub fn root_hash_file(path: &Path, algorithm: HashAlgorithm) -> std::result::Result<RootHash, String> {
    commands::root_hash::read_file(path).and_then(|text| text.parse(algorithm)).map_err(|failure| failure.text())
}

/// What a file for `--expect` says.
///
/// # Errors
/// What the command would print.
pub fn expect_file(path: &Path) -> std::result::Result<Expected, String> {
    commands::expect::read(path).map_err(|failure| failure.text())
}

fn printed(action: Option<&str>, result: Result<Report>) -> Printed {
    let (report, failure) = match result {
        Ok(report) => (report, None),
        Err(mut failure) => (failure.report.take().map(|report| *report).unwrap_or_default(), Some(failure)),
    };
    let json = report::json(action, &report, failure.as_ref());
    let text = report.text
        + &report.warnings.iter().map(|warning| escaped(warning) + "\n").collect::<String>()
        + &failure.as_ref().map(Failure::text).unwrap_or_default();
    Printed { text, json }
}
