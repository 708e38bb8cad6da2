//! Many reads while the files change at random: what is read is what the root hash proves.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use nix::errno::Errno;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::image::{BLOCK, Image};
use crate::mounted::Mounted;

const BLOCKS: usize = 800;
const READERS: u64 = 4;
const READS: u64 = 3000;

#[test]
fn no_byte_that_the_root_hash_does_not_prove_is_read() {
    let image = Image::new(BLOCKS, &[]);
    for options in [&["--cache-size=65536"][..], &["--direct-io", "--verify=pool"]] {
        let mounted = Mounted::new(&image, &[options, &["--events-json=events"]].concat());
        let (is_over, good, bad) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            let changer = scope.spawn(|| change(&image, &is_over));
            let readers: Vec<_> = (0..READERS)
                .map(|seed| {
                    let (image, mounted, good, bad) = (&image, &mounted, &good, &bad);
                    scope.spawn(move || read(image, mounted, seed, good, bad))
                })
                .collect();
            let results: Vec<_> = readers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            is_over.store(true, Ordering::Relaxed);
            changer.join().expect("files can be written");
            for result in results {
                result.expect("what is right, or an error");
            }
        });
        let (good, bad) = (good.into_inner(), bad.into_inner());
        assert!(good > 0 && bad > 0 && good + bad == READERS * READS, "{good} {bad}");
        // All is well again.
        assert!(fs::read(mounted.path()).is_ok_and(|copy| copy == image.data));
        assert_eq!(mounted.stop().code, Some(0));
        println!("{options:?}: {good} good, {bad} bad");
    }
}

fn read(image: &Image, mounted: &Mounted, seed: u64, good: &AtomicU64, bad: &AtomicU64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let file = mounted.open();
    for _ in 0..READS {
        let offset = random.usize(..image.data.len());
        let length = random.usize(1..=(image.data.len() - offset).min(4 * BLOCK));
        let mut bytes = vec![0; length];
        match file.read_exact_at(&mut bytes, offset as u64) {
            Ok(()) => {
                assert!(bytes == image.data[offset..offset + length], "what is wrong was read");
                good.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(Errno::EIO as i32));
                bad.fetch_add(1, Ordering::Relaxed);
            }
        }
        // What the page cache has would be read again and again.
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).expect("it is a file");
    }
}

/// Changes bytes of data and tree, and changes them back.
fn change(image: &Image, is_over: &AtomicBool) {
    let mut random = fastrand::Rng::with_seed(42);
    let tree = fs::read(image.path("hash.img")).expect("a tree");
    let files = [("data.img", &image.data), ("hash.img", &tree)].map(|(name, bytes)| {
        let file = File::options().write(true).open(image.path(name)).expect("a file");
        (file, bytes)
    });
    while !is_over.load(Ordering::Relaxed) {
        let mut changed = Vec::new();
        for _ in 0..30 {
            // The tree is small: as often as that, all would be bad.
            let (file, bytes) = &files[usize::from(random.u8(..) < 4)];
            let offset = random.usize(..bytes.len());
            let garbage: Vec<u8> =
                std::iter::repeat_with(|| random.u8(..)).take(64.min(bytes.len() - offset)).collect();
            file.write_all_at(&garbage, offset as u64).expect("writable");
            changed.push((file, offset, &bytes[offset..offset + garbage.len()]));
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
