//! Makes `vectors.json` again: runs every command in it with a reference tool and writes down what comes of it.
//!
//! `make vectors REFERENCE=/path/to/veritysetup`; the tool has to know all hash algorithms that stand in the file.

use std::path::Path;
use std::process::{Command, ExitCode};

use dmverity_tests::vectors::{self, Vectors};
use serde::Serialize;

fn main() -> ExitCode {
    let Some(program) = std::env::args_os().nth(1) else {
        eprintln!("usage: vectors REFERENCE-TOOL");
        return ExitCode::FAILURE;
    };
    let program = Path::new(&program);
    let version = Command::new(program).arg("--version").output().expect("the reference tool runs");
    let old = vectors::load();
    let mut new = Vectors { reference: String::from_utf8_lossy(&version.stdout).trim().to_owned(), ..old };
    let mut changed = 0;
    for vector in &mut new.vectors {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let made = vector.run(Command::new(program), directory.path());
        if made != *vector {
            println!("{} differs", vector.name);
            changed += 1;
            *vector = made;
        }
    }
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
    new.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter)).expect("it was read from JSON");
    text.push(b'\n');
    std::fs::write(vectors::path(), text).expect("the vectors are writable");
    println!("{} vectors by {}, {changed} of them changed", new.vectors.len(), new.reference);
    ExitCode::SUCCESS
}
