//! What is served: shared by all connections.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::available_parallelism;

use super::protocol::PREFERRED_BLOCK;
use crate::io::ReadAt;

/// One disk, and what was done with it.
pub(super) struct Export<'s> {
    pub(super) storage: Box<dyn ReadAt + 's>,
    /// In bytes.
    pub(super) size: u64,
    /// The unit in which clients should read, in bytes.
    pub(super) preferred_block: u32,
    pub(super) counters: Counters,
    /// How many this process may use.
    pub(super) processors: usize,
    readers: AtomicUsize,
}

impl<'s> Export<'s> {
    pub(super) fn new(storage: Box<dyn ReadAt + 's>, size: u64) -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        let (counters, readers) = (Counters::default(), AtomicUsize::new(0));
        Self { storage, size, preferred_block: PREFERRED_BLOCK, counters, processors, readers }
    }

    /// Counts a connection among the readers until what is returned is dropped.
    pub(super) fn count_reader(&self) -> CountedReader<'_> {
        self.readers.fetch_add(1, Ordering::Relaxed);
        CountedReader(&self.readers)
    }

    /// How many connections are answering reads.
    pub(super) fn readers(&self) -> usize {
        self.readers.load(Ordering::Relaxed)
    }
}

/// A connection that is answering reads.
pub(super) struct CountedReader<'e>(&'e AtomicUsize);

impl Drop for CountedReader<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a [`Server`](super::Server) has done so far, for all clients together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Requests of all kinds.
    pub requests: u64,
    /// Bytes of the disk that were sent.
    pub bytes: u64,
    /// Requests that failed.
    pub errors: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    bytes: AtomicU64,
    errors: AtomicU64,
}

impl Counters {
    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> Traffic {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Self { requests, bytes, errors } = self;
        Traffic { requests: load(requests), bytes: load(bytes), errors: load(errors) }
    }
}
