//! Who reads on, and how far ahead of each is fetched.

use std::ops::Range;

/// How many readers are told apart. Those that read last count.
const MOST_STREAMS: usize = 16;

/// How many pieces are fetched ahead of all readers together, and of one of them at the most and at the least.
const AHEAD_OF_ALL: u64 = 256;
const AHEAD_OF_ONE: u64 = 64;
const AHEAD_AT_LEAST: u64 = 4;

/// A reader that is remembered without having read since is of no account to the others after so many reads.
const FORGOTTEN_AFTER: u64 = 4096;

/// One that reads on.
#[derive(Debug)]
struct Stream {
    /// The piece after those that were read.
    next: u64,
    /// The piece after those that are fetched or going to be.
    ahead: u64,
    /// How many pieces are fetched ahead of it: none until it has read on.
    window: u64,
    /// When it read last.
    used: u64,
}

/// All that read. Positions are numbers of pieces.
#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: Vec<Stream>,
    clock: u64,
}

impl Streams {
    /// Is told which pieces are read now, of a file of `end` pieces. Returns what to fetch ahead.
    pub(super) fn read(&mut self, pieces: &Range<u64>, end: u64) -> Range<u64> {
        self.clock += 1;
        let Some(index) = self.streams.iter().position(|stream| stream.expects(pieces.start)) else {
            self.begin(pieces);
            return 0..0;
        };
        let most = self.most();
        let clock = self.clock;
        let stream = &mut self.streams[index];
        stream.used = clock;
        if pieces.end <= stream.next {
            return 0..0;
        }
        stream.next = pieces.end;
        stream.ahead = stream.ahead.max(stream.next);
        stream.window = (stream.window * 2).max(2).max(pieces.end - pieces.start).min(most);
        // What is left is enough for now.
        if stream.ahead - stream.next > stream.window / 2 {
            return 0..0;
        }
        let asked = stream.ahead..(stream.next + stream.window).min(end);
        stream.ahead = stream.ahead.max(asked.end);
        asked
    }

    /// Remembers one that has read for the first time, in place of the one that has not read for the longest time.
    fn begin(&mut self, pieces: &Range<u64>) {
        let stream = Stream { next: pieces.end, ahead: pieces.end, window: 0, used: self.clock };
        if self.streams.len() < MOST_STREAMS {
            self.streams.push(stream);
        } else if let Some(oldest) = self.streams.iter_mut().min_by_key(|stream| stream.used) {
            *oldest = stream;
        }
    }

    /// How far ahead of one of those that read on is fetched.
    fn most(&self) -> u64 {
        let reads_on = |stream: &&Stream| stream.window > 0 && self.clock - stream.used < FORGOTTEN_AFTER;
        let others = self.streams.iter().filter(reads_on).count().max(1) as u64;
        (AHEAD_OF_ALL / others).clamp(AHEAD_AT_LEAST, AHEAD_OF_ONE)
    }
}

impl Stream {
    /// Whether a read that begins at this piece is one of its: it reads on, or, once it does, may read a little out of
    /// order, as several threads that share the work do.
    fn expects(&self, piece: u64) -> bool {
        if self.window == 0 {
            return piece == self.next || piece + 1 == self.next;
        }
        piece <= self.ahead && piece + self.window.max(2) >= self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: u64 = 1 << 20;

    #[test]
    fn a_reader_that_goes_on_gets_more_and_more() {
        let mut streams = Streams::default();
        let mut fetched = 0;
        let mut longest = 0;
        for piece in 0..1000 {
            let ahead = streams.read(&(piece..piece + 1), END);
            if !ahead.is_empty() {
                assert_eq!(ahead.start, fetched.max(piece + 1), "nothing is left out or fetched twice");
                fetched = ahead.end;
                longest = longest.max(ahead.end - ahead.start);
            }
            // The same piece again says nothing new.
            assert!(streams.read(&(piece..piece + 1), END).is_empty());
            assert!(fetched <= piece + 1 + AHEAD_OF_ONE);
        }
        assert!((AHEAD_OF_ONE / 2..=AHEAD_OF_ONE).contains(&longest), "{longest}");
    }

    #[test]
    fn random_reads_have_nothing_fetched_ahead() {
        let mut streams = Streams::default();
        let mut random = fastrand::Rng::with_seed(1);
        let ahead: u64 = (0..10_000)
            .map(|_| {
                let piece = random.u64(..END);
                let asked = streams.read(&(piece..piece + 1), END);
                asked.end - asked.start
            })
            .sum();
        assert!(ahead < 100, "{ahead}");
    }

    #[test]
    fn several_readers_do_not_disturb_each_other() {
        let mut streams = Streams::default();
        let mut fetched = [0; 8];
        for step in 0..400 {
            for reader in 0..8 {
                let piece = reader * 10_000 + step;
                let ahead = streams.read(&(piece..piece + 1), END);
                fetched[usize::try_from(reader).unwrap()] += ahead.end - ahead.start;
                assert!(ahead.end <= piece + 1 + AHEAD_OF_ONE);
            }
        }
        assert!(fetched.iter().all(|&fetched| (399..=400 + AHEAD_OF_ALL / 8).contains(&fetched)), "{fetched:?}");
    }

    #[test]
    fn nothing_is_fetched_after_the_end() {
        let mut streams = Streams::default();
        for piece in 0..10 {
            let ahead = streams.read(&(piece..piece + 1), 10);
            assert!(ahead.end <= 10 && (ahead.is_empty() || ahead.start < ahead.end), "{ahead:?}");
        }
        assert!(streams.read(&(9..10), 10).is_empty());
    }

    #[test]
    fn threads_that_share_the_work_are_one_reader() {
        let mut streams = Streams::default();
        let mut fetched = 0;
        for step in 0..200 {
            for piece in [step * 4 + 1, step * 4, step * 4 + 3, step * 4 + 2] {
                let ahead = streams.read(&(piece..piece + 1), END);
                fetched += ahead.end - ahead.start;
            }
        }
        assert!(fetched < 800 + 3 * AHEAD_OF_ONE, "{fetched}");
    }
}
