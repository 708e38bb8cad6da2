//! The manual page: it renders without complaint, and its examples work.

use std::fs;
use std::process::Command;

use dmverity_tests::vectors::painted;
use dmverity_tests::vm::process;
use dmverity_tests::{veritysetup, workspace};

use crate::sandbox::{Outcome, Sandbox};

/// The widest line of a terminal.
const WIDTH: usize = 80;

const PAGE: &str = "man/veritysetup.8";

fn program(name: &str) -> Command {
    let mut command = process::command(name).unwrap_or_else(|error| panic!("{error:#}"));
    command.current_dir(workspace());
    command
}

fn run(command: &mut Command) -> Outcome {
    Outcome::from(command.output().unwrap_or_else(|error| panic!("{command:?}: {error}")))
}

#[test]
fn mandoc_has_nothing_against_it() {
    let outcome = run(program("mandoc").args(["-T", "lint", PAGE]));
    // Which other manuals are installed depends on the machine.
    let complaints: Vec<&str> =
        outcome.stdout.lines().filter(|line| !line.contains("STYLE: referenced manual not found:")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn groff_has_nothing_against_it() {
    let outcome = run(program("groff").args(["-ww", "-b", "-z", "-mdoc", "-Tutf8", PAGE]));
    assert_eq!(outcome, Outcome { code: Some(0), stdout: String::new(), stderr: String::new() });
}

#[test]
fn it_fits_a_terminal() {
    let outcome = run(program("mandoc").args(["-T", "ascii", PAGE]));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.lines().count() > 500, "only {}", outcome.stdout);
    for line in outcome.stdout.lines() {
        // Bold and underlined characters are struck over.
        let width = line.chars().fold(0, |width, letter| if letter == '\u{8}' { width - 1 } else { width + 1 });
        assert!(width <= WIDTH, "{width} columns: {line}");
    }
}

/// A block of commands in EXAMPLES.
struct Example {
    /// Commands after `# ` need root and a kernel.
    needs_root: bool,
    script: String,
}

fn examples() -> Vec<Example> {
    let manual = fs::read_to_string(workspace().join(PAGE)).expect("the manual is there");
    let section = manual.split("\n.Sh EXAMPLES\n").nth(1).expect("there are examples");
    let section = section.split("\n.Sh ").next().unwrap_or_default();
    let blocks = section.split("\n.Bd -literal -offset 3n\n").skip(1);
    blocks.map(|block| example(block.split("\n.Ed").next().unwrap_or_default())).collect()
}

fn example(block: &str) -> Example {
    let prompt = &block[..2];
    assert!(["$ ", "# "].contains(&prompt), "no prompt: {block}");
    let mut script = String::new();
    for line in block.lines() {
        let command = line.strip_prefix(prompt).or_else(|| line.strip_prefix("> "));
        let command = command.unwrap_or_else(|| panic!("neither a command nor more of one: {line}"));
        script.push_str(&command.replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\"));
        script.push('\n');
    }
    Example { needs_root: prompt == "# ", script }
}

#[test]
fn the_examples_work() {
    process::require(&["bash", "jq", "openssl", "dd", "cmp"]).unwrap_or_else(|error| panic!("{error:#}"));
    let sandbox = Sandbox::new();
    sandbox.write("data.img", &painted(1 << 20));
    fs::create_dir(sandbox.path("bin")).expect("a new directory");
    std::os::unix::fs::symlink(veritysetup(), sandbox.path("bin/veritysetup")).expect("a new link");
    let folders = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{folders}", sandbox.path("bin").display());

    let examples = examples();
    let (for_root, for_all): (Vec<_>, Vec<_>) = examples.iter().partition(|example| example.needs_root);
    assert!(for_root.len() >= 3 && for_all.len() >= 8, "{} and {}", for_root.len(), for_all.len());
    let mut failed = String::new();
    for example in for_all {
        // One after the other in the same folder, as a reader would.
        let mut command = sandbox.command("bash", &["-eo", "pipefail", "-c", &example.script]);
        let outcome = run(command.env("PATH", &path));
        if outcome.code != Some(0) {
            failed.extend([&example.script, &format!("{outcome:?}"), "\n\n"]);
        }
    }
    assert!(failed.is_empty(), "\n{failed}");
}
