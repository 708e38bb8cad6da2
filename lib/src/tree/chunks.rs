//! How the work on one level is cut: chunks of adjacent source blocks, which are read as data or known to be zeros.

use std::ops::Range;

use super::source::Source;
use crate::io::Holes;

/// How many bytes are read at a time if blocks are smaller: what fits a processor's second-level cache beside
/// everything else, so that hashing finds it there.
const WARM_BYTES: u64 = 512 << 10;

/// The same when few threads bypass the page cache: devices are faster with long reads.
const COLD_BYTES: u64 = 2 << 20;

/// How many threads count as few. With more, short reads are enough to keep a device busy, and memory is what counts.
const FEW_THREADS: usize = 8;

/// How many more reads than threads are in flight when few threads bypass the page cache.
const COLD_READERS: usize = 3;

/// How much is checked together for being in the page cache.
const COLD_WINDOW: u64 = 16 << 20;

/// How many bytes of hash blocks a chunk without data makes at most: nothing is read for it, so it is fast.
pub(crate) const UNIFORM_BYTES: usize = 512 << 10;

/// A chunk of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Which blocks of the source.
    pub(crate) blocks: Range<u64>,
    pub(crate) content: Content,
}

/// What is in the blocks of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// What reading them returns.
    Data {
        /// Whether reading them is faster when it bypasses the page cache.
        cold: bool,
    },
    /// The same in each: the data below them are one hole.
    Uniform,
}

/// The chunks of one level, from the front to the back.
pub(crate) struct Chunks<'a> {
    source: &'a Source<'a>,
    fan_out: u64,
    hash_block_size: u64,
    next: u64,
    holes: Option<Holes<'a>>,
    /// What the last look into the page cache was about, in bytes of the source, and what it found.
    looked_at: Range<u64>,
    cold: bool,
    threads: usize,
}

impl<'a> Chunks<'a> {
    /// For this many threads that hash. Without `holes` all blocks are read.
    pub(crate) fn new(
        source: &'a Source<'a>,
        (fan_out, hash_block_size): (u64, u64),
        holes: Option<Holes<'a>>,
        threads: usize,
    ) -> Self {
        Self { source, fan_out, hash_block_size, next: 0, holes, looked_at: 0..0, cold: false, threads }
    }

    /// How many workers are worth starting: no more than there are chunks, and some more than threads if reads have to
    /// wait for the device.
    pub(crate) fn workers(&mut self) -> usize {
        // A look at some places is enough.
        let step = (self.source.blocks / 16).max(1);
        let cold = (0..16).map(|place| place * step).any(|block| block < self.source.blocks && self.look(block).1);
        let more = if cold && self.threads <= FEW_THREADS { COLD_READERS } else { 0 };
        let bytes = self.source.end() - self.source.start;
        let chunks = bytes.div_ceil(self.bytes_at_a_time(cold));
        usize::try_from(chunks).map_or(usize::MAX, |chunks| chunks.min(self.threads + more))
    }

    /// Checks whether what is to be read from a block on is in the page cache: which bytes of the device were checked,
    /// and whether they are not.
    fn look(&mut self, block: u64) -> (Range<u64>, bool) {
        let position = self.source.position(block);
        let block_size = self.source.block_size.bytes();
        // Nothing of a hole is in the page cache, and nothing of it is read.
        let data = self.holes.as_mut().map_or(u64::MAX, |holes| {
            let start = block.saturating_mul(self.source.span);
            (holes.end_of_data_at(start) - start).div_ceil(self.source.span).saturating_mul(block_size)
        });
        let len = COLD_WINDOW.min(self.source.end() - position).min(data);
        (position..position + len.max(block_size), len > 0 && self.source.device.is_cold(position, len))
    }

    fn bytes_at_a_time(&self, cold: bool) -> u64 {
        if cold && self.threads <= FEW_THREADS { COLD_BYTES } else { WARM_BYTES }
    }

    /// The next chunk; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Chunk> {
        let left = self.source.blocks - self.next;
        if left == 0 {
            return None;
        }
        let (count, content) = match self.uniform_blocks() {
            0 => self.data_blocks(),
            count => (count, Content::Uniform),
        };
        let end = self.next + count.min(left);
        let chunk = Chunk { blocks: self.next..end, content };
        self.next = end;
        Some(chunk)
    }

    /// How many blocks from the next one on are over nothing but a hole. Whole hash blocks of them, if there are
    /// enough.
    fn uniform_blocks(&mut self) -> u64 {
        let Some(holes) = &mut self.holes else { return 0 };
        let start = self.next.saturating_mul(self.source.span);
        let end = holes.end_of_hole_at(start).min(self.source.data_bytes);
        let blocks = end.saturating_sub(start) / self.source.span;
        if blocks >= self.fan_out && self.next.is_multiple_of(self.fan_out) {
            let most = (UNIFORM_BYTES as u64 / self.hash_block_size).max(1) * self.fan_out;
            (blocks - blocks % self.fan_out).min(most)
        } else {
            // Up to where whole hash blocks start, and not so few that each is a chunk of its own.
            let to_boundary = self.fan_out - self.next % self.fan_out;
            if blocks >= to_boundary || blocks * self.source.block_size.bytes() >= WARM_BYTES {
                blocks.min(to_boundary)
            } else {
                0
            }
        }
    }

    /// How many blocks to read, and how.
    fn data_blocks(&mut self) -> (u64, Content) {
        let block_size = self.source.block_size.bytes();
        if !self.looked_at.contains(&self.source.position(self.next)) {
            (self.looked_at, self.cold) = self.look(self.next);
        }
        let at_a_time = (self.bytes_at_a_time(self.cold) / block_size).max(1);
        // The first chunk may be shorter, so that the others start at multiples of their length.
        (at_a_time - self.next % at_a_time, Content::Data { cold: self.cold })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::io::Device;
    use crate::value::BlockSize;

    const MIB: u64 = 1 << 20;

    #[test]
    fn pieces_cover_everything_once_and_what_is_uniform_is_a_hole() {
        let file = tempfile::NamedTempFile::new_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let bytes = 200 * MIB + 3 * 4096;
        file.as_file().set_len(bytes).unwrap();
        let data = [(5 * MIB, 3 * MIB), (100 * MIB + 12345, 100), (150 * MIB, 9 * MIB)];
        for (offset, len) in data {
            file.as_file().write_all_at(&vec![1; usize::try_from(len).unwrap()], offset).unwrap();
        }
        let device = Device::open(file.path()).unwrap();
        for (block_size, fan_out, hash_block_size) in [(4096, 128, 4096), (512, 8, 512), (524_288, 16_384, 524_288)] {
            let block_size = BlockSize::new(block_size).unwrap();
            let blocks = block_size.whole_blocks_in(bytes);
            let span = block_size.bytes();
            let source = Source { device: &device, start: 0, block_size, blocks, span, data_bytes: blocks * span };
            let mut chunks = Chunks::new(&source, (fan_out, hash_block_size), Some(device.holes()), 2);
            assert!((1..=2 + COLD_READERS).contains(&chunks.workers()));
            let (mut next, mut read) = (0, 0);
            while let Some(Chunk { blocks, content }) = chunks.next() {
                assert!(blocks.start == next && blocks.end > next, "{blocks:?} after {next}");
                next = blocks.end;
                let (start, end) = (blocks.start * span, blocks.end * span);
                if let Content::Data { .. } = content {
                    read += end - start;
                    assert!(end - start <= COLD_BYTES.max(span), "{blocks:?}");
                } else {
                    let is_hole = data.iter().all(|(offset, len)| offset + len <= start || end <= *offset);
                    assert!(is_hole, "{blocks:?} are not a hole");
                    assert!((end - start) / span <= UNIFORM_BYTES as u64 / hash_block_size * fan_out);
                }
            }
            assert_eq!(next, blocks);
            // The data, and what is read with them.
            assert!((12 * MIB..=30 * MIB).contains(&read), "{read}");
            assert_eq!(chunks.next(), None);
        }
    }

    #[test]
    fn without_holes_everything_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(3 * MIB + 100).unwrap();
        let device = Device::open(file.path()).unwrap();
        let block_size = BlockSize::new(1024).unwrap();
        let source =
            Source { device: &device, start: 512, block_size, blocks: 3000, span: 1024, data_bytes: 3_072_000 };
        let mut chunks = Chunks::new(&source, (32, 1024), None, 1);
        let mut next = 0;
        while let Some(chunk) = chunks.next() {
            assert!(matches!(chunk.content, Content::Data { .. }));
            assert_eq!(chunk.blocks.start, next);
            next = chunk.blocks.end;
        }
        assert_eq!(next, 3000);
    }
}
