//! Debian's own `veritysetup`, which is linked to the library, on ours and on its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use dmverity_tests::find_reference;

use crate::{library, text};

/// Exit code, output and messages of a command in a folder.
fn said(folder: &Path, with_ours: bool, line: &str) -> String {
    let mut command = Command::new(find_reference().expect("install Debian's package cryptsetup-bin"));
    command.args(line.split(' ')).current_dir(folder).env("LC_ALL", "C");
    if with_ours {
        command.env("LD_LIBRARY_PATH", library().parent().expect("it has a folder"));
    }
    let output = command.output().expect("it can be run");
    format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// Releases before 2.7 have neither the units nor the full stop.
fn of_any_release(said: &str) -> String {
    let lines = said.lines().map(|line| match line.strip_prefix("VERITY header information for ") {
        Some(device) => format!("VERITY header information for {}\n", device.trim_end_matches('.')),
        None => line.replace(" [bytes]", "") + "\n",
    });
    lines.collect()
}

const UUID: &str = "--uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71";

#[test]
fn debians_veritysetup_does_the_same_on_ours() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for folder in &folders {
        let data: Vec<u8> = (0..600 * 1024_u32).map(|index| (index % 251).to_le_bytes()[0]).collect();
        fs::write(folder.path().join("data"), &data).unwrap();
        fs::write(folder.path().join("bad"), [&data[..5000], b"damage", &data[5006..]].concat()).unwrap();
    }
    let both = |line: &str| {
        let [theirs, ours] = [false, true].map(|ours| said(folders[usize::from(ours)].path(), ours, line));
        assert_eq!(of_any_release(&theirs), of_any_release(&ours), "{line}");
        theirs
    };
    let root = both(&format!("format data hash --salt=ab {UUID}"));
    let root = root.lines().find_map(|line| line.strip_prefix("Root hash:      \t")).expect("a root hash").to_owned();
    both(&format!("format data hash2 --hash=sha512 --salt=- --data-block-size=1024 --hash-block-size=512 {UUID}"));
    both(&format!("format data hash3 --format=0 --hash-offset=8192 --data-blocks=100 --salt=00ff {UUID}"));
    both("format data hash4 --no-superblock --salt=77");
    both(&format!("format data hash5 --fec-device=fec5 --fec-roots=3 --salt=ab {UUID}"));
    let wrong = "5e".repeat(32);
    for line in [
        "dump hash".to_owned(),
        "dump hash2".to_owned(),
        "dump hash3 --hash-offset=8192".to_owned(),
        "dump data".to_owned(),
        "dump missing".to_owned(),
        format!("verify data hash {root}"),
        format!("verify data hash {wrong}"),
        format!("verify bad hash {root}"),
        format!("verify bad hash5 {root} --fec-device=fec5 --fec-roots=3"),
        format!("verify data hash5 {root} --fec-device=fec5 --fec-roots=3"),
        format!("verify data missing {root}"),
        format!("verify missing hash {root}"),
        format!("verify data data {root}"),
        "format data hash6 --hash=nosuch".to_owned(),
        "format data hash6 --data-block-size=1000".to_owned(),
        "format data hash6 --format=7".to_owned(),
    ] {
        both(&line);
    }
    for name in ["hash", "hash2", "hash3", "hash4", "hash5", "fec5"] {
        let [theirs, ours] = [0, 1].map(|index: usize| fs::read(folders[index].path().join(name)).unwrap());
        assert!(theirs == ours, "{name} differs");
    }
}
