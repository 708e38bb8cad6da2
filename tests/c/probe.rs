//! `probe.c`, run with Debian's library and with ours: what they print is the same, but for what is listed here.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dmverity_c::functions::{Answer, FUNCTIONS};

use crate::{compiler, library, reference_library, run, source, text};

/// Something that is different on purpose: in this group of calls, these lines are those.
struct Difference {
    group: &'static str,
    theirs: &'static [&'static str],
    ours: &'static [&'static str],
    why: &'static str,
}

include!("differences.rs");

/// A group's name and what was printed of it.
type Group = (String, Vec<String>);

/// The groups of a probe's output. Lines of a dump that come in pieces are put together.
fn groups(output: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for line in output.lines() {
        let Some(line) = line.strip_prefix("  ") else {
            groups.push((line.to_owned(), Vec::new()));
            continue;
        };
        let lines = &mut groups.last_mut().expect("a group has a name").1;
        let piece = line.strip_prefix("log 0 \"").and_then(|rest| rest.strip_suffix('"'));
        match (piece, lines.last_mut()) {
            (Some(piece), Some(last)) if last.starts_with("log 0 \"") && !last.ends_with("\\n\"") && is_dump(last) => {
                last.pop();
                last.push_str(piece);
                last.push('"');
            }
            _ => lines.push(line.to_owned()),
        }
    }
    for line in groups.iter_mut().flat_map(|(_, lines)| lines).filter(|line| is_dump(line)) {
        // Releases before 2.7 have neither.
        *line = line.replace(" [bytes]", "").replace(".\\n\"", "\\n\"");
    }
    groups
}

fn is_dump(line: &str) -> bool {
    line.contains("\\t") || line.contains("VERITY header")
}

/// Replaces what is different on purpose, from the first line to the last.
fn replace((name, lines): &mut Group) {
    let mut from = 0;
    for Difference { theirs, ours, why, .. } in DIFFERENCES.iter().filter(|known| known.group == name) {
        let found = lines[from..].windows(theirs.len()).position(|lines| lines == *theirs);
        let start = from + found.unwrap_or_else(|| panic!("{name}: {theirs:?} is no longer there: {why}"));
        lines.splice(start..start + theirs.len(), ours.iter().map(|&line| line.to_owned()));
        // The last of them is the line before the next one's.
        from = start + ours.len().saturating_sub(1);
    }
}

/// Compiles the probe in the folder; `others.h` has the functions that it calls only to be refused.
pub(crate) fn compile(folder: &Path) -> PathBuf {
    let others = FUNCTIONS.iter().filter(|function| matches!(function.answer, Answer::Refuses(_) | Answer::Number(_)));
    // They take contexts of key slots, or allocate them whatever the handle is.
    let others = others.filter(|function| !function.name.starts_with("crypt_keyslot_context"));
    let list = others.fold(String::new(), |mut list, function| {
        writeln!(list, "\"{}\",", function.name).expect("a String takes everything");
        list
    });
    fs::write(folder.join("others.h"), list).expect("the test's own folder");
    run(compiler("cc", folder).arg("-I.").arg(source("probe.c")).args(["-o", "probe", "-ldl"]));
    folder.join("probe")
}

#[test]
fn both_libraries_answer_alike() {
    let folder = tempfile::tempdir().unwrap();
    let program = compile(folder.path());
    let answers = |name: &str, library: &Path| {
        let place = folder.path().join(name);
        fs::create_dir(&place).unwrap();
        let mut probe = Command::new(&program);
        text(&run(probe.arg(library).current_dir(place)).stdout)
    };
    let (theirs, ours) = (answers("theirs", &reference_library()), answers("ours", &library()));
    let (theirs, ours) = (groups(&theirs), groups(&ours));
    assert_eq!(theirs.len(), ours.len());
    let mut wrong = String::new();
    for (mut their, our) in theirs.into_iter().zip(ours) {
        // A name that came later.
        if their.1.iter().any(|line| line.starts_with("no crypt_")) || their.0.ends_with(" calls") {
            continue;
        }
        replace(&mut their);
        if their != our {
            let name = &our.0;
            for pair in their.1.iter().zip(&our.1).filter(|(their, our)| their != our).take(4) {
                writeln!(wrong, "{name}: {pair:#?}").expect("a String takes everything");
            }
            let counts = (their.1.len(), our.1.len());
            writeln!(wrong, "{name}: lines {counts:?}").expect("a String takes everything");
        }
    }
    assert!(wrong.is_empty(), "their answer and ours:\n{wrong}");
}
