//! Some of the columns of an image with FEC.

use std::collections::BTreeSet;
use std::ops::Range;

/// How many stretches are kept apart. After the last one, all columns belong to it.
const MOST: usize = 1 << 16;

/// Columns, as stretches in ascending order.
#[derive(Debug, Default)]
pub(crate) struct Columns(Vec<Range<u64>>);

impl From<Range<u64>> for Columns {
    fn from(columns: Range<u64>) -> Self {
        Self(vec![columns])
    }
}

impl Columns {
    /// Adds columns after all that it has. `end` is the end of all columns.
    pub(crate) fn push(&mut self, columns: Range<u64>, end: u64) {
        let is_full = self.0.len() == MOST;
        match self.0.last_mut() {
            Some(last) if last.end >= columns.start => last.end = last.end.max(columns.end),
            _ => self.0.push(columns.start..if is_full { end } else { columns.end }),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|stretch| stretch.end - stretch.start).sum()
    }

    /// How many of these there are, if none come after them but for those that were added with them.
    pub(crate) fn count_in(&self, columns: &Range<u64>) -> u64 {
        let last = self.0.iter().rev().take_while(|stretch| stretch.end > columns.start);
        last.map(|stretch| stretch.end.min(columns.end) - stretch.start.max(columns.start)).sum()
    }

    /// The others, without the rounds of these numbers, which have blocks of `block` bytes.
    pub(crate) fn without(self, rounds: &BTreeSet<u64>, block: u64) -> Self {
        let mut left = Self::default();
        for stretch in self.0 {
            let mut start = stretch.start;
            for round in rounds.range(stretch.start / block..stretch.end.div_ceil(block)) {
                if start < round * block {
                    left.0.push(start..round * block);
                }
                start = (round + 1) * block;
            }
            if start < stretch.end {
                left.0.push(start..stretch.end);
            }
        }
        left
    }

    /// All of them, at most so many at a time.
    pub(crate) fn stretches(&self, at_a_time: u64) -> impl Iterator<Item = Range<u64>> {
        self.0.iter().flat_map(move |stretch| {
            let step = usize::try_from(at_a_time).unwrap_or(usize::MAX);
            let end = stretch.end;
            (stretch.start..end).step_by(step).map(move |start| start..end.min(start + at_a_time))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_added_cut_and_counted() {
        let mut columns = Columns::default();
        for stretch in [0..512, 512..1024, 4096..4608, 8192..16384] {
            columns.push(stretch, 1 << 20);
        }
        assert_eq!(columns.0, [0..1024, 4096..4608, 8192..16384]);
        assert_eq!(columns.count(), 9728);
        let counts = [4200..16384, 4200..20000, 16384..20000].map(|some| columns.count_in(&some));
        assert_eq!(counts, [8600, 8600, 0]);
        let stretches: Vec<_> = columns.stretches(4096).collect();
        assert_eq!(stretches, [0..1024, 4096..4608, 8192..12288, 12288..16384]);
        // Half a round, all of one, nothing of one, and the middle and the end of a stretch.
        let left = columns.without(&BTreeSet::from([1, 8, 9, 100, 18, 31]), 512);
        assert_eq!(left.0, [0..512, 8192..9216, 9728..15872]);
    }

    #[test]
    fn of_very_many_stretches_the_last_one_has_all_that_follow() {
        let mut columns = Columns::default();
        let end = (MOST as u64 + 10) * 1024;
        for stretch in 0..MOST as u64 + 10 {
            columns.push(stretch * 1024..stretch * 1024 + 512, end);
        }
        assert_eq!(columns.count(), MOST as u64 * 512 + 10 * 1024);
        assert_eq!(columns.count_in(&(end - 1024..end)), 1024);
        assert_eq!(columns.stretches(end).count(), MOST + 1);
    }
}
