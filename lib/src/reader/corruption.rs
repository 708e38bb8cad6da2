//! What reading finds wrong, and what it counts.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Area, Error, WithCauses};

/// A block that is not what the root hash says.
///
/// Where a read fails for it, this is in the [`io::Error`] of kind [`InvalidData`](io::ErrorKind::InvalidData):
/// `error.get_ref()` and `downcast_ref` return it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Corruption {
    /// [`Area::Data`] for a data block, [`Area::Hash`] for a hash block.
    pub area: Area,
    /// Its number: of a data block from the first one, of a hash block from the start of the hash device, in blocks of
    /// that area.
    pub block: u64,
    /// Where it begins on its device, in bytes.
    pub position: u64,
    /// The bytes of data that cannot be read without it.
    pub data: Range<u64>,
    /// Whether forward error correction (FEC) found its contents, which the root hash then proved.
    pub recovered: bool,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} block {} at byte {} is not what the root hash says", self.area, self.block, self.position)
    }
}

impl std::error::Error for Corruption {}

/// Is called with each bad block that is met.
pub(super) type Report = Box<dyn Fn(&Corruption) + Send + Sync>;

/// Why a read has failed.
#[derive(Debug)]
pub(super) enum Fault {
    Corrupt(Corruption),
    Failed(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Corrupt(corruption) => Self::new(io::ErrorKind::InvalidData, corruption),
            Fault::Failed(error) => {
                let kind = match &error {
                    Error::Io { source, .. } => source.kind(),
                    Error::OutOfMemory { .. } => io::ErrorKind::OutOfMemory,
                    _ => io::ErrorKind::Other,
                };
                Self::new(kind, WithCauses(&error).to_string())
            }
        }
    }
}

/// What a [`VerifiedReader`](super::VerifiedReader) has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Data blocks that were read.
    pub blocks_read: u64,
    /// Data blocks that were hashed and are as the root hash says; with at-most-once fewer than were read.
    pub blocks_verified: u64,
    /// Data blocks that were known to be zeros, and not read.
    pub zero_blocks: u64,
    /// Hash blocks that were read and hashed.
    pub hash_blocks_read: u64,
    /// Hash blocks that were found in the cache.
    pub cache_hits: u64,
    /// Reads that the caller's thread verified alone.
    pub inline_reads: u64,
    /// Reads that went to the pool.
    pub pooled_reads: u64,
    /// Bad blocks that were met, each time that one was.
    pub corrupted: u64,
    /// Those of them that FEC recovered.
    pub recovered: u64,
}

/// The same, counting.
#[derive(Debug, Default)]
pub(super) struct Counting {
    pub(super) blocks_read: Counter,
    pub(super) blocks_verified: Counter,
    pub(super) zero_blocks: Counter,
    pub(super) hash_blocks_read: Counter,
    pub(super) cache_hits: Counter,
    pub(super) inline_reads: Counter,
    pub(super) pooled_reads: Counter,
    pub(super) corrupted: Counter,
    pub(super) recovered: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counting {
    pub(super) fn now(&self) -> Counters {
        Counters {
            blocks_read: self.blocks_read.get(),
            blocks_verified: self.blocks_verified.get(),
            zero_blocks: self.zero_blocks.get(),
            hash_blocks_read: self.hash_blocks_read.get(),
            cache_hits: self.cache_hits.get(),
            inline_reads: self.inline_reads.get(),
            pooled_reads: self.pooled_reads.get(),
            corrupted: self.corrupted.get(),
            recovered: self.recovered.get(),
        }
    }
}
