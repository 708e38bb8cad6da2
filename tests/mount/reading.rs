//! What is read: what the image has, or an I/O error for a bad block alone.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::thread;

use nix::errno::Errno;

use crate::image::{BLOCK, Image};
use crate::mounted::{Mounted, is_readable};

const BLOCKS: usize = 600;
/// In the middle of what the kernel reads ahead.
const BAD: usize = 321;

fn flip_bad_block(image: &Image) {
    image.flip("data.img", (BAD * BLOCK + 77) as u64);
}

#[test]
fn the_file_has_every_byte_of_the_image() {
    let image = Image::new(BLOCKS, &[]);
    for options in [&[][..], &["--direct-io"], &["--verify=pool", "--threads=3"], &["--cache-size=0"]] {
        let mounted = Mounted::new(&image, options);
        thread::scope(|scope| {
            for seed in 0..4 {
                let (image, mounted) = (&image, &mounted);
                scope.spawn(move || read_at_random(image, mounted, seed));
            }
        });
        assert!(fs::read(mounted.path()).is_ok_and(|copy| copy == image.data), "{options:?}");
        let ended = mounted.stop();
        assert_eq!((ended.code, ended.counter("failed_requests")), (Some(0), 0), "{ended:?}");
        assert_eq!(ended.counter("opened"), 5);
    }
}

fn read_at_random(image: &Image, mounted: &Mounted, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let file = mounted.open();
    for _ in 0..300 {
        let offset = random.usize(..image.data.len());
        let length = random.usize(1..=(image.data.len() - offset).min(5 * BLOCK));
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset as u64).expect("it is readable");
        assert!(bytes == image.data[offset..offset + length]);
    }
}

#[test]
fn it_is_one_read_only_file_that_ends_where_the_data_do() {
    let image = Image::new(BLOCKS, &[]);
    for options in [&[][..], &["--direct-io"]] {
        let mounted = Mounted::new(&image, options);
        let entries = fs::read_dir(image.path("mnt")).expect("readable");
        let names: Vec<_> = entries.map(|entry| entry.expect("readable").file_name()).collect();
        assert_eq!(names, ["image"]);
        let (file, directory) = (mounted.path().metadata().unwrap(), image.path("mnt").metadata().unwrap());
        assert_eq!((file.mode(), file.len()), (0o100_444, image.data.len() as u64));
        assert_eq!((directory.mode(), directory.uid()), (0o040_555, image.directory().metadata().unwrap().uid()));
        let file = mounted.open();
        let end = image.data.len() as u64;
        let mut bytes = [0; BLOCK];
        assert_eq!(file.read_at(&mut bytes, end - 10).expect("readable"), 10);
        assert_eq!(file.read_at(&mut bytes, end).expect("readable"), 0);
        assert_eq!(file.read_at(&mut bytes, end + 123_456).expect("readable"), 0);
        assert_eq!((&file).seek(SeekFrom::End(0)).expect("it has an end"), end);
        assert_eq!((&file).read(&mut bytes).expect("readable"), 0);
        for refused in [fs::write(mounted.path(), "x"), fs::write(image.path("mnt/other"), "x")] {
            assert_eq!(refused.unwrap_err().raw_os_error(), Some(Errno::EROFS as i32));
        }
        assert!(fs::metadata(image.path("mnt/other")).is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
    }
}

#[test]
fn memory_can_be_mapped_and_not_shared_without_the_page_cache() {
    let image = Image::new(BLOCKS, &[]);
    let program = "import mmap, sys
with open('mnt/image', 'rb') as file:
    mapped = mmap.mmap(file.fileno(), 0, getattr(mmap, sys.argv[1]), mmap.PROT_READ)
assert mapped[:] == open('data.img', 'rb').read()";
    let run = |kind: &str| image.run("/usr/bin/python3", &["-c", program, kind]);
    for (options, is_shared) in [(&[][..], true), (&["--direct-io"], false)] {
        let _mounted = Mounted::new(&image, options);
        assert!(run("MAP_PRIVATE").status.success(), "{options:?}");
        let shared = run("MAP_SHARED");
        assert_eq!(shared.status.success(), is_shared, "{shared:?}");
        assert!(is_shared || String::from_utf8_lossy(&shared.stderr).contains("No such device"), "{shared:?}");
    }
}

#[test]
fn a_bad_block_is_an_io_error_and_nothing_else_is() {
    let image = Image::new(BLOCKS, &[]);
    flip_bad_block(&image);
    for options in [&["--events-json=events"][..], &["--events-json=events", "--direct-io"]] {
        let mounted = Mounted::new(&image, options);
        let mut whole = Vec::new();
        let error = mounted.open().read_to_end(&mut whole).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::EIO as i32));
        assert!(whole.len() <= BAD * BLOCK && whole == image.data[..whole.len()]);
        let file = mounted.open();
        let bad: Vec<_> = (0..BLOCKS).filter(|&block| !is_readable(&image, &file, block)).collect();
        assert_eq!(bad, [BAD], "{options:?}");
        let ended = mounted.stop();
        assert!(ended.code == Some(0) && ended.counter("failed_requests") > 0, "{ended:?}");
        // However often it was read, it is named once.
        let events = fs::read_to_string(image.path("events")).expect("text");
        assert!(events.lines().count() == 1 && events.contains(&format!("\"block\":{BAD},")), "{events}");
        fs::remove_file(image.path("events")).expect("it is there");
    }
}

#[test]
fn blocks_that_are_smaller_or_larger_than_a_page_fail_alone() {
    for (size, pages) in [("1024", BAD..BAD + 1), ("16384", 320..324)] {
        let image = Image::new(BLOCKS, &["--data-block-size", size]);
        flip_bad_block(&image);
        let mounted = Mounted::new(&image, &[]);
        let file = mounted.open();
        let bad: Vec<_> = (0..BLOCKS).filter(|&block| !is_readable(&image, &file, block)).collect();
        assert_eq!(bad, pages.collect::<Vec<_>>(), "{size}");
    }
}

#[test]
fn parity_makes_a_bad_block_readable() {
    let options = ["--fec-device=fec.img", "--fec-roots=4"];
    let image = Image::new(BLOCKS, &options);
    flip_bad_block(&image);
    let mounted = Mounted::new(&image, &options);
    assert!(fs::read(mounted.path()).is_ok_and(|copy| copy == image.data));
    let ended = mounted.stop();
    assert_eq!((ended.counter("failed_requests"), ended.counter("recovered")), (0, 1), "{ended:?}");
}

#[test]
fn the_page_cache_keeps_what_was_proven_and_direct_io_proves_each_read() {
    let image = Image::new(BLOCKS, &[]);
    let read_twice = |options: &[&str]| {
        let mounted = Mounted::new(&image, options);
        assert!(is_readable(&image, &mounted.open(), BAD));
        flip_bad_block(&image);
        let mut bytes = [0; BLOCK];
        let second = mounted.open().read_exact_at(&mut bytes, (BAD * BLOCK) as u64);
        flip_bad_block(&image);
        second.map(|()| bytes == image.data[BAD * BLOCK..][..BLOCK]).map_err(|error| error.raw_os_error())
    };
    // The page that was proven, even for those who open the file after the change.
    assert_eq!(read_twice(&[]), Ok(true));
    assert_eq!(read_twice(&["--direct-io"]), Err(Some(Errno::EIO as i32)));
    // Each read reaches the command, which was told to verify a block once.
    assert_eq!(read_twice(&["--direct-io", "--check-at-most-once"]), Ok(false));
}

#[test]
fn a_file_that_is_cut_short_is_an_io_error() {
    let image = Image::new(BLOCKS, &[]);
    let mounted = Mounted::new(&image, &["--direct-io"]);
    let data = fs::File::options().write(true).open(image.path("data.img")).expect("a file");
    data.set_len((BAD * BLOCK) as u64).expect("writable");
    let file = mounted.open();
    for block in 0..BLOCKS {
        assert_eq!(is_readable(&image, &file, block), block < BAD, "{block}");
    }
    assert_eq!(mounted.stop().code, Some(0));
}
