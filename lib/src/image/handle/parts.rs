//! Images in parts of one file.
#![allow(clippy::cast_possible_truncation)] // They are small.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use super::*;
use crate::fec::RepairMode;
use crate::format::{Fec, Params};
use crate::work::Work;

const DATA: Range<u64> = 40 * 512..40 * 512 + (1 << 20);
const HASH: Range<u64> = DATA.end..DATA.end + (256 << 10);

/// A disk of bytes that are not zeros around its two parts.
fn disk(directory: &Path) -> PathBuf {
    let path = directory.join("disk");
    let mut bytes: Vec<u8> = (0..=250).cycle().take(HASH.end as usize + 5000).collect();
    bytes[HASH.start as usize..HASH.end as usize].fill(0);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn an_image_in_parts_is_made_checked_and_repaired_and_nothing_else_is_touched() {
    let directory = tempfile::tempdir().unwrap();
    let disk = disk(directory.path());
    let before = fs::read(&disk).unwrap();
    let parts = Parts::new(DATA, HASH).with_fec();
    let offset = Params::builder().build(1 << 20).map(|params| Layout::new(&params).unwrap()).unwrap();
    let fec = Fec::new(3, offset.fec_offset_after_tree()).unwrap();
    let image = Image::of_parts_to_write(&disk, &parts);
    let made = image.unwrap().format(Params::builder().fec(fec), &Work::default()).unwrap();
    let params = made.layout.params();
    // The same image in files of its own has the same bytes.
    let alone = Devices::new(directory.path().join("data"), directory.path().join("hash"));
    fs::write(&alone.data, &before[DATA.start as usize..DATA.end as usize]).unwrap();
    let devices = Devices { fec: Some(alone.hash.clone()), ..alone };
    let builder = Params::builder().uuid(params.uuid().unwrap()).fec(fec);
    let same = crate::format(&devices, builder, &Work::default()).unwrap();
    assert_eq!(same.root_hash, made.root_hash);
    let after = fs::read(&disk).unwrap();
    let hash = fs::read(&devices.hash).unwrap();
    assert!(after[HASH.start as usize..][..hash.len()] == hash);
    assert!(after[..HASH.start as usize] == before[..HASH.start as usize]);
    assert!(after[HASH.end as usize..] == before[HASH.end as usize..]);

    let image = Image::of_parts(&disk, &parts).unwrap();
    assert_eq!(image.find_fec(&image.load(0, None).unwrap()).unwrap(), Some(fec));
    assert!(image.verify(params, &made.root_hash, &Work::default()).unwrap().is_good());
    let file = File::options().write(true).open(&disk).unwrap();
    file.write_all_at(&[9; 100], DATA.end - 50).unwrap();
    let found = image.verify(params, &made.root_hash, &Work::default()).unwrap();
    assert_eq!(found.failures(), 1);
    let writable = Image::of_parts_to_write(&disk, &parts).unwrap();
    assert!(writable.repair(params, &made.root_hash, RepairMode::Write, &Work::default()).unwrap().is_complete());
    // Half of it was the superblock, which parity does not correct.
    assert!(fs::read(&disk).unwrap()[..HASH.start as usize] == before[..HASH.start as usize]);
}

#[test]
fn holes_of_parts_are_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    let file = File::create(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    let (data, hash) = (1 << 20..1 << 29, 1 << 29..1 << 30);
    file.write_all_at(&[7; 8192], data.start + (16 << 20)).unwrap();
    let parts = Parts::new(data, hash);
    let made = Image::of_parts_to_write(&path, &parts).unwrap().format(Params::builder(), &Work::default()).unwrap();
    // The tree, and two blocks of data.
    assert!(fs::metadata(&path).unwrap().blocks() * 512 < 8 << 20);
    let image = Image::of_parts(&path, &parts).unwrap();
    assert!(image.verify(made.layout.params(), &made.root_hash, &Work::default()).unwrap().is_good());
    file.write_all_at(&[7; 1], 1 << 28).unwrap();
    assert!(!image.verify(made.layout.params(), &made.root_hash, &Work::default()).unwrap().is_good());
}

#[test]
fn parts_end_where_they_end() {
    let directory = tempfile::tempdir().unwrap();
    let disk = disk(directory.path());
    let size = fs::metadata(&disk).unwrap().len();
    // A disk that ends before its partition.
    let refused = Image::of_parts(&disk, &Parts::new(DATA, HASH.start..size + 1)).unwrap_err();
    assert!(matches!(refused, Error::DeviceTooSmall { found, .. } if found == size));
    // A tree that has no room in its part is not written into what follows.
    let small = Parts::new(DATA, HASH.start..HASH.start + 8192);
    let before = fs::read(&disk).unwrap();
    let mut image = Image::of_parts_to_write(&disk, &small).unwrap();
    let refused = image.format(Params::builder(), &Work::default()).unwrap_err();
    assert!(matches!(refused, Error::DeviceTooSmall { found: 8192, .. }), "{refused}");
    drop(image);
    assert!(fs::read(&disk).unwrap() == before);
    // A superblock that asks for more data than the part has.
    let parts = Parts::new(DATA, HASH);
    Image::of_parts_to_write(&disk, &parts).unwrap().format(Params::builder(), &Work::default()).unwrap();
    let image = Image::of_parts(&disk, &Parts::new(DATA.start..DATA.end - 4096, HASH)).unwrap();
    let params = image.load(0, None).unwrap();
    let root_hash = image.unverified_root_hash(&params).unwrap();
    let refused = image.verify(&params, &root_hash, &Work::default()).unwrap_err();
    assert!(matches!(refused, Error::DeviceTooSmall { .. }));
    assert!(refused.to_string().contains("(data partition)"), "{refused}");
}

#[test]
fn parity_is_recognized_with_any_number_of_roots_and_nothing_else_is() {
    let directory = tempfile::tempdir().unwrap();
    let disk = disk(directory.path());
    let parts = Parts::new(DATA, HASH).with_fec();
    for roots in [2, 4, 8, 24] {
        let mut image = Image::of_parts_to_write(&disk, &parts).unwrap();
        let offset = Layout::new(&Params::builder().build(1 << 20).unwrap()).unwrap().fec_offset_after_tree();
        let fec = Fec::new(roots, offset).unwrap();
        let made = image.format(Params::builder().fec(fec), &Work::default()).unwrap();
        let image = Image::of_parts(&disk, &parts).unwrap();
        let params = image.load(0, None).unwrap();
        assert_eq!(image.find_fec(&params).unwrap(), Some(fec), "{roots}");
        let end = made.fec_area.unwrap().bytes.end;
        let file = File::options().write(true).open(&disk).unwrap();
        file.write_all_at(&vec![5; (end - offset) as usize], HASH.start + offset).unwrap();
        assert_eq!(image.find_fec(&params).unwrap(), None);
        file.write_all_at(&vec![0; (HASH.end - HASH.start - offset) as usize], HASH.start + offset).unwrap();
        assert_eq!(image.find_fec(&params).unwrap(), None);
    }
}
