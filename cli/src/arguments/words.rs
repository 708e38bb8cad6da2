//! The words of a command line, from which the structs of this module are made: only this file looks up options by
//! name.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::parser::Given;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::options::Action;
use crate::passing::STDIN;

/// An action's arguments, and the options.
pub(super) struct Words {
    pub(super) action: Action,
    pub(super) rest: Vec<OsString>,
    /// The last argument of an action that mounts, which is not among the others.
    pub(super) directory: Option<OsString>,
    pub(super) options: Given,
    /// Those of the arguments that are URLs, as they were given: in `rest` they have no user and no password.
    pub(super) urls: Vec<OsString>,
}

impl Words {
    /// Whether an option without value was given.
    pub(super) fn flag(&self, option: &str) -> bool {
        self.options.flag(option)
    }

    /// Whether an option was given.
    pub(super) fn given(&self, option: &str) -> bool {
        self.options.has(option)
    }

    /// Which argument after the action is the hash device, of actions that also take an image in one.
    pub(super) fn hash_argument(&self) -> Option<usize> {
        match self.action {
            Action::Open => Some(2),
            Action::Verify | Action::Update | Action::Repair | Action::Table | Action::Serve | Action::MountFile => {
                Some(1)
            }
            _ => None,
        }
    }

    /// Whether the first argument after the action means standard input.
    pub(super) fn is_stdin(&self) -> bool {
        self.rest.first().is_some_and(|word| word == STDIN)
    }

    /// Argument `index` after the action, which the action needs: it was counted.
    pub(super) fn word(&self, index: usize) -> OsString {
        self.rest[index].clone()
    }

    /// The same as a path.
    pub(super) fn path(&self, index: usize) -> PathBuf {
        self.word(index).into()
    }

    /// An option's value as it was given.
    pub(super) fn value(&self, option: &str) -> Option<OsString> {
        self.options.value(option)
    }

    /// The values of an option that can be given several times.
    pub(super) fn values(&self, option: &str) -> Vec<OsString> {
        self.options.values(option)
    }

    /// An option's value as a path.
    pub(super) fn path_option(&self, option: &str) -> Option<PathBuf> {
        self.value(option).map(PathBuf::from)
    }

    /// An option's value as text.
    pub(super) fn text_option(&self, option: &str) -> Option<String> {
        self.value(option).map(text_of)
    }

    /// An option's value as a number.
    pub(super) fn number(&self, option: &str) -> Result<Option<u64>> {
        let Some(text) = self.value(option) else { return Ok(None) };
        match text.to_str().and_then(|text| text.parse().ok()) {
            Some(number) if number <= largest(option) => Ok(Some(number)),
            _ => Err(invalid_number(option, &text)),
        }
    }

    /// Whether an option's value is to be found automatically.
    pub(super) fn is_auto(&self, option: &str) -> bool {
        self.value(option).is_some_and(|text| text == "auto")
    }
}

/// A value as text, every character of which counts.
pub(super) fn exact(option: &str, value: &OsStr) -> Result<String> {
    value.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::new(Exit::Parameters, format!("Invalid value of option --{option}.")).hint("it is not UTF-8.")
    })
}

/// The largest number that an option takes: the reference keeps these in 32 bits.
fn largest(option: &str) -> u64 {
    match option {
        "data-block-size" | "hash-block-size" | "fec-roots" | "format" => u64::from(u32::MAX),
        _ => u64::MAX,
    }
}

fn invalid_number(option: &str, text: &OsStr) -> Failure {
    Failure::usage("invalid numeric value").hint(format!(
        "--{option} takes a decimal number from 0 to {}, not {}.",
        largest(option),
        text_of(text)
    ))
}
