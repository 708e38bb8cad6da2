//! What is served, to any number of clients.

use std::fmt;
use std::io::{self, Read, Write};

use super::error::Error;
use super::export::{Export, Traffic};
use super::handshake;
use super::input::Stream;
use super::protocol::MAX_REQUEST;
use super::session::Session;
use crate::io::ReadAt;
use crate::value::BlockSize;

/// One disk, served read-only. Its size is that of the storage when the server was made.
///
/// It can be shared by threads, each of which serves one client.
pub struct Server<'s>(Export<'s>);

impl<'s> Server<'s> {
    /// Serves all of `storage`, which may be a reference.
    ///
    /// # Errors
    /// Any error of finding out its size.
    pub fn new(storage: impl ReadAt + 's) -> io::Result<Self> {
        let size = storage.size()?;
        Ok(Self(Export::new(Box::new(storage), size)))
    }

    /// The unit in which clients should read, 4096 bytes unless it is set: less than that is read and verified as a
    /// whole anyway.
    #[must_use]
    pub fn preferred_block(mut self, size: BlockSize) -> Self {
        // No block is longer than a request.
        self.0.preferred_block = u32::try_from(size.bytes()).unwrap_or(MAX_REQUEST);
        self
    }

    /// Agrees with a client on what is spoken: `None` if it wants nothing more than to look.
    ///
    /// # Errors
    /// [`Error`]: the connection is of no more use.
    pub fn handshake<S: Read + Write>(&self, stream: S) -> Result<Option<Session<'_, S>>, Error> {
        let mut stream = Stream::new(stream);
        let agreed = handshake::negotiate(&mut stream, &self.0)?;
        Ok(agreed.map(|agreed| Session::new(&self.0, stream, agreed)))
    }

    /// Serves a client until it has finished or gone.
    ///
    /// # Errors
    /// As [`handshake`](Self::handshake) and [`Session::run`].
    pub fn serve<S: Read + Write>(&self, stream: S) -> Result<(), Error> {
        self.handshake(stream)?.map_or(Ok(()), Session::run)
    }

    /// For tests, where they run.
    #[cfg(test)]
    pub(super) fn set_processors(&mut self, processors: usize) {
        self.0.processors = processors;
    }

    /// The size of the disk in bytes.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// What was done so far.
    pub fn traffic(&self) -> Traffic {
        self.0.counters.now()
    }
}

impl fmt::Debug for Server<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("size", &self.0.size).finish_non_exhaustive()
    }
}
