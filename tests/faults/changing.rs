//! Files that are truncated, extended or replaced while a command works on them. The result need not be useful, but
//! nothing wrong is reported as correct, and files of another process stay.

use std::fs;
use std::io::Write;

use nix::errno::Errno;
use nix::libc;

use crate::matrix::is_whole;
use crate::scenario::{Scenario, random};
use crate::scenarios::{appended, data, fixed, formats, repaired};
use crate::tracer::{Ended, Fault, Stops};

/// Of so many calls in a row one is looked at, unless it is the whole.
const EVERY: usize = 6;

/// A change that another process makes to a file.
#[derive(Clone, Copy, Debug)]
enum Change {
    Cut,
    Empty,
    Lengthen,
    Overwrite,
    Replace,
    Remove,
}

const CHANGES: [Change; 6] =
    [Change::Cut, Change::Empty, Change::Lengthen, Change::Overwrite, Change::Replace, Change::Remove];

impl Change {
    fn make(self, scenario: &Scenario, name: &str) {
        let path = scenario.path(name);
        let open = || fs::OpenOptions::new().write(true).open(&path);
        let others = random(9, 50_000);
        let made = match self {
            Self::Cut => open().and_then(|file| file.set_len(file.metadata()?.len() / 2)),
            Self::Empty => open().and_then(|file| file.set_len(0)),
            Self::Lengthen => {
                fs::OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(&others))
            }
            Self::Overwrite => open().and_then(|mut file| file.write_all(&others)),
            Self::Replace => {
                let other = scenario.path("other");
                fs::write(&other, &others).and_then(|()| fs::rename(&other, &path))
            }
            Self::Remove => fs::remove_file(&path),
        };
        // It may not exist yet, or no longer.
        let _ = made;
    }
}

/// Changes a file at each call, in every way.
fn check(scenario: &Scenario, name: &str) {
    let calls = scenario.record(&Stops::All).len();
    let (mut runs, mut all) = (0, Vec::new());
    for index in 0..calls {
        for (number, change) in CHANGES.into_iter().enumerate() {
            if !is_whole()
                && (!index.is_multiple_of(EVERY) || !(index / EVERY + number).is_multiple_of(CHANGES.len() / 2))
            {
                continue;
            }
            runs += 1;
            let ended = scenario.run_with(&Stops::All, |at, _| {
                if at == index {
                    change.make(scenario, name);
                }
                Fault::None
            });
            let found = said(&ended);
            if !found.is_empty() {
                all.push(format!("{change:?} at call {index}: {found:?} {:?} {:?}", ended.status, ended.stderr));
            }
        }
    }
    println!("changing: {}, file {name}: {calls} calls, {runs} runs", scenario.name);
    assert!(all.is_empty(), "{}: {} problems:\n{}", scenario.name, all.len(), all.join("\n"));
}

/// Checks a command's end on files whose result cannot be predicted; returns the fault.
fn said(ended: &Ended) -> Vec<&'static str> {
    let mut found = Vec::new();
    match ended.status {
        Ok(0) => {}
        Ok(1..=5) if !ended.stderr.is_empty() || ended.stdout.contains("\"message\"") => {}
        Ok(1..=5) => found.push("it fails without a word"),
        _ => found.push("it ends by a signal, or with another code"),
    }
    if ended.stderr.contains("panicked") {
        found.push("it panics");
    }
    found
}

#[test]
fn while_they_are_formatted() {
    for scenario in &formats()[..4] {
        check(scenario, "d");
        check(scenario, "h");
    }
}

#[test]
fn while_one_is_appended_to() {
    check(&appended("format --append again", &["format --append i --salt=00"], "format --append i --fec-roots=2"), "i");
}

#[test]
fn while_they_are_repaired() {
    for name in ["d", "h", "f"] {
        check(&repaired(), name);
    }
}

/// Data that the owner appends before anything was written stays, and so does the original data.
#[test]
fn what_is_added_to_an_image_before_it_gets_a_tree_stays() {
    let scenario = appended("format --append", &[], "format --append i");
    let writes = [libc::SYS_pwrite64, libc::SYS_ftruncate, libc::SYS_write];
    let calls = scenario.record(&Stops::All);
    let first = calls.iter().position(|call| writes.contains(&call.number)).expect("it writes");
    let (data, added) = (data(), random(10, 20_000));
    for index in (0..first).filter(|index| is_whole() || index % EVERY == 0 || first - index < 3) {
        let ended = scenario.run_with(&Stops::All, |at, _| {
            if at == index {
                let file = fs::OpenOptions::new().append(true).open(scenario.path("i"));
                file.and_then(|mut file| file.write_all(&added)).expect("added");
            }
            Fault::None
        });
        let image = fs::read(scenario.path("i")).expect("there");
        let context = format!("call {index} of {first}: {:?} {:?}", ended.status, ended.stderr);
        assert!(image.starts_with(&data), "{context}: data are lost");
        assert!(image[data.len()..].starts_with(&added), "{context}: what was added is lost");
    }
}

/// If another process has replaced a file that the command created, a failing command does not remove it.
#[test]
fn what_somebody_else_has_put_there_stays() {
    let scenario = Scenario::new("format", &[("d", data())], &[], &fixed("format d h --fec-device=f"));
    let calls = scenario.record(&Stops::All);
    let first = calls.iter().position(|call| call.number == libc::SYS_pwrite64).expect("it writes");
    let theirs = random(11, 5000);
    for name in ["h", "f"] {
        let ended = scenario.run_with(&Stops::All, |at, call| {
            if at == first {
                fs::write(scenario.path("other"), &theirs).expect("written");
                fs::rename(scenario.path("other"), scenario.path(name)).expect("renamed");
            }
            let fails = at > first && call.number == libc::SYS_fdatasync;
            if fails { Fault::Fails(Errno::EIO) } else { Fault::None }
        });
        assert_eq!(ended.status, Ok(1), "{ended:?}");
        let found = fs::read(scenario.path(name)).unwrap_or_default();
        assert!(found == theirs, "{name} of somebody else is gone");
        let ours = if name == "h" { "f" } else { "h" };
        assert!(!scenario.path(ours).exists(), "{ours} is left");
    }
}
