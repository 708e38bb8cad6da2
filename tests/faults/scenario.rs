//! The files that commands run on, and what must hold for their files, streams and exit codes however they end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dmverity_tests::veritysetup;
use nix::sys::signal::Signal;

use crate::tracer::{Call, Ended, Fault, Stops, trace};

/// Files by name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Fixed salt and UUID, so that the result is known.
pub(crate) const FIXED: [&str; 2] = ["--salt=724ad0", "--uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71"];

/// A directory, a command that is run in it again and again, and its result without faults.
pub(crate) struct Scenario {
    pub(crate) name: String,
    directory: tempfile::TempDir,
    arguments: Vec<String>,
    before: Files,
    after: Files,
    code: i32,
    stdout: String,
    stderr: String,
    /// Files that the command may leave changed: its hash and FEC devices, and the files that it repairs.
    outputs: Vec<String>,
    /// Other valid contents after a failure, such as an image without its older tree.
    tolerated: Vec<(String, Vec<u8>)>,
    /// Files, and how many of their first bytes must never change.
    kept: Vec<(String, usize)>,
    /// A command that succeeds if the image loads.
    loads: Option<Vec<String>>,
    /// Whether a partial write is correct too.
    is_piecemeal: bool,
    /// Whether reads bypass the page cache.
    is_cold: bool,
}

/// The file that a root hash goes into.
const ROOT_HASH: &str = "r";

/// Random bytes from a seed.
pub(crate) fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; len];
    rng.fill(&mut bytes);
    bytes
}

pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A directory in memory if possible, where a sync takes no time.
pub(crate) fn memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary directory")
}

impl Scenario {
    /// For a command that is run after `setup` in a directory with these files.
    pub(crate) fn new(name: &str, files: &[(&str, Vec<u8>)], setup: &[&str], command: &str) -> Self {
        Self::within(memory(), name, files, setup, command)
    }

    pub(crate) fn within(
        directory: tempfile::TempDir,
        name: &str,
        files: &[(&str, Vec<u8>)],
        setup: &[&str],
        command: &str,
    ) -> Self {
        for (file, bytes) in files {
            fs::write(directory.path().join(file), bytes).expect("writable");
        }
        for command in setup {
            let output = run_in(directory.path(), &words(command));
            assert!(output.status.success(), "{name}: {command}: {output:?}");
        }
        let mut scenario = Self {
            name: name.to_owned(),
            before: read_all(directory.path()),
            directory,
            arguments: words(command),
            after: Files::new(),
            code: 0,
            stdout: String::new(),
            stderr: String::new(),
            outputs: Vec::new(),
            tolerated: Vec::new(),
            kept: Vec::new(),
            loads: None,
            is_piecemeal: false,
            is_cold: false,
        };
        let output = scenario.run();
        scenario.code = output.status.code().expect("an exit code");
        scenario.stdout = String::from_utf8(output.stdout).expect("text");
        scenario.stderr = String::from_utf8(output.stderr).expect("text");
        scenario.after = scenario.files();
        assert!(scenario.code == 0 || scenario.code == 2, "{name}: {} {}", scenario.code, scenario.stderr);
        scenario
    }

    /// Names the files that the command may leave unfinished.
    pub(crate) fn outputs(mut self, names: &str) -> Self {
        self.outputs = words(names);
        self
    }

    /// Adds a valid content of a file after a failure.
    pub(crate) fn tolerates(mut self, name: &str, bytes: Vec<u8>) -> Self {
        self.tolerated.push((name.to_owned(), bytes));
        self
    }

    /// Sets how much of an output is the owner's.
    pub(crate) fn keeps(mut self, name: &str, bytes: usize) -> Self {
        self.kept.push((name.to_owned(), bytes));
        self
    }

    /// A command that succeeds if there is an image.
    pub(crate) fn loads(mut self, command: &str) -> Self {
        self.loads = Some(words(command));
        self
    }

    pub(crate) fn piecemeal(mut self) -> Self {
        self.is_piecemeal = true;
        self
    }

    pub(crate) fn cold(mut self) -> Self {
        self.is_cold = true;
        self
    }

    /// The same command with more options.
    pub(crate) fn with(mut self, options: &str) -> Self {
        self.arguments.extend(words(options));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(veritysetup());
        command.args(&self.arguments).current_dir(self.directory.path());
        command
    }

    pub(crate) fn run(&self) -> Output {
        self.command().output().expect("it can be run")
    }

    pub(crate) fn code(&self) -> i32 {
        self.code
    }

    /// The files after the command without faults.
    pub(crate) fn after(&self) -> &Files {
        &self.after
    }

    pub(crate) fn files(&self) -> Files {
        read_all(self.directory.path())
    }

    /// Restores the files.
    pub(crate) fn restore(&self) {
        let there = self.files();
        for name in there.keys().filter(|name| !self.before.contains_key(*name)) {
            fs::remove_file(self.path(name)).expect("removed");
        }
        for (name, bytes) in self.before.iter().filter(|(name, bytes)| there.get(*name) != Some(bytes)) {
            fs::write(self.path(name), bytes).expect("writable");
        }
        if self.is_cold {
            for name in self.before.keys() {
                let file = fs::File::open(self.path(name)).expect("there");
                file.sync_all().expect("synced");
                let advice = nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED;
                nix::fcntl::posix_fadvise(&file, 0, 0, advice).expect("dropped from the page cache");
            }
        }
    }

    /// The calls of a run without faults.
    pub(crate) fn record(&self, stops: &Stops) -> Vec<Call> {
        let ended = self.run_with(stops, |_, _| Fault::None);
        let problems = self.problems(&ended, Wanted::Right);
        assert!(problems.is_empty(), "{}: under the tracer {problems:?}", self.name);
        ended.calls
    }

    /// Runs the command on the original files.
    pub(crate) fn run_with(&self, stops: &Stops, fault: impl FnMut(usize, &Call) -> Fault) -> Ended {
        self.restore();
        trace(&mut self.command(), stops, fault)
    }

    /// Runs the command again on the current files; returns what is wrong with the result.
    pub(crate) fn problems_of_the_next_run(&self) -> Vec<String> {
        let output = self.run();
        let mut problems = Vec::new();
        if output.status.code() != Some(self.code) {
            problems.push(format!("the next run fails: {output:?}"));
        }
        problems.extend(self.differences(&self.after).into_iter().map(|what| format!("after the next run {what}")));
        problems
    }

    fn differences(&self, expected: &Files) -> Vec<String> {
        let found = self.files();
        let names = found.keys().chain(expected.keys().filter(|name| !found.contains_key(*name)));
        let differ = names.filter(|name| found.get(*name) != expected.get(*name)).filter(|name| !is_temporary(name));
        differ.map(|name| format!("{name} is not what it is to be")).collect()
    }
}

/// The expected outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// As if there was no fault.
    Right,
    /// That, or a failure that changes nothing and says why.
    RightOrFailure,
    /// A failure.
    Failure,
    /// The same, but created files may be left, because removing them fails.
    FailureThatLeavesFiles,
    /// Success or failure, possibly without a message: standard error itself fails.
    Speechless,
    /// This signal ends it after a cleanup, unless it was done before.
    Stopped(Signal),
    /// It is killed, unless it was done before.
    Killed,
    /// It fails in any way, with nothing changed: it has not begun yet.
    NotBegun,
}

impl Scenario {
    /// Checks the end of a run; returns the fault.
    pub(crate) fn problems(&self, ended: &Ended, wanted: Wanted) -> Vec<String> {
        let files = self.files();
        let mut problems = Vec::new();
        if ended.stderr.contains("panicked") && wanted != Wanted::NotBegun {
            problems.push("it panics".to_owned());
        }
        let is_done = self.is_done(&files);
        let succeeded = ended.status == Ok(self.code) && ended.stdout == self.stdout;
        let succeeded = succeeded && (ended.stderr == self.stderr || wanted == Wanted::Speechless);
        if succeeded {
            if files != self.after {
                problems.push("it succeeds, and its files are wrong".to_owned());
            }
            if self.code == 0 && matches!(wanted, Wanted::Failure | Wanted::FailureThatLeavesFiles) {
                problems.push("it succeeds in spite of the fault".to_owned());
            }
            return problems;
        }
        match (ended.status, wanted) {
            (_, Wanted::Right) => problems.push("it does not survive the fault".to_owned()),
            (Err(signal), Wanted::Stopped(sent)) if signal == sent => {}
            (Err(Signal::SIGKILL), Wanted::Killed) | (Err(_), Wanted::NotBegun) => {}
            (Err(signal), _) => problems.push(format!("it ends by {signal}")),
            (Ok(code @ 1..=5), _) => {
                let says_nothing = ended.stderr.trim().is_empty() && !is_object(&ended.stdout);
                if code != self.code && says_nothing && wanted != Wanted::Speechless {
                    problems.push("it fails without a word".to_owned());
                }
            }
            (Ok(0), _) => problems.push("it succeeds, and says something else".to_owned()),
            (Ok(_), Wanted::NotBegun) => {}
            (Ok(code), _) => problems.push(format!("it ends with code {code}")),
        }
        if !is_done {
            problems.extend(self.problems_of_files(&files, wanted));
        }
        problems
    }

    /// Whether the image is complete, without the root hash file.
    fn is_done(&self, files: &Files) -> bool {
        let image = |files: &Files| {
            let image = files.iter().filter(|(name, _)| *name != ROOT_HASH && !is_temporary(name));
            image.map(|(name, bytes)| (name.clone(), bytes.clone())).collect::<Files>()
        };
        let root_hash = files.get(ROOT_HASH);
        let is_whole = [&self.before, &self.after].iter().any(|files| files.get(ROOT_HASH) == root_hash);
        is_whole && image(files) == image(&self.after)
    }

    /// Whether a file is unchanged. It may be longer if its extension could not be undone.
    fn is_as_before(&self, name: &str, bytes: &[u8], wanted: Wanted) -> bool {
        let Some(before) = self.before.get(name) else { return false };
        let may_be_longer = matches!(wanted, Wanted::Killed | Wanted::FailureThatLeavesFiles);
        let rest = bytes.strip_prefix(&before[..]);
        bytes == before || may_be_longer && rest.is_some_and(|rest| rest.iter().all(|&byte| byte == 0))
    }

    /// Checks the files after a failure; returns the fault.
    fn problems_of_files(&self, files: &Files, wanted: Wanted) -> Vec<String> {
        let mut problems = Vec::new();
        let is_output = |name: &String| self.outputs.contains(name);
        let may_leave = matches!(wanted, Wanted::Killed | Wanted::FailureThatLeavesFiles);
        for (name, bytes) in &self.before {
            let tolerated = |(file, other): &(String, Vec<u8>)| file == name && files.get(name) == Some(other);
            match files.get(name) {
                None => problems.push(format!("{name} is gone")),
                Some(found) if found == bytes || self.tolerated.iter().any(tolerated) => {}
                Some(found) if is_output(name) && self.is_piecemeal => {
                    let right = &self.after[name];
                    let is_either = |at: usize| found[at] == bytes[at] || found[at] == right[at];
                    if found.len() != bytes.len() || !(0..found.len()).all(is_either) {
                        problems.push(format!("{name} has bytes that are neither old nor right"));
                    }
                }
                // A tree over an older one, or after the data of a file that could not be cut again.
                Some(found) if is_output(name) => {
                    if !may_leave && found.len() < bytes.len().min(self.after[name].len()) {
                        problems.push(format!("{name} is shorter"));
                    }
                }
                Some(_) => problems.push(format!("{name} is changed")),
            }
        }
        for (name, len) in &self.kept {
            if files.get(name).is_none_or(|found| found.get(..*len) != self.before[name].get(..*len)) {
                problems.push(format!("data in {name} are changed"));
            }
        }
        for name in files.keys().filter(|name| !self.before.contains_key(*name)) {
            if !may_leave {
                problems.push(format!("{name} is left"));
            }
        }
        if let Some(arguments) = &self.loads
            && files.iter().any(|(name, bytes)| is_output(name) && !self.is_as_before(name, bytes, wanted))
            && run_in(self.directory.path(), arguments).status.success()
        {
            problems.push("what is left loads".to_owned());
        }
        problems
    }
}

fn is_temporary(name: &str) -> bool {
    name.starts_with(".tmp")
}

fn is_object(text: &str) -> bool {
    text.starts_with('{') && text.contains("\"message\"")
}

pub(crate) fn run_in(directory: &Path, arguments: &[String]) -> Output {
    Command::new(veritysetup()).args(arguments).current_dir(directory).output().expect("it can be run")
}

fn read_all(directory: &Path) -> Files {
    let entries = fs::read_dir(directory).expect("readable").map(|entry| entry.expect("readable"));
    let files = entries.map(|entry| {
        let name = entry.file_name().into_string().expect("names are text");
        (name, fs::read(entry.path()).expect("readable"))
    });
    files.collect()
}
