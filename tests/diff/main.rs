//! Random command lines and images, good and bad, with ours and with the reference: exit code, messages, standard
//! output, root hash and every byte of every file must be the same, except for [`differences`].

mod case;
mod compare;
mod differences;
mod image;
mod sandbox;
mod words;

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use case::{Case, Kind};
use compare::{Report, Tools, compare};
use differences::DIFFERENCES;

/// The number of cases, unless `CASES` is set.
const CASES: u64 = 500;

/// With this many cases every difference occurs.
const MANY: u64 = 5000;

/// After this many failures the rest is not run.
const ENOUGH: usize = 100;

/// The results of all cases.
#[derive(Default)]
struct Summary {
    cases: u64,
    commands: BTreeMap<Kind, (u64, u64)>,
    met: BTreeMap<usize, u64>,
    unexplained: Vec<String>,
}

impl Summary {
    fn add(&mut self, report: Report) {
        self.cases += 1;
        for (kind, is_taken) in report.commands {
            let (all, taken) = self.commands.entry(kind).or_default();
            *all += 1;
            *taken += u64::from(is_taken);
        }
        for index in report.met {
            *self.met.entry(index).or_default() += 1;
        }
        self.unexplained.extend(report.unexplained);
    }

    fn text(&self, seed: u64) -> String {
        let mut text = format!("{} cases of seed {seed}\n", self.cases);
        for (kind, (all, taken)) in &self.commands {
            writeln!(text, "{all:8} {kind:?}, of which the reference took {taken}").expect("a String takes everything");
        }
        for (index, difference) in DIFFERENCES.iter().enumerate().filter(|(_, difference)| difference.take.is_some()) {
            let count = self.met.get(&index).copied().unwrap_or(0);
            let never = if count == 0 && self.cases >= MANY { ", so that nothing speaks for it" } else { "" };
            writeln!(text, "{count:8} times: {}{never}", difference.name).expect("a String takes everything");
        }
        text
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")))
}

#[test]
fn commands_do_what_those_of_the_reference_do() {
    let seed = number("SEED").unwrap_or(1);
    let cases = match number("CASE") {
        Some(case) => case..case + 1,
        None => 0..number("CASES").unwrap_or(CASES),
    };
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary directory");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("it is ours");
    // In a folder where every user can run it; some systems mount tmpfs with noexec.
    let programs = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(programs.path(), Permissions::from_mode(0o755)).expect("it is ours");
    let ours = programs.path().join("veritysetup");
    fs::copy(dmverity_tests::veritysetup(), &ours).expect("there is room");
    let tools = Tools { ours, theirs: dmverity_tests::reference() };
    let next = AtomicU64::new(cases.start);
    let summary = Mutex::new(Summary::default());
    let work = |worker: usize| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= cases.end || summary.lock().expect("none panicked").unexplained.len() >= ENOUGH {
                break;
            }
            let report = run(seed, number, &tools, &directory.path().join(worker.to_string()));
            summary.lock().expect("none panicked").add(report);
        }
    };
    thread::scope(|scope| {
        let work = &work;
        for worker in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(move || work(worker));
        }
    });
    let summary = summary.into_inner().expect("none panicked");
    println!("{}", summary.text(seed));
    let unexplained = &summary.unexplained;
    assert!(unexplained.is_empty(), "{} unexplained differences:\n\n{}", unexplained.len(), unexplained.join("\n"));
}

const MANUAL: &str = "man/veritysetup.8";

/// The manual, split into the text before the list of differences, the list's items, and the text after it.
fn section(manual: &str) -> (&str, &str, &str) {
    const LIST: &str = ".Bl -bullet\n";
    let start = manual.find("\n.Sh DIFFERENCES\n").expect("there is such a section");
    let start = start + manual[start..].find(LIST).expect("it has a list") + LIST.len();
    let end = start + manual[start..].find(".El\n").expect("the list ends");
    (&manual[..start], &manual[start..end], &manual[end..])
}

/// With `WRITE_MANUAL`, updates the manual instead.
#[test]
fn the_manual_says_what_differs() {
    let path = dmverity_tests::workspace().join(MANUAL);
    let manual = fs::read_to_string(&path).expect("the manual is there");
    let (before, items, after) = section(&manual);
    let expected = differences::manual();
    if env::var_os("WRITE_MANUAL").is_some() {
        fs::write(path, format!("{before}{expected}{after}")).expect("it is ours");
    } else {
        assert!(items == expected, "`make diff-manual` writes what tests/diff/differences.rs says into {MANUAL}");
    }
}

fn run(seed: u64, number: u64, tools: &Tools, directory: &Path) -> Report {
    fs::create_dir_all(directory).expect("a new directory");
    compare(&Case::new(seed, number), tools, directory)
}
