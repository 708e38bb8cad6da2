//! The output does not depend on threads and backends; and how work is stopped.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use dmverity_tests::backends::{available, cpuinfo};
use dmverity_tests::vectors::painted;
use dmverity_tests::{schema, veritysetup};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sandbox::{Outcome, Sandbox};
use crate::ways::{THREADS, Way, ways};

/// Large enough for several pieces for each of several threads.
const BYTES: usize = 16 << 20;

#[test]
fn verify_names_the_same_bad_blocks_in_the_same_order() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(BYTES));
    let root_hash = sandbox.run(&["format", "d", "h", "--salt=aa"]).field("Root hash").to_owned();
    // Far apart and side by side, in the data and in each level; first fewer than the limit of named blocks, then more.
    let mut rng = fastrand::Rng::with_seed(7);
    for bad in [3, 15, 60] {
        for _ in 0..bad {
            sandbox.flip("d", rng.usize(..BYTES));
        }
        sandbox.flip("h", 4096 + 40);
        sandbox.flip("h", 2 * 4096 + rng.usize(..32 * 4096));
        let verify = |way: &Way, threads: &str| -> Outcome {
            let arguments = ["verify", "d", "h", &root_hash, threads];
            way.command(&sandbox, &arguments).output().expect("it can be run").into()
        };
        let alone = verify(&veritysetup().into(), "--threads=1");
        assert_eq!(alone.code, Some(2), "{alone:?}");
        assert!(alone.stderr.lines().count() >= 4, "{alone:?}");
        for way in ways() {
            for threads in THREADS {
                assert_eq!(verify(&way, &format!("--threads={threads}")), alone, "{way}");
            }
        }
    }
}

#[test]
fn numbers_of_threads_are_checked() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(4096 * 3));
    for (option, hint) in [
        ("--threads=0", "hint: --threads is a number from 1 to 1024, not 0."),
        ("--threads=1025", "hint: --threads is a number from 1 to 1024, not 1025."),
    ] {
        let before = sandbox.snapshot();
        let outcome = sandbox.run(&["format", "d", "h", option]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
        assert_eq!(outcome.stderr, format!("Invalid number of threads.\n{hint}\n"));
        assert_eq!(sandbox.snapshot(), before);
    }
    for option in ["--threads=x", "--threads=-1", "--threads=99999999999999999999"] {
        let outcome = sandbox.run(&["verify", "d", "h", "00", option]);
        assert_eq!(outcome.code, Some(1));
        assert!(outcome.stderr.contains("invalid numeric value\n"), "{outcome:?}");
    }
    let outcome = sandbox.run(&["dump", "h", "--threads=2"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.ends_with("Option --threads is not allowed with dump action.\n"), "{outcome:?}");
    // More threads than work.
    assert_eq!(sandbox.run(&["format", "d", "h", "--threads=1024"]).code, Some(0));
}

/// A format that waits for its data, and is sent a signal then: how it ended, and whether its hash file is still there.
fn format_interrupted_by(signal: Signal, ignored: bool) -> (Option<i32>, Option<i32>, bool) {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(BYTES));
    // Reads are slowed down, so that the signal comes before the end; a line from strace shows that they have begun.
    // The test process itself may ignore SIGHUP.
    let how: &[&str] = if ignored { &["nohup"] } else { &["env", "--default-signal=HUP,INT,TERM"] };
    let mut command = sandbox.command(how[0], &how[1..]);
    command.args(["strace", "-f", "-qq", "-e", "trace=pread64", "-e", "inject=pread64:delay_enter=50000"]);
    command.arg(veritysetup()).args(["format", "d", "h", "--threads=2"]);
    let mut strace = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{error}: install Debian's packages strace and coreutils"));
    let mut words = strace.stderr.take().expect("it is piped");
    words.read_exact(&mut [0]).expect("strace tells of the first read: install Debian's package strace");
    let parent = strace.id();
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).expect("Linux has it");
    let command: i32 = children.split_whitespace().next().and_then(|id| id.parse().ok()).expect("strace runs it");
    kill(Pid::from_raw(command), signal).expect("it runs");
    let _ = std::io::copy(&mut words, &mut std::io::sink());
    let status = strace.wait().expect("it ends");
    (status.signal(), status.code(), sandbox.path("h").exists())
}

#[test]
fn a_signal_ends_a_format_and_takes_its_new_file_away() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // strace ends as its child did.
        assert_eq!(format_interrupted_by(signal, false), (Some(signal as i32), None, false), "{signal}");
    }
    // With SIGHUP ignored, it outlives the terminal.
    assert_eq!(format_interrupted_by(Signal::SIGHUP, true), (None, Some(0), true));
}

#[test]
fn an_interrupted_format_over_an_older_image_leaves_nothing_that_loads() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(4 << 20));
    assert_eq!(sandbox.run(&["format", "d", "h"]).code, Some(0));
    // At the first read of data, and where the tree is written.
    for call in ["pread64:signal=INT:when=3", "pwrite64:signal=INT:when=2"] {
        sandbox.write("d2", &vec![1; 4 << 20]);
        assert_eq!(sandbox.run(&["format", "d", "h"]).code, Some(0));
        let inject = format!("inject={call}");
        let arguments = ["-f", "-qq", "-o", "trace", "-e", "trace=pread64,pwrite64", "-e", &inject];
        let mut command = sandbox.command("env", &["--default-signal=INT", "strace"]);
        command.args(arguments);
        let status = command.arg(veritysetup()).args(["format", "d2", "h"]).output().unwrap().status;
        assert_eq!(status.signal(), Some(Signal::SIGINT as i32), "{call}: {status:?}");
        assert_eq!(sandbox.run(&["dump", "h"]).code, Some(1), "{call}");
    }
}

#[test]
fn benchmark_shows_every_backend_of_this_processor() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&["benchmark", "--hash=sha256", "--data-block-size=512", "--threads=2"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome:?}");
    let mut lines = outcome.stdout.lines();
    assert_eq!(lines.next(), Some("Hashing blocks of 512 bytes in memory, threads: 2"));
    assert_eq!(lines.next().unwrap().split_whitespace().collect::<Vec<_>>(), ["Algorithm", "Backend", "MiB/s"]);
    let cpuinfo = cpuinfo().unwrap();
    let expected: Vec<_> = available(&cpuinfo).map(|backend| backend.name).collect();
    let shown: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(shown.iter().map(|line| line[1]).collect::<Vec<_>>(), expected);
    for line in shown {
        assert_eq!(line[0], "sha256");
        assert!(line[2].parse::<f64>().unwrap() > 0.0, "{line:?}");
    }
    // An algorithm that is computed one block at a time only.
    let outcome = sandbox.run(&["benchmark", "--hash=ripemd160"]);
    assert_eq!(outcome.stdout.lines().count(), 3, "{outcome:?}");
    assert!(outcome.stdout.lines().last().unwrap().starts_with("ripemd160       portable"), "{outcome:?}");
    assert_eq!(sandbox.run(&["benchmark", "--hash=nonsense"]).code, Some(1));
}

#[test]
fn benchmark_shows_parity_too_and_the_same_rows_in_both_forms() {
    let sandbox = Sandbox::new();
    let text = sandbox.run(&["benchmark"]).stdout;
    let object = schema::check(&sandbox.run(&["benchmark", "--json"]).stdout).unwrap();
    let (hashing, parity) = text.split_once("\nParity of data in memory, threads: 1\n").unwrap();
    for (table, list, first) in [(hashing, "hashing", "algorithm"), (parity, "parity", "roots")] {
        let skipped = if list == "hashing" { 2 } else { 1 };
        let shown: Vec<Vec<&str>> = table.lines().skip(skipped).map(|line| line.split_whitespace().collect()).collect();
        let rows = object[list].as_array().unwrap();
        assert_eq!(shown.len(), rows.len(), "{list}");
        for (shown, row) in shown.iter().zip(rows) {
            assert_eq!(shown[0], row[first].to_string().trim_matches('"'));
            assert_eq!(shown[1], row["backend"]);
            assert!(shown[2].parse::<f64>().unwrap() > 0.0 && row["mib_per_second"].is_u64(), "{row}");
        }
    }
    // Other names of algorithms that are there.
    for name in ["rmd160", "wp512", "stribog256", "stribog512"] {
        assert!(!hashing.contains(&format!("\n{name} ")), "{name}");
    }
    let backends: Vec<&str> =
        parity.lines().filter_map(|line| line.strip_prefix("8 ")?.split_whitespace().next()).collect();
    assert_eq!(backends.last(), Some(&"portable"));
    for roots in [2, 24] {
        assert_eq!(parity.lines().filter(|line| line.starts_with(&format!("{roots} "))).count(), backends.len());
    }
    let one = schema::check(&sandbox.run(&["benchmark", "--json", "--hash=sha256", "--threads=2"]).stdout).unwrap();
    assert_eq!((&one["threads"], one["parity"].as_array().unwrap().len()), (&2.into(), 0));
}

#[test]
fn a_command_held_to_a_backend_has_it_and_no_other() {
    let cpuinfo = cpuinfo().unwrap();
    for backend in available(&cpuinfo) {
        let sandbox = Sandbox::new();
        let output = Way::held_to(backend).command(&sandbox, &["benchmark", "--hash=sha256"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let shown: Vec<&str> = text.lines().skip(2).filter_map(|line| line.split_whitespace().nth(1)).collect();
        let expected: &[&str] = if backend.name == "portable" { &["portable"] } else { &[backend.name, "portable"] };
        assert_eq!(shown, expected);
    }
}
