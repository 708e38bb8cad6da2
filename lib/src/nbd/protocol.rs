//! The numbers of the protocol, and its fixed structures. All of it is big-endian.

/// The longest request, in bytes of data: the limit that clients assume if none is named.
pub const MAX_REQUEST: u32 = 32 << 20;

/// The longest option of a handshake, in bytes: names and queries have 4096 at the most.
pub const MAX_OPTION: u32 = 64 << 10;

/// The most options of a handshake: clients send fewer than ten.
pub const MAX_OPTIONS: u32 = 128;

/// What a client of the Linux kernel and others prefer to read at once, a page.
pub(super) const PREFERRED_BLOCK: u32 = 4096;

pub(super) const GREETING: &[u8; 8] = b"NBDMAGIC";
pub(super) const OPTION: &[u8; 8] = b"IHAVEOPT";
pub(super) const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;

/// Flags of the handshake, the same number on both sides.
pub(super) const FIXED_NEWSTYLE: u16 = 1;
pub(super) const NO_ZEROES: u16 = 2;

/// The zeros after `EXPORT_NAME`'s answer.
pub(super) const ZEROES: usize = 124;

/// Options of a client.
pub(super) mod option {
    pub(crate) const EXPORT_NAME: u32 = 1;
    pub(crate) const ABORT: u32 = 2;
    pub(crate) const LIST: u32 = 3;
    pub(crate) const INFO: u32 = 6;
    pub(crate) const GO: u32 = 7;
    pub(crate) const STRUCTURED_REPLY: u32 = 8;
    pub(crate) const LIST_META_CONTEXT: u32 = 9;
    pub(crate) const SET_META_CONTEXT: u32 = 10;
}

/// Types of answers to options.
pub(super) mod answer {
    pub(crate) const ACK: u32 = 1;
    pub(crate) const SERVER: u32 = 2;
    pub(crate) const INFO: u32 = 3;
    pub(crate) const META_CONTEXT: u32 = 4;
    pub(crate) const ERR_UNSUP: u32 = 0x8000_0001;
    pub(crate) const ERR_INVALID: u32 = 0x8000_0003;
    pub(crate) const ERR_UNKNOWN: u32 = 0x8000_0006;
    pub(crate) const ERR_TOO_BIG: u32 = 0x8000_0009;
}

/// What `INFO` and `GO` tell.
pub(super) mod info {
    pub(crate) const EXPORT: u16 = 0;
    pub(crate) const NAME: u16 = 1;
    pub(crate) const BLOCK_SIZE: u16 = 3;
}

/// Transmission flags: `HAS_FLAGS`, `READ_ONLY`, `SEND_FLUSH`, `CAN_MULTI_CONN`.
pub(super) const TRANSMISSION_FLAGS: u16 = 1 | 1 << 1 | 1 << 2 | 1 << 8;

/// The one metadata context, and the number it is selected by.
pub(super) const ALLOCATION: &[u8] = b"base:allocation";
pub(super) const ALLOCATION_ID: u32 = 1;
/// Flags of an extent in it: it is a hole, and reads as zeros.
pub(super) const HOLE_AND_ZERO: u32 = 1 | 2;

/// Requests.
pub(super) mod command {
    pub(crate) const READ: u16 = 0;
    pub(crate) const WRITE: u16 = 1;
    pub(crate) const DISC: u16 = 2;
    pub(crate) const FLUSH: u16 = 3;
    pub(crate) const TRIM: u16 = 4;
    pub(crate) const WRITE_ZEROES: u16 = 6;
    pub(crate) const BLOCK_STATUS: u16 = 7;
    pub(crate) const RESIZE: u16 = 8;
}

/// The flag of a request that asks for one extent only.
pub(super) const REQ_ONE: u16 = 1 << 3;

/// Errors of requests: the protocol's numbers, which are Linux's.
pub(super) mod errno {
    pub(crate) const EPERM: u32 = 1;
    pub(crate) const EIO: u32 = 5;
    pub(crate) const ENOMEM: u32 = 12;
    pub(crate) const EINVAL: u32 = 22;
}

const REQUEST: u32 = 0x2560_9513;
pub(super) const SIMPLE_REPLY: u32 = 0x6744_6698;
pub(super) const CHUNK: u32 = 0x668e_33ef;
/// The flag of the last chunk of a reply.
pub(super) const DONE: u16 = 1;

/// Types of chunks.
pub(super) mod chunk {
    pub(crate) const NONE: u16 = 0;
    pub(crate) const OFFSET_DATA: u16 = 1;
    pub(crate) const BLOCK_STATUS: u16 = 5;
    pub(crate) const ERROR: u16 = 0x8001;
    pub(crate) const ERROR_OFFSET: u16 = 0x8002;
}

/// What a client asks for in the transmission phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) flags: u16,
    pub(super) command: u16,
    /// The client's name for it, which its reply repeats.
    pub(super) cookie: u64,
    pub(super) offset: u64,
    pub(super) length: u32,
}

impl Request {
    pub(super) const LEN: usize = 28;

    /// `None` if it does not begin as a request does.
    pub(super) fn parse(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let (flags, rest) = rest.split_first_chunk()?;
        let (command, rest) = rest.split_first_chunk()?;
        let (cookie, rest) = rest.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        (u32::from_be_bytes(*magic) == REQUEST).then_some(Self {
            flags: u16::from_be_bytes(*flags),
            command: u16::from_be_bytes(*command),
            cookie: u64::from_be_bytes(*cookie),
            offset: u64::from_be_bytes(*offset),
            length: u32::from_be_bytes(*rest.first_chunk()?),
        })
    }
}
