//! Files that change at random while they are read.

use std::fs::{self, File};
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::image::Image;

/// How much is wrong at a time.
pub(crate) struct Pace {
    /// How many places are changed before they are changed back.
    pub(crate) places: RangeInclusive<usize>,
    /// How many of 256 changes are in the tree. It is small: as often as the data, all would be bad.
    pub(crate) in_tree: u8,
    /// How many bytes a place has.
    pub(crate) bytes: RangeInclusive<usize>,
}

/// What became of reads.
#[derive(Default)]
pub(crate) struct Reads {
    pub(crate) good: AtomicU64,
    pub(crate) bad: AtomicU64,
}

/// Calls `read` with the numbers of the readers, each in a thread of its own, while bytes are changed and changed back.
/// Returns how many reads were right, and how many failed.
pub(crate) fn read_meanwhile(
    image: &Image,
    pace: &Pace,
    readers: u64,
    read: impl Fn(u64, &Reads) + Sync,
) -> (u64, u64) {
    let (is_over, reads) = (AtomicBool::new(false), Reads::default());
    thread::scope(|scope| {
        let changer = scope.spawn(|| change(image, pace, &is_over));
        let (read, reads) = (&read, &reads);
        let readers: Vec<_> = (0..readers).map(|number| scope.spawn(move || read(number, reads))).collect();
        let results: Vec<_> = readers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        changer.join().expect("files can be written");
        for result in results {
            result.expect("a reader got what is right, or an error");
        }
    });
    (reads.good.into_inner(), reads.bad.into_inner())
}

/// Changes bytes of data and tree, and changes them back.
fn change(image: &Image, pace: &Pace, is_over: &AtomicBool) {
    let mut random = fastrand::Rng::with_seed(42);
    let tree = fs::read(image.path("hash.img")).expect("a tree");
    let files = [("data.img", &image.data), ("hash.img", &tree)].map(|(name, bytes)| {
        let file = File::options().write(true).open(image.path(name)).expect("a file");
        (file, bytes)
    });
    while !is_over.load(Ordering::Relaxed) {
        let mut changed = Vec::new();
        for _ in 0..random.usize(pace.places.clone()) {
            let (file, bytes) = &files[usize::from(random.u8(..) < pace.in_tree)];
            let offset = random.usize(..bytes.len());
            let len = random.usize(pace.bytes.clone()).min(bytes.len() - offset);
            let garbage: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
            file.write_all_at(&garbage, offset as u64).expect("writable");
            changed.push((file, offset, &bytes[offset..offset + len]));
            thread::yield_now();
        }
        for (file, offset, bytes) in changed {
            file.write_all_at(bytes, offset as u64).expect("writable");
        }
    }
    for (file, bytes) in &files {
        file.write_all_at(bytes, 0).expect("writable");
    }
}
