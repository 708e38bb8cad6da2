//! What a client sends, in as few reads as it comes in.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

use super::error::Error;

/// Several requests fit, and a handshake.
const BUFFER: usize = 4096;

/// A stream, what was read from it ahead, and what is written to it.
#[derive(Debug)]
pub(super) struct Stream<S>(BufReader<S>);

impl<S: Read + Write> Stream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(BufReader::with_capacity(BUFFER, stream))
    }

    pub(super) fn get_ref(&self) -> &S {
        self.0.get_ref()
    }

    /// The next bytes; they have to come.
    pub(super) fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        Ok(self.0.read_exact(bytes)?)
    }

    pub(super) fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], Error> {
        let mut bytes = [0; LEN];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// What the next message begins with, if that has come already.
    pub(super) fn peek<const LEN: usize>(&self) -> Option<&[u8; LEN]> {
        self.0.buffer().first_chunk()
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// The beginning of a message that need not come: `None` if the client has gone instead. If the client may be
    /// `idle`, a timeout that passes before anything has come is waited out.
    pub(super) fn message<const LEN: usize>(&mut self, idle: bool) -> Result<Option<[u8; LEN]>, Error> {
        loop {
            match self.0.fill_buf() {
                Ok([]) => return Ok(None),
                Ok(_) => return self.array().map(Some),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The timeout of a socket is one or the other of them.
                Err(error) if idle && matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // It has gone without reading all that was sent to it.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads bytes and drops them.
    pub(super) fn discard(&mut self, len: u32) -> Result<(), Error> {
        let found = io::copy(&mut self.0.by_ref().take(len.into()), &mut io::sink())?;
        if found < u64::from(len) { Err(io::Error::from(ErrorKind::UnexpectedEof).into()) } else { Ok(()) }
    }

    /// What it is written to.
    pub(super) fn out(&mut self) -> &mut S {
        self.0.get_mut()
    }
}
