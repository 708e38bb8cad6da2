//! The C library beside Debian's own: the same calls, the same names, the same programs. No kernel is needed.
//!
//! Next to them is what else runs from the same trees of Debian's programs: the verdicts of systemd's image policies,
//! and disk images of systemd-repart beside ours.
//!
//! `make lib` builds what is tested. Programs in C are compiled into a directory of the test.

mod built;
mod clients;
mod header;
mod install;
mod policies;
mod probe;
mod repart;
mod sanitized;
mod startup;
mod symbols;
mod threads;
mod upstream;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dmverity_tests::workspace;

/// The library of this project.
fn library() -> PathBuf {
    dmverity_tests::c_library().unwrap_or_else(|error| panic!("{error:#}"))
}

/// Debian's library, of which the names and numbers are.
fn reference_library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("it is there");
    let mut found = folders.filter_map(|folder| Some(folder.ok()?.path().join("libcryptsetup.so.12")));
    found.find(|path| path.exists()).expect("install Debian's package libcryptsetup12")
}

fn include() -> PathBuf {
    workspace().join("lib/c/include")
}

fn source(name: &str) -> PathBuf {
    workspace().join("tests/c").join(name)
}

/// Runs a program, and fails unless it succeeds.
fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A compiler that takes warnings for errors and knows this project's header.
fn compiler(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(name);
    command.args(["-Wall", "-Wextra", "-Werror", "-O1", "-I"]).arg(include()).current_dir(folder);
    command
}
