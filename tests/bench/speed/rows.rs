//! The rows of the table, in order.

use dmverity_tests::backends::Backend;
use regex_lite::Regex;

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its name in the table.
    pub(crate) what: String,
    pub(crate) job: Job,
}

/// How a row is measured.
#[derive(Debug)]
pub(crate) enum Job {
    /// Both tools do the same task.
    Both(Task),
    /// Ours does two things with the same data.
    Ours(Task, Task),
    /// A large file that is mostly holes, by ours alone, next to a small one with as much data.
    Scattered,
    /// `dump` of a small image.
    StartUp,
}

/// The task of a tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub(crate) action: Action,
    pub(crate) input: Input,
    pub(crate) hash: &'static str,
    /// For `--salt`.
    pub(crate) salt: &'static str,
    /// With FEC, and this many roots.
    pub(crate) fec: Option<u8>,
    /// Number of threads of ours; the reference has one.
    pub(crate) threads: u8,
    /// Ours is the build that is forced to this backend, instead of the released one.
    pub(crate) backend: Option<&'static Backend>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Format,
    Verify,
    /// Verifies FEC even if the tree is in order. Only ours can.
    Strict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Random bytes, all in the page cache.
    Cached,
    /// The same, in a file that is smaller by [`SMALL`].
    Small,
    /// Random bytes, none in the page cache. The host of a virtual machine may still cache them.
    Cold,
    /// A hole, [`HOLE`] times as large.
    Hole,
}

/// How much smaller the files for FEC are, so that the reference takes about as long as with the others.
pub(crate) const SMALL: u64 = 8;
/// How much larger than the other files the hole and the mostly sparse file are.
pub(crate) const HOLE: u64 = 8;
pub(crate) const SCATTERED: u64 = 64;
/// The number of pieces of its data.
pub(crate) const PIECES: u64 = 16;

/// In the names of rows that measure ours alone.
pub(crate) const NOT_THE_REFERENCE: &str = "(left: not the reference, but ours";

/// No salt, and one of 32 bytes.
const NONE: &str = "-";
pub(crate) const SALT: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The values that most rows have in common.
pub(crate) const BASE: Task = Task {
    action: Action::Format,
    input: Input::Cached,
    hash: "sha256",
    salt: NONE,
    fec: None,
    threads: 2,
    backend: None,
};

/// All rows, for files of this size and these backends.
pub(crate) fn rows(mib: u64, backends: &[&'static Backend]) -> Vec<Row> {
    // First, before writeback of large files keeps the system busy.
    let mut rows = vec![Row { what: "dump of a small image, on one processor".to_owned(), job: Job::StartUp }];
    let tasks = hash_tree(backends).into_iter().chain(with_fec(backends));
    rows.extend(tasks.map(|task| Row { what: task.what(mib), job: Job::Both(task) }));
    rows.extend(by_ours_alone().into_iter().map(|(other, task, left)| Row {
        what: format!("{} {NOT_THE_REFERENCE}, {left})", task.what(mib)),
        job: Job::Ours(other, task),
    }));
    let what = format!(
        "format, {} file with {} of data in {PIECES} pieces, sha256, 2 threads {NOT_THE_REFERENCE}, the data alone)",
        size(mib * SCATTERED),
        size(mib)
    );
    rows.push(Row { what, job: Job::Scattered });
    rows
}

fn hash_tree(backends: &[&'static Backend]) -> Vec<Task> {
    let mut tasks = Vec::new();
    for backend in [None].into_iter().chain(backends.iter().copied().map(Some)) {
        for action in [Action::Format, Action::Verify] {
            tasks.extend([1, 2].map(|threads| Task { action, threads, backend, ..BASE }));
        }
    }
    for (hash, salt) in [("sha256", SALT), ("sha512", NONE), ("sha1", NONE)] {
        tasks.extend([1, 2].map(|threads| Task { hash, salt, threads, ..BASE }));
    }
    tasks.extend([Action::Format, Action::Verify].map(|action| Task { action, input: Input::Cold, ..BASE }));
    tasks.push(Task { input: Input::Hole, ..BASE });
    tasks
}

fn with_fec(backends: &[&'static Backend]) -> Vec<Task> {
    let mut tasks = Vec::new();
    for roots in [2, 8, 24] {
        let base = Task { input: Input::Small, fec: Some(roots), threads: 1, ..BASE };
        tasks.extend([1, 2].map(|threads| Task { threads, ..base }));
        tasks.extend(backends.iter().map(|backend| Task { backend: Some(backend), ..base }));
    }
    tasks
}

/// Two tasks each, and how the first differs.
fn by_ours_alone() -> Vec<(Task, Task, &'static str)> {
    let format = Task { input: Input::Small, fec: Some(24), ..BASE };
    let mut tasks = vec![(Task { threads: 1, ..format }, format, "1 thread")];
    for threads in [1, 2] {
        let plain = Task { action: Action::Verify, threads, ..BASE };
        // Large enough to show that the two take equally long.
        tasks.push((plain, Task { fec: Some(2), ..plain }, "without --fec-device"));
    }
    for roots in [2, 24] {
        for threads in [1, 2] {
            let plain = Task { action: Action::Verify, input: Input::Small, threads, ..BASE };
            tasks.push((plain, Task { action: Action::Strict, fec: Some(roots), ..plain }, "without FEC"));
        }
    }
    tasks
}

/// Keeps the rows that match the pattern.
pub(crate) fn select(rows: Vec<Row>, pattern: &Regex) -> Vec<Row> {
    rows.into_iter().filter(|row| pattern.is_match(&row.what)).collect()
}

impl Row {
    /// The backend that it is forced to use.
    pub(crate) fn backend(&self) -> Option<&'static Backend> {
        match &self.job {
            Job::Both(task) => task.backend,
            Job::Ours(..) | Job::Scattered | Job::StartUp => None,
        }
    }
}

impl Task {
    fn what(&self, mib: u64) -> String {
        let action = match self.action {
            Action::Format => "format",
            Action::Verify => "verify",
            Action::Strict => "verify --strict",
        };
        let with = if self.fec.is_some() { " with FEC" } else { "" };
        let file = match self.input {
            Input::Cached | Input::Small => size(self.input.mib(mib)),
            Input::Cold => format!("{} not in the page cache", size(mib)),
            Input::Hole => format!("{} file that is one hole", size(self.input.mib(mib))),
        };
        let salt = if self.salt == NONE { "" } else { ", 32-byte salt" };
        let roots = self.fec.map_or_else(String::new, |roots| format!(", {roots} roots"));
        let threads = if self.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", self.threads) };
        let backend = self.backend.map_or_else(String::new, |backend| format!(", {} only", backend.name));
        let once = if self.input == Input::Hole { " (the reference ran once)" } else { "" };
        format!("{action}{with}, {file}, {}{salt}{roots}, {threads}{backend}{once}", self.hash)
    }
}

impl Input {
    /// The size of the file, from the size of most files.
    pub(crate) fn mib(self, mib: u64) -> u64 {
        match self {
            Self::Cached | Self::Cold => mib,
            Self::Small => mib / SMALL,
            Self::Hole => mib * HOLE,
        }
    }
}

/// A size for people.
pub(crate) fn size(mib: u64) -> String {
    if mib.is_multiple_of(1024) { format!("{} GiB", mib / 1024) } else { format!("{mib} MiB") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dmverity_tests::backends::X86_64;

    use super::*;

    fn all() -> Vec<Row> {
        rows(1024, &X86_64.iter().collect::<Vec<_>>())
    }

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let names: BTreeSet<String> = all().into_iter().map(|row| row.what).collect();
        assert_eq!(names.len(), all().len());
        assert_eq!(names.len(), 5 * 4 + 3 * 2 + 2 + 1 + 3 * (2 + 4) + 1 + 2 + 4 + 2);
    }

    #[test]
    fn a_pattern_selects_rows() {
        let count = |pattern: &str| select(all(), &Regex::new(pattern).unwrap()).len();
        assert_eq!(count(""), all().len());
        assert_eq!(count("^dump"), 1);
        assert_eq!(count("avx2 only"), 4 + 3);
        assert_eq!(count("FEC|fec"), 3 * (2 + 4) + 1 + 2 + 4);
        assert_eq!(count("nothing like it"), 0);
    }

    #[test]
    fn the_names_tell_what_is_done() {
        let what = |pattern: &str| select(all(), &Regex::new(pattern).unwrap()).remove(0).what;
        assert_eq!(what("^format"), "format, 1 GiB, sha256, 1 thread");
        assert_eq!(what("salt"), "format, 1 GiB, sha256, 32-byte salt, 1 thread");
        assert_eq!(what("verify.*cache"), "verify, 1 GiB not in the page cache, sha256, 2 threads");
        assert_eq!(what("hole"), "format, 8 GiB file that is one hole, sha256, 2 threads (the reference ran once)");
        assert_eq!(what("sha_ni"), "format, 1 GiB, sha256, 1 thread, sha_ni only");
        assert_eq!(what("FEC"), "format with FEC, 128 MiB, sha256, 2 roots, 1 thread");
        assert_eq!(
            what("fec"),
            "verify with FEC, 1 GiB, sha256, 2 roots, 1 thread (left: not the reference, but ours, without \
             --fec-device)"
        );
        assert_eq!(
            what("strict.*24 roots, 2"),
            "verify --strict with FEC, 128 MiB, sha256, 24 roots, 2 threads (left: not the reference, but ours, \
             without FEC)"
        );
        assert_eq!([size(64), size(1536), size(65_536)], ["64 MiB", "1536 MiB", "64 GiB"]);
    }
}
