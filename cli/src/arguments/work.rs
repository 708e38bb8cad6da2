//! The options about work that takes time.

use std::num::NonZero;
use std::time::Duration;

use super::words::Words;
use crate::failure::{Exit, Failure, Result};

/// A day: a larger number is a mistake about the unit.
const LONGEST_SECONDS: u64 = 86400;

/// `--threads` as given: it is parsed when the work begins.
#[derive(Clone, Copy)]
pub(crate) struct Threads(Option<u64>);

/// How long-running work is carried out and shown.
pub(crate) struct LongWork {
    /// The action's name, as the progress bar shows it.
    pub(crate) action: &'static str,
    pub(crate) threads: Threads,
    pub(crate) batch_mode: bool,
    pub(crate) progress_json: bool,
    /// In seconds, as it was given.
    progress_frequency: Option<u64>,
}

impl Threads {
    pub(super) fn of(words: &Words) -> Result<Self> {
        Ok(Self(words.number("threads")?))
    }

    /// The number of threads that hash, if it was given.
    pub(crate) fn number(self) -> Result<Option<NonZero<usize>>> {
        /// No machine has more processors, and each thread needs memory.
        const MOST: u64 = 1024;
        let Some(number) = self.0 else { return Ok(None) };
        match usize::try_from(number).ok().and_then(NonZero::new) {
            Some(threads) if number <= MOST => Ok(Some(threads)),
            _ => Err(Failure::new(Exit::Parameters, "Invalid number of threads.")
                .hint(format!("--threads is a number from 1 to {MOST}, not {number}."))),
        }
    }
}

impl LongWork {
    pub(super) fn of(words: &Words, action: &'static str) -> Result<Self> {
        Ok(Self {
            action,
            threads: Threads::of(words)?,
            batch_mode: words.flag("batch-mode"),
            progress_json: words.flag("progress-json"),
            progress_frequency: words.number("progress-frequency")?,
        })
    }

    /// The time between two lines of progress, if it was given.
    pub(crate) fn frequency(&self) -> Result<Option<Duration>> {
        match self.progress_frequency {
            None => Ok(None),
            Some(seconds @ 1..=LONGEST_SECONDS) => Ok(Some(Duration::from_secs(seconds))),
            Some(other) => Err(Failure::new(Exit::Parameters, "Invalid progress frequency.").hint(format!(
                "--progress-frequency is a number of seconds from 1 to {LONGEST_SECONDS}, not {other}."
            ))),
        }
    }
}
