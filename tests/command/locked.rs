//! Two processes on one image at once: the second one is refused, and the first one loses nothing.

use std::fs::File;
use std::process::Stdio;

use dmverity_tests::vectors::painted;
use dmverity_tests::veritysetup;

use crate::bad_input::refused;
use crate::sandbox::{Outcome, Sandbox};

fn message(device: &str) -> String {
    format!("Device {device} is in use by another process.\n")
}

#[test]
fn what_another_process_writes_to_is_left_alone_by_whatever_name() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300_000));
    sandbox.write("i", &painted(300_000));
    let made = sandbox.run(&["format", "d", "h", "--fec-device=f", "--salt=aa"]);
    let root_hash = made.field("Root hash").to_owned();
    sandbox.run(&["format", "--append", "i", "--salt=aa"]);
    for name in ["d", "h", "f", "i"] {
        std::fs::hard_link(sandbox.path(name), sandbox.path(&format!("{name}.hard"))).unwrap();
        std::os::unix::fs::symlink(name, sandbox.path(&format!("{name}.soft"))).unwrap();
    }
    let repair = format!("{root_hash} --fec-device=f");
    for (held, command, named) in [
        ("h", "format d h".to_owned(), "h"),
        ("h", "format d h.hard".to_owned(), "h.hard"),
        ("h", "format d h.soft".to_owned(), "h.soft"),
        ("f", "format d h --fec-device=f.soft".to_owned(), "f.soft"),
        ("f", "format d new --fec-device=f".to_owned(), "f"),
        ("d", "format d d --data-blocks=10 --hash-offset=409600".to_owned(), "d"),
        ("i", "format --append i".to_owned(), "i"),
        ("i", "format --append i.hard".to_owned(), "i.hard"),
        ("f", "format --append i --fec-device=f --fec-roots=2".to_owned(), "f"),
        ("d", format!("repair d h {repair}"), "d"),
        ("h", format!("repair d h.soft {repair}"), "h.soft"),
        ("f", format!("repair d h {repair}"), "f"),
    ] {
        let lock = File::open(sandbox.path(held)).unwrap();
        lock.try_lock().unwrap();
        refused(&sandbox, &command, 5, &message(named));
        assert!(!sandbox.path("new").exists());
        // Closing it is not enough: a child that another test is just starting has inherited it.
        lock.unlock().unwrap();
    }
    // Commands that only read take no lock.
    let locks = ["d", "h", "f", "i"].map(|name| File::open(sandbox.path(name)).unwrap());
    for lock in &locks {
        lock.try_lock().unwrap();
    }
    for command in [
        &["verify", "d", "h", &root_hash][..],
        &["repair", "--dry-run", "d", "h", &root_hash, "--fec-device=f"],
        &["dump", "h"],
        &["plan", "--append", "i"],
        &["format", "d", "new"],
    ] {
        assert_eq!(sandbox.run(command).code, Some(0), "{command:?}");
    }
    for lock in &locks {
        lock.unlock().unwrap();
    }
    assert_eq!(sandbox.run(&["format", "d", "h", "--fec-device=f"]).code, Some(0));
}

/// Runs these commands at the same time and returns their outcomes.
fn at_once(sandbox: &Sandbox, commands: &[Vec<String>]) -> Vec<Outcome> {
    let children: Vec<_> = commands
        .iter()
        .map(|arguments| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let mut command = sandbox.command(veritysetup(), &arguments);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("veritysetup runs")
        })
        .collect();
    let outcomes: Vec<Outcome> =
        children.into_iter().map(|child| child.wait_with_output().expect("waited for").into()).collect();
    for outcome in &outcomes {
        assert!(
            outcome.code == Some(0)
                || (outcome.code == Some(5) && outcome.stderr.contains("in use by another process")),
            "{outcome:?}"
        );
    }
    outcomes
}

#[test]
fn two_at_once_leave_one_whole_image() {
    let sandbox = Sandbox::in_memory();
    let data = painted(3_000_001);
    let salted = |words: &str, salt: usize| -> Vec<String> {
        words.split(' ').map(str::to_owned).chain([format!("--salt={salt:02x}")]).collect()
    };
    for round in 0..30 {
        for words in ["format d h --threads=1", "format --append i"] {
            sandbox.write("d", &data);
            sandbox.write("i", &data);
            if round % 2 == 0 {
                std::fs::remove_file(sandbox.path("h")).ok();
            }
            let outcomes = at_once(&sandbox, &[salted(words, 1), salted(words, 2), salted(words, 3)]);
            let made: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.code == Some(0)).collect();
            assert!(!made.is_empty(), "{words}: {outcomes:?}");
            let verify = |root_hash: &str| {
                let devices =
                    if words.contains("append") { ["i", "i", "--hash-offset=auto"] } else { ["d", "h", "-q"] };
                sandbox.run(&["verify", devices[0], devices[1], root_hash, devices[2]]).code == Some(0)
            };
            let good = made.iter().filter(|outcome| verify(outcome.field("Root hash"))).count();
            assert_eq!(good, 1, "{words} in round {round}: {outcomes:?}");
        }
    }
}

/// Whichever of the calls after a file's creation fails, the file is removed.
#[test]
fn a_created_file_goes_when_a_call_on_it_fails() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300_000));
    for call in ["lseek", "fstat", "newfstatat", "fcntl", "flock", "ftruncate", "fdatasync", "pwrite64"] {
        for nth in 1..100 {
            for name in ["h", "f"] {
                std::fs::remove_file(sandbox.path(name)).ok();
            }
            let inject = format!("inject={call}:error=EIO:when={nth}");
            let mut command = sandbox.command("strace", &["-f", "-qq", "-o", "trace", "-e"]);
            let arguments = ["format", "d", "h", "--fec-device=f", "--threads=1"];
            let output = command.args([&format!("trace={call}"), "-e", &inject]).arg(veritysetup()).args(arguments);
            let outcome: Outcome = output.output().expect("strace").into();
            let is_injected = String::from_utf8(sandbox.read("trace")).unwrap().contains("(INJECTED)");
            if outcome.code != Some(0) {
                assert!(is_injected && !outcome.stderr.is_empty(), "{call} {nth}: {outcome:?}");
                for name in ["h", "f"] {
                    assert!(!sandbox.path(name).exists(), "{call} {nth}: {name} stays: {outcome:?}");
                }
            }
            if !is_injected {
                break;
            }
        }
    }
}
