//! The transmission phase: requests and replies, one after the other.

use std::fmt;
use std::io::{self, Read, Write};

use super::error::Error;
use super::export::Export;
use super::handshake::Agreed;
use super::input::Stream;
use super::protocol::{MAX_REQUEST, REQ_ONE, Request, chunk, command, errno};
use super::{reply, status};
use crate::io::ReadAt;
use crate::memory;
use crate::reader::Corruption;

/// As much is read at once where a reply can have several parts: it stays in the processor's cache until it is sent.
const PART: u32 = 1 << 20;

/// A client that has chosen the export, and now asks for its data.
pub struct Session<'a, S> {
    export: &'a Export<'a>,
    stream: Stream<S>,
    agreed: Agreed,
    /// What was read last. It grows to the longest request, or part of one.
    buffer: Vec<u8>,
}

/// A request that has failed.
struct Refused {
    errno: u32,
    /// Where on the disk, if that is known.
    offset: Option<u64>,
}

impl From<u32> for Refused {
    fn from(errno: u32) -> Self {
        Self { errno, offset: None }
    }
}

impl<'a, S: Read + Write> Session<'a, S> {
    pub(super) fn new(export: &'a Export<'a>, stream: Stream<S>, agreed: Agreed) -> Self {
        Self { export, stream, agreed, buffer: Vec::new() }
    }

    /// The stream, to set its timeouts.
    pub fn stream(&self) -> &S {
        self.stream.get_ref()
    }

    /// Serves the client until it has finished or gone. A request that fails is answered with its error, and the next
    /// one is served.
    ///
    /// # Errors
    /// [`Error`] if the connection failed, or the client does not keep to the protocol.
    pub fn run(mut self) -> Result<(), Error> {
        while let Some(bytes) = self.stream.message(true)? {
            let request = Request::parse(&bytes).ok_or_else(|| Error::violation("the client sent no request"))?;
            self.export.counters.request();
            if request.command == command::DISC {
                break;
            }
            self.serve(request)?;
        }
        Ok(())
    }

    fn serve(&mut self, request: Request) -> Result<(), Error> {
        match request.command {
            command::READ => self.read(request),
            command::FLUSH => match check_flags(request, 0) {
                // Nothing is ever written.
                Ok(()) => self.succeed(request),
                Err(refused) => self.refuse(request, refused),
            },
            command::BLOCK_STATUS => self.block_status(request),
            command::WRITE => {
                if request.length > MAX_REQUEST {
                    return Err(Error::violation("the client writes more than a request may have"));
                }
                self.stream.discard(request.length)?;
                self.refuse(request, errno::EPERM)
            }
            command::TRIM | command::WRITE_ZEROES | command::RESIZE => self.refuse(request, errno::EPERM),
            _ => self.refuse(request, errno::EINVAL),
        }
    }

    fn read(&mut self, request: Request) -> Result<(), Error> {
        if let Err(refused) = check_flags(request, 0).and_then(|()| self.check_range(request)) {
            return self.refuse(request, refused);
        }
        let Request { cookie, offset, length, .. } = request;
        // The header of a simple reply says whether all of it was read.
        let part = if self.agreed.structured { PART } else { length };
        let mut done = 0;
        while done < length {
            let len = part.min(length - done);
            let from = offset + u64::from(done);
            done += len;
            let data = match fill(&mut self.buffer, &*self.export.storage, from, len) {
                Ok(data) => data,
                Err(refused) => return self.refuse(request, refused),
            };
            let out = self.stream.out();
            if self.agreed.structured {
                reply::data(out, cookie, from, data, done == length)?;
            } else {
                reply::simple(out, cookie, data)?;
            }
            self.export.counters.sent(data.len());
        }
        Ok(())
    }

    fn block_status(&mut self, request: Request) -> Result<(), Error> {
        let agreed = if self.agreed.allocation { Ok(()) } else { Err(errno::EINVAL.into()) };
        let checked = agreed.and_then(|()| check_flags(request, REQ_ONE)).and_then(|()| self.check_range(request));
        if let Err(refused) = checked {
            return self.refuse(request, refused);
        }
        let most = if request.flags & REQ_ONE == 0 { status::MOST } else { 1 };
        let extents = status::extents(&*self.export.storage, request.offset, request.length, most);
        reply::done(self.stream.out(), request.cookie, chunk::BLOCK_STATUS, &extents)
    }

    /// Refuses what is not on the disk, and more data than a reply may have.
    fn check_range(&self, Request { command, offset, length, .. }: Request) -> Result<(), Refused> {
        let is_on_disk = offset.checked_add(length.into()).is_some_and(|end| end <= self.export.size);
        let is_too_long = command == command::READ && length > MAX_REQUEST;
        if is_on_disk && length > 0 && !is_too_long { Ok(()) } else { Err(errno::EINVAL.into()) }
    }

    fn succeed(&mut self, Request { cookie, .. }: Request) -> Result<(), Error> {
        let out = self.stream.out();
        if self.agreed.structured {
            reply::done(out, cookie, chunk::NONE, &[])
        } else {
            reply::simple(out, cookie, &[])
        }
    }

    fn refuse(&mut self, Request { cookie, .. }: Request, refused: impl Into<Refused>) -> Result<(), Error> {
        let Refused { errno, offset } = refused.into();
        self.export.counters.error();
        let out = self.stream.out();
        if self.agreed.structured {
            reply::error(out, cookie, errno, offset)
        } else {
            reply::simple_error(out, cookie, errno)
        }
    }
}

/// Refuses flags that mean nothing, or something else, in a request.
fn check_flags(request: Request, known: u16) -> Result<(), Refused> {
    if request.flags & !known == 0 { Ok(()) } else { Err(errno::EINVAL.into()) }
}

/// Reads `len` bytes into the buffer, which grows if it has to.
fn fill<'b>(buffer: &'b mut Vec<u8>, storage: &dyn ReadAt, offset: u64, len: u32) -> Result<&'b [u8], Refused> {
    let needed = len as usize;
    if buffer.len() < needed {
        // Never both of them.
        *buffer = Vec::new();
        *buffer = memory::zeroed(needed.next_power_of_two()).map_err(|_| errno::ENOMEM)?;
    }
    let data = &mut buffer[..needed];
    match storage.read_exact_at(data, offset) {
        Ok(()) => Ok(data),
        Err(error) => Err(Refused { errno: errno::EIO, offset: bad_offset(&error, offset, len) }),
    }
}

/// Where on the disk the bytes are that made a read fail, as far as the read goes.
fn bad_offset(error: &io::Error, offset: u64, len: u32) -> Option<u64> {
    let corruption: &Corruption = error.get_ref()?.downcast_ref()?;
    // The block may begin before them.
    Some(corruption.data.start.clamp(offset, offset + u64::from(len) - 1))
}

impl<S> fmt::Debug for Session<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("agreed", &self.agreed).finish_non_exhaustive()
    }
}
