//! What a command has to say, in both of its forms: text for people and scripts that take it apart, and the fields of
//! one JSON object. Both are made from the same values; which one is printed is decided in `output.rs`.

use std::fmt;

use serde::Serialize;

use crate::escape::without_raw;
use crate::failure::{Failure, Result};

/// What was done or found.
#[derive(Default)]
pub(crate) struct Report {
    /// For standard output.
    pub(crate) text: String,
    /// Lines for standard error, beside warnings.
    pub(crate) notes: Vec<String>,
    /// Warnings, without the word.
    pub(crate) warnings: Vec<String>,
    /// The fields of the JSON object: a struct, which is not looked at unless it is printed.
    pub(crate) fields: Option<Box<dyn erased_serde::Serialize>>,
    /// The exit code of a command that was run, if nothing else is wrong.
    pub(crate) exit_code: Option<u8>,
    /// What is done when the text is out, and before the object is.
    pub(crate) last: Option<Box<dyn FnOnce() -> Result<()>>>,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("text", &self.text).finish_non_exhaustive()
    }
}

impl Report {
    /// A report of these fields, which are a struct.
    pub(crate) fn new(text: impl Into<String>, fields: impl Serialize + 'static) -> Self {
        Self { text: text.into(), fields: Some(Box::new(fields)), ..Self::default() }
    }

    /// The failure that comes with this report.
    pub(crate) fn failed(self, failure: Failure) -> Failure {
        Failure { report: Some(Box::new(self)), ..failure }
    }
}

/// The whole object: the action, what was found, warnings, and what went wrong.
#[derive(Serialize)]
struct Whole<'a> {
    action: Option<&'a str>,
    #[serde(flatten)]
    found: Option<&'a dyn erased_serde::Serialize>,
    warnings: &'a [String],
    error: Option<ErrorFields<'a>>,
}

/// The JSON object of a report, and of what went wrong with it.
pub(crate) fn json(action: Option<&str>, report: &Report, failure: Option<&Failure>) -> String {
    let whole = Whole {
        action,
        found: report.fields.as_deref(),
        warnings: &report.warnings,
        error: failure.map(ErrorFields::of),
    };
    let object = serde_json::to_string_pretty(&whole).expect("texts, numbers and lists of them") + "\n";
    // In JSON text a backslash is written twice.
    without_raw(&object, r"\\")
}

/// An option that the kernel refused.
#[derive(Debug, Serialize)]
pub(crate) struct RefusedOptionFields {
    /// As the command line has it.
    pub(crate) option: &'static str,
    /// As the kernel has it.
    pub(crate) kernel_option: &'static str,
    pub(crate) errno_name: Option<String>,
    pub(crate) kernel_message: Option<String>,
}

/// A table that the kernel refused.
#[derive(Debug)]
pub(crate) struct RefusedTableFields {
    pub(crate) refused_options: Vec<RefusedOptionFields>,
    pub(crate) kernel_message: Option<String>,
    pub(crate) table: String,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    code: u8,
    reason: &'static str,
    errno: Option<i32>,
    errno_name: Option<String>,
    /// Lines, as standard error has them.
    message: String,
    hints: &'a [String],
    refused_options: &'a [RefusedOptionFields],
    kernel_message: Option<&'a str>,
    table: Option<&'a str>,
}

impl<'a> ErrorFields<'a> {
    fn of(failure: &'a Failure) -> Self {
        let refused = failure.refused_table.as_deref();
        Self {
            code: failure.exit.code(),
            reason: failure.exit.reason(),
            errno: failure.errno.map(|errno| errno as i32),
            errno_name: failure.errno.map(|errno| format!("{errno:?}")),
            message: failure.lines.join("\n"),
            hints: &failure.hints,
            refused_options: refused.map_or(&[], |refused| &refused.refused_options),
            kernel_message: refused.and_then(|refused| refused.kernel_message.as_deref()),
            table: refused.map(|refused| refused.table.as_str()),
        }
    }
}
