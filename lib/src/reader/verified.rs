//! The reader: where each read is verified.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use super::check::Checker;
use super::corruption::{Counters, Fault};
use super::pool::Pool;
use crate::error::Error;
use crate::io::ReadAt;
use crate::memory;

/// How many bytes are a piece of work for one thread of the pool.
const PIECE_BYTES: u64 = 256 << 10;

/// Where a read is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Where {
    /// On the caller's thread if all hash blocks that it needs are in the cache, or if it is short; otherwise by the
    /// threads of the pool and the caller's.
    #[default]
    Auto,
    /// On the caller's thread.
    Inline,
    /// By the threads of the pool.
    Pool,
}

/// Reads the data of an image, and hands out no byte that the root hash does not prove.
///
/// It hands out the bytes in memory whose digest it compared, even if the devices change meanwhile.
/// Any number of threads can read at the same time. Positions are bytes of the data, whose number
/// [`size`](ReadAt::size) returns; what follows them on the data device is not readable.
///
/// A read fails with [`io::ErrorKind::InvalidData`] and a [`Corruption`](crate::Corruption) for a bad block, with
/// [`io::ErrorKind::UnexpectedEof`] past the end of the data, and with any other error if a device cannot be read.
/// [`data_at`](ReadAt::data_at) tells of zeros only where the tree proves them.
///
/// # Examples
/// ```
/// use std::io::Read as _;
///
/// use dmverity::{Corruption, Devices, Image, Params, ReadAt as _, ReadCursor, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| directory.path().join(name);
/// # std::fs::write(path("data.img"), [7; 40960])?;
/// # let devices = Devices::new(path("data.img"), path("hash.img"));
/// # let root_hash = dmverity::format(&devices, Params::builder(), &Work::default())?.root_hash;
/// let image = Image::at(&devices)?;
/// let params = image.load(0, None)?;
/// let reader = image.reader(&params, &root_hash).build()?;
/// let mut bytes = [0; 100];
/// reader.read_exact_at(&mut bytes, 5000)?;
/// assert_eq!(bytes, [7; 100]);
///
/// // As a stream:
/// let mut all = Vec::new();
/// ReadCursor::new(&reader)?.read_to_end(&mut all)?;
/// assert_eq!(all.len(), 40960);
///
/// // An attacker changes the second block.
/// # let mut data = std::fs::read(&devices.data)?;
/// # data[5000] = 8;
/// # std::fs::write(&devices.data, data)?;
/// let error = reader.read_exact_at(&mut bytes, 5000).unwrap_err();
/// let corruption = error.get_ref().and_then(|inner| inner.downcast_ref::<Corruption>()).expect("a bad block");
/// assert_eq!(corruption.block, 1);
/// # Ok(())
/// # }
/// ```
pub struct VerifiedReader {
    pub(super) checker: Arc<Checker>,
    pub(super) pool: Option<Pool>,
    pub(super) verify: Where,
}

impl fmt::Debug for VerifiedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedReader")
            .field("image", &self.checker.image)
            .field("root_hash", &self.checker.root_hash)
            .field("verify", &self.verify)
            .finish_non_exhaustive()
    }
}

impl VerifiedReader {
    /// What it has done until now.
    pub fn counters(&self) -> Counters {
        self.checker.counting.now()
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), Fault> {
        let size = self.checker.data_hasher.block_size();
        let mut block = offset / size.bytes();
        let mut rest = buffer;
        let within = usize::try_from(offset % size.bytes()).expect("it is less than a block");
        if within > 0 {
            let count = rest.len().min(size.as_usize() - within);
            let (part, after) = rest.split_at_mut(count);
            part.copy_from_slice(&self.one_block(block)?[within..within + count]);
            (block, rest) = (block + 1, after);
        }
        let (whole, part) = rest.split_at_mut(rest.len() / size.as_usize() * size.as_usize());
        self.read_blocks(block, whole)?;
        if !part.is_empty() {
            block += (whole.len() / size.as_usize()) as u64;
            part.copy_from_slice(&self.one_block(block)?[..part.len()]);
        }
        Ok(())
    }

    fn one_block(&self, block: u64) -> Result<Vec<u8>, Fault> {
        let mut bytes = memory::zeroed(self.checker.data_hasher.block_size().as_usize())?;
        self.read_blocks(block, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads whole blocks, and decides where they are verified.
    fn read_blocks(&self, first: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        let size = self.checker.data_hasher.block_size().bytes();
        let blocks = first..first + buffer.len() as u64 / size;
        if blocks.is_empty() {
            return Ok(());
        }
        let counting = &self.checker.counting;
        let pool = self.pool.as_ref().filter(|_| match self.verify {
            Where::Auto => buffer.len() as u64 > PIECE_BYTES && !self.checker.has_hashes_of(&blocks),
            Where::Inline => false,
            Where::Pool => true,
        });
        if let Some(pool) = pool {
            counting.pooled_reads.add(1);
            return self.read_with(pool, &blocks, buffer);
        }
        counting.inline_reads.add(1);
        self.checker.read(first, buffer)
    }

    /// Has the pool's threads read pieces of the blocks, and this thread too, unless that is not wanted.
    fn read_with(&self, pool: &Pool, blocks: &Range<u64>, buffer: &mut [u8]) -> Result<(), Fault> {
        let pieces = Arc::new(Pieces::new(blocks, self.checker.data_hasher.block_size().bytes()));
        let (results, received) = mpsc::channel();
        for _ in 0..pool.threads().min(pieces.count) {
            let (checker, pieces, results) = (Arc::clone(&self.checker), Arc::clone(&pieces), results.clone());
            pool.run(move || {
                while let Some(piece) = pieces.take() {
                    // The read that wants it may have failed and gone.
                    if results.send((piece, pieces.read(&checker, piece))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let mut left = pieces.count;
        while self.verify != Where::Pool
            && let Some(piece) = pieces.take()
        {
            let (first, bytes) = pieces.bytes(piece);
            self.checker.read(first, &mut buffer[bytes]).inspect_err(|_| pieces.stop())?;
            left -= 1;
        }
        for (piece, result) in received.iter().take(left) {
            buffer[pieces.bytes(piece).1].copy_from_slice(&result.inspect_err(|_| pieces.stop())?);
            left -= 1;
        }
        // A thread of the pool has panicked.
        if left > 0 { Err(Error::Cancelled.into()) } else { Ok(()) }
    }
}

/// Adjacent blocks, cut into pieces that threads take one by one.
struct Pieces {
    blocks: Range<u64>,
    block_bytes: u64,
    /// How many blocks a piece has, but for the last one.
    at_a_time: u64,
    count: usize,
    next: AtomicUsize,
}

impl Pieces {
    fn new(blocks: &Range<u64>, block_bytes: u64) -> Self {
        let at_a_time = (PIECE_BYTES / block_bytes).max(1);
        let count = usize::try_from((blocks.end - blocks.start).div_ceil(at_a_time)).expect("it is in memory");
        Self { blocks: blocks.clone(), block_bytes, at_a_time, count, next: AtomicUsize::new(0) }
    }

    /// The next piece that no thread has taken.
    fn take(&self) -> Option<usize> {
        Some(self.next.fetch_add(1, Ordering::Relaxed)).filter(|&piece| piece < self.count)
    }

    /// Leaves no piece to be taken.
    fn stop(&self) {
        self.next.store(self.count, Ordering::Relaxed);
    }

    /// The first block of a piece, and where its bytes are among all bytes.
    fn bytes(&self, piece: usize) -> (u64, Range<usize>) {
        let first = piece as u64 * self.at_a_time;
        let end = (first + self.at_a_time).min(self.blocks.end - self.blocks.start);
        let byte = |block: u64| usize::try_from(block * self.block_bytes).expect("it is in memory");
        (self.blocks.start + first, byte(first)..byte(end))
    }

    fn read(&self, checker: &Checker, piece: usize) -> Result<Vec<u8>, Fault> {
        let (first, bytes) = self.bytes(piece);
        let mut buffer = memory::zeroed(bytes.len())?;
        checker.read(first, &mut buffer)?;
        Ok(buffer)
    }
}

impl ReadAt for VerifiedReader {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.checker.layout.params().data_bytes()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read(buffer, offset).map_err(io::Error::from)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.checker.layout.params().data_bytes())
    }

    fn data_at(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        Ok(self.checker.data_at(offset))
    }
}
