//! Disk images of our `build` beside systemd: what `systemd-repart` makes of the same data with the same key, and what
//! `systemd-dissect` says of ours. Both run from an unpacked tree, without privileges; see [`crate::repart`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dmverity_tests::vm::debian;
use dmverity_tests::{veritysetup, workspace};
use serde_json::Value;

use crate::policies::{Verdict, theirs};
use crate::repart::repart;
use crate::{run, text};

fn vector(name: &str) -> PathBuf {
    workspace().join("tests/vectors/chain").join(name)
}

fn key_and_certificate(name: &str) -> [String; 2] {
    let [key, certificate] = ["keys/NAME.key", "certs/NAME.crt"].map(|file| vector(&file.replace("NAME", name)));
    [format!("--key={}", key.display()), format!("--certificate={}", certificate.display())]
}

/// What our command prints as JSON, in this folder; it has to succeed.
fn object(folder: &Path, arguments: &[&str]) -> Value {
    let output = run(Command::new(veritysetup()).current_dir(folder).args(arguments).arg("--json"));
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// The bytes of an image's partition, counted from 0.
fn partition<'a>(image: &'a [u8], inspected: &Value, index: usize) -> &'a [u8] {
    let number = |field: &str| inspected["partitions"][index][field].as_u64().and_then(|n| usize::try_from(n).ok());
    let (offset, bytes) = number("offset").zip(number("bytes")).expect("it has this partition");
    &image[offset..offset + bytes]
}

/// Has repart make a signed image of data; returns the bytes.
fn reparted(suite: &str, folder: &Path) -> Vec<u8> {
    let tree = debian::clients(suite).expect("a tree of Debian's programs");
    let definitions = folder.join("definitions");
    fs::create_dir_all(&definitions).expect("the test's own files");
    let copied = format!("CopyBlocks={}\n", folder.join("data").display());
    for (name, kind, verity, more) in [
        ("1.conf", "root", "data", copied.as_str()),
        ("2.conf", "root-verity", "hash", ""),
        ("3.conf", "root-verity-sig", "signature", ""),
    ] {
        let text = format!("[Partition]\nType={kind}\nVerity={verity}\nVerityMatchKey=root\n{more}");
        fs::write(definitions.join(name), text).expect("the test's own files");
    }
    let libraries = tree.join("usr/lib/x86_64-linux-gnu");
    let path = std::env::join_paths([libraries.clone(), libraries.join("systemd")]).expect("no path has a colon");
    let image = folder.join("theirs.raw");
    let mut repart = repart(&tree, &path);
    repart.arg("--size=8M").arg("--definitions").arg(&definitions);
    repart.arg("--private-key").arg(vector("keys/rsa.key")).arg("--certificate").arg(vector("certs/rsa.crt"));
    run(repart.arg(&image));
    fs::read(image).expect("it was made")
}

fn compare_with_repart(suite: &str) {
    let folder = tempfile::tempdir().expect("the test's own files");
    let folder = folder.path();
    let mut random = fastrand::Rng::with_seed(17);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(300 * 4096).collect();
    fs::write(folder.join("data"), bytes).expect("the test's own files");
    let theirs = reparted(suite, folder);
    let inspected = object(folder, &["inspect", "theirs.raw"]);
    // The data partition gets a share of the free space, which the hash tree covers.
    fs::write(folder.join("partition"), partition(&theirs, &inspected, 0)).expect("the test's own files");
    let superblock = &inspected["images"][0]["superblock"];
    let option = |field: &str| format!("--{field}={}", superblock[field].as_str().expect("it is a text"));
    let [salt, uuid] = ["salt", "uuid"].map(option);
    let [key, certificate] = key_and_certificate("rsa");
    let arguments = ["build", "--output=ours.raw", "--root=partition", &salt, &uuid, &key, &certificate];
    let made = object(folder, &arguments);
    let ours = fs::read(folder.join("ours.raw")).expect("it was made");

    assert_eq!(made["images"][0]["root_hash"], inspected["images"][0]["root_hash"], "{suite}");
    for index in [0, 1] {
        assert_eq!(made["partitions"][index]["uuid"], inspected["partitions"][index]["uuid"], "{suite} {index}");
        let (ours, theirs) = (partition(&ours, &made, index), partition(&theirs, &inspected, index));
        let (same, rest) = theirs.split_at(ours.len());
        assert!(ours == same, "{suite}: partition {index} differs");
        assert!(rest.iter().all(|&byte| byte == 0), "{suite}: partition {index} goes on");
    }
    let [ours, theirs] = [partition(&ours, &made, 2), partition(&theirs, &inspected, 2)];
    assert_eq!(text(ours), text(theirs), "{suite}: the signature partition");
    // It does have one: by the key, over this root hash.
    object(folder, &["verify", "theirs.raw", &certificate.replace("--certificate", "--trusted")]);
}

#[test]
fn the_partitions_are_those_of_trixies_repart() {
    compare_with_repart("trixie");
}

#[test]
fn the_partitions_are_those_of_sids_repart() {
    compare_with_repart("sid");
}

#[test]
fn dissect_takes_what_the_command_builds_for_what_it_is() {
    let folder = tempfile::tempdir().expect("the test's own files");
    let folder = folder.path();
    let image = folder.join("image.raw");
    fs::write(folder.join("fs"), b"hsqs".repeat(5000)).expect("the test's own files");
    let trees = ["trixie", "sid"].map(|suite| debian::clients(suite).expect("a tree of Debian's programs"));
    let none = [String::new(), String::new()];
    let (signed, curve) = (key_and_certificate("rsa"), key_and_certificate("p256"));
    // Each with a policy that it agrees with, and one that it does not.
    for (kind, key, agreed, refused) in [
        ("root", &none, "root=verity:=ignore", "root=signed"),
        ("root", &signed, "root=signed:=absent", "root=encrypted"),
        ("root", &curve, "root=signed+read-only-on", "root=absent"),
        ("usr", &none, "usr=verity", "usr=signed"),
        ("usr", &signed, "usr=signed:root=absent", "root=signed"),
    ] {
        for sector in ["--sector-size=512", "--sector-size=4096"] {
            let file_system = format!("--{kind}=fs");
            let arguments = ["build", "--output=image.raw", "--fec-roots=2", &file_system, sector];
            let key: Vec<&str> = key.iter().map(String::as_str).filter(|option| !option.is_empty()).collect();
            object(folder, &[&arguments, &key[..]].concat());
            for tree in &trees {
                let verdicts = [agreed, refused].map(|policy| theirs(tree, policy, &image));
                assert_eq!(
                    verdicts,
                    [Verdict::Agrees, Verdict::Refused],
                    "{kind} {sector} {agreed} {}",
                    tree.display()
                );
            }
            fs::remove_file(&image).expect("it was made");
        }
    }
}
