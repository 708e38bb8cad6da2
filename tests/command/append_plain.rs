//! `format --append --no-superblock`: one file without superblock, which must still be recognized.

use std::process::Command;

use dmverity_tests::vectors::painted;
use dmverity_tests::veritysetup;

use crate::bad_input::refused;
use crate::interrupted::{killed_at_each_call, traced};
use crate::sandbox::{Outcome, Sandbox};

const FORMAT: [&str; 5] = ["format", "--append", "image", "--no-superblock", "--salt=8a7b"];

fn ok(sandbox: &Sandbox, arguments: &[&str]) -> Outcome {
    let outcome = sandbox.run(arguments);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    outcome
}

/// The number in a line such as `Hash offset: 4096 [bytes]`.
fn number(outcome: &Outcome, key: &str) -> String {
    outcome.field(key).trim_end_matches(" [bytes]").to_owned()
}

/// The options to use an image with, from the output of format.
fn options(made: &Outcome) -> Vec<String> {
    let value = |option: &str, key: &str| format!("--{option}={}", number(made, key));
    let mut options = vec![
        "--no-superblock".to_owned(),
        value("hash-offset", "Hash offset"),
        value("data-blocks", "Data blocks"),
        value("data-block-size", "Data block size"),
        value("hash-block-size", "Hash block size"),
        value("hash", "Hash algorithm"),
        value("salt", "Salt"),
    ];
    if made.stdout.contains("FEC offset") {
        options.extend([
            value("fec-offset", "FEC offset"),
            value("fec-roots", "FEC RS roots"),
            "--fec-device=image".into(),
        ]);
    }
    options
}

/// The output is enough for both tools to verify the image, and for the reference to make the same bytes.
#[test]
fn the_printed_options_are_those_of_the_reference() {
    let sandbox = Sandbox::new();
    let mut rng = fastrand::Rng::with_seed(13);
    for round in 0..24 {
        let size = 512 << rng.u32(..4);
        let data = painted(rng.usize(2 * size..400_000));
        sandbox.write("image", &data);
        let hash_size = if round % 2 == 0 { size } else { 512 << rng.u32(..4) };
        let (block, hash_block) = (format!("--data-block-size={size}"), format!("--hash-block-size={hash_size}"));
        let roots = format!("--fec-roots={}", rng.u32(2..=24));
        let mut arguments = [&FORMAT[..], &[&block, &hash_block]].concat();
        if round % 4 > 1 && size == hash_size {
            arguments.push(&roots);
        }
        let plan = [&["plan", "--append", "image"][..], &arguments[3..]].concat();
        let planned = ok(&sandbox, &plan);
        assert!(sandbox.read("image") == data);
        let made = ok(&sandbox, &arguments);
        let image = sandbox.read("image");
        assert_eq!(made.field("UUID"), "");
        for key in ["Hash offset", "Image size", "Data blocks"] {
            assert_eq!(planned.field(key), made.field(key), "{arguments:?}");
        }
        assert_eq!(number(&made, "Image size"), image.len().to_string());
        let options = options(&made);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let verify = [&["verify", "image", "image", made.field("Root hash")][..], &options].concat();
        for outcome in [sandbox.run(&verify), sandbox.reference(&verify)] {
            assert_eq!(outcome, Outcome { code: Some(0), stdout: String::new(), stderr: String::new() }, "{verify:?}");
        }
        // Padded to whole blocks by hand, as many scripts do.
        let mut padded = data.clone();
        padded.resize(data.len().next_multiple_of(size), 0);
        sandbox.write("image", &padded);
        let theirs = sandbox.reference(&[&["format", "image", "image"][..], &options].concat());
        if theirs.code == Some(0) {
            assert!(sandbox.read("image") == image, "{options:?}");
            assert_eq!(theirs.field("Root hash"), made.field("Root hash"));
        } else {
            // The reference reads the gap before the parity, which does not exist yet.
            assert!(theirs.stderr.contains("Failed to read RS block"), "{theirs:?} {options:?}");
        }
        // Again, as on the bare data.
        sandbox.write("image", &image);
        assert_eq!(ok(&sandbox, &arguments), made);
        assert!(sandbox.read("image") == image);
    }
}

/// The next format recognizes what a killed one left, and makes the same image as from the data alone.
#[test]
fn killed_at_every_call_that_writes() {
    let sandbox = Sandbox::new();
    let data = painted(300_001);
    for fec in [&["--fec-roots=2"][..], &["--fec-device=f"], &[]] {
        let format = [&FORMAT[..], fec, &["--threads=1"]].concat();
        sandbox.write("image", &data);
        ok(&sandbox, &format);
        let expected = sandbox.read("image");
        let parity = std::fs::read(sandbox.path("f")).ok();
        for before in [&data, &expected] {
            let prepare = || sandbox.write("image", before);
            killed_at_each_call(&sandbox, &format, prepare, |index| {
                assert!(sandbox.read("image").starts_with(&data), "call {index}");
                ok(&sandbox, &format);
                assert!(sandbox.read("image") == expected, "{fec:?} call {index}");
                assert!(std::fs::read(sandbox.path("f")).ok() == parity, "{fec:?} call {index}");
            });
        }
    }
}

/// The mark is on stable storage before anything that it covers is written, and is removed once the rest is too.
#[test]
fn the_mark_is_synced_first_and_goes_last() {
    let sandbox = Sandbox::new();
    let sequence = |options: &[&str]| {
        sandbox.write("image", &painted(300_001));
        let mut calls = traced(&sandbox, &[&["format", "--append", "image", "--threads=1"], options].concat(), &[]);
        calls.dedup();
        calls.join(" ")
    };
    assert_eq!(
        sequence(&["--no-superblock"]),
        "pwrite64 fdatasync pwrite64 fdatasync ftruncate fdatasync",
        "mark, tree, end"
    );
    assert_eq!(
        sequence(&[]),
        "pwrite64 fdatasync ftruncate pwrite64 fdatasync pwrite64 fdatasync",
        "mark, length, tree, superblock"
    );
}

#[test]
fn what_was_added_to_an_unfinished_image_is_not_cut_off() {
    let sandbox = Sandbox::new();
    let data = painted(300_001);
    sandbox.write("image", &data);
    ok(&sandbox, &FORMAT);
    let end = sandbox.read("image").len();
    sandbox.write("image", &data);
    traced(&sandbox, &FORMAT, &["-e", "inject=pwrite64:signal=KILL:when=2"]);
    let mut left = sandbox.read("image");
    assert_eq!(left.len(), end + 512);
    left.extend([7; 100]);
    sandbox.write("image", &left);
    let message = format!(
        "Device image has an unfinished hash area and was changed afterwards.\n\
         hint: the data ended at byte 300001, an unfinished hash area that was to end at byte {end} follows at byte \
         303104, \
         and the file now ends at byte {}.\n\
         hint: if nothing after the data is needed, discard it: truncate --size=300001 image\n",
        end + 612
    );
    for command in ["format --append image --no-superblock", "format --append image", "plan --append image"] {
        refused(&sandbox, command, 1, &message);
    }
    left.truncate(end + 512);
    sandbox.write("image", &left);
    // A format with a superblock replaces such a tree too, and the other way round.
    ok(&sandbox, &["format", "--append", "image"]);
    assert!(sandbox.read("image").starts_with(&data));
    ok(&sandbox, &FORMAT);
    assert_eq!(sandbox.read("image").len(), end);
}

/// A tree is recognized by its salt; with another salt, only that there is something.
#[test]
fn a_tree_of_another_salt_is_not_buried() {
    let sandbox = Sandbox::new();
    sandbox.write("image", &painted(300_001));
    let made = ok(&sandbox, &FORMAT);
    let message = "Device image seems to end with a hash tree already.\n\
                   hint: the data would end at byte 303104 and the tree begin at byte 303104; it was made with another \
                   salt: name that with --salt to replace the tree.\n\
                   hint: if it is such a tree, remove it: truncate --size=303104 image\n";
    refused(&sandbox, "format --append image --no-superblock", 1, message);
    refused(&sandbox, "plan --append image --no-superblock", 1, message);
    let again = ok(&sandbox, &FORMAT);
    assert_eq!(again, made);
    let cut = Command::new("truncate").args(["--size=303104"]).arg(sandbox.path("image")).status();
    assert!(cut.unwrap().success());
    let other = ok(&sandbox, &["format", "--append", "image", "--no-superblock", "--salt=11"]);
    assert_ne!(other.field("Root hash"), made.field("Root hash"));
    assert_eq!(other.field("Image size"), made.field("Image size"));
}

#[test]
fn one_block_has_no_tree_and_nothing_is_left_after_a_signal() {
    let sandbox = Sandbox::new();
    sandbox.write("image", &[7; 100]);
    let made = ok(&sandbox, &FORMAT);
    assert_eq!((made.field("Hash blocks"), sandbox.read("image").len()), ("0", 4096));
    assert_eq!(ok(&sandbox, &FORMAT), made);
    let data = painted(4 << 20);
    sandbox.write("image", &data);
    let mut command = sandbox.command("env", &["--default-signal=INT", "strace", "-f", "-qq", "-o", "trace"]);
    command.args(["-e", "trace=pwrite64", "-e", "inject=pwrite64:signal=INT:when=2"]);
    let output = command.arg(veritysetup()).args(FORMAT).output().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(2), "{output:?}");
    assert!(sandbox.read("image") == data);
}
