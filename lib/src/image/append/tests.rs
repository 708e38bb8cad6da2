use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use zerocopy::IntoBytes as _;

use super::*;
use crate::format::{Params, SUPERBLOCK_SIZE};
use crate::image::mark::Mark;
use crate::value::{BlockSize, RootHash};
use crate::{Progress, find_hash_offset, load, verify};

const BYTES: usize = 3_000_001;

fn image() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    let data: Vec<u8> = (0..=250).cycle().take(BYTES).collect();
    std::fs::write(&path, &data).unwrap();
    (directory, path, data)
}

fn is_good(image: &Path, root_hash: &RootHash) -> bool {
    let params = load(image, find_hash_offset(image).unwrap(), None).unwrap();
    verify(&Devices::new(image, image), &params, root_hash, &Work::default()).unwrap().is_good()
}

#[test]
fn appending_again_makes_the_same_image_whatever_was_there() {
    let (_directory, path, data) = image();
    let all = [None, Some(2), Some(24)].map(|roots| roots.map(|roots| AppendedFec { roots, device: None }));
    let fresh: Vec<Vec<u8>> = all
        .iter()
        .map(|fec| {
            std::fs::write(&path, &data).unwrap();
            let made = append(&path, Hashing::default(), fec.as_ref(), &Work::default()).unwrap();
            assert_eq!(made.replaced, None);
            let padding = BYTES.next_multiple_of(4096) - BYTES;
            assert_eq!((made.plan.padding_bytes, made.formatted.padding_bytes), (padding as u64, padding as u64));
            assert!(is_good(&path, &made.formatted.root_hash));
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes.len() as u64, made.plan.total_bytes);
            bytes
        })
        .collect();
    for (fec, expected) in all.iter().zip(&fresh) {
        for before in &fresh {
            std::fs::write(&path, before).unwrap();
            let planned = plan_append(&path, Hashing::default(), fec.as_ref()).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), *before, "a plan writes nothing");
            let made = append(&path, Hashing::default(), fec.as_ref(), &Work::default()).unwrap();
            assert_eq!(made.replaced, Some(BYTES.next_multiple_of(4096) as u64));
            assert_eq!(planned.total_bytes, made.plan.total_bytes);
            assert!(std::fs::read(&path).unwrap() == *expected);
        }
    }
}

#[test]
fn other_block_sizes_leave_nothing_of_the_older_tree() {
    let (_directory, path, data) = image();
    let first = append(&path, Hashing::default(), None, &Work::default()).unwrap();
    let large = Hashing { data_block_size: BlockSize::new(1 << 19).unwrap(), ..Hashing::default() };
    let second = append(&path, large, None, &Work::default()).unwrap();
    assert_ne!(first.formatted.root_hash, second.formatted.root_hash);
    assert!(is_good(&path, &second.formatted.root_hash));
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.starts_with(&data));
    assert!(bytes[BYTES..BYTES.next_multiple_of(1 << 19)].iter().all(|&byte| byte == 0));
}

#[test]
fn an_image_is_what_it_was_when_it_is_cancelled() {
    let (_directory, path, data) = image();
    let cancel = AtomicBool::new(false);
    let report = |progress: Progress| cancel.store(progress.done > 1 << 20, Ordering::SeqCst);
    let work = Work::default().progress(&report).cancel(&cancel);
    assert!(matches!(append(&path, Hashing::default(), None, &work), Err(Error::Cancelled)));
    assert!(std::fs::read(&path).unwrap() == data);
}

#[test]
fn what_is_added_after_the_image_was_read_is_not_written_over() {
    let (_directory, path, mut data) = image();
    let device = Device::open(&path).unwrap();
    let found = Data::of(&device, &Scan::of(&device, &Work::default()).unwrap(), &Hashing::default()).unwrap();
    let plan = Plan::one_image(Hashing::default(), found.bytes, None).unwrap();
    data.extend([7; 10_000]);
    std::fs::write(&path, &data).unwrap();
    let refused = Staked::new(device, &found, &plan).unwrap_err();
    assert!(matches!(refused, Error::Changed { found, .. } if found == data.len() as u64), "{refused}");
    assert!(std::fs::read(&path).unwrap() == data);
}

#[test]
fn an_image_of_an_image_is_refused() {
    let (_directory, path, _) = image();
    let inner = append(&path, Hashing::default(), None, &Work::default()).unwrap();
    let bytes = inner.plan.total_bytes;
    let builder = Params::builder().data_blocks(bytes / 4096).hash_offset(bytes);
    crate::format(&Devices::new(&path, &path), builder, &Work::default()).unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = append(&path, Hashing::default(), None, &Work::default()).unwrap_err();
    let expected = [inner.plan.layout.params().hash_offset(), bytes];
    assert!(matches!(&refused, Error::SeveralHashAreas { offsets, .. } if *offsets == expected), "{refused}");
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn an_unfinished_image_is_refused_once_its_length_has_changed() {
    let (_directory, path, data) = image();
    let plan = plan_append(&path, Hashing::default(), None).unwrap();
    let (offset, end) = (plan.layout.params().hash_offset(), plan.total_bytes);
    append(&path, Hashing::default(), None, &Work::default()).unwrap();
    let finished = std::fs::read(&path).unwrap();
    let unfinished = |mark: Mark, bytes: u64| {
        let mut image = data.clone();
        image.resize(usize::try_from(offset).unwrap(), 0);
        image.extend(mark.as_bytes());
        image.resize(usize::try_from(bytes).unwrap(), 7);
        image
    };
    let mark = Mark::new(offset, BYTES as u64, end);
    for bytes in [offset + 512, end] {
        std::fs::write(&path, unfinished(mark, bytes)).unwrap();
        assert_eq!(plan_append(&path, Hashing::default(), None).unwrap().total_bytes, end);
        let made = append(&path, Hashing::default(), None, &Work::default()).unwrap();
        assert_eq!((made.replaced, std::fs::read(&path).unwrap().len()), (Some(offset), finished.len()));
    }
    // A mark without an end is from an earlier version.
    let old = Mark::new(offset, BYTES as u64, 0);
    for (mark, bytes, known) in [
        (mark, end + 1, Some(end)),
        (mark, end - 1, Some(end)),
        (mark, offset + 513, Some(end)),
        (mark, offset + 511, Some(end)),
        (mark, offset + 100, Some(end)),
        (mark, end * 3, Some(end)),
        (old, end, None),
        (old, offset + 512, None),
    ] {
        let before = unfinished(mark, bytes);
        std::fs::write(&path, &before).unwrap();
        let planned = plan_append(&path, Hashing::default(), None).unwrap_err();
        let refused = append(&path, Hashing::default(), None, &Work::default()).unwrap_err();
        for error in [planned, refused] {
            assert!(
                matches!(error, Error::UnfinishedHashArea { data_end, planned_end, found, .. }
                    if (data_end, planned_end, found) == (BYTES as u64, known, bytes)),
                "{bytes}: {error}"
            );
        }
        assert!(std::fs::read(&path).unwrap() == before, "{bytes}");
    }
}

#[test]
fn a_superblock_or_mark_that_is_cut_is_not_taken_for_data() {
    let (_directory, path, data) = image();
    append(&path, Hashing::default(), None, &Work::default()).unwrap();
    let finished = std::fs::read(&path).unwrap();
    let offset = BYTES.next_multiple_of(4096);
    for len in [8, 30, 73, 80, 120, 344, 500, 511] {
        std::fs::write(&path, &finished[..offset + len]).unwrap();
        let refused = append(&path, Hashing::default(), None, &Work::default()).unwrap_err();
        // What is missing of the superblock, or, where only its zeros are, of the tree.
        let end = if len < 80 { offset + SUPERBLOCK_SIZE } else { finished.len() } as u64;
        assert!(matches!(refused, Error::DeviceTooSmall { needed, .. } if needed == end), "{len}: {refused}");
        assert!(std::fs::read(&path).unwrap() == finished[..offset + len], "{len}");
    }
    let mark = Mark::new(offset as u64, BYTES as u64, finished.len() as u64);
    for len in [20, 30, 40, 48, 511] {
        let mut cut = data.clone();
        cut.resize(offset, 0);
        cut.extend(&mark.as_bytes()[..len]);
        std::fs::write(&path, &cut).unwrap();
        let refused = append(&path, Hashing::default(), None, &Work::default()).unwrap_err();
        assert!(matches!(refused, Error::DeviceTooSmall { .. } | Error::UnfinishedHashArea { .. }), "{len}: {refused}");
        assert!(std::fs::read(&path).unwrap() == cut, "{len}");
    }
    // What only begins a little alike is data.
    std::fs::write(&path, &finished[..offset + 5]).unwrap();
    let made = append(&path, Hashing::default(), None, &Work::default()).unwrap();
    assert!(is_good(&path, &made.formatted.root_hash));
}

#[test]
fn bytes_as_long_as_parity_are_kept_unless_they_are_it() {
    let (_directory, path, _) = image();
    let fec = |roots| AppendedFec { roots, device: None };
    let blocks = BYTES.div_ceil(4096) + 7;
    for (roots, byte) in [(2, 0), (3, 7), (24, 0xFF)] {
        append(&path, Hashing::default(), None, &Work::default()).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let len = blocks.div_ceil(255 - roots) * roots * 4096;
        bytes.resize(bytes.len() + len, byte);
        std::fs::write(&path, &bytes).unwrap();
        let refused = append(&path, Hashing::default(), None, &Work::default()).unwrap_err();
        assert!(matches!(refused, Error::BehindHashArea { .. }), "{refused}");
        assert!(std::fs::read(&path).unwrap() == bytes);
        std::fs::write(&path, &bytes[..bytes.len() - len]).unwrap();
    }
    // It is the parity still when some of the data are other ones, and when most of it is damaged.
    let roots = 24;
    append(&path, Hashing::default(), Some(&fec(roots)), &Work::default()).unwrap();
    let made = std::fs::read(&path).unwrap();
    let parity = made.len() - blocks.div_ceil(255 - 24) * 24 * 4096;
    for damage in [0..4000, BYTES - 4000..BYTES, parity + 1000..made.len()] {
        let mut bytes = made.clone();
        bytes[damage].iter_mut().for_each(|byte| *byte ^= 0x55);
        std::fs::write(&path, &bytes).unwrap();
        assert!(append(&path, Hashing::default(), None, &Work::default()).unwrap().replaced.is_some());
    }
    // One round that is right is enough: the first, the last, or the one between them. A row of the data has a block of
    // each round.
    let roots = 2;
    append(&path, Hashing::default(), Some(&fec(roots)), &Work::default()).unwrap();
    let made = std::fs::read(&path).unwrap();
    assert_eq!(blocks.div_ceil(255 - 2), 3);
    for right in 0..3 {
        let mut bytes = made.clone();
        for round in (0..3).filter(|&round| round != right) {
            bytes[round * 4096..][..4096].iter_mut().for_each(|byte| *byte ^= 0x55);
        }
        std::fs::write(&path, &bytes).unwrap();
        assert!(append(&path, Hashing::default(), None, &Work::default()).unwrap().replaced.is_some(), "{right}");
    }
}

#[test]
fn parity_goes_to_a_file_of_its_own_that_is_new_or_old() {
    let (directory, path, data) = image();
    let own = directory.path().join("fec");
    let fec = |device: &Path| AppendedFec { roots: 2, device: Some(device.to_owned()) };
    let appended = |device: &Path| {
        std::fs::write(&path, &data).unwrap();
        append(&path, Hashing::default(), Some(&fec(device)), &Work::default())
    };
    let made = appended(&own).unwrap();
    let parity = std::fs::read(&own).unwrap();
    assert_eq!((parity.len() as u64, made.plan.hash_device_bytes), (made.plan.fec_device_bytes, length(&path)));
    // It is the parity of this image.
    let devices = Devices { fec: Some(own.clone()), ..Devices::new(&path, &path) };
    let mut damaged = std::fs::read(&path).unwrap();
    damaged[5000] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let (layout, root_hash) = (&made.plan.layout, &made.formatted.root_hash);
    let write = crate::fec::RepairMode::Write;
    let repaired = crate::repair(&devices, layout.params(), root_hash, write, &Work::default()).unwrap();
    assert!(repaired.is_complete() && is_good(&path, root_hash));

    std::fs::write(&own, vec![9; parity.len() + 4096]).unwrap();
    appended(&own).unwrap();
    assert!(std::fs::read(&own).unwrap() == [&parity[..], &[9; 4096]].concat());
    // The image itself has no room for it at its start.
    let refused = appended(&path).unwrap_err();
    assert!(matches!(refused, Error::Overlap { .. }), "{refused}");
    assert!(std::fs::read(&path).unwrap() == data);
    // A file that another process writes to is left alone; a dry run does not mind.
    let held = Image::one_file_to_write(&own).unwrap();
    append_dry_run(&path, Hashing::default(), Some(&fec(&own)), &Work::default()).unwrap();
    let refused = appended(&own).unwrap_err();
    assert!(matches!(&refused, Error::DeviceLocked { path } if *path == own), "{refused}");
    drop(held);
}

fn length(path: &Path) -> u64 {
    path.metadata().unwrap().len()
}

#[test]
fn one_codeword_again_and_again_is_no_parity() {
    let (_directory, path, _) = image();
    std::fs::write(&path, vec![7; 20 * 4096]).unwrap();
    append(&path, Hashing::default(), Some(&AppendedFec { roots: 2, device: None }), &Work::default()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // The digests of twenty blocks; what follows them is the same in all columns.
    let (parity, digests) = (bytes.len() - 2 * 4096, 20 * 32);
    assert!(bytes[parity + 2 * digests..].chunks(2).all(|codeword| codeword == &bytes[parity + 2 * digests..][..2]));
    bytes[parity..parity + 2 * digests].iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(&path, &bytes).unwrap();
    let refused = append(&path, Hashing::default(), None, &Work::default()).unwrap_err();
    assert!(matches!(refused, Error::BehindHashArea { .. }), "{refused}");
    assert!(std::fs::read(&path).unwrap() == bytes);
}

#[test]
fn over_one_data_block_what_follows_the_superblock_is_kept_unless_it_is_zeros() {
    let (_directory, path, _) = image();
    let hashing = || Hashing { hash_block_size: BlockSize::new(1 << 16).unwrap(), ..Hashing::default() };
    std::fs::write(&path, [1; 4096]).unwrap();
    append(&path, hashing(), None, &Work::default()).unwrap();
    let made = std::fs::read(&path).unwrap();
    assert_eq!(made.len(), 1 << 16);
    for (len, byte, is_known) in
        [(1 << 16, 0, true), (8192, 0, true), (1 << 16, 1, false), (8193, 0, false), (70_000, 0, false)]
    {
        let mut bytes = made.clone();
        bytes.resize(len, byte);
        if let Some(last) = bytes.last_mut() {
            *last |= byte;
        }
        std::fs::write(&path, &bytes).unwrap();
        let appended = append(&path, hashing(), None, &Work::default());
        assert_eq!(appended.is_ok(), is_known, "{len} {byte}");
        assert!(is_known || std::fs::read(&path).unwrap() == bytes, "{len} {byte}");
    }
}

#[test]
fn bytes_behind_a_tree_that_are_not_its_parity_are_kept() {
    let (_directory, path, _) = image();
    append(&path, Hashing::default(), None, &Work::default()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend([7; 4096]);
    std::fs::write(&path, &bytes).unwrap();
    let refused = append(&path, Hashing::default(), None, &Work::default()).unwrap_err();
    assert!(matches!(refused, Error::BehindHashArea { .. }), "{refused}");
    assert!(std::fs::read(&path).unwrap() == bytes);
}
