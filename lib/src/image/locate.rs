//! Finding a superblock whose place is not known: in an image that is one file, the hash area begins where the
//! data end, and the superblock itself says how long the data are.

use std::path::Path;

use super::handle::Image;
use super::scan::{MOST, Scan, each_sector, each_sector_before, image_whose_data_end_at};
use crate::error::{Error, Result};
use crate::format::{Params, SUPERBLOCK_SIZE, Superblock};
use crate::io::Device;
use crate::work::Work;

/// Finds the one superblock of an image whose hash area is after its data on the same device: the superblock at the
/// byte where the data end, by its own number and size of data blocks. What it finds is no more trustworthy than any
/// superblock: see [`load`](crate::load).
///
/// Where the device ends with the image, or with some MiB of zeros after it, a few MiB are read. Only if there is no
/// such image is the whole device read, except its holes.
///
/// # Errors
/// [`Error::NoHashArea`] and [`Error::SeveralHashAreas`]; [`Error::Open`], [`Error::NotDevice`] and [`Error::Io`].
pub fn find_hash_offset(image: impl AsRef<Path>) -> Result<u64> {
    let image = image.as_ref();
    locate_on(&Device::open(image)?)
}

fn locate_on(device: &Device<'_>) -> Result<u64> {
    let mut found = Scan::at_its_end(device)?.found;
    if found.is_empty() {
        each_sector(device, &Work::default(), |offset, bytes| {
            found.extend(image_whose_data_end_at(offset, bytes).filter(|_| found.len() < MOST));
        })?;
    }
    let path = || device.path().to_owned();
    match &found[..] {
        [only] => Ok(only.hash_offset()),
        [] => Err(Error::NoHashArea { path: path() }),
        several => {
            Err(Error::SeveralHashAreas { path: path(), offsets: several.iter().map(Params::hash_offset).collect() })
        }
    }
}

/// The same, and if an update was interrupted there, where the image's superblock was.
///
/// # Errors
/// As for that function.
pub fn find_tree_to_update(image: impl AsRef<Path>) -> Result<u64> {
    let device = Device::open(image.as_ref())?;
    locate_on(&device).or_else(|error| {
        if !matches!(error, Error::NoHashArea { .. }) {
            return Err(error);
        }
        match &Scan::of(&device, &Work::default())?.marks[..] {
            [mark] if mark.is_of_update() => Ok(mark.offset()),
            _ => Err(error),
        }
    })
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
    use std::io;
    use std::os::unix::fs::FileExt;
    use std::sync::atomic::{AtomicU64, Ordering};

    use zerocopy::IntoBytes as _;

    use super::*;
    use crate::format::{AppendedFec, Hashing, Plan};
    use crate::image::mark::Mark;
    use crate::io::{ReadAt, Storage};
    use crate::value::BlockSize;

    /// A large disk of zeros with a few bytes in it.
    struct Disk {
        size: u64,
        content: Vec<(u64, Vec<u8>)>,
        bytes_read: AtomicU64,
    }

    impl ReadAt for Disk {
        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            self.bytes_read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
            buffer.fill(0);
            for (start, bytes) in &self.content {
                for (index, byte) in (*start..).zip(bytes) {
                    let place = index.checked_sub(offset).and_then(|place| usize::try_from(place).ok());
                    if let Some(place) = place.and_then(|place| buffer.get_mut(place)) {
                        *place = *byte;
                    }
                }
            }
            Ok(())
        }

        fn size(&self) -> io::Result<u64> {
            Ok(self.size)
        }
    }

    #[test]
    fn a_large_disk_is_not_read_to_find_the_superblock_near_its_end() {
        let data_bytes = 100 << 30;
        for roots in [None, Some(24)] {
            let fec = roots.map(|roots| AppendedFec { roots, device: None });
            let plan = Plan::one_image(Hashing::default(), data_bytes, fec.as_ref()).unwrap();
            let superblock = plan.layout.params().superblock().unwrap().to_bytes().to_vec();
            let end = plan.hash_device_bytes;
            for size in [end, end.next_multiple_of(4 << 20)] {
                let content = vec![(data_bytes, superblock.clone()), (end - 9, vec![1])];
                let disk = Disk { size, content, bytes_read: AtomicU64::new(0) };
                let found = Image::in_one(Storage::Read(&disk)).unwrap().locate().unwrap();
                assert_eq!(found, data_bytes);
                let read = disk.bytes_read.into_inner();
                assert!(read < 8 << 20, "{read}");
            }
        }
    }

    #[test]
    fn a_large_file_is_not_read_to_find_the_tree_that_is_to_be_replaced() {
        let data_bytes = 100 << 30;
        let plan = Plan::one_image(Hashing::default(), data_bytes, None).unwrap();
        let end = plan.hash_device_bytes;
        let superblock = plan.layout.params().superblock().unwrap().to_bytes().to_vec();
        let (last, bytes) = ((end - 9, vec![1]), |mark: Mark| mark.as_bytes().to_vec());
        let planned = |size, content| {
            let disk = Disk { size, content, bytes_read: AtomicU64::new(0) };
            let planned = Image::in_one(Storage::Read(&disk)).unwrap().plan_append(Hashing::default(), None);
            let read = disk.bytes_read.into_inner();
            assert!(read < 24 << 20, "{read}");
            planned
        };
        // Finished, interrupted while the tree was written, and before, and a tree without superblock.
        let unfinished = (data_bytes, bytes(Mark::new(data_bytes, data_bytes, end)));
        let at_end = (end, bytes(Mark::at_end(end, data_bytes, data_bytes)));
        for (size, content) in [
            (end, vec![(data_bytes, superblock.clone()), last.clone()]),
            (end, vec![unfinished.clone()]),
            (data_bytes + 512, vec![unfinished]),
            (end + 512, vec![at_end]),
        ] {
            assert_eq!(planned(size, content).unwrap().total_bytes, end);
        }
        // What is after the tree is refused as it was, and so is a tree where another one was begun.
        let refused = planned(end + 4096, vec![(data_bytes, superblock.clone()), last.clone()]).unwrap_err();
        assert!(matches!(refused, Error::BehindHashArea { found, .. } if found == end + 4096), "{refused}");
        let two = vec![(data_bytes, superblock), (end - 512, bytes(Mark::at_end(end - 512, data_bytes, data_bytes)))];
        let refused = planned(end, two).unwrap_err();
        assert!(matches!(&refused, Error::SeveralHashAreas { offsets, .. } if offsets.len() == 2), "{refused}");
    }

    #[test]
    fn two_images_with_one_end_are_refused() {
        let parity = Some(AppendedFec { roots: 24, device: None });
        let plan = |bytes, fec| Plan::one_image(Hashing::default(), bytes, fec).unwrap();
        let size = plan(1 << 30, parity.as_ref()).hash_device_bytes;
        // The other one has more data and no parity.
        let blocks = (1 << 18..size / 4096).find(|blocks| plan(blocks * 4096, None).hash_device_bytes == size).unwrap();
        let superblock = |plan: Plan| plan.layout.params().superblock().unwrap().to_bytes().to_vec();
        let one = (1 << 30, superblock(plan(1 << 30, parity.as_ref())));
        let other = (blocks * 4096, superblock(plan(blocks * 4096, None)));
        let disk = Disk { size, content: vec![one, other, (size - 1, vec![1])], bytes_read: AtomicU64::new(0) };
        let refused = Image::in_one(Storage::Read(&disk)).unwrap().locate().unwrap_err();
        let expected = [1 << 30, blocks * 4096];
        assert!(matches!(&refused, Error::SeveralHashAreas { offsets, .. } if *offsets == expected), "{refused}");
    }

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
