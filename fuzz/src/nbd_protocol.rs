//! A client of the NBD server: whatever it says, it gets replies that it can take apart, and no byte of the disk that it
//! has not asked for.
//!
//! Input: a byte that chooses the disk, and how many bytes the stream takes at a time; the rest is what the client says.

use std::io::{self, ErrorKind, Read, Write};
use std::ops::Range;

use dmverity::ReadAt;
use dmverity::nbd::{Error, Server};

use crate::input::Input;

pub(crate) const DICTIONARY: &[&str] = &[
    "IHAVEOPT",
    "\0\0\0\x01",
    "\0\0\0\x02\0\0\0\0",
    "\0\0\0\x03\0\0\0\0",
    "\0\0\0\x06\0\0\0\x06\0\0\0\0\0\0",
    "\0\0\0\x07\0\0\0\x06\0\0\0\0\0\0",
    "\0\0\0\x07\0\0\0\x08\0\0\0\0\0\x01\0\x03",
    "\0\0\0\x08\0\0\0\0",
    "\0\0\0\x0a\0\0\0\x1b\0\0\0\0\0\0\0\x01\0\0\0\x0fbase:allocation",
    "\x25\x60\x51\x13",
    "\0\0\0\0cookie..",
    "\0\0\0\x01cookie..",
    "\0\0\0\x02cookie..",
    "\0\0\0\x07cookie..",
    "\0\x08\0\x07cookie..",
    "\0\0\0\0\0\0\0\0\0\0\x10\0",
    "base:",
];

/// The disk's size. A whole reply of the largest request is not much work.
const SIZE: u64 = 100_000;

/// More than the longest input can ask for: 36 requests of all of the disk.
const MOST_SENT: usize = 8 << 20;

/// Bytes that tell where they are, with a hole, and some that cannot be read.
struct Disk {
    hole: Range<u64>,
    bad: Range<u64>,
}

impl ReadAt for Disk {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).expect("it was checked");
        assert!(end <= SIZE && offset < end, "{offset} {end}");
        if offset < self.bad.end && self.bad.start < end {
            return Err(ErrorKind::InvalidData.into());
        }
        buffer.iter_mut().zip(offset..).for_each(|(byte, position)| *byte = at(position));
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(SIZE)
    }

    fn data_at(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        assert!(offset < SIZE);
        Ok(Some(if offset < self.hole.start { offset..self.hole.start } else { self.hole.end.max(offset)..u64::MAX }))
    }
}

fn at(position: u64) -> u8 {
    (position % 251) as u8
}

/// A client that says what is in the input.
struct Client<'a> {
    says: &'a [u8],
    hears: Vec<u8>,
    takes: usize,
}

impl Read for Client<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.takes.min(buffer.len());
        (&mut self.says).read(&mut buffer[..len])
    }
}

impl Write for Client<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = (self.takes * 1000).min(bytes.len());
        self.hears.extend(&bytes[..len]);
        assert!(self.hears.len() < MOST_SENT, "more is sent than was asked for");
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The server ends, reads the disk only where it is, and every reply is one.
pub fn nbd_protocol(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let hole = [0..0, 0..SIZE, 4096..50_000, 99_999..SIZE][usize::from(choice % 4)].clone();
    let bad = [0..0, 0..SIZE, 70_000..70_001, 0..1][usize::from(choice / 4 % 4)].clone();
    let takes = [usize::MAX / 1000, 1, 3, 28][usize::from(choice / 16 % 4)];
    let mut client = Client { says: input.rest(), hears: Vec::new(), takes };
    let server = Server::new(Disk { hole, bad }).expect("it has a size");
    match server.serve(&mut client) {
        Ok(()) | Err(Error::Violation { .. }) => {}
        Err(Error::Io { source }) => assert_eq!(source.kind(), ErrorKind::UnexpectedEof),
        Err(error) => panic!("{error}"),
    }
    let heard = Heard(&client.hears);
    let replies = heard.handshake();
    assert!(server.traffic().bytes <= client.hears.len() as u64);
    if let Some(replies) = replies {
        replies.check();
    }
}

/// What the client was told, from the front.
struct Heard<'a>(&'a [u8]);

impl<'a> Heard<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(len);
        self.0 = rest;
        front
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().expect("two"))
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().expect("four"))
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take(8).try_into().expect("eight"))
    }

    /// Goes through the answers to options; what follows, if the export was chosen.
    fn handshake(mut self) -> Option<Self> {
        assert_eq!(self.take(18), b"NBDMAGICIHAVEOPT\0\x03");
        while !self.0.is_empty() {
            if self.0.starts_with(&SIZE.to_be_bytes()) {
                // EXPORT_NAME, with or without zeros.
                assert_eq!(self.take(10)[8..], [1, 7]);
                if self.0.starts_with(&[0; 124]) {
                    self.take(124);
                }
                return Some(self);
            }
            assert_eq!(self.u64(), 0x0003_e889_0455_65a9);
            let (option, kind, len) = (self.u32(), self.u32(), self.u32());
            self.take(len as usize);
            assert!((1..=4).contains(&kind) || kind >> 31 == 1, "{kind}");
            if option == 7 && kind == 1 {
                return Some(self);
            }
        }
        None
    }

    /// Each reply is whole, and its data are the disk's.
    fn check(mut self) {
        while !self.0.is_empty() {
            match self.u32() {
                // How long its data are, only the request says; no byte tells where it is.
                0x6744_6698 => return,
                0x668e_33ef => self.chunk(),
                other => panic!("no reply begins with {other:#x}"),
            }
        }
    }

    fn chunk(&mut self) {
        let (flags, kind, _cookie, len) = (self.u16(), self.u16(), self.u64(), self.u32() as usize);
        assert!(flags <= 1);
        let mut content = Heard(self.take(len));
        match kind {
            0 => assert!(content.0.is_empty()),
            1 => {
                let offset = content.u64();
                assert!(content.0.iter().zip(offset..).all(|(&byte, position)| byte == at(position)));
            }
            5 => {
                assert_eq!(content.u32(), 1);
                let mut last = None;
                assert!(!content.0.is_empty());
                while !content.0.is_empty() {
                    let (len, flags) = (content.u32(), content.u32());
                    assert!(len > 0 && [0, 3].contains(&flags) && last != Some(flags));
                    last = Some(flags);
                }
            }
            0x8001 => assert_eq!(content.0.len(), 6),
            other => panic!("a chunk of type {other:#x}"),
        }
    }
}
