//! A killed format never leaves a superblock with an incomplete tree; the order of writes and syncs ensures that.

use std::fs::File;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dmverity_tests::vectors::painted;
use dmverity_tests::veritysetup;

use crate::sandbox::Sandbox;

/// Slow enough to be killed in the middle.
const FORMAT: &[&str] = &["format", "d", "h", "--hash=streebog512", "--salt=aa"];

/// The older image that is overwritten.
const FORMAT_OLDER: &[&str] = &["format", "other", "h", "--hash=streebog512", "--salt=bb"];

/// The calls that change the hash device or make the changes last.
const CALLS: [&str; 3] = ["ftruncate", "pwrite64", "fdatasync"];
const TRACE: &str = "trace=ftruncate,pwrite64,fdatasync";

/// Two data devices, and the root hashes of formatting `d` and of formatting `other`, the older image.
struct Images {
    sandbox: Sandbox,
    root_hash: String,
    older_root_hash: String,
}

impl Images {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("d", &painted(4 << 20));
        sandbox.write("other", &vec![1; 4 << 20]);
        let older_root_hash = sandbox.run(FORMAT_OLDER).field("Root hash").to_owned();
        std::fs::rename(sandbox.path("h"), sandbox.path("older")).expect("renamed");
        let root_hash = sandbox.run(FORMAT).field("Root hash").to_owned();
        Self { sandbox, root_hash, older_root_hash }
    }

    /// Puts the older image's valid hash device where the next one goes, or nothing.
    fn prepare(&self, over_older: bool) {
        if over_older {
            self.sandbox.write("h", &self.sandbox.read("older"));
        } else if let Err(error) = std::fs::remove_file(self.sandbox.path("h")) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        }
    }

    /// Checks that either nothing loads or a complete image does: the new one, or the unchanged older one.
    fn assert_nothing_or_whole(&self, context: &str) {
        if self.sandbox.path("h").exists() && self.sandbox.run(&["dump", "h"]).code == Some(0) {
            let new = self.sandbox.run(&["verify", "d", "h", &self.root_hash]);
            let older = self.sandbox.run(&["verify", "other", "h", &self.older_root_hash]);
            assert!([new.code, older.code].contains(&Some(0)), "{context}: what loads is not whole: {new:?} {older:?}");
        }
    }
}

#[test]
fn killed_at_random_moments() {
    let images = Images::new();
    let start = Instant::now();
    images.sandbox.run(FORMAT);
    let whole_run = u64::try_from(start.elapsed().as_nanos()).unwrap();
    let mut rng = fastrand::Rng::with_seed(1);
    for round in 0..100 {
        images.prepare(round % 2 == 0);
        let mut child = images.sandbox.command(veritysetup(), FORMAT).stdout(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_nanos(rng.u64(..whole_run)));
        child.kill().unwrap();
        child.wait().unwrap();
        images.assert_nothing_or_whole(&format!("round {round}"));
    }
}

/// Runs a command under strace and returns its calls of [`CALLS`] in order. File `d` is its standard input if it reads
/// that.
pub(crate) fn traced(sandbox: &Sandbox, arguments: &[&str], options: &[&str]) -> Vec<String> {
    let mut command = sandbox.command("strace", &["-f", "-qq", "-o", "trace", "-e", TRACE]);
    if arguments.contains(&"-") {
        command.stdin(File::open(sandbox.path("d")).expect("it was made"));
    }
    let outcome = command.args(options).arg(veritysetup()).args(arguments).output();
    let outcome = outcome.unwrap_or_else(|error| panic!("strace: {error}: install Debian's package strace"));
    let trace = String::from_utf8(sandbox.read("trace")).expect("strace writes text");
    let calls = trace.lines().filter_map(|line| {
        // The process, the call, its arguments.
        let name = line.split_once(' ')?.1.trim_start().split('(').next()?;
        CALLS.contains(&name).then(|| name.to_owned())
    });
    let calls: Vec<_> = calls.collect();
    assert!(!calls.is_empty(), "strace saw nothing: {outcome:?}");
    calls
}

/// Kills a command at each of its calls of [`CALLS`], each time after `prepare`, and runs `check` on the remains with
/// the index of that call.
pub(crate) fn killed_at_each_call(
    sandbox: &Sandbox,
    arguments: &[&str],
    prepare: impl Fn(),
    mut check: impl FnMut(usize),
) {
    prepare();
    let calls = traced(sandbox, arguments, &[]);
    for (index, name) in calls.iter().enumerate() {
        prepare();
        // strace counts the calls by name.
        let nth = calls[..=index].iter().filter(|other| *other == name).count();
        let kill = format!("inject={name}:signal=KILL:when={nth}");
        assert_eq!(traced(sandbox, arguments, &["-e", &kill]), calls[..=index], "killed at the call");
        check(index);
    }
}

#[test]
fn killed_at_every_call_that_writes() {
    let images = Images::new();
    for over_older in [true, false] {
        let prepare = || images.prepare(over_older);
        killed_at_each_call(&images.sandbox, FORMAT, prepare, |index| {
            images.assert_nothing_or_whole(&format!("call {index}"));
        });
    }
}

#[test]
fn an_older_superblock_goes_first_and_the_new_one_comes_last_each_synced() {
    let images = Images::new();
    let sequence = |over_older: bool, options: &[&str]| {
        images.prepare(over_older);
        let mut calls = traced(&images.sandbox, &[FORMAT, options].concat(), &[]);
        calls.dedup();
        calls.join(" ")
    };
    // The file gets its length, then the levels of the tree, a sync, the superblock, a sync.
    assert_eq!(sequence(false, &[]), "ftruncate pwrite64 fdatasync pwrite64 fdatasync");
    // Before that the older superblock is wiped.
    assert_eq!(sequence(true, &[]), "pwrite64 fdatasync pwrite64 fdatasync pwrite64 fdatasync");
    // Even if no new one follows.
    assert_eq!(sequence(true, &["--no-superblock"]), "pwrite64 fdatasync pwrite64 fdatasync");
}
