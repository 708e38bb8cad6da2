//! How long lines, functions and files of the source may be. rustfmt silently leaves a whole expression unformatted if
//! a string in it makes a line too long.

use std::fs;
use std::path::{Path, PathBuf};

use dmverity_tests::workspace;

/// In characters.
const LINE: usize = 120;
/// In lines, from the one with `fn` to the closing brace.
const FUNCTION: usize = 80;
/// In lines.
const FILE: usize = 520;

/// Every Rust file below a folder, except cargo's output.
fn find(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the source is there") {
        let path = entry.expect("the source can be read").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                find(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a function begins on this line.
fn is_function(line: &str) -> bool {
    let before = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern", "\"C\""];
    line.split_whitespace().find(|word| !before.contains(word)) == Some("fn")
}

/// Where functions begin, counted from 1, and how many lines they have.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let length = |start: usize| {
        let indent = lines[start].len() - lines[start].trim_start().len();
        let is_end = |line: &&str| {
            let (before, rest) = line.split_at_checked(indent).unwrap_or_default();
            before.trim().is_empty()
                && !rest.starts_with(' ')
                && (rest == "}" || rest.ends_with(';') || rest.ends_with(" }") || rest.ends_with("{}"))
        };
        lines[start..].iter().position(is_end).map_or(0, |end| end + 1)
    };
    (0..lines.len()).filter(|&start| is_function(lines[start])).map(|start| (start + 1, length(start))).collect()
}

#[test]
fn lines_functions_and_files_have_their_limits() {
    let mut sources = Vec::new();
    for package in ["lib", "cli", "tests", "fuzz"] {
        find(&workspace().join(package), &mut sources);
    }
    assert!(sources.len() > 200, "the source was not found: {sources:?}");
    let mut too_long = Vec::new();
    for path in &sources {
        let text = fs::read_to_string(path).unwrap();
        let name = path.strip_prefix(workspace()).expect("below it").display();
        for (index, line) in text.lines().enumerate() {
            let length = line.chars().count();
            // A row of a table in documentation is one line, whatever its length.
            let is_row = ["//! |", "/// |"].iter().any(|start| line.trim_start().starts_with(start));
            if length > LINE && !is_row {
                too_long.push(format!("{name}:{}: {length} characters", index + 1));
            }
        }
        for (line, length) in functions(&text) {
            if length > FUNCTION {
                too_long.push(format!("{name}:{line}: a function of {length} lines"));
            }
        }
        let length = text.lines().count();
        if length > FILE {
            too_long.push(format!("{name}: {length} lines"));
        }
    }
    assert!(too_long.is_empty(), "at most {LINE}, {FUNCTION} and {FILE}:\n{}", too_long.join("\n"));
}

#[test]
fn the_lines_of_functions_are_counted() {
    let text = "impl A {\n    pub(crate) const fn a(\n        b: u32,\n    ) -> u32 {\n        if b {\n        \
                }\n        b\n    }\n\
                \n    fn one() {}\n    fn short() -> u32 { 1 }\n}\n\ntrait T {\n    unsafe fn of(&self);\n}\n\
                // fn none() {\nlet function = |fn_name| 1;\nextern \"C\" fn c() {\n}\n";
    assert_eq!(functions(text), [(2, 7), (10, 1), (11, 1), (15, 1), (19, 2)]);
}
