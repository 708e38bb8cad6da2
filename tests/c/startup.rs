//! The sizes of both libraries with everything they load, and how long a program waits for them: shown, not judged.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{compiler, library, reference_library, run, source, text};

/// The library and what the loader loads for it, but for what every program has.
fn loaded(library: &Path) -> BTreeSet<PathBuf> {
    let listed = text(&run(Command::new("ldd").arg(library)).stdout);
    let paths = listed.lines().filter_map(|line| line.split_once(" => ")?.1.split(' ').next());
    let others = paths.map(PathBuf::from).filter(|path| !path.ends_with("libc.so.6"));
    others.chain([library.to_owned()]).collect()
}

#[test]
#[ignore = "for a quiet machine: make test-lib"]
fn size_and_startup_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    run(compiler("cc", folder.path()).arg(source("startup.c")).args(["-o", "startup", "-ldl"]));
    for (whose, library) in [("Debian's", reference_library()), ("ours", library())] {
        let files = loaded(&library);
        let bytes: u64 = files.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        let wait = text(&run(Command::new(folder.path().join("startup")).arg(&library)).stdout);
        let own = fs::metadata(&library).unwrap().len();
        println!(
            "{whose}: {own} bytes, {bytes} with all it loads ({}); from dlopen to the end of the first call {} us",
            files.len() - 1,
            wait.trim()
        );
    }
}
