//! Replies to requests, each written at once: a header, and the data from where they were read to.

use std::io::{self, ErrorKind, IoSlice, Write};

use super::error::Error;
use super::protocol::{CHUNK, DONE, SIMPLE_REPLY, chunk};

/// A reply's header. It is the longest that there is.
struct Header {
    bytes: [u8; 40],
    len: usize,
}

impl Header {
    fn new() -> Self {
        Self { bytes: [0; 40], len: 0 }
    }

    fn add(mut self, bytes: &[u8]) -> Self {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
        self
    }

    fn simple(cookie: u64, error: u32) -> Self {
        Self::new().add(&SIMPLE_REPLY.to_be_bytes()).add(&error.to_be_bytes()).add(&cookie.to_be_bytes())
    }

    /// The header of a chunk with `len` bytes after it.
    fn chunk(cookie: u64, flags: u16, kind: u16, len: usize) -> Self {
        let len = u32::try_from(len).expect("no chunk is longer than a request");
        let header = Self::new().add(&CHUNK.to_be_bytes()).add(&flags.to_be_bytes()).add(&kind.to_be_bytes());
        header.add(&cookie.to_be_bytes()).add(&len.to_be_bytes())
    }

    fn send(self, out: &mut impl Write, data: &[u8]) -> Result<(), Error> {
        Ok(write_both(out, &self.bytes[..self.len], data)?)
    }
}

/// A simple reply with the data of a read.
pub(super) fn simple(out: &mut impl Write, cookie: u64, data: &[u8]) -> Result<(), Error> {
    Header::simple(cookie, 0).send(out, data)
}

pub(super) fn simple_error(out: &mut impl Write, cookie: u64, error: u32) -> Result<(), Error> {
    Header::simple(cookie, error).send(out, &[])
}

/// A chunk with data, which begin at `offset` of the disk.
pub(super) fn data(out: &mut impl Write, cookie: u64, offset: u64, data: &[u8], last: bool) -> Result<(), Error> {
    let flags = if last { DONE } else { 0 };
    let header = Header::chunk(cookie, flags, chunk::OFFSET_DATA, size_of::<u64>() + data.len());
    header.add(&offset.to_be_bytes()).send(out, data)
}

/// The last chunk of a reply that has failed, at an offset if that is known. It has no words.
pub(super) fn error(out: &mut impl Write, cookie: u64, error: u32, offset: Option<u64>) -> Result<(), Error> {
    let words = 0_u16.to_be_bytes();
    let (kind, len) = if offset.is_some() { (chunk::ERROR_OFFSET, 14) } else { (chunk::ERROR, 6) };
    let header = Header::chunk(cookie, DONE, kind, len).add(&error.to_be_bytes()).add(&words);
    let header = match offset {
        Some(offset) => header.add(&offset.to_be_bytes()),
        None => header,
    };
    header.send(out, &[])
}

/// A reply of one chunk of another type.
pub(super) fn done(out: &mut impl Write, cookie: u64, kind: u16, content: &[u8]) -> Result<(), Error> {
    Header::chunk(cookie, DONE, kind, content.len()).send(out, content)
}

/// Writes both, in one call if the stream takes them.
fn write_both(out: &mut impl Write, mut header: &[u8], mut data: &[u8]) -> io::Result<()> {
    while !header.is_empty() || !data.is_empty() {
        let written = match out.write_vectored(&[IoSlice::new(header), IoSlice::new(data)]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let of_header = written.min(header.len());
        header = &header[of_header..];
        data = data.get(written - of_header..).ok_or(ErrorKind::InvalidData)?;
    }
    out.flush()
}
