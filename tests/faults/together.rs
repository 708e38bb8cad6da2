//! Two commands on the same files: at every call of one, the other runs from start to end. Either both succeed or the
//! second is told that the files are in use; the final image is complete.

use crate::matrix::is_whole;
use crate::scenario::{FIXED, Scenario, Wanted, run_in, words};
use crate::scenarios::{appended, data, fixed, repaired};
use crate::tracer::{Fault, Stops};

/// Of so many calls in a row one is looked at, unless it is the whole.
const EVERY: usize = 5;

/// Already exists, or in use.
const BUSY: i32 = 5;

/// Runs all of `other` at each call of the scenario's command. The files must then be the command's result, or that of
/// `other` if the command was refused.
fn check(scenario: &Scenario, other: &str) {
    let other = words(other);
    scenario.restore();
    let alone = run_in(&scenario.path(""), &other);
    let (other_files, other_code) = (scenario.files(), alone.status.code());
    let calls = scenario.record(&Stops::All).len();
    let (mut runs, mut busy, mut all) = (0, 0, Vec::new());
    for index in (0..calls).filter(|index| is_whole() || index.is_multiple_of(EVERY)) {
        runs += 1;
        let mut second = None;
        let ended = scenario.run_with(&Stops::All, |at, _| {
            if at == index {
                second = Some(run_in(&scenario.path(""), &other));
            }
            Fault::None
        });
        let second = second.expect("the call was made");
        let files = scenario.files();
        let mut found = Vec::new();
        let mut want = |is_true: bool, what: &str| {
            if !is_true {
                found.push(what.to_owned());
            }
        };
        let codes = (ended.status.ok(), second.status.code());
        want(codes.0 == Some(0) || codes.0 == Some(BUSY), "the first neither succeeds nor says that it is in use");
        want(
            codes.1 == other_code || codes.1 == Some(BUSY),
            "the second neither does as alone nor says that it is in use",
        );
        want(codes != (Some(BUSY), Some(BUSY)), "both are refused");
        want(codes.0 != Some(BUSY) || !ended.stderr.is_empty(), "the first says nothing");
        want(codes.1 == Some(0) || !second.stderr.is_empty(), "the second says nothing");
        let ones = [scenario.after(), &other_files];
        if codes.0 == Some(0) {
            // The last writer's.
            let ones = &ones[..=usize::from(codes.1 == Some(0))];
            want(ones.contains(&&files), "the first succeeds, and the files are wrong");
        } else if codes.1 == Some(0) {
            want(files == other_files, "only the second succeeds, and its files are wrong");
        }
        busy += usize::from(codes.0 == Some(BUSY)) + usize::from(codes.1 == Some(BUSY));
        if !found.is_empty() {
            let said = String::from_utf8_lossy(&second.stderr);
            all.push(format!("at call {index}: {found:?} {codes:?} {:?} {said:?}", ended.stderr));
        }
    }
    println!("together: {} and {}: {runs} of {calls} calls, {busy} refused", scenario.name, other.join(" "));
    assert!(all.is_empty(), "{}: {} problems:\n{}", scenario.name, all.len(), all.join("\n"));
}

/// Runs a command that only reads at each call of the scenario's, which it must not disturb.
fn check_beside(scenario: &Scenario, reader: &str) {
    let reader = words(reader);
    let calls = scenario.record(&Stops::All).len();
    let (mut runs, mut all) = (0, Vec::new());
    for index in (0..calls).filter(|index| is_whole() || index.is_multiple_of(EVERY)) {
        runs += 1;
        let mut second = None;
        let ended = scenario.run_with(&Stops::All, |at, _| {
            if at == index {
                second = Some(run_in(&scenario.path(""), &reader));
            }
            Fault::None
        });
        let mut found = scenario.problems(&ended, Wanted::Right);
        let second = second.expect("the call was made");
        let said = String::from_utf8_lossy(&second.stderr);
        match second.status.code() {
            Some(0) => {}
            Some(1..=5) if !said.is_empty() && !said.contains("panicked") => {}
            code => found.push(format!("the reader ends with {code:?}: {said}")),
        }
        if !found.is_empty() {
            all.push(format!("at call {index}: {found:?}"));
        }
    }
    println!("together: {} beside {}: {runs} of {calls} calls", reader.join(" "), scenario.name);
    assert!(all.is_empty(), "{}: {} problems:\n{}", scenario.name, all.len(), all.join("\n"));
}

fn other_salt(command: &str) -> String {
    fixed(command).replace(FIXED[0], "--salt=00")
}

#[test]
fn format_and_format() {
    let new = Scenario::new("format", &[("d", data())], &[], &fixed("format d h"));
    check(&new.outputs("h"), &other_salt("format d h"));
    let setup = ["format d h --salt=11"];
    let over = Scenario::new("format over an older image", &[("d", data())], &setup, &fixed("format d h"));
    check(&over.outputs("h"), &other_salt("format d h"));
}

#[test]
fn append_and_append() {
    check(&appended("format --append", &[], "format --append i"), &other_salt("format --append i"));
    let setup = ["format --append i --salt=11"];
    let again = appended("format --append again", &setup, "format --append i --fec-roots=2");
    check(&again, &other_salt("format --append i"));
}

#[test]
fn repair_and_repair() {
    check(&repaired(), "repair d h --fec-device=f --root-hash-file=r");
}

#[test]
fn readers_beside_writers() {
    let setup = ["format d h --salt=11 --root-hash-file=r"];
    let over = Scenario::new("format over an older image", &[("d", data())], &setup, &fixed("format d h"));
    check_beside(&over.outputs("h"), "verify d h --root-hash-file=r");
    check_beside(&appended("format --append", &[], "format --append i"), "plan --append i");
    check_beside(&repaired(), "verify d h --fec-device=f --root-hash-file=r --strict");
}
