//! Signals at every call and at random moments, and then the same command again.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::matrix::is_whole;
use crate::scenario::{Scenario, Wanted};
use crate::scenarios::{appended, fixed, formats, repaired};
use crate::tracer::{Ended, Fault, Stops};

const SIGNALS: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGKILL];

/// Of so many calls in a row one is looked at, unless it is the whole.
const EVERY: usize = 7;

fn wanted(signal: Signal) -> Wanted {
    if signal == Signal::SIGKILL { Wanted::Killed } else { Wanted::Stopped(signal) }
}

/// Checks a run that received a signal, and the next run; returns the fault.
fn problems(scenario: &Scenario, ended: &Ended, signal: Signal) -> Vec<String> {
    let mut found = scenario.problems(ended, wanted(signal));
    if found.is_empty() {
        found = scenario.problems_of_the_next_run();
    }
    if !found.is_empty() {
        found.push(format!("{:?} {:?}", ended.status, ended.stderr));
    }
    found
}

/// Sends each signal at each call.
fn at_every_call(scenario: &Scenario) {
    let calls = scenario.record(&Stops::All);
    let (mut runs, mut all) = (0, Vec::new());
    for (index, call) in calls.iter().enumerate() {
        for (number, signal) in SIGNALS.into_iter().enumerate() {
            if !is_whole() && (!index.is_multiple_of(EVERY) || !(index / EVERY + number).is_multiple_of(2)) {
                continue;
            }
            runs += 1;
            let fault = |at, _: &_| if at == index { Fault::Signal(signal) } else { Fault::None };
            let ended = scenario.run_with(&Stops::All, fault);
            let found = problems(scenario, &ended, signal);
            if !found.is_empty() {
                all.push(format!("{signal} at call {index} {call:?}: {found:?}"));
            }
        }
    }
    println!("signals: {}: {} calls, {runs} signals", scenario.name, calls.len());
    assert!(all.is_empty(), "{}: {} problems:\n{}", scenario.name, all.len(), all.join("\n"));
}

#[test]
fn at_every_call_of_format() {
    formats().iter().for_each(at_every_call);
}

#[test]
fn at_every_call_of_append() {
    at_every_call(&appended("format --append", &[], "format --append i --fec-roots=2"));
}

#[test]
fn at_every_call_of_an_append_that_replaces_a_tree() {
    at_every_call(&appended("format --append again", &["format --append i --salt=00"], "format --append i"));
}

#[test]
fn at_every_call_of_repair() {
    at_every_call(&repaired());
}

/// The number of signals without `SIGNALS=n`.
const ROUNDS: usize = 80;

/// The maximum number of threads makes and repairs an image; a signal comes at a random call or time.
#[test]
fn at_random_moments() {
    let rounds = std::env::var("SIGNALS").map_or(ROUNDS, |rounds| rounds.parse().expect("SIGNALS is a number"));
    let mut scenarios = formats();
    scenarios.push(appended("format --append", &[], "format --append i --fec-roots=2"));
    scenarios.push(appended("format --append again", &["format --append i --salt=00"], "format --append i"));
    scenarios.push(repaired());
    scenarios.push(
        Scenario::new("format by threads", &[("d", crate::scenario::random(3, 6 << 20))], &[], &fixed("format d h"))
            .outputs("h")
            .loads("dump h"),
    );
    let scenarios: Vec<_> = scenarios
        .into_iter()
        .map(|scenario| {
            let scenario = scenario.with("--threads=3");
            let calls = scenario.record(&Stops::All).len();
            scenario.restore();
            let start = Instant::now();
            assert!(scenario.run().status.code().is_some());
            (scenario, calls, start.elapsed())
        })
        .collect();
    let mut rng = fastrand::Rng::with_seed(12);
    let mut all = Vec::new();
    for round in 0..rounds {
        let (scenario, calls, time) = &scenarios[rng.usize(..scenarios.len())];
        let signal = SIGNALS[rng.usize(..SIGNALS.len())];
        let (index, moment) = (rng.usize(..*calls), rng.f64());
        let ended = if round % 2 == 0 {
            scenario.run_with(&Stops::All, |at, _| if at == index { Fault::Signal(signal) } else { Fault::None })
        } else {
            signalled(scenario, signal, time.mul_f64(moment))
        };
        let found = problems(scenario, &ended, signal);
        if !found.is_empty() {
            all.push(format!("round {round}, {}: {signal} at call {index} or {moment}: {found:?}", scenario.name));
        }
    }
    println!("signals: {rounds} at random moments");
    assert!(all.is_empty(), "{} problems:\n{}", all.len(), all.join("\n"));
}

/// Runs the command, and sends it a signal after a time, even if it has ended.
fn signalled(scenario: &Scenario, signal: Signal, after: Duration) -> Ended {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Stdio;

    scenario.restore();
    let mut command = scenario.command();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    sleep(after);
    // Its exit status was not collected yet, so its process ID is still valid.
    let _ = kill(Pid::from_raw(child.id().cast_signed()), signal);
    let output = child.wait_with_output().expect("it ends");
    let by_signal = output.status.signal().and_then(|number| Signal::try_from(number).ok());
    let status = by_signal.map_or_else(|| Ok(output.status.code().expect("it has exited")), Err);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ended { status, stdout: text(output.stdout), stderr: text(output.stderr), calls: Vec::new() }
}
