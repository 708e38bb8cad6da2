//! The pieces of a file that are in memory.

use std::collections::{HashMap, VecDeque};
use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;

use lru::LruCache;

use crate::error::Result;
use crate::memory;

/// How many bytes a piece has, except the last one of a file.
pub(super) const PIECE: u64 = 128 << 10;

/// How many pieces are kept at the most. More are fetched only if they are needed at once.
const MOST: NonZero<usize> = NonZero::new(512).expect("it is not zero");

/// How many of these were read to their end, and are needed again only by others that read the same.
const MOST_READ: usize = 32;

/// How many unused buffers are kept.
const MOST_SPARE: usize = 16;

/// Where a piece is.
pub(super) enum Place {
    Ready(Arc<Vec<u8>>),
    /// It is being fetched.
    Coming,
    /// It is not there, but may be in the queue.
    Absent,
}

/// Pieces by their numbers.
#[derive(Debug)]
pub(super) struct Pieces {
    ready: LruCache<u64, Arc<Vec<u8>>>,
    /// Those in the queue, and, with `true`, those that are being fetched.
    pending: HashMap<u64, bool>,
    /// Those that were read to their end.
    read: VecDeque<u64>,
    spare: Vec<Vec<u8>>,
}

impl Default for Pieces {
    fn default() -> Self {
        Self { ready: LruCache::new(MOST), pending: HashMap::new(), read: VecDeque::new(), spare: Vec::new() }
    }
}

impl Pieces {
    pub(super) fn find(&mut self, piece: u64) -> Place {
        match (self.ready.get(&piece), self.pending.get(&piece)) {
            (Some(bytes), _) => Place::Ready(Arc::clone(bytes)),
            (None, Some(true)) => Place::Coming,
            (None, _) => Place::Absent,
        }
    }

    /// Notes that a piece is in the queue. Returns whether it was not, and is neither ready nor being fetched.
    pub(super) fn ask(&mut self, piece: u64) -> bool {
        if self.ready.contains(&piece) || self.pending.contains_key(&piece) {
            return false;
        }
        self.pending.insert(piece, false);
        true
    }

    /// Takes the first of these pieces, as many as are wanted and not being fetched yet, marks them as being fetched,
    /// and returns them.
    pub(super) fn claim(&mut self, pieces: Range<u64>, is_wanted: impl Fn(&Self, u64) -> bool) -> Range<u64> {
        let is_free = |piece: &u64| {
            !self.ready.contains(piece) && self.pending.get(piece) != Some(&true) && is_wanted(self, *piece)
        };
        let end = pieces.start + pieces.clone().take_while(is_free).count() as u64;
        self.pending.extend((pieces.start..end).map(|piece| (piece, true)));
        pieces.start..end
    }

    /// Whether a piece is in the queue and not being fetched.
    pub(super) fn is_queued(&self, piece: u64) -> bool {
        self.pending.get(&piece) == Some(&false)
    }

    pub(super) fn arrive(&mut self, piece: u64, bytes: Vec<u8>) {
        self.pending.remove(&piece);
        if let Some((_, old)) = self.ready.push(piece, Arc::new(bytes)) {
            self.reuse(old);
        }
    }

    /// Its fetch was given up, or its place in the queue.
    pub(super) fn give_up(&mut self, piece: u64) {
        self.pending.remove(&piece);
    }

    /// A piece was read to its end.
    pub(super) fn was_read(&mut self, piece: u64) {
        self.read.push_back(piece);
        if self.read.len() > MOST_READ {
            let oldest = self.read.pop_front();
            if let Some(old) = oldest.and_then(|oldest| self.ready.pop(&oldest)) {
                self.reuse(old);
            }
        }
    }

    pub(super) fn forget(&mut self, piece: u64) {
        self.ready.pop(&piece);
    }

    fn reuse(&mut self, bytes: Arc<Vec<u8>>) {
        if self.spare.len() < MOST_SPARE
            && let Ok(bytes) = Arc::try_unwrap(bytes)
        {
            self.spare.push(bytes);
        }
    }

    /// Room for a piece of this many bytes, whatever is in it.
    pub(super) fn room(&mut self, len: usize) -> Result<Vec<u8>> {
        match self.spare.pop() {
            Some(bytes) if bytes.len() == len => Ok(bytes),
            _ => memory::zeroed(len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_fetched_by_one_alone() {
        let mut pieces = Pieces::default();
        assert!(pieces.ask(1) && !pieces.ask(1) && pieces.ask(2));
        assert_eq!(pieces.claim(1..3, Pieces::is_queued), 1..3);
        assert!(pieces.claim(1..3, |_, _| true).is_empty() && !pieces.ask(1));
        assert!(matches!(pieces.find(1), Place::Coming));
        pieces.arrive(1, vec![7]);
        pieces.give_up(2);
        assert!(matches!(pieces.find(1), Place::Ready(bytes) if *bytes == [7]));
        assert!(matches!(pieces.find(2), Place::Absent));
        assert_eq!(pieces.claim(2..9, |_, _| true), 2..9);
        assert!(pieces.claim(9..10, Pieces::is_queued).is_empty());
    }

    #[test]
    fn no_more_than_some_are_kept() {
        let mut pieces = Pieces::default();
        for piece in 0..2000 {
            pieces.arrive(piece, vec![0; 8]);
        }
        assert_eq!((pieces.ready.len(), pieces.spare.len()), (MOST.get(), MOST_SPARE));
        for piece in 1500..2000 {
            pieces.was_read(piece);
        }
        assert!(matches!(pieces.find(1500), Place::Absent));
        assert!(matches!(pieces.find(1999), Place::Ready(_)));
        assert_eq!(pieces.room(8).unwrap().len(), 8);
        assert_eq!(pieces.room(9).unwrap().len(), 9);
    }
}
