//! The parsing code of typical programs that call `veritysetup`, rewritten: with awk, sed, plain shell, Python, and by
//! exit codes. Each runs with our command and, unless its first line says that it is for ours alone, with the
//! reference; the output must be the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dmverity_tests::vectors::painted;
use dmverity_tests::{reference, veritysetup, workspace};
use libtest_mimic::{Arguments, Failed, Trial};

/// The first line of a caller that uses features of ours alone.
const OURS_ALONE: &str = "ours alone";

fn main() {
    let mut paths: Vec<PathBuf> = fs::read_dir(workspace().join("tests/callers"))
        .expect("the folder of this file")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "sh" || kind == "py"))
        .collect();
    paths.sort_unstable();
    assert!(!paths.is_empty(), "no callers");
    let trials = paths.into_iter().map(|path| {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        Trial::test(name, move || check(&path))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

fn check(caller: &Path) -> Result<(), Failed> {
    let ours = run(caller, &veritysetup())?;
    if ours.is_empty() {
        return Err("it has found nothing out".into());
    }
    let first = fs::read_to_string(caller)?.lines().take(2).collect::<String>();
    if !first.contains(OURS_ALONE) {
        let theirs = run(caller, &reference())?;
        if ours != theirs {
            return Err(format!("with ours:\n{ours}\nwith the reference:\n{theirs}").into());
        }
    }
    Ok(())
}

/// The output of a caller, run in a folder of its own with data in it.
fn run(caller: &Path, veritysetup: &Path) -> Result<String, Failed> {
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("rootfs.img"), painted(200 * 4096))?;
    // The command under the name by which callers find it.
    let bin = directory.path().join("bin");
    fs::create_dir(&bin)?;
    std::os::unix::fs::symlink(veritysetup, bin.join("veritysetup"))?;
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let interpreter = if caller.extension().is_some_and(|kind| kind == "py") { "python3" } else { "sh" };
    let output = Command::new(interpreter)
        .arg(caller)
        .current_dir(directory.path())
        .env("PATH", path)
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| format!("{interpreter}: {error}"))?;
    let stdout = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{} with {}:\n{stdout}{stderr}", output.status, veritysetup.display()).into());
    }
    Ok(stdout)
}
