//! Memory does not grow with the image. A test program of its own, because what is measured is the largest of all
//! programs it has run.

use std::fs::File;
use std::process::Command;

use nix::sys::resource::{UsageWho, getrusage};

/// What formatting a 4 GiB image may need at most, in KiB.
const LIMIT_KIB: i64 = 64 * 1024;

#[test]
fn a_4_gib_image_is_formatted_in_less_than_64_mib() {
    let directory = tempfile::tempdir().unwrap();
    File::create(directory.path().join("d")).unwrap().set_len(4 << 30).unwrap();
    let mut command = Command::new(dmverity_tests::veritysetup());
    let status = command.args(["format", "d", "h", "--salt=-"]).current_dir(directory.path()).status().unwrap();
    assert!(status.success());
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    println!("peak resident memory: {peak} KiB");
    assert!(peak < LIMIT_KIB, "{peak} KiB");
}
