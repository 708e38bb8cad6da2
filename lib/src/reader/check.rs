//! Reads data blocks and proves them: from the root hash downwards, and no byte is handed out before that.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::cache::HashCache;
use super::corruption::{Corruption, Counting, Fault, Report};
use crate::error::{Area, Error, Result, WithCauses};
use crate::fec;
use crate::format::{Layout, Level};
use crate::hash::BlockHasher;
use crate::image::Image;
use crate::memory;
use crate::tree::Nodes;
use crate::value::RootHash;

/// How many blocks are read and hashed at a time: their bytes stay in a processor's second-level cache, their digests
/// on the stack.
const BATCH: usize = 64;

/// The longest digest that any algorithm has, in bytes.
const MOST_DIGEST: usize = 64;

/// An open image whose blocks are proven as they are read, by any thread.
pub(super) struct Checker {
    pub(super) image: Image<'static>,
    pub(super) layout: Layout,
    pub(super) root_hash: RootHash,
    pub(super) data_hasher: BlockHasher,
    pub(super) hash_hasher: BlockHasher,
    pub(super) cache: HashCache,
    /// A bit for each data block that was proven once, if once is enough.
    pub(super) seen: Option<Vec<AtomicU64>>,
    pub(super) ignore_zero_blocks: bool,
    pub(super) report: Option<Report>,
    pub(super) counting: Counting,
    /// The digest of a full hash block of each level that is above nothing but zeros, once it was needed.
    pub(super) uniform_digests: OnceLock<Vec<Vec<u8>>>,
}

impl Checker {
    /// For an image whose hash device has room for its tree. It hashes every block each time that it is read, and keeps
    /// about this many bytes of hash blocks.
    pub(super) fn new(image: Image<'static>, layout: Layout, root_hash: RootHash, cache_bytes: u64) -> Self {
        let params = layout.params();
        let hash_block = params.hash_block_size();
        Self {
            image,
            data_hasher: params.hasher(params.data_block_size()),
            hash_hasher: params.hasher(hash_block),
            layout,
            root_hash,
            cache: HashCache::new(cache_bytes, hash_block.bytes()),
            seen: None,
            ignore_zero_blocks: false,
            report: None,
            counting: Counting::default(),
            uniform_digests: OnceLock::new(),
        }
    }

    /// Fills `buffer` with the data blocks from `first` on, proven. After an error its contents mean nothing.
    pub(super) fn read(&self, first: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        let size = self.data_hasher.block_size().as_usize();
        let fan_out = self.layout.fan_out();
        let end = first + (buffer.len() / size) as u64;
        let (mut block, mut rest) = (first, buffer);
        while block < end {
            let to_next_hash_block = fan_out - block % fan_out;
            let count = usize::try_from((end - block).min(to_next_hash_block)).unwrap_or(BATCH).min(BATCH);
            let (batch, after) = rest.split_at_mut(count * size);
            self.read_batch(block, batch).inspect_err(|_| batch.fill(0))?;
            block += count as u64;
            rest = after;
        }
        Ok(())
    }

    /// Reads blocks whose digests are in one hash block.
    fn read_batch(&self, first: u64, batch: &mut [u8]) -> Result<(), Fault> {
        let expected = self.expected(first)?;
        let count = batch.len() / self.data_hasher.block_size().as_usize();
        if !self.ignore_zero_blocks {
            return self.read_stretch(first, batch, |index| expected.digest(self, index));
        }
        // Stretches without blocks of zeros are read at a time.
        let size = self.data_hasher.block_size().as_usize();
        let is_zero = |index: usize| expected.digest(self, index) == self.data_hasher.zero_digest();
        let mut start = 0;
        while start < count {
            let zero = is_zero(start);
            let end = (start + 1..count).find(|&index| is_zero(index) != zero).unwrap_or(count);
            let stretch = &mut batch[start * size..end * size];
            if zero {
                stretch.fill(0);
                self.counting.zero_blocks.add((end - start) as u64);
            } else {
                self.read_stretch(first + start as u64, stretch, |index| expected.digest(self, start + index))?;
            }
            start = end;
        }
        Ok(())
    }

    /// Reads blocks, and compares their digests with what is expected of each.
    fn read_stretch<'a>(
        &self,
        first: u64,
        bytes: &mut [u8],
        expected: impl Fn(usize) -> &'a [u8],
    ) -> Result<(), Fault> {
        let size = self.data_hasher.block_size().as_usize();
        let count = bytes.len() / size;
        self.image.data.read_at(bytes, first * size as u64)?;
        self.counting.blocks_read.add(count as u64);
        let unseen = |index: &usize| !self.was_seen(first + *index as u64);
        let length = self.data_hasher.digest_size();
        let mut digests = [0; BATCH * MOST_DIGEST];
        let pairs = bytes.chunks_exact(size).zip(digests.chunks_exact_mut(length)).enumerate();
        self.data_hasher.hash_each(pairs.filter(|(index, _)| unseen(index)).map(|(_, pair)| pair));
        for index in (0..count).filter(unseen) {
            let block = &mut bytes[index * size..][..size];
            if digests[index * length..][..length] != *expected(index) {
                self.read_bad(first + index as u64, block, expected(index))?;
            }
            self.counting.blocks_verified.add(1);
            if self.seen.is_some() {
                self.see(first + index as u64);
                self.image.data.proven((first + index as u64) * size as u64, block);
            }
        }
        if self.seen.is_none() {
            self.image.data.proven(first * size as u64, bytes);
        }
        Ok(())
    }

    fn was_seen(&self, block: u64) -> bool {
        let Some(seen) = &self.seen else { return false };
        seen[seen_at(block)].load(Ordering::Relaxed) >> (block % 64) & 1 == 1
    }

    fn see(&self, block: u64) {
        if let Some(seen) = &self.seen {
            seen[seen_at(block)].fetch_or(1 << (block % 64), Ordering::Relaxed);
        }
    }

    /// A data block whose digest is not the expected one: what the source has when it is asked again, or parity.
    fn read_bad(&self, block: u64, bytes: &mut [u8], expected: &[u8]) -> Result<(), Fault> {
        let corruption = self.bad_data(block);
        if self.image.data.disproven(&corruption.data) {
            self.image.data.read_at(bytes, corruption.position)?;
            if self.data_hasher.digest(bytes) == expected {
                return Ok(());
            }
        }
        let recovered = self.recover(block, &self.data_hasher, expected, corruption)?;
        bytes.copy_from_slice(&recovered);
        Ok(())
    }

    /// A data block that is not what the root hash says.
    pub(super) fn bad_data(&self, block: u64) -> Corruption {
        let size = self.data_hasher.block_size().bytes();
        let position = block * size;
        Corruption { area: Area::Data, block, position, data: position..position + size, recovered: false }
    }

    /// What parity says of a bad block, which is numbered as FEC covers it, if that is what is expected.
    fn recover(
        &self,
        block: u64,
        hasher: &BlockHasher,
        expected: &[u8],
        mut corruption: Corruption,
    ) -> Result<Vec<u8>, Fault> {
        let found = self.parity_says(block).filter(|found| hasher.digest(found) == expected);
        corruption.recovered = found.is_some();
        self.counting.corrupted.add(1);
        self.counting.recovered.add(found.is_some().into());
        if let Some(report) = &self.report {
            report(&corruption);
        }
        found.ok_or(Fault::Corrupt(corruption))
    }

    fn parity_says(&self, block: u64) -> Option<Vec<u8>> {
        self.layout.params().fec()?;
        let areas = self.image.fec_areas(&self.layout);
        let found = areas.and_then(|areas| {
            let areas = areas.on(&self.image, &self.layout);
            fec::recover_block(&areas, &self.root_hash, block)
        });
        found.unwrap_or_else(|error| {
            log::warn!("cannot recover block {block}: {}", WithCauses(&error));
            None
        })
    }

    /// The digests of data blocks from `first` on, as far as they are in one hash block.
    pub(super) fn expected(&self, first: u64) -> Result<Expected<'_>, Fault> {
        if self.layout.levels().is_empty() {
            return Ok(Expected::Root(self.root_hash.as_bytes()));
        }
        let fan_out = self.layout.fan_out();
        Ok(Expected::Block(self.hash_block(0, first / fan_out)?, first % fan_out))
    }

    /// A hash block of a level, proven.
    pub(super) fn hash_block(&self, level: usize, index: u64) -> Result<Arc<[u8]>, Fault> {
        let number = self.levels()[level].first_block + index;
        if let Some(bytes) = self.cache.get(number) {
            self.counting.cache_hits.add(1);
            return Ok(bytes);
        }
        let fan_out = self.layout.fan_out();
        let has_parent = level + 1 < self.levels().len();
        let parent = has_parent.then(|| self.hash_block(level + 1, index / fan_out)).transpose()?;
        let expected = match &parent {
            None => self.root_hash.as_bytes(),
            Some(parent) => self.digest_in(parent, index % fan_out),
        };
        let bytes: Arc<[u8]> = self.read_hash_block(level, index, number, expected)?.into();
        self.cache.put(number, Arc::clone(&bytes));
        Ok(bytes)
    }

    fn read_hash_block(&self, level: usize, index: u64, number: u64, expected: &[u8]) -> Result<Vec<u8>, Fault> {
        let size = self.hash_hasher.block_size();
        let position = number * size.bytes();
        let mut bytes = memory::zeroed(size.as_usize())?;
        let mut is_right = || -> Result<bool> {
            self.image.hash.read_at(&mut bytes, position)?;
            self.counting.hash_blocks_read.add(1);
            Ok(self.hash_hasher.digest(&bytes) == expected)
        };
        if is_right()? || (self.image.hash.disproven(&(position..position + size.bytes())) && is_right()?) {
            self.image.hash.proven(position, &bytes);
            return Ok(bytes);
        }
        let data = self.data_under(level, index);
        let corruption = Corruption { area: Area::Hash, block: number, position, data, recovered: false };
        self.recover(Nodes::of_hash_block(&self.layout, number), &self.hash_hasher, expected, corruption)
    }

    /// The digest in this place of a hash block.
    pub(super) fn digest_in<'a>(&self, hash_block: &'a [u8], slot: u64) -> &'a [u8] {
        let start = usize::try_from(slot).expect("a block's digests fit memory") * self.layout.digest_stride();
        &hash_block[start..][..self.hash_hasher.digest_size()]
    }

    /// The bytes of data that a hash block is above.
    fn data_under(&self, level: usize, index: u64) -> Range<u64> {
        let span = self.blocks_under(level).saturating_mul(self.data_hasher.block_size().bytes());
        let end = self.layout.params().data_bytes();
        index.saturating_mul(span).min(end)..(index + 1).saturating_mul(span).min(end)
    }

    /// How many data blocks a full hash block of a level is above.
    pub(super) fn blocks_under(&self, level: usize) -> u64 {
        (0..=level).fold(1, |blocks: u64, _| blocks.saturating_mul(self.layout.fan_out()))
    }

    pub(super) fn levels(&self) -> &[Level] {
        self.layout.levels()
    }

    /// Whether all hash blocks right above these data blocks are in the cache.
    pub(super) fn has_hashes_of(&self, blocks: &Range<u64>) -> bool {
        let Some(level) = self.levels().first() else { return true };
        let fan_out = self.layout.fan_out();
        (blocks.start / fan_out..=(blocks.end - 1) / fan_out).all(|index| self.cache.has(level.first_block + index))
    }
}

/// Which word has a block's bit.
fn seen_at(block: u64) -> usize {
    usize::try_from(block / 64).expect("there is a word for each")
}

/// What was proven about the digests of data blocks.
pub(super) enum Expected<'a> {
    /// There is one data block.
    Root(&'a [u8]),
    /// A hash block, and which digest in it is the first one.
    Block(Arc<[u8]>, u64),
}

impl Expected<'_> {
    /// The digest of a block, counted from the first one.
    pub(super) fn digest(&self, checker: &Checker, index: usize) -> &[u8] {
        match self {
            Self::Root(digest) => digest,
            Self::Block(bytes, first) => checker.digest_in(bytes, first + index as u64),
        }
    }
}

/// A bit for each of these blocks.
pub(super) fn bits_for(blocks: u64) -> Result<Vec<AtomicU64>> {
    let words = usize::try_from(blocks.div_ceil(64)).unwrap_or(usize::MAX);
    let mut bits = Vec::new();
    bits.try_reserve_exact(words).map_err(|_| Error::OutOfMemory { bytes: blocks.div_ceil(8) })?;
    bits.extend((0..words).map(|_| AtomicU64::new(0)));
    Ok(bits)
}
