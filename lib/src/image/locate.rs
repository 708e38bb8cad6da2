//! Finding a superblock whose place nobody has written down: in an image that is one file, the hash area begins where the
//! data end, and the superblock itself says how long the data are.

use std::path::Path;

use crate::error::{Error, Result};
use crate::format::{Layout, Params, ParamsBuilder, SUPERBLOCK_SIZE, Superblock};
use crate::io::{Device, Reader};
use crate::value::SECTOR_SIZE;
use crate::work::Work;

/// How much is read at a time.
const PIECE: u64 = 1 << 20;

/// How many finds are kept. More than one is an error already, and an image can be made to hold as many as it has room
/// for.
pub(crate) const MOST: usize = 8;

/// Finds the one superblock of an image whose hash area lies behind its data on the same device: the one that lies at the
/// byte where, by its own number and size of data blocks, the data end. The whole image is read, but for its holes,
/// because there may be another one. What it finds is no more to be trusted than any superblock: see
/// [`load`](crate::load).
///
/// # Errors
/// [`Error::NoHashArea`] and [`Error::SeveralHashAreas`]; [`Error::Open`], [`Error::NotDevice`] and [`Error::Io`].
pub fn find_hash_offset(image: &Path) -> Result<u64> {
    let mut found = Vec::new();
    each_sector(&Device::open(image)?, &Work::default(), |offset, bytes| {
        found.extend(image_whose_data_end_at(offset, bytes).filter(|_| found.len() < MOST));
    })?;
    match &found[..] {
        [only] => Ok(only.hash_offset()),
        [] => Err(Error::NoHashArea { path: image.to_owned() }),
        several => Err(Error::SeveralHashAreas {
            path: image.to_owned(),
            offsets: several.iter().map(Params::hash_offset).collect(),
        }),
    }
}

/// The offsets of the first few superblocks in the first `most` bytes of a device, whatever image they are of: for a hint
/// where one is missing that was expected elsewhere. Holes are not read.
///
/// # Errors
/// [`Error::Open`], [`Error::NotDevice`] and [`Error::Io`].
pub fn find_superblocks(device: &Path, most: u64) -> Result<Vec<u64>> {
    let device = Device::open(device)?;
    let mut found = Vec::new();
    each_sector_before(&device, most, &Work::default(), |offset, bytes| {
        let is_whole = offset + SUPERBLOCK_SIZE as u64 <= device.bytes();
        if found.len() < MOST && is_whole && Superblock::parse(bytes).is_ok() {
            found.push(offset);
        }
    })?;
    Ok(found)
}

/// The image whose superblock is in these bytes from byte `offset` on, if there is one and its data end right there.
pub(crate) fn image_whose_data_end_at(offset: u64, bytes: &[u8]) -> Option<Params> {
    let superblock = Superblock::parse(bytes).ok()?;
    if superblock.data_block_size.checked_bytes_of(superblock.data_blocks) != Some(offset) {
        return None;
    }
    let params = ParamsBuilder::from_superblock(superblock, offset, None).ok()?;
    // A tree that no device can hold is no tree.
    Layout::new(&params).ok().map(|_| params)
}

/// Calls `look` for each place of a device where a superblock can be, or the beginning of one: its offset, and as many bytes
/// as a superblock has. After the end of the device they are zeros, as they are once it is padded.
pub(crate) fn each_sector(device: &Device<'_>, work: &Work<'_>, look: impl FnMut(u64, &[u8])) -> Result<()> {
    each_sector_before(device, u64::MAX, work, look)
}

fn each_sector_before(device: &Device<'_>, end: u64, work: &Work<'_>, mut look: impl FnMut(u64, &[u8])) -> Result<()> {
    let end = end.min(device.bytes());
    let mut reader = Reader::default();
    let mut holes = device.holes();
    device.will_be_read_in_order();
    let mut position = 0;
    while position < end {
        work.check()?;
        let data = holes.end_of_hole_at(position);
        if data > position {
            // A hole may end within a sector, and within what can be read around the page cache.
            position = (data / PIECE * PIECE).max(position);
            if data >= end {
                break;
            }
        }
        let len = PIECE.min(end - position);
        let direct = device.is_cold(position, len);
        let bytes = reader.read(device, position, usize::try_from(len).expect("no more than a piece"), direct)?;
        for (index, sector) in bytes.chunks(SUPERBLOCK_SIZE).enumerate() {
            let offset = position + index as u64 * SECTOR_SIZE;
            if sector.len() == SUPERBLOCK_SIZE {
                look(offset, sector);
            } else {
                let mut padded = [0; SUPERBLOCK_SIZE];
                padded[..sector.len()].copy_from_slice(sector);
                look(offset, &padded);
            }
        }
        position += len;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::value::BlockSize;

    fn superblock(data_blocks: u64) -> [u8; SUPERBLOCK_SIZE] {
        let params = Params::builder()
            .data_block_size(BlockSize::new(512).unwrap())
            .data_blocks(data_blocks)
            .build(Path::new("data"), u64::MAX >> 1)
            .unwrap();
        params.superblock().unwrap().to_bytes()
    }

    #[test]
    fn the_superblock_where_the_data_end_is_found_and_no_other() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let find = || find_hash_offset(file.path());
        file.as_file().set_len(16 << 20).unwrap();
        assert!(matches!(find(), Err(Error::NoHashArea { .. })));
        // One sector too late, and one that says less than there is.
        file.as_file().write_all_at(&superblock(4999), 5000 * 512).unwrap();
        file.as_file().write_all_at(&superblock(3), 512).unwrap();
        assert!(matches!(find(), Err(Error::NoHashArea { .. })));
        file.as_file().write_all_at(&superblock(20_001), 20_001 * 512).unwrap();
        assert_eq!(find().unwrap(), 20_001 * 512);
        // The last sector; behind it lies less than one.
        file.as_file().set_len((16 << 20) + 512 + 100).unwrap();
        file.as_file().write_all_at(&superblock((16 << 20) / 512), 16 << 20).unwrap();
        let both = find().unwrap_err();
        assert!(matches!(&both, Error::SeveralHashAreas { offsets, .. } if *offsets == [20_001 * 512, 16 << 20]));
        // No more than some are kept, whatever an image has.
        for blocks in 1..20 {
            file.as_file().write_all_at(&superblock(blocks), blocks * 512).unwrap();
        }
        let many = find().unwrap_err();
        let first: Vec<u64> = (1..=MOST as u64).map(|blocks| blocks * 512).collect();
        assert!(matches!(&many, Error::SeveralHashAreas { offsets, .. } if *offsets == first), "{many}");
        let everywhere = find_superblocks(file.path(), u64::MAX).unwrap();
        assert_eq!(everywhere, (1..=MOST as u64).map(|blocks| blocks * 512).collect::<Vec<_>>());
        assert_eq!(find_superblocks(file.path(), 3 * 512).unwrap(), [512, 1024]);
        let many = crate::plan_append(file.path(), Params::builder(), None).unwrap_err();
        assert!(matches!(&many, Error::SeveralHashAreas { offsets, .. } if *offsets == first), "{many}");
    }
}
