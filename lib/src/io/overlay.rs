//! Blocks that take the place of those on a device and are not written there, or not yet.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tempfile::SpooledTempFile;

use crate::error::{Error, Result};
use crate::memory;

/// This much is kept in memory; the rest is written to an unnamed file.
const IN_MEMORY: usize = 8 << 20;

/// Blocks by their number among the covered ones.
#[derive(Debug)]
pub(crate) struct Overlay {
    block: usize,
    slots: BTreeMap<u64, u64>,
    bytes: Mutex<SpooledTempFile>,
}

impl Overlay {
    /// An empty overlay for blocks of `block` bytes.
    pub(crate) fn new(block: usize) -> Self {
        Self { block, slots: BTreeMap::new(), bytes: Mutex::new(SpooledTempFile::new(IN_MEMORY)) }
    }

    /// Whether it has a block of this number.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.slots.contains_key(&number)
    }

    /// How many blocks it has.
    pub(crate) fn count(&self) -> u64 {
        self.slots.len() as u64
    }

    /// How many bytes they have.
    pub(crate) fn bytes(&self) -> u64 {
        self.count() * self.block as u64
    }

    /// The numbers of all of its blocks, in order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.slots.keys().copied()
    }

    /// The numbers of its blocks in `range`.
    pub(crate) fn blocks(&self, range: Range<u64>) -> impl Iterator<Item = u64> {
        self.slots.range(range).map(|(&number, _)| number)
    }

    /// One of its blocks.
    pub(crate) fn read(&self, number: u64) -> Result<Vec<u8>> {
        let mut bytes = memory::zeroed(self.block)?;
        let mut file = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        seek(&mut file, self.slots[&number]).and_then(|()| file.read_exact(&mut bytes)).map_err(failed("read"))?;
        Ok(bytes)
    }

    /// Adds a block.
    pub(crate) fn add(&mut self, number: u64, bytes: &[u8]) -> Result<()> {
        let place = self.slots.len() as u64 * self.block as u64;
        let file = self.bytes.get_mut().unwrap_or_else(PoisonError::into_inner);
        seek(file, place).and_then(|()| file.write_all(bytes)).map_err(failed("write"))?;
        self.slots.insert(number, place);
        Ok(())
    }
}

fn seek(file: &mut SpooledTempFile, place: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(place)).map(drop)
}

fn failed(action: &'static str) -> impl FnOnce(io::Error) -> Error {
    Error::io(action, Path::new("a temporary file for blocks"))
}
