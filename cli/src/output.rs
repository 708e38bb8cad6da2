//! Standard output and standard error: nothing else writes to them.

use std::fmt::{Display, Write as _};
use std::io::{ErrorKind, Write as _, stderr, stdout};

use crate::failure::{Exit, Failure, Result, system_words};

/// Prints text to standard output. A reader that has gone away is no failure of ours; a root hash that is lost because
/// the disk is full is.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Parameters, "Cannot write to standard output.").hint(system_words(&error)))
        }
        _ => Ok(()),
    }
}

/// Prints text to standard error.
pub(crate) fn print_error(text: &str) {
    let _ = stderr().lock().write_all(text.as_bytes());
}

/// Warns on standard error.
pub(crate) fn warn(text: &str) {
    print_error(&format!("WARNING: {text}\n"));
}

/// A table of the form that callers take apart: key, colon, blanks up to column 17, a tab, the value.
#[derive(Default)]
pub(crate) struct Fields(String);

impl Fields {
    pub(crate) fn titled(title: &str) -> Self {
        Self(format!("{title}\n"))
    }

    pub(crate) fn add(&mut self, key: &str, value: impl Display) {
        self.line(&format!("{key}:"), " ", value);
    }

    /// A key that the reference tool pads by one blank less.
    pub(crate) fn add_narrow(&mut self, key: &str, value: impl Display) {
        self.line(&format!("{key}:"), "", value);
    }

    fn line(&mut self, key: &str, gap: &str, value: impl Display) {
        writeln!(self.0, "{key:<16}{gap}\t{value}").expect("a String takes everything");
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
        print_error(&format!("# {}\n", record.args()));
    }

    fn flush(&self) {}
}
