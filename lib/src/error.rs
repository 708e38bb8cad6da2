//! The library's one error type. Each variant says what was found and what was needed; where the kernel gave an
//! errno it is kept and [`Error::errno`] returns it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result type of everything that has to do with an image.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One of the three areas of a verity image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// The data blocks.
    Data,
    /// The superblock and the hash tree.
    Hash,
    /// The forward error correction parity.
    Fec,
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Data => "data",
            Self::Hash => "hash",
            Self::Fec => "FEC",
        })
    }
}

/// Everything that can go wrong with an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A block size the format does not have.
    #[error("block size {found} is not a power of two from 512 to 524288 bytes")]
    BlockSize {
        /// The size asked for, in bytes.
        found: u64,
    },
    /// A hash algorithm this library does not know.
    #[error("unknown hash algorithm {name:?}")]
    HashAlgorithm {
        /// The name as given.
        name: String,
    },
    /// A hash type other than 0 and 1.
    #[error("hash type {found} is neither 0 (Chrome OS) nor 1 (normal)")]
    HashType {
        /// The number found.
        found: u64,
    },
    /// A salt that is not hexadecimal text.
    #[error("the salt is neither an even number of hexadecimal digits nor \"-\"")]
    SaltText,
    /// A salt longer than the format has room for.
    #[error("the salt has {found} bytes; the maximum is 256")]
    SaltLength {
        /// Its length in bytes.
        found: usize,
    },
    /// A root hash that is not hexadecimal text.
    #[error("the root hash is not an even number of hexadecimal digits")]
    RootHashText,
    /// A root hash whose length is not that of the algorithm's digest.
    #[error("the root hash has {found} bytes, but {algorithm} makes {needed}")]
    RootHashLength {
        /// Its length in bytes.
        found: usize,
        /// The digest's length in bytes.
        needed: usize,
        /// The algorithm that says so.
        algorithm: &'static str,
    },
    /// An area's offset that is not a multiple of 512, or beyond any device.
    #[error("{area} offset {found} is not a multiple of 512 bytes within a device")]
    Offset {
        /// Which area.
        area: Area,
        /// The offset in bytes.
        found: u64,
    },
    /// A number of FEC parity bytes that the code does not have.
    #[error("{found} FEC parity bytes per codeword requested; 2 to 24 are possible")]
    FecRoots {
        /// The number asked for.
        found: u64,
    },
    /// FEC needs data and hash blocks of one size.
    #[error("FEC needs equal block sizes; data blocks have {data} bytes and hash blocks {hash}")]
    FecBlockSizes {
        /// Data block size in bytes.
        data: u32,
        /// Hash block size in bytes.
        hash: u32,
    },
    /// FEC parameters without a FEC device, or a FEC device without parameters.
    #[error("FEC needs both its parameters and a device for an area of whole blocks")]
    FecDevice,
    /// Parity on the hash device so far after its end that it would cover an unreasonable number of zeros.
    #[error("FEC offset {found} is more than {most} bytes; the hash device has {hash_bytes}")]
    FecGap {
        /// The offset in bytes.
        found: u64,
        /// The length of the hash device, or the length that its hash area needs.
        hash_bytes: u64,
        /// The largest offset that is accepted.
        most: u64,
    },
    /// An image of one data block, which has no hash tree.
    #[error("{path}: a single data block has no hash tree")]
    NoTree {
        /// The hash device.
        path: PathBuf,
    },
    /// Two areas of one device overlap.
    #[error("{first} area (up to byte {first_end}) overlaps with {second} area (from byte {second_start})")]
    Overlap {
        /// The area named first.
        first: Area,
        /// The first byte after it.
        first_end: u64,
        /// The area it runs into.
        second: Area,
        /// Where that one starts, in bytes.
        second_start: u64,
    },
    /// There are no data blocks to protect.
    #[error("{}{found} bytes are less than one data block of {block_size} bytes", Prefix(path.as_deref()))]
    NoDataBlocks {
        /// The data device, if there is one.
        path: Option<PathBuf>,
        /// The size of the data in bytes.
        found: u64,
        /// The data block size in bytes.
        block_size: u32,
    },
    /// More data blocks than any device can hold.
    #[error("{blocks} data blocks of {block_size} bytes are more than a device can hold")]
    TooManyBlocks {
        /// The number of data blocks.
        blocks: u64,
        /// Their size in bytes.
        block_size: u32,
    },
    /// The data are shorter than the number of data blocks that was given.
    #[error("{found} bytes of data found, {needed} needed")]
    TooFewBytes {
        /// The size of the data in bytes.
        found: u64,
        /// The size of the data blocks in bytes.
        needed: u64,
    },
    /// A device is smaller than the parameters need it to be.
    #[error("{path}: {found} bytes found, {needed} needed")]
    DeviceTooSmall {
        /// The device.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// The size needed, in bytes.
        needed: u64,
    },
    /// A stream that ends before as many bytes have come as it was said to have.
    #[error("{path} ended after {found} bytes, {needed} needed")]
    StreamTooShort {
        /// What the stream is called.
        path: PathBuf,
        /// How many bytes came.
        found: u64,
        /// How many there had to be.
        needed: u64,
    },
    /// A stream that goes on after as many bytes as it was said to have.
    #[error("{path} goes on after {needed} bytes")]
    StreamTooLong {
        /// What the stream is called.
        path: PathBuf,
        /// How many bytes there had to be.
        needed: u64,
    },
    /// A stream that ends with a hash tree, which cannot be replaced there.
    #[error("{path} has a hash tree from byte {offset} on")]
    TreeInStream {
        /// What the stream is called.
        path: PathBuf,
        /// Where the tree begins.
        offset: u64,
    },
    /// There is no superblock at the expected place.
    #[error("no verity superblock")]
    NotVerity,
    /// An image without a superblock right after the data it describes.
    #[error("{path}: no superblock was found right after the data it describes")]
    NoHashArea {
        /// The image.
        path: PathBuf,
    },
    /// An image with more than one superblock, finished or not, right after the data it describes.
    #[error("{path}: {} superblocks were found right after the data they describe, the first at bytes \
    {offsets:?}", .offsets.len())]
    SeveralHashAreas {
        /// The image.
        path: PathBuf,
        /// The offsets of the first few of them.
        offsets: Vec<u64>,
    },
    /// Bytes after the hash tree of an image that are not its parity.
    #[error("{path}: the hash area from byte {offset} ends at byte {end}, the file at byte {found}")]
    BehindHashArea {
        /// The image.
        path: PathBuf,
        /// Where the hash area begins.
        offset: u64,
        /// Where the hash tree ends.
        end: u64,
        /// The file's length.
        found: u64,
    },
    /// An unfinished hash area in a file whose length is not one that an interrupted [`append`](crate::append())
    /// leaves.
    #[error(
        "{path}: the data end at byte {data_end}, an unfinished hash area follows, and the file ends at byte {found}"
    )]
    UnfinishedHashArea {
        /// The image.
        path: PathBuf,
        /// The length of the data in bytes.
        data_end: u64,
        /// Where the unfinished hash area begins.
        offset: u64,
        /// The planned end of the file; `None` if that is not known.
        planned_end: Option<u64>,
        /// The file's length.
        found: u64,
    },
    /// A file that ends with what looks like a hash tree without superblock.
    #[error("{path}: the bytes from {offset} on look like a hash tree of the {data_end} bytes before them")]
    PlainTree {
        /// The image.
        path: PathBuf,
        /// The length of the data in bytes, with their padding.
        data_end: u64,
        /// Where the tree begins.
        offset: u64,
    },
    /// A file whose length has changed during the work: another process writes to it.
    #[error("{path}: had {expected} bytes when it was opened, and has {found} now")]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its length when it was opened, in bytes.
        expected: u64,
        /// Its length now.
        found: u64,
    },
    /// A file system that is longer than the data before a hash area.
    #[error("{path}: the file system has {found} bytes, the data before the hash area {data_end}")]
    FileSystemTooLarge {
        /// The image.
        path: PathBuf,
        /// The length of the file system in bytes, from its own superblock.
        found: u64,
        /// The length of the data in bytes.
        data_end: u64,
        /// Where the hash area begins.
        offset: u64,
    },
    /// A seed that is empty or has control characters.
    #[error("the seed {text:?} is empty or has control characters")]
    Seed {
        /// The text.
        text: String,
    },
    /// A root hash that is too short for two partition UUIDs.
    #[error("a root hash of 128 bits or less has no partition UUIDs")]
    NoPartitionUuids,
    /// A value that the form of a line cannot express.
    #[error("{value:?} cannot be written in {line}")]
    Unwritable {
        /// What kind of line.
        line: &'static str,
        /// The value.
        value: String,
    },
    /// A number of a data block that the image does not have.
    #[error("there is no data block {block}: the image has {blocks}")]
    NoSuchBlock {
        /// The number, counted from 0.
        block: u64,
        /// How many data blocks there are.
        blocks: u64,
    },
    /// A superblock of another version.
    #[error("superblock version {found} is not supported, only 1 is")]
    SuperblockVersion {
        /// The version found.
        found: u32,
    },
    /// A superblock whose fields contradict the format.
    #[error("superblock is corrupted: {what}")]
    SuperblockCorrupted {
        /// Which field, and what is wrong with it.
        what: &'static str,
    },
    /// Parameters that are not those that were expected; see [`Expected`](crate::Expected).
    #[error("{field} is {found}, expected {expected}")]
    Unexpected {
        /// Which parameter, by its name in the command's JSON.
        field: &'static str,
        /// The expected value.
        expected: String,
        /// The value in the superblock, or given by the caller.
        found: String,
    },
    /// A superblock that cannot be used, and on which device it was found.
    #[error("{path}")]
    Superblock {
        /// The hash device.
        path: PathBuf,
        /// Why it cannot be used.
        source: Box<Error>,
    },
    /// A device or file that cannot be opened.
    #[error("cannot open {path}")]
    Open {
        /// The device or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that cannot be created, or cannot be written to.
    #[error("cannot create {area} image {path} for writing")]
    NotWritable {
        /// What was to be written to it.
        area: Area,
        /// The file or device.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A device that does not exist; a file of its name would be among device nodes.
    #[error("{path} does not exist, and no file is created in a directory of device nodes")]
    AmongDeviceNodes {
        /// The path.
        path: PathBuf,
    },
    /// Neither a block device nor a regular file.
    #[error("{path} is neither a block device nor a regular file")]
    NotDevice {
        /// The path.
        path: PathBuf,
    },
    /// Something other than the regular file that is needed.
    #[error("{path} is not a regular file")]
    NotFile {
        /// The path.
        path: PathBuf,
    },
    /// A block device that something else holds exclusively.
    #[error("{path} is in use (already mapped or mounted)")]
    DeviceBusy {
        /// The device.
        path: PathBuf,
    },
    /// A file that another process writes to.
    #[error("{path} is in use by another process")]
    DeviceLocked {
        /// The file.
        path: PathBuf,
    },
    /// A file or device operation failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried: `read`, `write`, ...
        action: &'static str,
        /// On which device or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is not enough memory.
    #[error("cannot allocate {bytes} bytes of memory")]
    OutOfMemory {
        /// How much was asked for, in bytes.
        bytes: u64,
    },
    /// A range of changed bytes that is not all in the data.
    #[error("{length} bytes from byte {offset} on are not all within the {data_bytes} bytes of data")]
    OutsideData {
        /// Where the range begins, in bytes.
        offset: u64,
        /// Its length in bytes.
        length: u64,
        /// How many bytes of data the image has.
        data_bytes: u64,
    },
    /// A hash tree of another root hash.
    #[error("{path}: the digest of the top hash block is not the root hash")]
    WrongRoot {
        /// The hash device.
        path: PathBuf,
    },
    /// A block that is needed for something else, and that the root hash does not prove.
    #[error("{path}: the {area} block at byte {position} is not what the root hash proves")]
    Unproven {
        /// Of which area.
        area: Area,
        /// The device.
        path: PathBuf,
        /// Where the block begins on it, in bytes.
        position: u64,
    },
    /// An image whose update was interrupted, and cannot be done again.
    #[error("{path}: an update of the hash tree was interrupted")]
    UnfinishedUpdate {
        /// The hash device.
        path: PathBuf,
    },
    /// The work was stopped by its caller.
    #[error("cancelled")]
    Cancelled,
    /// A table or status line that is not what the kernel's verity target writes.
    #[error("cannot read the verity table \"{line}\": {what}")]
    TableSyntax {
        /// The line.
        line: String,
        /// What was expected.
        what: &'static str,
    },
    /// The system has no source of randomness for a salt.
    #[error("no random numbers")]
    Random {
        /// What the system said.
        source: io::Error,
    },
}

/// The number of `ENOMEM`.
const OUT_OF_MEMORY: i32 = 12;

impl Error {
    /// The system's error number (`errno`) of this error, if the system reported one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Open { source, .. } | Self::NotWritable { source, .. } | Self::Io { source, .. } => {
                source.raw_os_error()
            }
            Self::OutOfMemory { .. } => Some(OUT_OF_MEMORY),
            Self::Superblock { source, .. } => source.errno(),
            _ => None,
        }
    }

    /// The same error about a data device: arithmetic does not know its path.
    #[must_use]
    pub fn on_device(self, device: &Path) -> Self {
        let path = device.to_owned();
        match self {
            Self::NoDataBlocks { path: None, found, block_size } => {
                Self::NoDataBlocks { path: Some(path), found, block_size }
            }
            Self::TooFewBytes { found, needed } => Self::DeviceTooSmall { path, found, needed },
            other => other,
        }
    }

    /// An [`Error::Io`] for `action` on `path`, for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// A path and a colon, where there is a path.
struct Prefix<'a>(Option<&'a Path>);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |path| write!(f, "{}: ", path.display()))
    }
}

/// An error with all its causes, for a line of the log: `Display` of an error leaves its cause to
/// [`source`](std::error::Error::source).
pub(crate) struct WithCauses<'a>(pub(crate) &'a dyn std::error::Error);

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
