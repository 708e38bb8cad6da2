//! A directory with images in it, and commands run there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dmverity_tests::veritysetup;

/// A temporary directory; it is the working directory of every command run in it.
pub(crate) struct Sandbox {
    directory: tempfile::TempDir,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
        }
    }
}

impl Outcome {
    /// The value of a line `key: value` on standard output.
    pub(crate) fn field(&self, key: &str) -> &str {
        let line = self.stdout.lines().find(|line| line.starts_with(&format!("{key}:")));
        let line = line.unwrap_or_else(|| panic!("no {key} in {self:?}"));
        line.split_once(':').expect("found by its colon").1.trim()
    }

    /// Without the warning that the data device continues after the last data block, which random images cause.
    pub(crate) fn without_uncovered(self) -> Self {
        let is_other = |line: &&str| !line.ends_with("at the end of the data are not covered by the hash tree.\n");
        Self { stderr: self.stderr.split_inclusive('\n').filter(is_other).collect(), ..self }
    }

    /// The first line of standard error.
    pub(crate) fn first_error(&self) -> &str {
        self.stderr.lines().next().unwrap_or_default()
    }
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    /// In memory if possible: a sync takes no time there.
    pub(crate) fn in_memory() -> Self {
        tempfile::tempdir_in("/dev/shm").map_or_else(|_| Self::new(), |directory| Self { directory })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A program to be run here.
    pub(crate) fn command(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program.as_ref());
        command.args(arguments).current_dir(self.directory.path());
        command
    }

    /// Runs our `veritysetup`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_program(&veritysetup(), arguments)
    }

    /// Runs Debian's `veritysetup`, which must be installed.
    pub(crate) fn reference(&self, arguments: &[&str]) -> Outcome {
        self.run_program(&dmverity_tests::reference(), arguments)
    }

    fn run_program(&self, program: &Path, arguments: &[&str]) -> Outcome {
        self.command(program, arguments)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
            .into()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("writable");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Inverts one byte.
    pub(crate) fn flip(&self, name: &str, offset: usize) {
        let mut bytes = self.read(name);
        bytes[offset] = !bytes[offset];
        self.write(name, &bytes);
    }

    /// Every file here with its content.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(self.directory.path()).expect("readable");
        let paths = entries.map(|entry| entry.expect("readable").path());
        paths.map(|path| (path.clone(), fs::read(&path).unwrap_or_default())).collect()
    }
}
