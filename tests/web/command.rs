//! The command, and images for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) const BLOCK: usize = 4096;

/// The command with its features.
pub(crate) fn veritysetup() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_veritysetup-full"));
    for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(variable);
    }
    command
}

/// Files in a temporary directory, in which commands are run.
pub(crate) struct Image {
    directory: tempfile::TempDir,
    pub(crate) data: Vec<u8>,
    pub(crate) root_hash: String,
}

impl Image {
    /// Random data of this many blocks, and their hash tree in `hash.img`; the options are those of `format`.
    pub(crate) fn new(blocks: usize, options: &[&str]) -> Self {
        Self::with(blocks, &[&["data.img", "hash.img"], options].concat())
    }

    /// The same in one file.
    pub(crate) fn appended(blocks: usize) -> Self {
        Self::with(blocks, &["--append", "data.img"])
    }

    fn with(blocks: usize, arguments: &[&str]) -> Self {
        let mut random = fastrand::Rng::with_seed(blocks as u64);
        let data: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(blocks * BLOCK).collect();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let image = Self { directory, data, root_hash: String::new() };
        fs::write(image.path("data.img"), &image.data).expect("writable");
        let output = image.run(&[&["format"], arguments].concat());
        assert_eq!(output.code, 0, "{output:?}");
        let line = output.stdout.lines().find_map(|line| line.strip_prefix("Root hash:")).expect("a root hash");
        Self { root_hash: line.trim().to_owned(), ..image }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A command that runs here.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = veritysetup();
        command.args(arguments).current_dir(self.directory());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(&self.command(arguments).output().expect("it runs"))
    }

    /// Inverts a byte of a file.
    pub(crate) fn flip(&self, name: &str, offset: usize) {
        let mut bytes = fs::read(self.path(name)).expect("readable");
        bytes[offset] = !bytes[offset];
        fs::write(self.path(name), bytes).expect("writable");
    }
}

/// How a command has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        Self { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// One of the counters in the last line of `serve` or `mount-file`.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let line = self.stderr.lines().rfind(|line| line.contains(" requests=")).expect("counters");
        let value = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {line}"))
    }

    /// Fails unless it has ended like this.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, text: &str) -> &Self {
        assert!(self.code == code && self.stderr.contains(text), "{code} and {text}: {self:?}");
        self
    }
}
