//! What is said of bad blocks while an image is read: a line for each of them, once.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use dmverity::{Area, Corruption};
use serde::Serialize;

use crate::arguments::Events;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::output;

/// A client that reads a bad block again and again fills no disk, and an image of bad blocks alone takes no more memory
/// than this many.
const MOST: usize = 1 << 16;

/// Says which blocks are bad, and remembers the first one that was not recovered.
pub(super) struct BadBlocks {
    to: To,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Hash blocks, numbers, and whether they were recovered.
    said: HashSet<(bool, u64, bool)>,
    first_lost: Option<String>,
}

enum To {
    /// Words for people, on standard error.
    Words,
    Stdout,
    File(File),
}

/// A bad block as a line of JSON.
#[derive(Serialize)]
struct Event {
    area: &'static str,
    block: u64,
    /// On its device.
    offset: u64,
    /// The first byte of data that needs it, and how many do.
    data_offset: u64,
    data_bytes: u64,
    recovered: bool,
}

impl BadBlocks {
    pub(super) fn new(events: Option<&Events>) -> Result<Self> {
        let to = match events {
            None => To::Words,
            Some(Events::Stdout) => {
                output::check()?;
                To::Stdout
            }
            Some(Events::File(path)) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                To::File(file.map_err(|error| {
                    Failure::new(Exit::Device, format!("Cannot write to {}.", text_of(path))).because(&error)
                })?)
            }
        };
        Ok(Self { to, known: Mutex::default() })
    }

    /// Says that a block is bad, if that was not said yet.
    pub(super) fn report(&self, found: &Corruption) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !found.recovered {
            known.first_lost.get_or_insert_with(|| words(found));
        }
        if known.said.len() == MOST || !known.said.insert((found.area == Area::Hash, found.block, found.recovered)) {
            return;
        }
        // The lock is kept, so that lines are whole. What cannot be written has nowhere else to go.
        let _ = match &self.to {
            To::Words => {
                output::print_error(&format!("{}\n", words(found)));
                Ok(())
            }
            To::Stdout => output::print(&line(found)),
            To::File(file) => {
                let mut file = file;
                let _ = file.write_all(line(found).as_bytes());
                Ok(())
            }
        };
    }

    /// The first bad block that could not be read, in words.
    pub(super) fn first_lost(&self) -> Option<String> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).first_lost.clone()
    }
}

fn words(found: &Corruption) -> String {
    let Corruption { block, position, .. } = found;
    let area = if found.area == Area::Hash { "Hash" } else { "Data" };
    let recovered = if found.recovered { " FEC has recovered it." } else { "" };
    format!("{area} block {block} at byte {position} is not what the root hash says.{recovered}")
}

fn line(found: &Corruption) -> String {
    let event = Event {
        area: if found.area == Area::Hash { "hash" } else { "data" },
        block: found.block,
        offset: found.position,
        data_offset: found.data.start,
        data_bytes: found.data.end - found.data.start,
        recovered: found.recovered,
    };
    serde_json::to_string(&event).expect("texts and numbers") + "\n"
}
