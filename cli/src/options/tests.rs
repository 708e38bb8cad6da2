//! The manual page and the shells' completion files against the table. What they have of it is generated; the tests
//! fail if they are out of date.

mod completions;
mod manual;

use std::path::{Path, PathBuf};

use dmverity::HashAlgorithm;

use super::*;

/// Where a file of the project is.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn file(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Compares a file of the project with what it has to be or, with this variable in the environment, writes it.
fn up_to_date(name: &str, variable: &str, target: &str, written: impl Fn(&str) -> String) {
    let old = file(name);
    let new = written(&old);
    if std::env::var_os(variable).is_some() {
        std::fs::write(path(name), new).unwrap_or_else(|error| panic!("{name}: {error}"));
        return;
    }
    let lines = old.lines().zip(new.lines()).find(|(old, new)| old != new);
    assert!(old == new, "{name} is not what the tables say: `{target}` writes it. First of all: {lines:#?}");
}

/// The action of this name.
fn info_of(name: &str) -> Option<&'static ActionInfo> {
    ACTIONS.iter().find(|info| info.name == name || info.alias == Some(name))
}

/// The names of the actions that use an option; none for all.
fn actions_of(option: &OptionInfo) -> Vec<&'static str> {
    let named = |action: &&ActionInfo| option.actions.contains(&action.action);
    ACTIONS.iter().filter(named).map(|info| info.name).collect()
}

/// Words in lines of a width.
fn wrapped<'a>(words: impl Iterator<Item = &'a str>, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => *line = format!("{line} {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
