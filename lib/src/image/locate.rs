//! Finding a superblock whose place is not known: in an image that is one file, the hash area begins where the
//! data end, and the superblock itself says how long the data are.

use std::path::Path;

use super::handle::Image;
use super::scan::{MOST, each_sector, each_sector_before, image_whose_data_end_at};
use crate::error::{Error, Result};
use crate::format::{Params, SUPERBLOCK_SIZE, Superblock};
use crate::io::Device;
use crate::work::Work;

/// Finds the one superblock of an image whose hash area is after its data on the same device: the superblock at the
/// byte where the data end, by its own number and size of data blocks. The whole image is read, except its holes,
/// because there may be another one. What it finds is no more trustworthy than any superblock: see
/// [`load`](crate::load).
///
/// # Errors
/// [`Error::NoHashArea`] and [`Error::SeveralHashAreas`]; [`Error::Open`], [`Error::NotDevice`] and [`Error::Io`].
pub fn find_hash_offset(image: impl AsRef<Path>) -> Result<u64> {
    let image = image.as_ref();
    locate_on(&Device::open(image)?)
}

fn locate_on(device: &Device<'_>) -> Result<u64> {
    let mut found = Vec::new();
    each_sector(device, &Work::default(), |offset, bytes| {
        found.extend(image_whose_data_end_at(offset, bytes).filter(|_| found.len() < MOST));
    })?;
    let path = || device.path().to_owned();
    match &found[..] {
        [only] => Ok(only.hash_offset()),
        [] => Err(Error::NoHashArea { path: path() }),
        several => {
            Err(Error::SeveralHashAreas { path: path(), offsets: several.iter().map(Params::hash_offset).collect() })
        }
    }
}

impl Image<'_> {
    /// What [`find_hash_offset()`](crate::find_hash_offset()) does, on the hash device of an image that is open.
    ///
    /// # Errors
    /// As for that function.
    pub fn locate(&self) -> Result<u64> {
        locate_on(&self.hash)
    }
}

/// The offsets of the first few superblocks in the first `most` bytes of a device, whatever image they belong to: for a
/// hint if a superblock is missing at its expected place. Holes are not read.
///
/// # Errors
/// [`Error::Open`], [`Error::NotDevice`] and [`Error::Io`].
pub fn find_superblocks(device: impl AsRef<Path>, most: u64) -> Result<Vec<u64>> {
    let device = device.as_ref();
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::value::BlockSize;

    fn superblock(data_blocks: u64) -> [u8; SUPERBLOCK_SIZE] {
        let params = Params::builder()
            .data_block_size(BlockSize::new(512).unwrap())
            .data_blocks(data_blocks)
            .build(u64::MAX >> 1)
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
        // The last sector; less than one follows it.
        file.as_file().set_len((16 << 20) + 512 + 100).unwrap();
        file.as_file().write_all_at(&superblock((16 << 20) / 512), 16 << 20).unwrap();
        let both = find().unwrap_err();
        assert!(matches!(&both, Error::SeveralHashAreas { offsets, .. } if *offsets == [20_001 * 512, 16 << 20]));
        let found = find_superblocks(file.path(), u64::MAX).unwrap();
        assert_eq!(found, [512, 5000 * 512, 20_001 * 512, 16 << 20]);
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
        let many = crate::plan_append(file.path(), crate::Hashing::default(), None).unwrap_err();
        assert!(matches!(&many, Error::SeveralHashAreas { offsets, .. } if *offsets == first), "{many}");
    }
}
