//! Hints for parameters that do not fit: a superblock elsewhere or unexpected, swapped devices, options that contradict
//! the superblock.

use dmverity_tests::vectors::painted;

use crate::bad_input::refused;
use crate::sandbox::{Outcome, Sandbox};

const NOT_VALID: &str = "Device h is not a valid VERITY device.\n";

/// Data, and a hash device with its superblock at this offset.
fn image(offset: usize) -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    let made = sandbox.run(&["format", "d", "h", "--salt=aa", &format!("--hash-offset={offset}")]);
    (sandbox, made.field("Root hash").to_owned())
}

#[test]
fn a_hash_offset_that_was_forgotten() {
    let (sandbox, root_hash) = image(40960);
    let hint = "hint: there is a superblock at byte 40960: use --hash-offset=40960.\n";
    for command in ["dump h", "verify d h ROOT", "open d v0 h ROOT", "repair d h ROOT", "table d h ROOT"] {
        let command = command.replace("ROOT", &root_hash);
        refused(&sandbox, &command, 1, &format!("{NOT_VALID}{hint}"));
        refused(&sandbox, &format!("{command} --hash-offset=8192"), 1, &format!("{NOT_VALID}{hint}"));
    }
    // More than one, and none at all.
    let bytes = sandbox.read("h");
    sandbox.write("h", &[&bytes[..], &bytes[40960..]].concat());
    let hint = format!("hint: there are superblocks at bytes 40960, {}: choose one with --hash-offset.\n", bytes.len());
    refused(&sandbox, "dump h", 1, &format!("{NOT_VALID}{hint}"));
    sandbox.write("h", &painted(100_000));
    refused(&sandbox, "dump h", 1, NOT_VALID);
    // In one file with the data.
    sandbox.write("h", &painted(300 * 4096));
    assert_eq!(sandbox.run(&["format", "h", "h", "--data-blocks=300", "--hash-offset=1228800"]).code, Some(0));
    let hint = "hint: there is a superblock at byte 1228800: use --hash-offset=1228800.\n";
    refused(&sandbox, &format!("verify h h {root_hash}"), 1, &format!("{NOT_VALID}{hint}"));
}

#[test]
fn devices_that_are_swapped() {
    let (sandbox, root_hash) = image(0);
    let stderr = "Device d is not a valid VERITY device.\n\
                  hint: h, which is given as the data device, has a superblock there: are data and hash device \
                  swapped?\n";
    for command in ["verify h d ROOT", "open h v0 d ROOT", "repair h d ROOT", "table h d ROOT"] {
        refused(&sandbox, &command.replace("ROOT", &root_hash), 1, stderr);
    }
}

#[test]
fn a_superblock_that_is_not_read() {
    let (sandbox, root_hash) = image(40960);
    let warning = "WARNING: there is a superblock at byte 40960 of h; with --no-superblock it is not read.\n";
    let options = ["--no-superblock", "--salt=aa", "--hash-offset=40960"];
    let outcome = sandbox.run(&[&["verify", "d", "h", &root_hash][..], &options].concat());
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.starts_with(warning), "{outcome:?}");
    // There is none at the start of the tree.
    let options = ["--no-superblock", "--salt=aa", "--hash-offset=45056"];
    let outcome = sandbox.run(&[&["verify", "d", "h", &root_hash][..], &options].concat());
    assert_eq!(outcome, Outcome { code: Some(0), stdout: String::new(), stderr: String::new() });
}

#[test]
fn options_that_the_superblock_contradicts() {
    let (sandbox, root_hash) = image(0);
    let uuid = sandbox.run(&["dump", "h"]).field("UUID").to_owned();
    let verify = |option: &str| sandbox.run(&["verify", "d", "h", &root_hash, option]);
    let cases = [
        ("hash=sha1", "hash sha256"),
        ("hash=nosuch", "hash sha256"),
        ("salt=bb", "salt aa"),
        ("salt=-", "salt aa"),
        ("salt=zz", "salt aa"),
        ("format=0", "format 1"),
        ("data-block-size=512", "data-block-size 4096"),
        ("hash-block-size=3", "hash-block-size 4096"),
        ("uuid=a60c98d2-ae9b-4865-bfcb-b4e3ace11033", &format!("uuid {uuid}")),
    ];
    for (option, found) in cases {
        let outcome = verify(&format!("--{option}"));
        let warning = format!("WARNING: the superblock says {found}; --{option} is ignored, see --expect.\n");
        assert_eq!(outcome, Outcome { code: Some(0), stdout: String::new(), stderr: warning });
        assert_eq!(sandbox.reference(&["verify", "d", "h", &root_hash, &format!("--{option}")]).code, Some(0));
    }
    // The same in other words is no contradiction.
    for same in ["hash=sha2-256", "hash=SHA256", "salt=AA", "format=1", "data-block-size=4096", "hash-block-size=4096"]
    {
        assert_eq!(verify(&format!("--{same}")).stderr, "", "{same}");
    }
    assert_eq!(verify(&format!("--uuid={}", uuid.to_uppercase())).stderr, "");
    let table = sandbox.run(&["table", "d", "h", &root_hash, "--hash=sha1"]);
    assert!(
        table.code == Some(0) && table.stderr.starts_with("WARNING: the superblock says hash sha256;"),
        "{table:?}"
    );
}
