//! Data that are copied while they are read.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::part::Part;
use crate::io::{ReadAt, WriteAt};

/// Blocks of zeros are not written: the copy has holes there.
const BLOCK: usize = 4096;

/// Data with zeros after their end. What is read the first time is written to its place in the copy; what is read again
/// comes from there, so that a source that changes in between changes nothing.
pub(super) struct Copied<'s> {
    source: &'s dyn ReadAt,
    /// The size of the source.
    source_bytes: u64,
    /// The size with the zeros.
    bytes: u64,
    /// It reads as zeros where nothing has been written yet. Without one, data are only read.
    target: Option<Part<&'s dyn WriteAt>>,
    done: Mutex<Ranges>,
}

impl<'s> Copied<'s> {
    pub(super) fn new(source: &'s dyn ReadAt, sizes: (u64, u64), target: Option<Part<&'s dyn WriteAt>>) -> Self {
        let (source_bytes, bytes) = sizes;
        Self { source, source_bytes, bytes, target, done: Mutex::default() }
    }

    fn done(&self) -> std::sync::MutexGuard<'_, Ranges> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads from the source and writes what is not zeros.
    fn copy(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let stored = usize::try_from(self.source_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (stored, zeros) = buffer.split_at_mut(stored.min(buffer.len()));
        zeros.fill(0);
        self.source.read_exact_at(stored, offset)?;
        let Some(target) = self.target else { return Ok(()) };
        let is_zeros = |block: &[u8]| *block == [0; BLOCK][..block.len()];
        let mut position = 0;
        for run in stored.chunks(BLOCK).collect::<Vec<_>>().chunk_by(|one, next| is_zeros(one) == is_zeros(next)) {
            let len = run.iter().map(|block| block.len()).sum::<usize>();
            if !is_zeros(run[0]) {
                target.write_all_at(&stored[position..position + len], offset + position as u64)?;
            }
            position += len;
        }
        Ok(())
    }
}

impl ReadAt for Copied<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|&end| end <= self.bytes);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let pieces = self.done().cut(offset..end);
        let mut rest = buffer;
        for (range, is_done) in pieces {
            let (piece, after) = rest.split_at_mut(usize::try_from(range.end - range.start).expect("a part of it"));
            if let Some(target) = self.target.filter(|_| is_done) {
                target.read_exact_at(piece, range.start)?;
            } else {
                self.copy(piece, range.start)?;
                self.done().add(range);
            }
            rest = after;
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }

    fn data_at(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        let found = if offset < self.source_bytes { self.source.data_at(offset)? } else { None };
        let found = found.filter(|range| range.start < self.source_bytes);
        // A hole that is filled later stays one here.
        let hole = offset..found.as_ref().map_or(self.bytes, |range| range.start);
        if hole.start < hole.end {
            self.done().add(hole);
        }
        Ok(found)
    }
}

/// Ranges that do not touch each other: their beginnings with their ends.
#[derive(Debug, Default)]
struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    fn add(&mut self, range: Range<u64>) {
        let Range { mut start, mut end } = range;
        // The last one that begins before the end may be joined, then the one before it.
        while let Some((&first, &last)) = self.0.range(..=end).next_back().filter(|(_, last)| **last >= start) {
            self.0.remove(&first);
            (start, end) = (start.min(first), end.max(last));
        }
        self.0.insert(start, end);
    }

    /// A range in pieces that are wholly in one of these, or in none.
    fn cut(&self, range: Range<u64>) -> Vec<(Range<u64>, bool)> {
        let mut pieces = Vec::new();
        let mut position = range.start;
        let before = self.0.range(..=range.start).next_back();
        let inside = self.0.range(range.start.saturating_add(1)..range.end.max(range.start.saturating_add(1)));
        for (&start, &end) in before.into_iter().chain(inside) {
            let (start, end) = (start.max(position), end.min(range.end));
            if start >= end {
                continue;
            }
            if start > position {
                pieces.push((position..start, false));
            }
            pieces.push((start..end, true));
            position = end;
        }
        if position < range.end {
            pieces.push((position..range.end, false));
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Memory;

    #[test]
    fn ranges_are_joined_and_cut() {
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..200 {
            let (mut ranges, mut plain) = (Ranges::default(), [false; 64]);
            for _ in 0..rng.usize(0..8) {
                let start = rng.usize(0..63);
                let end = rng.usize(start + 1..=64);
                plain[start..end].fill(true);
                ranges.add(start as u64..end as u64);
            }
            let start = rng.usize(0..63);
            let end = rng.usize(start..=64);
            let mut position = start as u64;
            for (range, is_done) in ranges.cut(start as u64..end as u64) {
                assert!(range.start == position && range.end > position);
                let cells = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
                assert!(plain[cells].iter().all(|&done| done == is_done));
                position = range.end;
            }
            assert_eq!(position, end as u64);
            let gaps: Vec<_> = ranges.0.iter().zip(ranges.0.iter().skip(1)).collect();
            assert!(gaps.iter().all(|((_, end), (start, _))| end < start), "{ranges:?}");
        }
    }

    #[test]
    fn what_has_been_copied_is_not_read_again() {
        let source = Memory::from([vec![0; 8192], vec![7; 5000]].concat());
        let target = Memory::from(vec![0; 20_480]);
        let copied = Copied::new(&source, (13_192, 16_384), Some(Part::new(&target as &dyn WriteAt, 0..20_480)));
        let read = |range: Range<usize>| {
            let mut buffer = vec![1; range.len()];
            copied.read_exact_at(&mut buffer, range.start as u64).map(|()| buffer)
        };
        let expected = [vec![0; 8192], vec![7; 5000], vec![0; 3192]].concat();
        assert_eq!(read(4096..12_288).unwrap(), expected[4096..12_288]);
        source.write_all_at(&[9; 13_192], 0).unwrap();
        assert_eq!(read(4096..12_288).unwrap(), expected[4096..12_288]);
        // What has not been read is as it is now.
        assert_eq!(read(0..16_384).unwrap(), [&[9; 4096][..], &expected[4096..12_288], &[9; 904], &[0; 3192]].concat());
        assert!(read(16_000..16_385).is_err());
        assert_eq!(Vec::from(target)[8192..16_384], [&[7; 4096][..], &[9; 904], &[0; 3192]].concat());
    }
}
