//! The probe under valgrind, and under `AddressSanitizer` together with a library that it checks too.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use dmverity_tests::workspace;

use crate::{library, run, source, text};

#[test]
#[ignore = "takes minutes: make test-lib"]
fn valgrind_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let probe = crate::probe::compile(folder.path());
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect", "--log-file=said.%p"]);
    run(valgrind.arg(probe).arg(library()).current_dir(folder.path()));
    // Each group of calls is a process, and has a file of its own.
    let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let said: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().contains("/said.")).collect();
    assert!(said.len() > 20, "{said:?}");
    for path in said {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.is_empty(), "{text}");
    }
}

/// The library is part of the program here, so that both share the sanitizer's runtime. Leaks are for valgrind: the
/// processes of the groups end without the sanitizer's last look.
#[test]
#[ignore = "needs a nightly compiler: make test-lib"]
fn address_sanitizer_finds_nothing() {
    let named =
        |name| PathBuf::from(std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: make test-lib")));
    let (archive, runtime) = (named("SANITIZED_ARCHIVE"), named("SANITIZER_RUNTIME"));
    let folder = tempfile::tempdir().unwrap();
    crate::probe::compile(folder.path());
    let package = workspace().join("lib/c");
    let mut cc = crate::compiler("cc", folder.path());
    cc.args(["-g", "-I."]).arg(source("probe.c")).arg(package.join("src/versions.c")).args(["-o", "probe-asan"]);
    cc.args(["-rdynamic", "-Wl,--whole-archive"]).args([archive, runtime]).arg("-Wl,--no-whole-archive");
    cc.arg(format!("-Wl,--version-script={}", package.join("libcryptsetup.map").display()));
    run(cc.args(["-ldl", "-lpthread", "-lm", "-lrt", "-lgcc_s"]));
    let mut helped = Command::new(folder.path().join("probe-asan"));
    let help = run(helped.arg("-").env("ASAN_OPTIONS", "help=1").current_dir(folder.path()));
    assert!(text(&help.stderr).contains("AddressSanitizer"), "the sanitizer is not in the program");
    let mut probe = Command::new(folder.path().join("probe-asan"));
    let output = run(probe.arg("-").current_dir(folder.path()));
    let said = text(&output.stderr);
    assert!(!said.contains("Sanitizer"), "{said}");
    assert!(!text(&output.stdout).contains("signal"), "a group of calls died");
}
