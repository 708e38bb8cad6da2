//! The transmission phase: requests and replies, one after the other.

use std::fmt;
use std::io::{Read, Write};
use std::thread;

use super::error::Error;
use super::export::Export;
use super::handshake::Agreed;
use super::input::Stream;
use super::parts::{PART, Part, Parts, Refused};
use super::protocol::{MAX_REQUEST, REQ_ONE, Request, chunk, command, errno};
use super::{reply, status};

/// A client that has chosen the export, and now asks for its data.
pub struct Session<'a, S> {
    export: &'a Export<'a>,
    stream: Stream<S>,
    agreed: Agreed,
}

impl<'a, S: Read + Write> Session<'a, S> {
    pub(super) fn new(export: &'a Export<'a>, stream: Stream<S>, agreed: Agreed) -> Self {
        Self { export, stream, agreed }
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
        thread::scope(|scope| {
            let mut parts = Parts::new(self.export, scope);
            while let Some(bytes) = self.stream.message(true)? {
                let request = Request::parse(&bytes).ok_or_else(|| Error::violation("the client sent no request"))?;
                self.export.counters.request();
                if request.command == command::DISC {
                    break;
                }
                self.serve(request, &mut parts)?;
            }
            Ok(())
        })
    }

    fn serve(&mut self, request: Request, parts: &mut Parts<'_, 'a>) -> Result<(), Error> {
        match request.command {
            command::READ => self.read(request, parts),
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

    /// Answers a read, and those that the client has sent meanwhile.
    fn read(&mut self, request: Request, parts: &mut Parts<'_, 'a>) -> Result<(), Error> {
        if let Err(refused) = self.check_read(request) {
            return self.refuse(request, refused);
        }
        let _counted = self.export.count_reader();
        // The header of a simple reply says whether all of it was read.
        parts.add(request, if self.agreed.structured { PART } else { request.length });
        loop {
            self.take_reads(parts)?;
            let Some((part, filled)) = parts.next() else { return Ok(()) };
            match filled.bytes(part) {
                Ok(data) => self.send(part, data)?,
                Err(&refused) => {
                    self.send_error(part.cookie, refused)?;
                    if !part.last {
                        parts.skip_reply();
                    }
                }
            }
            parts.reuse(filled);
        }
    }

    /// Adds the reads that have come, as far as another thread can begin with them.
    fn take_reads(&mut self, parts: &mut Parts<'_, 'a>) -> Result<(), Error> {
        while self.agreed.structured && !parts.are_enough() {
            let next = self.stream.peek().and_then(Request::parse);
            let Some(request) = next.filter(|&next| next.command == command::READ && self.check_read(next).is_ok())
            else {
                break;
            };
            self.stream.array::<{ Request::LEN }>()?;
            self.export.counters.request();
            parts.add(request, PART);
        }
        Ok(())
    }

    fn send(&mut self, Part { cookie, offset, last, .. }: Part, data: &[u8]) -> Result<(), Error> {
        let out = self.stream.out();
        if self.agreed.structured {
            reply::data(out, cookie, offset, data, last)?;
        } else {
            reply::simple(out, cookie, data)?;
        }
        self.export.counters.sent(data.len());
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

    fn check_read(&self, request: Request) -> Result<(), Refused> {
        check_flags(request, 0).and_then(|()| self.check_range(request))
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

    fn refuse(&mut self, request: Request, refused: impl Into<Refused>) -> Result<(), Error> {
        self.send_error(request.cookie, refused.into())
    }

    fn send_error(&mut self, cookie: u64, Refused { errno, offset }: Refused) -> Result<(), Error> {
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

impl<S> fmt::Debug for Session<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("agreed", &self.agreed).finish_non_exhaustive()
    }
}
