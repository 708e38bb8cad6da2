//! What has changed in the data of an image.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::format::Params;
use crate::io::{Device, Storage};
use crate::tree;

/// Which bytes of the data have changed since the hash tree was made, and, if they are still known, what they were.
///
/// ```
/// use dmverity::Changes;
///
/// // In any order, and they may overlap. Each stands for all data blocks that have a byte of it.
/// let changes = Changes::of([1_000_000..2_000_000, 0..100]).with_range(5000..6000);
/// # let _ = changes;
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Changes<'c> {
    ranges: Vec<Range<u64>>,
    old_data: Option<Storage<'c>>,
}

impl<'c> Changes<'c> {
    /// What errors call the copy of the old data.
    pub const OLD_DATA: &'static str = "the old data";

    /// Changes in these ranges of bytes of the data.
    pub fn of(ranges: impl IntoIterator<Item = Range<u64>>) -> Self {
        Self { ranges: ranges.into_iter().collect(), old_data: None }
    }

    /// The same with one more range.
    pub fn with_range(mut self, range: Range<u64>) -> Self {
        self.ranges.push(range);
        self
    }

    /// The same with a copy of the data as they were before, at least in these ranges; a snapshot, for example. It is
    /// read only for an image with FEC: the parity is changed by the difference between old and new data. Without it
    /// every block that shares a codeword with a changed one has to be read, about a hundred times as much.
    pub fn with_old_data(mut self, old_data: Storage<'c>) -> Self {
        self.old_data = Some(old_data);
        self
    }

    /// The data blocks in which something has changed, in order and apart.
    pub(super) fn blocks(&self, params: &Params) -> Result<Vec<Range<u64>>> {
        let (data_bytes, block) = (params.data_bytes(), params.data_block_size().bytes());
        let mut blocks = Vec::new();
        for range in self.ranges.iter().filter(|range| !range.is_empty()) {
            if range.end > data_bytes {
                let length = range.end - range.start;
                return Err(Error::OutsideData { offset: range.start, length, data_bytes });
            }
            blocks.push(range.start / block..range.end.div_ceil(block));
        }
        Ok(tree::merged(&blocks))
    }

    /// The copy of the data, if there is one.
    pub(super) fn old_device(&self) -> Result<Option<Device<'c>>> {
        self.old_data.clone().map(|old| Device::of_storage(old, Self::OLD_DATA)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::reversed_empty_ranges, clippy::single_range_in_vec_init)] // They are lists of ranges.
    fn ranges_become_blocks() {
        let params = Params::builder().build(10 * 4096).unwrap();
        let blocks = |ranges: &[Range<u64>]| Changes::of(ranges.iter().cloned()).blocks(&params).unwrap();
        assert!(blocks(&[]).is_empty() && blocks(&[7..7, 9..3]).is_empty());
        assert_eq!(blocks(&[4095..4097]), [0..2]);
        assert_eq!(blocks(&[36_864..40_960, 0..1, 4096..8192, 20_000..20_001]), [0..2, 4..5, 9..10]);
        assert_eq!(blocks(&[0..40_960, 5000..6000]), [0..10]);
        let refused = Changes::default().with_range(40_000..40_961).blocks(&params).unwrap_err();
        assert!(matches!(refused, Error::OutsideData { offset: 40_000, length: 961, data_bytes: 40_960 }));
    }
}
