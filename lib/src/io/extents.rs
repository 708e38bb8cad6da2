//! Which stretches of a device hold data, looked up in any order.

use std::ops::Range;

use super::Holes;

/// Shorter holes are taken for data: they are not worth a system call.
const SHORTEST_HOLE: u64 = 64 << 10;

/// How many stretches are kept. After the last one everything is taken for data.
const MOST: usize = 1 << 16;

/// The data of a device between its holes.
#[derive(Debug)]
pub(crate) struct Extents(Vec<Range<u64>>);

impl Extents {
    /// Goes through the holes from the front to byte `end`.
    pub(super) fn new(mut holes: Holes<'_>, end: u64) -> Self {
        let mut stretches: Vec<Range<u64>> = Vec::new();
        let mut position = 0;
        loop {
            let start = holes.end_of_hole_at(position);
            if start >= end {
                break;
            }
            position = holes.end_of_data_at(start);
            if stretches.len() == MOST {
                stretches.push(start..u64::MAX);
                break;
            }
            match stretches.last_mut() {
                Some(last) if start - last.end < SHORTEST_HOLE => last.end = position,
                _ => stretches.push(start..position),
            }
        }
        Self(stretches)
    }

    /// Whether there may be anything but a hole between these positions.
    pub(crate) fn have_data(&self, positions: &Range<u64>) -> bool {
        let next = self.0.partition_point(|stretch| stretch.end <= positions.start);
        self.0.get(next).is_some_and(|stretch| stretch.start < positions.end)
    }

    /// How many bytes before a position are not holes.
    pub(crate) fn bytes_before(&self, end: u64) -> u64 {
        self.0.iter().map(|stretch| stretch.end.min(end).saturating_sub(stretch.start)).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn data_is_told_from_holes() {
        const MIB: u64 = 1 << 20;
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 * MIB).unwrap();
        for start in [8, 32] {
            // As long as the largest pages there are, so that all around it stays a hole.
            file.write_all_at(&vec![1; 4 << 20], start * MIB).unwrap();
        }
        let stretches = Extents::new(Holes::new(Some(&file), 0), 64 * MIB);
        for (positions, has_data) in [
            (0..8 * MIB, false),
            (0..8 * MIB + 1, true),
            (12 * MIB - 1..13 * MIB, true),
            (12 * MIB..32 * MIB, false),
            (33 * MIB..34 * MIB, true),
            (36 * MIB..64 * MIB, false),
            (0..64 * MIB, true),
        ] {
            assert_eq!(stretches.have_data(&positions), has_data, "{positions:?}");
        }
        assert_eq!([9, 64].map(|end| stretches.bytes_before(end * MIB)), [MIB, 8 * MIB]);
        assert!(Extents::new(Holes::new(None, 0), 4096).have_data(&(0..1)), "where holes are not known");
    }
}
