//! What the library exports: the table's names and versions, all that Debian's has, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use dmverity_c::functions::FUNCTIONS;

use crate::{library, reference_library, run, text};

/// `NAME@VERSION`, or `NAME@@VERSION` for the one that a program without a version gets.
fn exported(library: &Path) -> BTreeSet<String> {
    let listed = text(&run(Command::new("readelf").args(["--dyn-syms", "-W"]).arg(library)).stdout);
    let words = listed.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let defined = words.filter(|words| words.len() == 8 && words[4] == "GLOBAL" && words[6] != "UND");
    defined.map(|words| words[7].to_owned()).filter(|name| !name.starts_with("CRYPTSETUP_")).collect()
}

#[test]
fn the_library_exports_what_the_table_says() {
    let mut expected = BTreeSet::new();
    for function in FUNCTIONS {
        let (newest, older) = function.versions.split_last().expect("each has one");
        expected.insert(format!("{}@@CRYPTSETUP_{newest}", function.name));
        expected.extend(older.iter().map(|version| format!("{}@CRYPTSETUP_{version}", function.name)));
    }
    assert_eq!(expected.len(), 155);
    assert_eq!(exported(&library()), expected);
}

/// Which of two versions is the default may have changed in a later release.
#[test]
fn every_name_of_debians_library_is_there() {
    let names = |path: &Path| exported(path).into_iter().map(|name| name.replace("@@", "@")).collect::<BTreeSet<_>>();
    let theirs = names(&reference_library());
    assert!(theirs.len() > 100, "{theirs:?}");
    let ours = names(&library());
    assert_eq!(theirs.difference(&ours).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn the_library_needs_the_c_library_alone() {
    let listed = text(&run(Command::new("readelf").args(["-d", "-W"]).arg(library())).stdout);
    let needed = listed.lines().filter(|line| line.contains("(NEEDED)"));
    for line in needed {
        assert!(
            ["libc.so.6", "libgcc_s.so.1", "libm.so.6", "ld-linux"].iter().any(|name| line.contains(name)),
            "{line}"
        );
    }
    assert!(listed.contains("soname: [libcryptsetup.so.12]"), "{listed}");
}
