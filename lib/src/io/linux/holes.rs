//! Where a file has data, from what its file system knows.

use std::fs::File;
use std::io;
use std::ops::Range;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek64};

/// The first data of a file at or after `offset`; `None` if nothing but a hole follows.
pub(crate) fn data_at(file: &File, offset: u64) -> io::Result<Option<Range<u64>>> {
    // The file's own position, which these move, is not used.
    let seek = |offset: u64, whence| {
        let offset = i64::try_from(offset).map_err(|_| Errno::ENXIO)?;
        lseek64(file, offset, whence).map(i64::cast_unsigned)
    };
    match seek(offset, Whence::SeekData) {
        Ok(start) => Ok(Some(start..seek(start, Whence::SeekHole).unwrap_or(u64::MAX))),
        Err(Errno::ENXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn data_are_found_between_holes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 << 20).unwrap();
        // As long as the largest pages there are, so that all around it stays a hole.
        file.write_all_at(&vec![1; 4 << 20], 16 << 20).unwrap();
        for (offset, data) in [
            (0, Some(16 << 20..20 << 20)),
            (4096, Some(16 << 20..20 << 20)),
            (16 << 20, Some(16 << 20..20 << 20)),
            ((17 << 20) + 1, Some((17 << 20) + 1..20 << 20)),
            (20 << 20, None),
            ((64 << 20) - 1, None),
            (64 << 20, None),
        ] {
            assert_eq!(data_at(&file, offset).unwrap(), data, "{offset}");
        }
    }
}
