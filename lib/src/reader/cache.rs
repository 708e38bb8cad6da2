//! Hash blocks that are proven, as many as fit the memory they may take.

use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

/// Threads that read different places rarely wait for each other with this many parts.
const PARTS: usize = 16;

/// Finds hash blocks by their number on the hash device. What was used last stays.
#[derive(Debug)]
pub(super) struct HashCache {
    parts: Vec<Mutex<Part>>,
}

type Part = LruCache<u64, Arc<[u8]>, BuildHasherDefault<BlockNumbers>>;

impl HashCache {
    /// A cache of `bytes` for blocks of `block_bytes`; one block at least.
    pub(super) fn new(bytes: u64, block_bytes: u64) -> Self {
        let blocks = usize::try_from(bytes / block_bytes).unwrap_or(usize::MAX).max(1);
        let parts = PARTS.min(blocks);
        let part = |index: usize| {
            let room =
                NonZero::new(blocks / parts + usize::from(index < blocks % parts)).expect("a block in each part");
            // It takes memory as it fills.
            let mut part = LruCache::unbounded_with_hasher(BuildHasherDefault::default());
            part.resize(room);
            Mutex::new(part)
        };
        Self { parts: (0..parts).map(part).collect() }
    }

    pub(super) fn get(&self, block: u64) -> Option<Arc<[u8]>> {
        self.part(block).get(&block).cloned()
    }

    /// Whether it is here, without counting as a use.
    pub(super) fn has(&self, block: u64) -> bool {
        self.part(block).contains(&block)
    }

    pub(super) fn put(&self, block: u64, bytes: Arc<[u8]>) {
        self.part(block).put(block, bytes);
    }

    fn part(&self, block: u64) -> MutexGuard<'_, Part> {
        // Nothing that is done under the lock leaves a part half changed.
        let part = usize::try_from(block % self.parts.len() as u64).expect("few parts");
        self.parts[part].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hash of block numbers. An attacker who chooses which blocks are read gains nothing from collisions: the numbers in
/// a part are few and evenly spread.
#[derive(Debug, Default)]
struct BlockNumbers(u64);

impl Hasher for BlockNumbers {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("block numbers are u64");
    }

    fn write_u64(&mut self, block: u64) {
        // The golden ratio, 2^64 / phi.
        self.0 = block.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_as_many_blocks_as_fit_and_forgets_the_oldest() {
        for (bytes, holds) in [(0, 1), (4095, 1), (4096 * 3, 3), (4096 * 40 + 1, 40)] {
            let cache = HashCache::new(bytes, 4096);
            for block in 0..1000 {
                cache.put(block, Arc::from([0].as_slice()));
                assert!(cache.has(block));
            }
            assert_eq!((0..1000).filter(|&block| cache.has(block)).count(), holds);
        }
        let cache = HashCache::new(2 * 4096, 4096);
        for block in [0, 2] {
            cache.put(block, Arc::from([0].as_slice()));
        }
        assert!(!cache.has(0) && cache.get(2).is_some() && cache.get(3).is_none());
    }
}
