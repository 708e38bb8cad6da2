//! Data that come as a stream: from the front to the back, once.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::memory;
use crate::work::{Work, in_order};

/// How many bytes are read at a time if blocks are smaller: what fits a processor's second-level cache.
const PIECE: usize = 512 << 10;

/// Data that come in their order, once.
pub(crate) struct Stream<'r> {
    reader: &'r mut (dyn Read + Send),
    /// What messages call it.
    name: PathBuf,
    /// How many bytes it has, if that is known: no more and no less.
    expected: Option<u64>,
    position: u64,
}

/// Bytes that were read together.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Where they are in the stream.
    pub(crate) position: u64,
    /// Whole blocks; what is after the last byte of the stream has no meaning.
    pub(crate) bytes: Vec<u8>,
    /// How many of them are of the stream.
    pub(crate) len: usize,
}

impl<'r> Stream<'r> {
    pub(crate) fn new(reader: &'r mut (dyn Read + Send), name: &Path, expected: Option<u64>) -> Self {
        Self { reader, name: name.to_owned(), expected, position: 0 }
    }

    /// How many bytes have come.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Has several threads pass each piece, in whole blocks of `block` bytes, to `examine`, and gives the results to
    /// `deliver` in order. Either of them gives back the memory of the piece.
    ///
    /// # Errors
    /// The first one in order: [`Error::StreamTooShort`], [`Error::StreamTooLong`], [`Error::Io`],
    /// [`Error::OutOfMemory`], [`Error::Cancelled`], and those of `examine` and `deliver`.
    pub(crate) fn for_each_piece<T: Send>(
        &mut self,
        block: usize,
        work: &Work<'_>,
        examine: impl Fn(Piece, &Buffers) -> Result<T> + Sync,
        mut deliver: impl FnMut(T, &Buffers) -> Result<()> + Send,
    ) -> Result<()> {
        let buffers = Buffers::for_blocks(block);
        let has_failed = AtomicBool::new(false);
        let check = || if has_failed.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { work.check() };
        // A thread that waits for the stream notices it.
        let noted = |error| {
            has_failed.store(true, Ordering::Relaxed);
            error
        };
        in_order(
            work.hashing_threads(),
            || self.next_piece(&buffers, check),
            || Ok(()),
            |(): &mut (), piece| examine(piece, &buffers).map_err(noted),
            |result| deliver(result, &buffers).map_err(noted),
        )
    }

    /// The next bytes, as many as fit the buffers; `None` at the end. `check` is asked before each read whether to go
    /// on.
    fn next_piece(&mut self, buffers: &Buffers, check: impl Fn() -> Result<()>) -> Result<Option<Piece>> {
        let mut bytes = buffers.take()?;
        let position = self.position;
        let len = self.fill(&mut bytes, check)?;
        Ok((len > 0).then_some(Piece { position, bytes, len }))
    }

    /// Fills the buffer, as far as there are bytes; returns their number.
    fn fill(&mut self, buffer: &mut [u8], check: impl Fn() -> Result<()>) -> Result<usize> {
        let left = self.expected.map_or(u64::MAX, |expected| expected - self.position);
        let want = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let mut filled = 0;
        while filled < want {
            match self.read(&mut buffer[filled..want], &check)? {
                0 => break,
                read => filled += read,
            }
        }
        self.position += filled as u64;
        let Some(needed) = self.expected else { return Ok(filled) };
        // What has come before an early end is passed on first.
        if filled == 0 && want > 0 {
            return Err(Error::StreamTooShort { path: self.name.clone(), found: self.position, needed });
        }
        if left == 0 && self.read(&mut [0], &check)? > 0 {
            return Err(Error::StreamTooLong { path: self.name.clone(), needed });
        }
        Ok(filled)
    }

    fn read(&mut self, buffer: &mut [u8], check: &impl Fn() -> Result<()>) -> Result<usize> {
        loop {
            check()?;
            match self.reader.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Readers of other crates promise not to return more, and might nevertheless.
                read => return read.map(|read| read.min(buffer.len())).map_err(Error::io("read", &self.name)),
            }
        }
    }
}

/// Memory for pieces that is used again: fresh memory costs as much as reading.
#[derive(Debug)]
pub(crate) struct Buffers {
    len: usize,
    free: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// For blocks of `block` bytes, a power of two.
    fn for_blocks(block: usize) -> Self {
        Self { len: PIECE.max(block), free: Mutex::default() }
    }

    fn take(&self) -> Result<Vec<u8>> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.map_or_else(|| memory::zeroed(self.len), Ok)
    }

    /// Takes back the memory of a piece.
    pub(crate) fn give_back(&self, piece: Piece) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(piece.bytes);
    }
}
