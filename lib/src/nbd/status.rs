//! `BLOCK_STATUS`: which parts of the disk are zeros that need not be read.

use super::protocol::{ALLOCATION_ID, HOLE_AND_ZERO};
use crate::io::ReadAt;

/// How often the storage is asked for one reply, which has no more extents than that. What follows them, a client asks
/// for next.
pub(super) const MOST: usize = 4096;

/// The extents from `offset` on, `length` bytes altogether and `most` of them at the most, as the content of a chunk.
pub(super) fn extents(storage: &dyn ReadAt, offset: u64, length: u32, most: usize) -> Vec<u8> {
    let end = offset + u64::from(length);
    let mut extents: Vec<(u64, u32)> = Vec::new();
    let mut position = offset;
    for _ in 0..MOST {
        if position >= end {
            break;
        }
        let (next, flags) = extent(storage, position, end);
        let count = extents.len();
        match extents.last_mut() {
            Some((last_end, last_flags)) if *last_flags == flags => *last_end = next,
            _ if count == most => break,
            _ => extents.push((next, flags)),
        }
        position = next;
    }
    let mut content = ALLOCATION_ID.to_be_bytes().to_vec();
    let mut start = offset;
    for (end, flags) in extents {
        // None is longer than the request.
        content.extend(u32::try_from(end - start).unwrap_or(length).to_be_bytes());
        content.extend(flags.to_be_bytes());
        start = end;
    }
    content
}

/// Where the extent that begins at `position` ends, and its flags.
fn extent(storage: &dyn ReadAt, position: u64, end: u64) -> (u64, u32) {
    match storage.data_at(position) {
        Ok(None) => (end, HOLE_AND_ZERO),
        Ok(Some(data)) if data.start > position => (data.start.min(end), HOLE_AND_ZERO),
        Ok(Some(data)) if data.end > position => (data.end.min(end), 0),
        // What is not known is read.
        Ok(Some(_)) | Err(_) => (end, 0),
    }
}
