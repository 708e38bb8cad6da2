//! A client of the protocol, which can also say what no client should.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Without it, a test would hang.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const READ: u16 = 0;

/// A connection.
pub(crate) struct Client {
    pub(crate) stream: UnixStream,
    is_structured: bool,
    next_cookie: u64,
}

/// A read that was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) errno: u32,
    /// Of structured replies alone.
    pub(crate) offset: Option<u64>,
}

impl Client {
    /// Connects, and says nothing but hello.
    pub(crate) fn greeted(socket: &Path) -> io::Result<Self> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut greeting = [0; 18];
        stream.read_exact(&mut greeting)?;
        assert_eq!(&greeting, b"NBDMAGICIHAVEOPT\0\x03");
        stream.write_all(&[0, 0, 0, 3])?;
        Ok(Self { stream, is_structured: false, next_cookie: 1 })
    }

    /// Connects and chooses the disk.
    pub(crate) fn new(socket: &Path, is_structured: bool) -> Self {
        let mut client = Self::greeted(socket).expect("a server");
        if is_structured {
            client.option(8, &[]);
            assert_eq!(client.answer().0, 1);
            client.is_structured = true;
        }
        client.option(7, &[0; 6]);
        assert_eq!(client.answer().0, 3);
        assert_eq!(client.answer().0, 1);
        client
    }

    pub(crate) fn option(&mut self, number: u32, data: &[u8]) {
        let len = u32::try_from(data.len()).expect("short");
        self.send(&[b"IHAVEOPT", &number.to_be_bytes()[..], &len.to_be_bytes(), data].concat());
    }

    /// The type of an answer, and its data.
    pub(crate) fn answer(&mut self) -> (u32, Vec<u8>) {
        let header: [u8; 20] = self.array().expect("an answer");
        assert_eq!(header[..8], 0x0003_e889_0455_65a9_u64.to_be_bytes());
        let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("four bytes"));
        let mut data = vec![0; number(16) as usize];
        self.stream.read_exact(&mut data).expect("the answer's data");
        (number(12), data)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server listens");
    }

    /// Sends a request, whose cookie it returns.
    pub(crate) fn request(&mut self, command: u16, offset: u64, length: u32) -> u64 {
        let cookie = self.next_cookie;
        self.next_cookie += 1;
        let mut bytes = 0x2560_9513_u32.to_be_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(command.to_be_bytes());
        bytes.extend(cookie.to_be_bytes());
        bytes.extend(offset.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        self.send(&bytes);
        cookie
    }

    /// Reads `length` bytes from `offset` on.
    pub(crate) fn read(&mut self, offset: u64, length: u32) -> Result<Vec<u8>, Refused> {
        let cookie = self.request(READ, offset, length);
        if self.is_structured { self.chunks(cookie, offset, length) } else { self.simple(cookie, length) }
    }

    fn simple(&mut self, cookie: u64, length: u32) -> Result<Vec<u8>, Refused> {
        assert_eq!(self.u32(), 0x6744_6698);
        let errno = self.u32();
        assert_eq!(self.u64(), cookie);
        if errno > 0 {
            return Err(Refused { errno, offset: None });
        }
        let mut data = vec![0; length as usize];
        self.stream.read_exact(&mut data).expect("the data");
        Ok(data)
    }

    fn chunks(&mut self, cookie: u64, offset: u64, length: u32) -> Result<Vec<u8>, Refused> {
        let mut data = Vec::new();
        loop {
            assert_eq!(self.u32(), 0x668e_33ef);
            let [flags, kind] = [(); 2].map(|()| u16::from_be_bytes(self.array().expect("a chunk")));
            assert_eq!(self.u64(), cookie);
            let len = self.u32() as usize;
            match kind {
                1 => {
                    assert_eq!(self.u64(), offset + data.len() as u64, "parts come in their order");
                    let start = data.len();
                    data.resize(start + len - 8, 0);
                    self.stream.read_exact(&mut data[start..]).expect("the data");
                }
                0x8001 | 0x8002 => {
                    assert_eq!(flags, 1);
                    let errno = self.u32();
                    assert_eq!(self.array().expect("a chunk"), [0, 0]);
                    return Err(Refused { errno, offset: (kind == 0x8002).then(|| self.u64()) });
                }
                other => panic!("a chunk of type {other}"),
            }
            if flags == 1 {
                assert_eq!(data.len(), length as usize);
                return Ok(data);
            }
        }
    }

    /// Whether the server ends the connection, with nothing more said.
    pub(crate) fn is_ended(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 64]), Ok(0)) || self.is_reset()
    }

    fn is_reset(&mut self) -> bool {
        self.stream.read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
    }

    fn array<const LEN: usize>(&mut self) -> io::Result<[u8; LEN]> {
        let mut bytes = [0; LEN];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array().expect("a reply"))
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array().expect("a reply"))
    }
}
