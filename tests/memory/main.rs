//! Memory does not grow with the image. A separate test program, because the measured figure is the maximum over all
//! its children.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::Command;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::resource::{UsageWho, getrusage};

/// The limits in KiB: a base, and an amount for each thread.
const LIMIT_KIB: i64 = 32 * 1024;
const LIMIT_KIB_PER_THREAD: i64 = 2 * 1024;

const MIB: u64 = 1 << 20;

/// From few threads to many: the maximum so far counts.
#[test]
fn memory_does_not_grow_with_the_image() {
    let directory = tempfile::tempdir().unwrap();
    let mut data = File::create(directory.path().join("data")).unwrap();
    for number in 0..=255 {
        data.write_all(&vec![number | 1; 1 << 20]).unwrap();
    }
    let hole = File::create(directory.path().join("hole")).unwrap();
    hole.set_len(8192 * MIB).unwrap();
    // Many short holes, each long enough that it is not read.
    let holes = File::create(directory.path().join("holes")).unwrap();
    holes.set_len(1024 * MIB).unwrap();
    for piece in 0..512 {
        holes.write_all_at(&[1; 4096], piece * 2 * MIB).unwrap();
    }
    for threads in [1, 2, 7, 8, 9, 40] {
        for file in ["data", "hole", "holes"] {
            // A tree as large as an eighth of the data; few large blocks; and the defaults.
            for sizes in [
                &["--data-block-size=512", "--hash-block-size=512", "--hash=sha512"][..],
                &["--data-block-size=524288", "--hash-block-size=524288"],
                &[],
            ] {
                // Eight gibibytes of small blocks would take long to write, and show nothing more.
                if file == "hole" && sizes.len() == 3 {
                    continue;
                }
                let run = |action: &[&str]| {
                    // Once from the page cache and once with direct I/O, if the file system supports it.
                    if threads % 2 == 0 {
                        data.sync_all().unwrap();
                        posix_fadvise(&data, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
                    }
                    let mut command = Command::new(dmverity_tests::veritysetup());
                    command.args(action).arg(format!("--threads={threads}")).current_dir(directory.path());
                    let output = command.output().unwrap();
                    assert!(output.status.success(), "{output:?}");
                    String::from_utf8(output.stdout).unwrap()
                };
                let made = run(&[&["format", file, "hash", "--salt=-"], sizes].concat());
                let root_hash = made.lines().find_map(|line| line.strip_prefix("Root hash:")).unwrap().trim();
                run(&["verify", file, "hash", root_hash]);
                let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
                println!("{threads} threads, {file} {sizes:?}: peak resident memory so far: {peak} KiB");
                assert!(peak <= LIMIT_KIB + LIMIT_KIB_PER_THREAD * threads, "{peak} KiB");
            }
        }
    }
}
