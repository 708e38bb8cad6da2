//! An image in a directory of its own.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::program;

pub(crate) const BLOCK: usize = 4096;

/// Files in a temporary directory, in which commands are run.
pub(crate) struct Image {
    directory: tempfile::TempDir,
    /// The data as they were when the image was made.
    pub(crate) data: Vec<u8>,
    pub(crate) root_hash: String,
}

impl Image {
    /// An image of this many random blocks; the options are those of `format`.
    pub(crate) fn new(blocks: usize, options: &[&str]) -> Self {
        Self::of(random(blocks), options)
    }

    /// An image of these data.
    pub(crate) fn of(data: Vec<u8>, options: &[&str]) -> Self {
        Self::formatted(data, &[&["data.img", "hash.img"], options].concat())
    }

    /// The same with all arguments of `format`.
    pub(crate) fn formatted(data: Vec<u8>, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let image = Self { directory, data, root_hash: String::new() };
        fs::write(image.path("data.img"), &image.data).expect("writable");
        let output = image.run(program(), &[&["format"], arguments].concat());
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix("Root hash:")).expect("a root hash");
        Self { root_hash: line.trim().to_owned(), ..image }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// A program to be run here.
    pub(crate) fn command(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program.as_ref());
        command.args(arguments).current_dir(self.directory());
        command
    }

    pub(crate) fn run(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Output {
        let program = program.as_ref();
        self.command(program, arguments).output().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
    }

    /// Inverts a byte of a file in place.
    pub(crate) fn flip(&self, name: &str, offset: u64) {
        let file = fs::File::options().read(true).write(true).open(self.path(name)).expect("a file");
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).expect("it is there");
        file.write_all_at(&[!byte[0]], offset).expect("writable");
    }

    /// The names of the files here.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory()).expect("readable");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// The same random data each time.
pub(crate) fn random(blocks: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(blocks as u64);
    std::iter::repeat_with(|| random.u8(..)).take(blocks * BLOCK).collect()
}
