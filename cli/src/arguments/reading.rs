//! The options about reading an image without the kernel, each block verified as it is read.

use std::path::PathBuf;

use dmverity::{ReaderBuilder, Where};

use super::words::Words;
use super::work::Threads;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};

/// How an image is read.
pub(crate) struct ReaderOptions {
    /// How many bytes of hash blocks are kept.
    cache_bytes: Option<u64>,
    verify: Where,
    at_most_once: bool,
    ignore_zero_blocks: bool,
    /// Those of the pool.
    threads: Threads,
    pub(crate) on_corruption: OnCorruption,
    pub(crate) events: Option<Events>,
}

/// What follows a bad block that cannot be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnCorruption {
    /// Who reads it gets an error.
    Error,
    /// The same, and it is the end.
    Stop,
}

/// Where bad blocks are written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Events {
    Stdout,
    /// The end of a file.
    File(PathBuf),
}

impl ReaderOptions {
    pub(super) fn of(words: &Words) -> Result<Self> {
        Ok(Self {
            cache_bytes: words.number("cache-size")?,
            verify: match words.text_option("verify").as_deref() {
                None | Some("auto") => Where::Auto,
                Some("inline") => Where::Inline,
                Some("pool") => Where::Pool,
                Some(other) => return Err(neither("verify", "auto, inline or pool", other)),
            },
            at_most_once: words.flag("check-at-most-once"),
            ignore_zero_blocks: words.flag("ignore-zero-blocks"),
            threads: Threads::of(words)?,
            on_corruption: match words.text_option("on-corruption").as_deref() {
                None | Some("error") => OnCorruption::Error,
                Some("stop") => OnCorruption::Stop,
                Some(other) => return Err(neither("on-corruption", "error or stop", other)),
            },
            events: words
                .path_option("events-json")
                .map(|path| if path.as_os_str() == "-" { Events::Stdout } else { Events::File(path) }),
        })
    }

    /// The same for a reader that is made.
    pub(crate) fn apply(&self, builder: ReaderBuilder) -> Result<ReaderBuilder> {
        let builder = builder.verify(self.verify).at_most_once(self.at_most_once);
        let builder = builder.ignore_zero_blocks(self.ignore_zero_blocks);
        let builder = self.cache_bytes.into_iter().fold(builder, ReaderBuilder::cache_bytes);
        Ok(self.threads.number()?.into_iter().fold(builder, ReaderBuilder::threads))
    }
}

fn neither(option: &str, known: &str, found: &str) -> Failure {
    Failure::new(Exit::Parameters, format!("Invalid value of option --{option}."))
        .hint(format!("it is {known}, not {}.", text_of(found)))
}
