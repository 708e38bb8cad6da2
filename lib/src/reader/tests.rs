use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::*;
use crate::error::{Area, Error};
use crate::format::{Fec, Params};
use crate::hash::HashAlgorithm;
use crate::image::{Formatted, Image};
use crate::io::{Memory, ReadAt, Storage};
use crate::value::{BlockSize, RootHash, Salt};
use crate::work::Work;

/// An image in memory, all of it on storages of its own.
struct Made {
    data: Arc<Memory>,
    hash: Arc<Memory>,
    fec: Option<Arc<Memory>>,
    bytes: Vec<u8>,
    formatted: Formatted,
}

impl Made {
    fn params(&self) -> &Params {
        self.formatted.layout.params()
    }

    fn root_hash(&self) -> &RootHash {
        &self.formatted.root_hash
    }

    fn image(&self) -> Image<'static> {
        self.image_of(Arc::clone(&self.data) as _)
    }

    fn image_of(&self, data: Arc<dyn ReadAt>) -> Image<'static> {
        let image = Image::new(Storage::Shared(data), Storage::Shared(Arc::clone(&self.hash) as _)).unwrap();
        match &self.fec {
            Some(fec) => image.with_fec(Storage::Shared(Arc::clone(fec) as _)).unwrap(),
            None => image,
        }
    }

    fn reader(&self) -> ReaderBuilder {
        self.image().reader(self.params(), self.root_hash())
    }

    /// Where the hash blocks of a level are, in bytes.
    fn level(&self, level: usize) -> Range<u64> {
        let size = self.params().hash_block_size().bytes();
        let level = self.formatted.layout.levels()[level];
        level.first_block * size..(level.first_block + level.blocks) * size
    }
}

fn flip(memory: &Memory, position: u64) {
    use crate::io::WriteAt;
    let mut byte = [0];
    memory.read_exact_at(&mut byte, position).unwrap();
    memory.write_all_at(&[byte[0] ^ 1], position).unwrap();
}

fn random_bytes(rng: &mut fastrand::Rng, len: usize, block: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for block in bytes.chunks_mut(block) {
        if rng.u8(..4) > 0 {
            rng.fill(block);
        }
    }
    bytes
}

fn made(rng: &mut fastrand::Rng, blocks: usize, (data_block, hash_block): (u64, u64), fec: Option<Fec>) -> Made {
    let bytes = random_bytes(rng, blocks * usize::try_from(data_block).unwrap(), usize::try_from(data_block).unwrap());
    let (data, hash) = (Arc::new(Memory::from(bytes.clone())), Arc::new(Memory::default()));
    let parity = fec.map(|_| Arc::new(Memory::default()));
    let names = ["sha256", "sha1", "sha512", "blake2b-256"];
    let mut builder = Params::builder()
        .algorithm(HashAlgorithm::from_name(names[rng.usize(..names.len())]).unwrap())
        .data_block_size(BlockSize::new(data_block).unwrap())
        .hash_block_size(BlockSize::new(hash_block).unwrap())
        .salt(Salt::random().unwrap());
    if let Some(fec) = fec {
        builder = builder.fec(fec);
    }
    let formatted = {
        let mut image = Image::new(Storage::Read(&data), Storage::Write(&hash)).unwrap();
        if let Some(parity) = &parity {
            image = image.with_fec(Storage::Write(parity)).unwrap();
        }
        image.format(builder, &Work::default()).unwrap()
    };
    Made { data, hash, fec: parity, bytes, formatted }
}

fn corruption(error: &io::Error) -> &Corruption {
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    error.get_ref().and_then(|inner| inner.downcast_ref()).expect("a bad block")
}

const SIZES: [(u64, u64); 5] = [(4096, 4096), (512, 512), (1024, 4096), (4096, 1024), (512, 65536)];

#[test]
fn every_read_gives_the_data_however_it_is_verified() {
    let mut rng = fastrand::Rng::with_seed(17);
    for round in 0..30 {
        let image = made(&mut rng, [1, 2, 700, 1500][round % 4], SIZES[round % SIZES.len()], None);
        let (verify, cache) = ([Where::Auto, Where::Inline, Where::Pool][round % 3], [0, 8192, 1 << 20][round / 3 % 3]);
        let reader = image
            .reader()
            .verify(verify)
            .cache_bytes(cache)
            .threads(NonZero::new(3).unwrap())
            .at_most_once(rng.bool())
            .ignore_zero_blocks(rng.bool())
            .build()
            .unwrap();
        let len = image.bytes.len();
        std::thread::scope(|scope| {
            for seed in 0..3 {
                let (reader, bytes) = (&reader, &image.bytes);
                scope.spawn(move || {
                    let mut rng = fastrand::Rng::with_seed(seed);
                    for _ in 0..30 {
                        let start = rng.usize(..=len);
                        let most = if rng.bool() { len } else { len.min(start + 5000) };
                        let end = rng.usize(start..=most);
                        let mut buffer = vec![0xEE; end - start];
                        reader.read_exact_at(&mut buffer, start as u64).unwrap();
                        assert!(buffer == bytes[start..end], "{start}..{end}");
                    }
                });
            }
        });
        let past = reader.read_exact_at(&mut [0; 2], len as u64 - 1).unwrap_err();
        assert_eq!(past.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(reader.read_exact_at(&mut [0; 2], u64::MAX).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let counters = reader.counters();
        assert!(counters.inline_reads == 0 || verify != Where::Pool, "{counters:?}");
        assert!(counters.pooled_reads == 0 || verify != Where::Inline, "{counters:?}");
        assert!(counters.blocks_verified + counters.zero_blocks > 0 && counters.corrupted == 0, "{counters:?}");
    }
}

#[test]
fn what_is_not_cached_goes_to_the_pool_and_then_stays_on_the_callers_thread() {
    let image = made(&mut fastrand::Rng::with_seed(1), 600, (4096, 4096), None);
    let reader = image.reader().build().unwrap();
    let mut bytes = vec![0; image.bytes.len()];
    for pooled_reads in [1, 1] {
        reader.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes == image.bytes);
        assert_eq!(reader.counters().pooled_reads, pooled_reads);
    }
    assert_eq!(reader.counters().inline_reads, 1);
}

#[test]
fn a_bad_block_fails_the_reads_that_need_it_and_no_others() {
    let mut rng = fastrand::Rng::with_seed(4);
    for sizes in SIZES {
        let image = made(&mut rng, 1500, sizes, None);
        let block = image.params().data_block_size().bytes();
        let bad = rng.u64(..1500);
        flip(&image.data, bad * block + 7);
        for verify in [Where::Auto, Where::Inline, Where::Pool] {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let report = Arc::clone(&seen);
            let report = move |corruption: &Corruption| report.lock().unwrap().push(corruption.clone());
            let reader = image.reader().verify(verify).on_corruption(report).build().unwrap();
            for index in 0..1500 {
                let mut bytes = vec![0xEE; usize::try_from(block).unwrap()];
                let read = reader.read_exact_at(&mut bytes, index * block);
                if index == bad {
                    let position = bad * block;
                    let expected = Corruption {
                        area: Area::Data,
                        block: bad,
                        position,
                        data: position..position + block,
                        recovered: false,
                    };
                    assert_eq!(corruption(&read.unwrap_err()), &expected);
                    assert!(bytes.iter().all(|&byte| byte == 0 || byte == 0xEE), "bytes that are not proven");
                    assert_eq!(*seen.lock().unwrap_or_else(PoisonError::into_inner), [expected]);
                } else {
                    read.unwrap();
                    assert!(bytes == image.bytes[usize::try_from(index * block).unwrap()..][..bytes.len()]);
                }
            }
            // One that only touches it, and a long one over it.
            let byte = reader.read_exact_at(&mut [0], bad * block + block - 1).unwrap_err();
            assert_eq!(corruption(&byte).block, bad);
            let all = reader.read_exact_at(&mut vec![0; image.bytes.len()], 0).unwrap_err();
            assert_eq!(corruption(&all).block, bad);
        }
    }
}

#[test]
fn a_bad_hash_block_fails_what_is_below_it() {
    let mut rng = fastrand::Rng::with_seed(5);
    for sizes in [(4096, 4096), (512, 512), (4096, 1024)] {
        let image = made(&mut rng, 1500, sizes, None);
        for level in 0..image.formatted.layout.levels().len() {
            let area = image.level(level);
            let position = rng.u64(area.clone());
            flip(&image.hash, position);
            let reader = image.reader().build().unwrap();
            let mut failed = None;
            let block = image.params().data_block_size().bytes();
            for index in 0..1500 {
                let mut bytes = vec![0; usize::try_from(block).unwrap()];
                let read = reader.read_exact_at(&mut bytes, index * block);
                if let Err(error) = &read {
                    let found = corruption(error);
                    let size = image.params().hash_block_size().bytes();
                    assert_eq!((found.area, found.block), (Area::Hash, position / size));
                    assert!(found.data.contains(&(index * block)), "{found:?} {index}");
                    failed.get_or_insert_with(|| found.data.clone());
                }
                let is_below = failed.as_ref().is_some_and(|data| data.contains(&(index * block)));
                assert_eq!(read.is_err(), is_below, "block {index}");
            }
            assert!(failed.is_some());
            flip(&image.hash, position);
        }
        // Another root hash proves nothing.
        let mut other = image.root_hash().as_bytes().to_vec();
        other[3] ^= 1;
        let other = RootHash::new(other);
        let reader = image.image().reader(image.params(), &other).build().unwrap();
        assert_eq!(corruption(&reader.read_exact_at(&mut [0], 9).unwrap_err()).area, Area::Hash);
    }
}

#[test]
fn bad_blocks_are_recovered_from_parity_and_proven() {
    let mut rng = fastrand::Rng::with_seed(6);
    for roots in [2, 6] {
        let image = made(&mut rng, 1500, (4096, 4096), Some(Fec::new(roots, 0).unwrap()));
        let rounds = image.formatted.fec_area.as_ref().unwrap().rounds;
        // As many blocks of a round as there are roots, and a hash block of each level.
        let bad: Vec<u64> = (0..roots).map(|index| 3 + index * rounds).collect();
        for &block in &bad {
            flip(&image.data, block * 4096 + rng.u64(..4096));
        }
        for level in 0..2 {
            flip(&image.hash, rng.u64(image.level(level)));
        }
        let reader = image.reader().cache_bytes(0).build().unwrap();
        for &block in &bad {
            let mut bytes = vec![0; 4096];
            reader.read_exact_at(&mut bytes, block * 4096).unwrap();
            assert!(bytes == image.bytes[usize::try_from(block * 4096).unwrap()..][..4096]);
        }
        let mut all = vec![0; image.bytes.len()];
        reader.read_exact_at(&mut all, 0).unwrap();
        assert!(all == image.bytes);
        let counters = reader.counters();
        assert!(counters.recovered >= 2 * roots + 2 && counters.recovered == counters.corrupted, "{counters:?}");
        // One more than the code can correct, now that all are damaged in the same bytes.
        for index in 0..=roots {
            let start = usize::try_from((5 + index * rounds) * 4096).unwrap();
            for byte in start..start + 4096 {
                flip(&image.data, byte as u64);
            }
        }
        let error = reader.read_exact_at(&mut [0], 5 * 4096).unwrap_err();
        assert_eq!((corruption(&error).block, corruption(&error).recovered), (5, false));
    }
}

/// Data with holes where there are zeros, whatever belongs there.
struct Holey(Arc<Memory>, Vec<Range<u64>>);

impl ReadAt for Holey {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn data_at(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        let hole = |offset: u64| self.1.iter().find(|hole| hole.contains(&offset)).cloned();
        let mut start = offset;
        while let Some(hole) = hole(start) {
            start = hole.end;
        }
        let end = self.1.iter().map(|hole| hole.start).filter(|&hole| hole > start).min().unwrap_or(u64::MAX);
        Ok((start < self.size()?).then_some(start..end))
    }
}

#[test]
fn zeros_are_told_only_where_the_tree_proves_them() {
    let mut rng = fastrand::Rng::with_seed(8);
    for sizes in SIZES {
        let blocks = 6000_u64;
        let block = usize::try_from(sizes.0).unwrap();
        let mut bytes = vec![0; 6000 * block];
        for index in [0, 700, 701, 4321, 5999] {
            rng.fill(&mut bytes[index * block..][..block]);
        }
        let (data, hash) = (Arc::new(Memory::from(bytes.clone())), Arc::new(Memory::default()));
        let builder = Params::builder()
            .data_block_size(BlockSize::new(sizes.0).unwrap())
            .hash_block_size(BlockSize::new(sizes.1).unwrap());
        let formatted =
            Image::new(Storage::Read(&data), Storage::Write(&hash)).unwrap().format(builder, &Work::default()).unwrap();
        let size = sizes.0;
        // The last hole is where other data belong.
        let holes = vec![size..700 * size, 702 * size + 5..4000 * size, 4100 * size..4400 * size];
        let sparse = Holey(data, holes);
        let image = Image::new(Storage::Shared(Arc::new(sparse)), Storage::Shared(hash)).unwrap();
        let reader = image.reader(formatted.layout.params(), &formatted.root_hash).build().unwrap();
        let mut zeros = vec![false; 6000];
        let mut offset = 0;
        while let Some(data) = reader.data_at(offset).unwrap() {
            assert!(data.start >= offset && data.end > data.start && data.end <= blocks * size, "{data:?} {offset}");
            assert!(data.start.is_multiple_of(size));
            for block in offset / size..data.start / size {
                zeros[usize::try_from(block).unwrap()] = true;
            }
            offset = data.end.next_multiple_of(size);
        }
        for (index, &is_zeros) in zeros.iter().enumerate() {
            let expected = matches!(index, 1..=699 | 703..=3999 | 4100..=4320 | 4322..=4399);
            assert_eq!(is_zeros, expected, "block {index} of {sizes:?}");
        }
        assert_eq!(reader.data_at(2 * size + 3).unwrap().unwrap().start, 700 * size);
        // Most of the tree was not needed.
        let read = reader.counters().hash_blocks_read;
        assert!(read <= formatted.layout.hash_blocks(), "{read}");
    }
}

/// Data that others change between any two reads, and a cache that forgets what is wrong.
struct Changing {
    good: Vec<u8>,
    reads: AtomicU64,
    disproven: AtomicU64,
    proven: AtomicU64,
    forgets: bool,
}

impl ReadAt for Changing {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.good.read_exact_at(buffer, offset)?;
        let count = self.reads.fetch_add(1, Ordering::Relaxed);
        if count.is_multiple_of(2) {
            let mut rng = fastrand::Rng::with_seed(count);
            let place = rng.usize(..buffer.len());
            buffer[place] ^= rng.u8(1..);
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.good.size()
    }

    fn proven(&self, offset: u64, bytes: &[u8]) {
        assert!(*bytes == self.good[usize::try_from(offset).unwrap()..][..bytes.len()], "told as proven");
        self.proven.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }

    fn disproven(&self, bytes: Range<u64>) -> bool {
        assert_eq!(bytes.end - bytes.start, 4096);
        self.disproven.fetch_add(1, Ordering::Relaxed);
        self.forgets
    }
}

#[test]
fn nothing_unproven_is_handed_out_while_the_data_change() {
    let mut rng = fastrand::Rng::with_seed(9);
    let image = made(&mut rng, 300, (4096, 4096), None);
    for (forgets, at_most_once) in [(false, false), (true, false), (true, true)] {
        let count = AtomicU64::default;
        let good = image.bytes.clone();
        let source = Arc::new(Changing { good, reads: count(), disproven: count(), proven: count(), forgets });
        let reader = image.image_of(Arc::clone(&source) as _);
        let reader = reader.reader(image.params(), image.root_hash()).at_most_once(at_most_once).build().unwrap();
        let (mut good, mut failed) = (0, 0);
        for block in 0..300 {
            let mut bytes = vec![0; 4096];
            match reader.read_exact_at(&mut bytes, block * 4096) {
                Ok(()) => {
                    good += 1;
                    assert!(bytes == image.bytes[usize::try_from(block * 4096).unwrap()..][..4096]);
                }
                Err(error) => {
                    failed += 1;
                    assert_eq!(corruption(&error).block, block);
                }
            }
        }
        assert_eq!((good, failed), if forgets { (300, 0) } else { (150, 150) });
        assert!(source.disproven.load(Ordering::Relaxed) >= 150);
        assert_eq!(source.proven.load(Ordering::Relaxed), good * 4096);
    }
}

#[test]
fn a_device_that_is_too_small_is_refused() {
    let image = made(&mut fastrand::Rng::with_seed(2), 100, (4096, 4096), None);
    let small: Arc<dyn ReadAt> = Arc::new(image.bytes[..99 * 4096].to_vec());
    assert!(matches!(
        image.image_of(small).reader(image.params(), image.root_hash()).build(),
        Err(Error::DeviceTooSmall { needed: 409_600, .. })
    ));
}
