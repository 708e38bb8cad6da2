//! What cryptsetup's source brings to test its library, fetched and compiled here, run on ours.

use std::fs;
use std::process::Command;

use dmverity_tests::vm::compat;

use crate::{library, run, text};

/// Every name with every version that the list in the source has, found as programs find them.
#[test]
#[ignore = "fetches cryptsetup's source: make test-lib"]
fn all_symbols_test_passes() {
    let source = compat::fetch(false).expect("the source of Debian's cryptsetup");
    let folder = tempfile::tempdir().unwrap();
    let generate = source.join("tests/generate-symbols-list");
    let list = run(Command::new("bash").arg(generate).arg(source.join("lib/libcryptsetup.sym"))).stdout;
    assert!(text(&list).lines().count() >= 155);
    fs::write(folder.path().join("test-symbols-list.h"), list).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-DHAVE_DLVSYM=1", "-D_GNU_SOURCE", "-I."]).arg(source.join("tests/all-symbols-test.c"));
    run(cc.args(["-o", "all-symbols-test", "-ldl"]).current_dir(folder.path()));
    let mut test = Command::new(folder.path().join("all-symbols-test"));
    let said = text(&run(test.arg(library())).stdout);
    assert!(said.contains("Performed 155 symbol checks"), "{said}");
}
