//! What a remote file has cost.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was fetched from a web server until now, and what need not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests that were sent, those that were repeated too.
    pub requests: u64,
    /// Requests that failed. A read repeats them; a thread that fetches ahead leaves that to the reader.
    pub failed_requests: u64,
    /// Bytes of the file that came from the server.
    pub bytes_fetched: u64,
    /// Bytes that were read from the cache.
    pub bytes_from_cache: u64,
}

impl Counters {
    /// Those of several files together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            failed_requests: self.failed_requests + other.failed_requests,
            bytes_fetched: self.bytes_fetched + other.bytes_fetched,
            bytes_from_cache: self.bytes_from_cache + other.bytes_from_cache,
        }
    }
}

/// The same while they are counted.
#[derive(Debug, Default)]
pub(super) struct Counting {
    pub(super) requests: AtomicU64,
    pub(super) failed_requests: AtomicU64,
    pub(super) bytes_fetched: AtomicU64,
    pub(super) bytes_from_cache: AtomicU64,
}

impl Counting {
    pub(super) fn now(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            requests: read(&self.requests),
            failed_requests: read(&self.failed_requests),
            bytes_fetched: read(&self.bytes_fetched),
            bytes_from_cache: read(&self.bytes_from_cache),
        }
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
