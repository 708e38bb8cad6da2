//! What is served: shared by all connections.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::io::ReadAt;

/// One disk, and what was done with it.
pub(super) struct Export<'s> {
    pub(super) storage: Box<dyn ReadAt + 's>,
    /// In bytes.
    pub(super) size: u64,
    /// The unit in which clients should read, in bytes.
    pub(super) preferred_block: u32,
    pub(super) counters: Counters,
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
