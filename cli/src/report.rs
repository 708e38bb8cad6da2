//! What a command has to say, in both of its forms: text for people and scripts that take it apart, and the fields of one
//! JSON object. Both are made from the same values; which one is printed is decided in `output.rs`.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

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
    /// The fields of the JSON object.
    pub(crate) fields: Map<String, Value>,
    /// What is done when the text is out, and before the object is.
    pub(crate) last: Option<Box<dyn FnOnce() -> Result<()>>>,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("text", &self.text).field("fields", &self.fields).finish_non_exhaustive()
    }
}

impl Report {
    /// A report of these fields, which are a struct.
    pub(crate) fn new(text: impl Into<String>, fields: &impl Serialize) -> Self {
        Self { text: text.into(), fields: object(fields), ..Self::default() }
    }

    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// The failure that comes with this report.
    pub(crate) fn failed(self, failure: Failure) -> Failure {
        Failure { report: Some(Box::new(self)), ..failure }
    }
}

/// The fields of a struct.
fn object(fields: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(fields) {
        Ok(Value::Object(map)) => map,
        other => unreachable!("a struct of numbers, texts and lists: {other:?}"),
    }
}

/// The whole object: the action, what was found, warnings, and what went wrong.
pub(crate) fn json(action: Option<&str>, report: Report, failure: Option<&Failure>) -> String {
    let mut all = Map::new();
    all.insert("action".to_owned(), action.into());
    all.extend(report.fields);
    all.insert("warnings".to_owned(), report.warnings.into());
    all.insert("error".to_owned(), failure.map_or(Value::Null, |failure| object(&ErrorFields::of(failure)).into()));
    serde_json::to_string_pretty(&all).expect("texts, numbers and lists of them") + "\n"
}

/// An option that the kernel refused.
#[derive(Debug, Serialize)]
pub(crate) struct RefusedFields {
    /// As the command line has it.
    pub(crate) option: &'static str,
    /// As the kernel has it.
    pub(crate) kernel_option: &'static str,
    pub(crate) errno_name: Option<String>,
    pub(crate) kernel_message: Option<String>,
}

/// What the kernel has against a table.
#[derive(Debug)]
pub(crate) struct RefusalFields {
    pub(crate) refused_options: Vec<RefusedFields>,
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
    refused_options: &'a [RefusedFields],
    kernel_message: Option<&'a str>,
    table: Option<&'a str>,
}

impl<'a> ErrorFields<'a> {
    fn of(failure: &'a Failure) -> Self {
        let refusal = failure.refusal.as_deref();
        Self {
            code: failure.exit.code(),
            reason: failure.exit.reason(),
            errno: failure.errno.map(|errno| errno as i32),
            errno_name: failure.errno.map(|errno| format!("{errno:?}")),
            message: failure.lines.join("\n"),
            hints: &failure.hints,
            refused_options: refusal.map_or(&[], |refusal| &refusal.refused_options),
            kernel_message: refusal.and_then(|refusal| refusal.kernel_message.as_deref()),
            table: refusal.map(|refusal| refusal.table.as_str()),
        }
    }
}
