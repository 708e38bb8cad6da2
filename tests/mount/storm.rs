//! Many reads while the files change at random: what is read is what the root hash proves.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::changing::{Pace, Reads, read_meanwhile};
use crate::image::{BLOCK, Image};
use crate::mounted::Mounted;

const BLOCKS: usize = 800;
const READERS: u64 = 4;
const READS: u64 = 3000;

/// Many blocks are wrong at a time: each read is of one or a few pages.
const PACE: Pace = Pace { places: 30..=30, in_tree: 4, bytes: 64..=64 };

#[test]
fn no_byte_that_the_root_hash_does_not_prove_is_read() {
    let image = Image::new(BLOCKS, &[]);
    for options in [&["--cache-size=65536"][..], &["--direct-io", "--verify=pool"]] {
        let mounted = Mounted::new(&image, &[options, &["--events-json=events"]].concat());
        let (good, bad) = read_meanwhile(&image, &PACE, READERS, |seed, reads| read(&image, &mounted, seed, reads));
        assert!(good > 0 && bad > 0 && good + bad == READERS * READS, "{good} {bad}");
        // All is well again.
        assert!(fs::read(mounted.path()).is_ok_and(|copy| copy == image.data));
        assert_eq!(mounted.stop().code, Some(0));
        println!("{options:?}: {good} good, {bad} bad");
    }
}

fn read(image: &Image, mounted: &Mounted, seed: u64, reads: &Reads) {
    let mut random = fastrand::Rng::with_seed(seed);
    let file = mounted.open();
    for _ in 0..READS {
        let offset = random.usize(..image.data.len());
        let length = random.usize(1..=(image.data.len() - offset).min(4 * BLOCK));
        let mut bytes = vec![0; length];
        match file.read_exact_at(&mut bytes, offset as u64) {
            Ok(()) => {
                assert!(bytes == image.data[offset..offset + length], "what is wrong was read");
                reads.good.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(Errno::EIO as i32));
                reads.bad.fetch_add(1, Ordering::Relaxed);
            }
        }
        // What the page cache has would be read again and again.
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).expect("it is a file");
    }
}
