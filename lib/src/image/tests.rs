use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::error::Error;
use crate::format::Params;
use crate::image::{load, verify};

const BYTES: usize = 9 << 20;

/// Devices in a directory that goes away with it, with some data.
fn devices() -> (tempfile::TempDir, Devices) {
    let directory = tempfile::tempdir().unwrap();
    let devices = Devices::new(directory.path().join("data"), directory.path().join("hash"));
    let data: Vec<u8> = (0..=250).cycle().take(BYTES).collect();
    std::fs::write(&devices.data, data).unwrap();
    (directory, devices)
}

#[test]
fn progress_grows_up_to_the_total() {
    let (_directory, devices) = devices();
    for threads in [1, 3] {
        let seen = Mutex::new(Vec::new());
        let report = |progress: Progress| seen.lock().unwrap().push(progress);
        let work = Work::default().threads(NonZero::new(threads).unwrap()).progress(&report);
        let formatted = format(&devices, Params::builder(), &work).unwrap();
        let total = (BYTES / 4096 + 18 + 1) as u64 * 4096;
        let check = |seen: &mut Vec<Progress>| {
            assert!(seen.len() > 4, "{seen:?}");
            assert!(seen.is_sorted_by(|one, next| one.done < next.done), "{seen:?}");
            assert!(seen.iter().all(|progress| progress.total == total));
            assert_eq!(seen.last().unwrap().done, total);
            seen.clear();
        };
        check(&mut seen.lock().unwrap());
        let params = formatted.layout.params();
        assert!(verify(&devices, params, &formatted.root_hash, &work).unwrap().is_good());
        check(&mut seen.lock().unwrap());
    }
}

#[test]
fn a_file_that_took_the_place_of_the_created_one_stays() {
    let (directory, devices) = devices();
    let theirs = directory.path().join("theirs");
    std::fs::write(&theirs, "theirs").unwrap();
    let cancel = AtomicBool::new(false);
    let report = |_: Progress| {
        // Only the first time.
        let _ = std::fs::rename(&theirs, &devices.hash);
        cancel.store(true, Ordering::SeqCst);
    };
    let work = Work::default().progress(&report).cancel(&cancel);
    assert!(matches!(format(&devices, Params::builder(), &work), Err(Error::Cancelled)));
    assert_eq!(std::fs::read(&devices.hash).unwrap(), b"theirs");
}

#[test]
fn cancelled_work_ends_and_leaves_no_new_file() {
    let (_directory, devices) = devices();
    for threads in [1, 3] {
        let threads = NonZero::new(threads).unwrap();
        let cancel = AtomicBool::new(false);
        let report = |progress: Progress| cancel.store(progress.done > 2 << 20, Ordering::SeqCst);
        let work = Work::default().threads(threads).progress(&report).cancel(&cancel);
        assert!(matches!(format(&devices, Params::builder(), &work), Err(Error::Cancelled)));
        assert!(!devices.hash.exists());

        let good = format(&devices, Params::builder(), &Work::default()).unwrap();
        let (params, root_hash) = (good.layout.params(), &good.root_hash);
        cancel.store(false, Ordering::SeqCst);
        assert!(matches!(verify(&devices, params, root_hash, &work), Err(Error::Cancelled)));
        assert!(verify(&devices, params, root_hash, &Work::default()).unwrap().is_good());

        // Over an older image: nothing is left that loads.
        cancel.store(false, Ordering::SeqCst);
        assert!(matches!(format(&devices, Params::builder(), &work), Err(Error::Cancelled)));
        assert!(matches!(load(&devices.hash, 0, None), Err(Error::Superblock { .. })));
        std::fs::remove_file(&devices.hash).unwrap();
    }
}
