//! A file on a web server as all who read it share it.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::answer::Origin;
use super::cache::Cached;
use super::client::{Client, Trouble};
use super::counters::add;
use super::error::Error;
use super::pieces::{PIECE, Pieces, Place};
use super::retry::Retry;
use super::streams::Streams;

/// What the threads that fetch ahead and those that read work on.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) origin: Origin,
    pub(super) cache: Option<Cached>,
    retry: Retry,
    state: Mutex<State>,
    /// A piece has arrived, or will not.
    pub(super) arrived: Condvar,
    /// There is something to fetch ahead, or the end has come.
    pub(super) asked: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) pieces: Pieces,
    streams: Streams,
    /// What is to be fetched ahead.
    pub(super) queue: VecDeque<Range<u64>>,
    /// How many threads fetch ahead, and how many of them wait for something to do.
    pub(super) threads: usize,
    pub(super) idle: usize,
    pub(super) has_ended: bool,
}

/// Pieces that are being fetched. Dropping it gives up those that have not arrived.
pub(super) struct Claim<'s> {
    shared: &'s Shared,
    left: Range<u64>,
}

impl Shared {
    /// Nothing of the file has been read, but perhaps for what is in the cache.
    pub(super) fn new(client: Client, origin: Origin, cache: Option<Cached>, retry: Retry) -> Arc<Self> {
        let (state, arrived, asked) = Default::default();
        Arc::new(Self { client, origin, cache, retry, state, arrived, asked })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many pieces the file has.
    fn pieces(&self) -> u64 {
        self.origin.size.div_ceil(PIECE)
    }

    /// Notes a read of these bytes, and puts into the queue what to fetch ahead.
    pub(super) fn plan(&self, bytes: &Range<u64>) -> bool {
        let mut state = self.lock();
        let ahead = state.streams.read(&(bytes.start / PIECE..bytes.end.div_ceil(PIECE)), self.pieces());
        let mut run = ahead.start..ahead.start;
        for piece in ahead {
            if !self.is_cached(piece) && state.pieces.ask(piece) {
                run.end = piece + 1;
                continue;
            }
            let whole = std::mem::replace(&mut run, piece + 1..piece + 1);
            state.queue.extend(Some(whole).filter(|run| !run.is_empty()));
        }
        state.queue.extend(Some(run).filter(|run| !run.is_empty()));
        !state.queue.is_empty()
    }

    fn is_cached(&self, piece: u64) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.has(&self.bytes_of(&(piece..piece + 1))))
    }

    /// The bytes of these pieces.
    fn bytes_of(&self, pieces: &Range<u64>) -> Range<u64> {
        pieces.start * PIECE..pieces.end.saturating_mul(PIECE).min(self.origin.size)
    }

    /// Fills `buffer` from byte `offset` on, which are bytes of one piece. `last` is the last piece that the same read
    /// needs.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64, last: u64) -> io::Result<()> {
        let piece = offset / PIECE;
        let mut in_cache = self.cache.as_ref();
        let mut state = self.lock();
        loop {
            match state.pieces.find(piece) {
                Place::Ready(bytes) => {
                    drop(state);
                    let start = usize::try_from(offset % PIECE).expect("a piece fits memory");
                    buffer.copy_from_slice(&bytes[start..][..buffer.len()]);
                    let is_end = start + buffer.len() == bytes.len();
                    drop(bytes);
                    if is_end {
                        self.lock().pieces.was_read(piece);
                    }
                    return Ok(());
                }
                Place::Coming => state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Place::Absent => {
                    if let Some(cache) = in_cache.take() {
                        drop(state);
                        if cache.read(buffer, offset) {
                            add(&self.client.counting.bytes_from_cache, buffer.len() as u64);
                            return Ok(());
                        }
                        state = self.lock();
                        continue;
                    }
                    let claimed = state.pieces.claim(piece..last + 1, |_, _| true);
                    drop(state);
                    self.fetch(claimed)?;
                    state = self.lock();
                }
            }
        }
    }

    /// Fetches pieces that were claimed, and tries again where that may help.
    fn fetch(&self, claimed: Range<u64>) -> Result<(), Error> {
        let mut claim = Claim { shared: self, left: claimed };
        let mut failures = 0;
        loop {
            let before = claim.left.start;
            let Err(trouble) = claim.fetch() else { return Ok(()) };
            failures = if claim.left.start > before { 1 } else { failures + 1 };
            self.retry.after(trouble, failures)?;
        }
    }

    /// Fetches ahead what of these pieces is still in the queue. What fails is given up: a reader that needs it tries
    /// again.
    pub(super) fn fetch_ahead(&self, mut pieces: Range<u64>) {
        while !pieces.is_empty() {
            let mut state = self.lock();
            let claimed = state.pieces.claim(pieces.clone(), Pieces::is_queued);
            drop(state);
            pieces.start = claimed.end.max(pieces.start + 1);
            if claimed.is_empty() {
                continue;
            }
            if let Err(trouble) = (Claim { shared: self, left: claimed }).fetch() {
                log::debug!("cannot fetch ahead: {}", trouble.into_error());
                let mut state = self.lock();
                for piece in pieces {
                    if state.pieces.is_queued(piece) {
                        state.pieces.give_up(piece);
                    }
                }
                return;
            }
        }
    }

    /// Has these bytes fetched again when they are needed.
    pub(super) fn forget(&self, bytes: &Range<u64>) {
        if let Some(cache) = &self.cache {
            cache.forget(bytes);
        }
        let mut state = self.lock();
        (bytes.start / PIECE..bytes.end.div_ceil(PIECE)).for_each(|piece| state.pieces.forget(piece));
    }
}

impl Claim<'_> {
    /// Sends one request for what has not arrived.
    fn fetch(&mut self) -> Result<(), Trouble> {
        let shared = self.shared;
        let mut answer = shared.client.begin(&shared.bytes_of(&self.left), Some(&shared.origin))?;
        while !self.left.is_empty() {
            let piece = self.left.start;
            let bytes = shared.bytes_of(&(piece..piece + 1));
            let len = usize::try_from(bytes.end - bytes.start).expect("a piece fits memory");
            let room = shared.lock().pieces.room(len);
            let mut room = room.map_err(|_| out_of_memory())?;
            answer.fill(&mut room)?;
            let mut state = shared.lock();
            state.pieces.arrive(piece, room);
            let has_ended = state.has_ended;
            drop(state);
            self.left.start += 1;
            shared.arrived.notify_all();
            if has_ended {
                return Ok(());
            }
        }
        answer.finish()
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.left.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        self.left.clone().for_each(|piece| state.pieces.give_up(piece));
        drop(state);
        self.shared.arrived.notify_all();
    }
}

fn out_of_memory() -> Error {
    Error::Connection { what: "there is no memory for the answer".to_owned(), kind: io::ErrorKind::OutOfMemory }
}
