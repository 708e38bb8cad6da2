//! Standard output and standard error: nothing else writes to them, but for progress bars.

use std::fmt::{Display, Write as _};
use std::io::{ErrorKind, Write as _, stderr, stdout};
use std::process::ExitCode;

use nix::errno::Errno;

use crate::environment;
use crate::escape::{escaped, printed};
use crate::failure::{Exit, Failure, Result};
use crate::options::Action;
use crate::report::{self, Report};
use crate::streams::stdout_was_closed;

/// How a command reports its results.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// Text, and with `-v` one more line that says how it ended.
    Text { verbose: bool },
    /// Lines for a shell of what the action has found, and nothing else on standard output.
    Env(Action),
    /// One JSON object.
    Json,
}

/// Prints the outcome of a command and returns its exit code.
pub(crate) fn finish(form: Form, action: Option<&str>, result: Result<Report>) -> ExitCode {
    let (mut report, mut failure) = match result {
        Ok(report) => (report, None),
        Err(mut failure) => (failure.report.take().map_or_else(Report::default, |report| *report), Some(failure)),
    };
    let last = report.last.take().unwrap_or_else(|| Box::new(|| Ok(())));
    match form {
        Form::Json => {
            failure = failure.or_else(|| last().err());
            if let Err(lost) = print(&report::json(action, &report, failure.as_ref())) {
                // The object would have said what went wrong.
                let texts = failure.filter(|failure| failure.lines != lost.lines).map(|failure| failure.text());
                print_error(&(texts.unwrap_or_default() + &lost.text()));
                failure = Some(lost);
            }
        }
        Form::Text { .. } | Form::Env(_) => {
            let warnings = report.warnings.iter().map(|warning| format!("WARNING: {}\n", escaped(warning)));
            print_error(
                &warnings.chain(report.notes.iter().map(|note| format!("{}\n", escaped(note)))).collect::<String>(),
            );
            let printed = match (form, report.fields.as_deref()) {
                (Form::Env(action), Some(fields)) => print_bytes(&environment::lines(action, fields)),
                (Form::Env(_), None) => Ok(()),
                _ => print(&report.text),
            };
            failure = failure.or(printed.err()).or_else(|| last().err());
            let mut last_line = "Command successful.\n".to_owned();
            if let Some(failure) = &failure {
                print_error(&failure.text());
                last_line = format!("Command failed with code -{} ({}).\n", failure.exit.code(), failure.exit.reason());
            }
            if matches!(form, Form::Text { verbose: true }) {
                // The command has ended; nothing is reported twice.
                let _ = print(&last_line);
            }
        }
    }
    failure.map_or(report.exit_code.unwrap_or_default(), |failure| failure.exit.code()).into()
}

/// Whether there is a standard output.
pub(crate) fn check() -> Result<()> {
    if stdout_was_closed() { Err(unwritable(&Errno::EBADF.into())) } else { Ok(()) }
}

/// Standard output that cannot be written to.
pub(crate) fn unwritable(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Parameters, "Cannot write to standard output.").because(error)
}

/// Prints text to standard output. A reader that has gone away is not an error; a root hash that is lost because the
/// disk is full is.
pub(crate) fn print(text: &str) -> Result<()> {
    print_bytes(&printed(text))
}

/// The same for bytes as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    check()?;
    let mut out = stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unwritable(&error)),
        _ => Ok(()),
    }
}

/// Prints text to standard error.
pub(crate) fn print_error(text: &str) {
    if !text.is_empty() {
        let _ = stderr().lock().write_all(&printed(text));
    }
}

/// The same for what must not be lost.
pub(crate) fn write_error(bytes: &[u8]) -> std::io::Result<()> {
    stderr().lock().write_all(bytes)
}

/// A table of the form that callers take apart: key, colon, blanks up to column 17, a tab, the value.
#[derive(Default)]
pub(crate) struct Fields(String);

impl Fields {
    pub(crate) fn titled(title: &str) -> Self {
        Self(format!("{}\n", escaped(title)))
    }

    /// Lines of this form, which the library has made.
    pub(crate) fn add_lines(&mut self, lines: &[String]) {
        for line in lines {
            let (key, value) = line.split_once('\t').unwrap_or((line, ""));
            self.line(key, value);
        }
    }

    pub(crate) fn add(&mut self, key: &str, value: impl Display) {
        self.line(&format!("{:<16} ", format!("{key}:")), &value.to_string());
    }

    pub(crate) fn add_bytes(&mut self, key: &str, bytes: u64) {
        self.add(key, format!("{bytes} [bytes]"));
    }

    fn line(&mut self, key: &str, value: &str) {
        writeln!(self.0, "{key}\t{}", escaped(value)).expect("a String takes everything");
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// Prints the library's log on standard error, for `--debug`.
pub(crate) struct DebugLog;

impl log::Log for DebugLog {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        print_error(&format!("# {}\n", escaped(&record.args().to_string())));
    }

    fn flush(&self) {}
}
