//! A program outside the workspace that adds the library.

use std::path::Path;
use std::process::Command;

use dmverity_tests::{veritysetup, workspace};

/// Runs cargo on it, without network and without this workspace's settings.
fn cargo(words: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(words).current_dir(workspace().join("tests/external"));
    cargo.args(["--quiet", "--locked", "--offline"]).env("CARGO_TARGET_DIR", workspace().join("target/external"));
    cargo
}

#[test]
fn it_makes_an_image_and_verifies_it_without_device_mapper() {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    let out = cargo(&["run"]).arg("--").arg(&image).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    let root_hash = text.strip_suffix(" true\n").unwrap_or_else(|| panic!("it does not verify: {text}"));

    // The command makes the same image from the same data.
    let same = directory.path().join("same");
    std::fs::write(&same, (0..=250).cycle().take(1_000_000).collect::<Vec<u8>>()).unwrap();
    let made = Command::new(veritysetup())
        .args(["format", "--append", "--salt=00112233", "--uuid=00000000-0000-0000-0000-000000000000"])
        .arg(&same)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    assert!(String::from_utf8(made.stdout).unwrap().contains(root_hash));
    assert!(read(&same) == read(&image), "the images differ");
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("the image is there")
}

#[test]
fn it_compiles_with_device_mapper() {
    let out = cargo(&["check", "--features", "dm"]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
