//! Memory does not grow with what comes as a stream. A separate test program, because the measured figure is the
//! maximum over all its children.

use std::io::Write;
use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};

/// The limits in KiB: a base, and an amount for each thread.
const LIMIT_KIB: i64 = 32 * 1024;
const LIMIT_KIB_PER_THREAD: i64 = 2 * 1024;

/// Blocks of a pattern that differ, without a block of zeros among them.
fn write(mut pipe: impl Write, mib: u32) {
    let mut piece: Vec<u8> = (1..=251).cycle().take(1 << 20).collect();
    for number in 0..mib {
        piece[..4].copy_from_slice(&number.to_le_bytes());
        pipe.write_all(&piece).expect("it reads all");
    }
}

/// From few threads to many: the maximum so far counts.
#[test]
fn memory_does_not_grow_with_a_stream() {
    let directory = tempfile::tempdir().unwrap();
    for (threads, mib) in [(1, 512), (2, 4096), (8, 1024), (40, 1024)] {
        let run = |arguments: &[&str]| {
            let mut command = Command::new(dmverity_tests::veritysetup());
            command.args(arguments).arg(format!("--threads={threads}")).current_dir(&directory);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            write(child.stdin.take().expect("a pipe"), mib);
            let outcome = child.wait_with_output().unwrap();
            assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
            let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
            println!("{threads} threads, {mib} MiB, {arguments:?}: peak resident memory so far: {peak} KiB");
            assert!(peak <= LIMIT_KIB + LIMIT_KIB_PER_THREAD * threads, "{peak} KiB");
            String::from_utf8(outcome.stdout).unwrap()
        };
        let made = run(&["format", "-", "hash"]);
        let root_hash = made.lines().find_map(|line| line.strip_prefix("Root hash:")).unwrap().trim();
        run(&["verify", "-", "hash", root_hash]);
        if mib < 4096 {
            run(&["format", "--append", "--output=image", "-"]);
            run(&["format", "--dry-run", "-", "--data-block-size=524288", "--hash-block-size=524288"]);
        }
    }
}
