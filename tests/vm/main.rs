//! The test `vm`: every script in `tests/vm/cases/` on every kernel and in every configuration it asks for, each a test
//! of its own named `KERNEL/CONFIGURATION/CASE`; beside them `compat/`, another project's tests of its command run
//! against ours, and `selftest/`. Only the machines that the selected tests need are booted.

use std::env;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, Sender};

use anyhow::{Context as _, Result};
use dmverity_tests::vm::architecture::Architecture;
use dmverity_tests::vm::cases::{self, Nodes};
use dmverity_tests::vm::kernels::{self, Kernel};
use dmverity_tests::vm::schedule::{self, Boot, Outcome};
use libtest_mimic::{Arguments, Failed, Trial};
use regex_lite::Regex;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match trials(&arguments) {
        Ok((trials, boots)) => {
            if !arguments.list {
                schedule::start(boots);
            }
            libtest_mimic::run(&arguments, trials).exit_code()
        }
        Err(error) => {
            eprintln!("vm: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// All tests, and the boots needed by those that the arguments select.
fn trials(arguments: &Arguments) -> Result<(Vec<Trial>, Vec<Boot>)> {
    let cases = cases::discover("cases")?;
    let (mut trials, mut boots) = (Vec::new(), Vec::new());
    let long = arguments.include_ignored || arguments.ignored;
    let selected = |trial: &Trial| !arguments.is_filtered_out(trial) && (long || !trial.has_ignored_flag());
    let architecture = architecture();
    // Most cases run on the newest kernel, and should not come last: no other machine would run beside theirs.
    for kernel in kernels::of(architecture).rev() {
        for &nodes in architecture.nodes() {
            let mut shared = boot(kernel, nodes, format!("{}-{}", kernel.name, nodes.name()));
            for case in cases.iter().filter(|case| case.boots.contains(&nodes) && case.kernels.contains(&kernel)) {
                let (trial, sender) = trial(format!("{}/{}/{}", kernel.name, nodes.name(), case.name));
                let trial = trial.with_ignored_flag(case.is_long(kernel, nodes));
                if selected(&trial) {
                    let entry = (case.clone(), sender);
                    if case.shares_machine() {
                        shared.cases.push(entry);
                    } else {
                        let label = format!("{}-{}-{}", kernel.name, nodes.name(), case.name);
                        boots.push(Boot { cases: vec![entry], ..boot(kernel, nodes, label) });
                    }
                }
                trials.push(trial);
            }
            if !shared.cases.is_empty() {
                boots.push(shared);
            }
        }
    }
    if architecture != Architecture::Amd64 {
        return Ok((trials, boots));
    }
    // First, because they take longest.
    let mut first = Vec::new();
    for (trial, boot) in compat()?.into_iter().chain([selftest()?]) {
        if selected(&trial) {
            first.push(boot);
        }
        trials.push(trial);
    }
    boots.splice(0..0, first);
    Ok((trials, boots))
}

/// The machines' architecture: the host's, or 64-bit Arm if a variable names the command for it, which not everybody
/// can build.
fn architecture() -> Architecture {
    if env::var_os("DMVERITY_ARM64_BIN").is_some() { Architecture::Arm64 } else { Architecture::Amd64 }
}

fn boot(kernel: &'static Kernel, nodes: Nodes, label: String) -> Boot {
    Boot { kernel, nodes, label, cases: Vec::new() }
}

/// The test of one case, which waits for the outcome from the boot that runs it.
fn trial(name: String) -> (Trial, Sender<Outcome>) {
    let (sender, receiver) = mpsc::channel();
    (Trial::test(name, move || outcome(&receiver).map_err(Failed::from)), sender)
}

/// The tests that run what another project has written, each in a machine of its own.
fn compat() -> Result<Vec<(Trial, Boot)>> {
    let mut all = Vec::new();
    for case in cases::discover("compat")? {
        for &kernel in &case.kernels {
            for &nodes in &case.boots {
                let configuration = format!("{}-{}", kernel.name, nodes.name());
                let (trial, sender) = trial(format!("compat/{}/{configuration}", case.name));
                let label = format!("compat-{}-{configuration}", case.name);
                let trial = trial.with_ignored_flag(case.is_long(kernel, nodes));
                all.push((trial, Boot { cases: vec![(case.clone(), sender)], ..boot(kernel, nodes, label) }));
            }
        }
    }
    Ok(all)
}

fn outcome(receiver: &Receiver<Outcome>) -> Outcome {
    receiver.recv().unwrap_or_else(|_| Err("the harness itself has failed and reports nothing; see above".to_owned()))
}

/// The harness's own test: scripts that fail in every possible way, and the expected report of each.
fn selftest() -> Result<(Trial, Boot)> {
    let mut waiting = Vec::new();
    // With udev, whose semaphores are among what can be left behind.
    let mut boot = boot(kernels::by_name("6.1")?, Nodes::Udev, "selftest".to_owned());
    for case in cases::discover("selftest")? {
        let (sender, receiver) = mpsc::channel();
        let reports = case.reports.as_deref();
        let reports = reports.with_context(|| format!("{} does not say what it `# reports:`", case.name))?;
        waiting.push((case.name.clone(), Regex::new(&format!("(?s)^(?:{reports})$"))?, receiver));
        boot.cases.push((case, sender));
    }
    let test = move || {
        let mut wrong = String::new();
        for (name, expected, receiver) in &waiting {
            let reported = outcome(receiver).err().unwrap_or_else(|| "ok".to_owned());
            if !expected.is_match(&reported) {
                write!(wrong, "{name}: expected {expected}, reported: {reported}\n\n")?;
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failed::from(wrong)) }
    };
    Ok((Trial::test("selftest/failures-are-reported", test), boot))
}
