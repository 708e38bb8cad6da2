//! A user without any rights, who runs commands if root runs the tests.

use std::env;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use nix::unistd::geteuid;

/// The number of the user and of the group, which own nothing.
const ORDINARY: u32 = 65534;

/// Gives a file or directory to the user.
///
/// # Panics
/// If it is not there.
pub fn give(path: &Path) {
    if geteuid().is_root() {
        chown(path, Some(ORDINARY), Some(ORDINARY)).expect("root may");
    }
}

/// A command of the user's in a directory, in which programs are looked for first.
///
/// # Panics
/// Without a `PATH`.
pub fn command(directory: &Path, words: &[&str]) -> Command {
    let id = ORDINARY.to_string();
    let user = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"];
    let words = if geteuid().is_root() { [&user, words].concat() } else { words.to_vec() };
    let paths = format!("{}:{}", directory.display(), env::var("PATH").expect("there is one"));
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(directory).env("PATH", paths);
    command
}
