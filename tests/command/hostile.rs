//! Hostile or accidental bytes in arguments, names and superblocks cause no panic and cannot forge a line of the
//! output.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::Output;

use dmverity_tests::vectors::painted;

use crate::sandbox::Sandbox;

pub(crate) const ACTIONS: [&str; 13] = [
    "format",
    "verify",
    "repair",
    "open",
    "create",
    "close",
    "remove",
    "status",
    "dump",
    "plan",
    "table",
    "features",
    "benchmark",
];

/// Invalid UTF-8.
const NO_TEXT: &[u8] = b"\xff\xfe\x80n";

/// Without this, `benchmark` takes long.
const HASH: &[u8] = b"--hash=\xff";

/// Runs a command, bytes as arguments.
fn run(sandbox: &Sandbox, arguments: &[&[u8]]) -> Output {
    let mut command = sandbox.command(dmverity_tests::veritysetup(), &[]);
    command.args(arguments.iter().map(|argument| OsStr::from_bytes(argument)));
    command.output().expect("it runs")
}

/// Checks that the command ended with one of its exit codes.
#[track_caller]
fn no_panic(sandbox: &Sandbox, arguments: &[&[u8]]) {
    let output = run(sandbox, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let shown: Vec<_> = arguments.iter().map(|argument| String::from_utf8_lossy(argument)).collect();
    assert!(matches!(output.status.code(), Some(0..=5)), "{shown:?}: {} {stderr}", output.status);
    assert!(!stderr.contains("panicked"), "{shown:?}: {stderr}");
}

/// Every option that `--help` shows, with whether it takes a value.
fn options(sandbox: &Sandbox) -> Vec<(String, bool)> {
    let help = sandbox.run(&["--help"]).stdout;
    let words = help.lines().filter_map(|line| line.trim_start().split_once("--").filter(|(head, _)| head.len() <= 4));
    let options: Vec<_> = words
        .map(|(_, rest)| {
            let word = rest.split([' ']).next().expect("at least one");
            (format!("--{}", word.split('=').next().expect("at least one")), word.contains('='))
        })
        .collect();
    assert!(options.len() > 50 && options.contains(&("--salt".to_owned(), true)), "{options:?}");
    options
}

#[test]
fn no_argument_makes_it_panic() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(4096));
    let joined = |option: &str| [option.as_bytes(), b"=", NO_TEXT].concat();
    let options = options(&sandbox);
    for action in ACTIONS.map(str::as_bytes) {
        let hash = if action == b"benchmark" { &[HASH][..] } else { &[] };
        for extra in [&[][..], &[&b"--debug"[..]], &[b"--json"], &[b"--debug", b"--json"]] {
            no_panic(&sandbox, &[extra, hash, &[action, NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT]].concat());
            no_panic(&sandbox, &[extra, hash, &[action, b"d", NO_TEXT, NO_TEXT]].concat());
        }
        for (option, takes_value) in &options {
            let call: [&[u8]; 5] = [action, b"d", b"h", NO_TEXT, HASH];
            if *takes_value {
                no_panic(&sandbox, &[&[b"--debug", joined(option).as_slice()], &call[..]].concat());
                no_panic(&sandbox, &[&call[..], &[b"--json", option.as_bytes(), NO_TEXT]].concat());
            } else {
                no_panic(&sandbox, &[&[b"--debug", option.as_bytes()], &call[..]].concat());
                no_panic(&sandbox, &[&[joined(option).as_slice()], &call[..]].concat());
            }
        }
    }
    for wrong in [&b"--\xff"[..], b"-\xff", b"--\xff=\xff", b"-s\xff", b"--hash\xff", NO_TEXT] {
        no_panic(&sandbox, &[b"--debug", wrong]);
        no_panic(&sandbox, &[b"format", wrong, b"d", b"h", b"--json"]);
    }
}

/// A name that moves the cursor, ends a line, and is not UTF-8.
const NAME: &[u8] = b"d\x1b[2J\nUUID:\xff\xe2\x80\xae\xc2\x9b\x9a";
/// Its printed form: invalid UTF-8 is printed unchanged, except bytes that control some terminals.
const SHOWN: &[u8] = b"d\\033[2J\\012UUID:\xff\\342\\200\\256\\302\\233\\232";
/// Its form in JSON.
const IN_JSON: &str = "d\u{1b}[2J\nUUID:\\377\u{202e}\u{9b}\\232";

#[test]
fn names_of_files_cannot_forge_lines() {
    let sandbox = Sandbox::new();
    let name = OsString::from_vec(NAME.to_vec());
    std::fs::write(sandbox.path("").join(&name), painted(8192)).unwrap();
    let option = |option: &str| [option.as_bytes(), NAME].concat();
    let root_hash = "ab".repeat(32);
    let (root_hash, file) = (root_hash.as_bytes(), option("--root-hash-file="));
    let (fec, expect) = (option("--fec-device="), option("--expect="));
    let signature = option("--root-hash-signature=");
    let missing = [NAME, b"/x"].concat();
    let calls: &[&[&[u8]]] = &[
        &[b"dump", NAME],
        &[b"dump", NAME, b"--hash-offset=auto"],
        &[b"verify", NAME, NAME, root_hash],
        &[b"verify", &missing, NAME, root_hash],
        &[b"verify", NAME, NAME, root_hash, b"--no-superblock", b"--hash-offset=4096", &fec],
        &[b"verify", NAME, NAME, root_hash, &expect],
        &[b"verify", NAME, NAME, &file],
        &[b"repair", NAME, NAME, root_hash, &fec],
        &[b"open", NAME, b"v", NAME, root_hash, &signature],
        &[b"open", NAME, NAME, NAME, root_hash],
        &[b"format", NAME, b"nosuch/h"],
        &[b"format", NAME, b"h", b"extra", NAME],
        &[b"format", NAME, NAME],
        &[b"format", &missing, b"h"],
        &[b"format", NAME, b"h", &option("--hash=")],
        &[b"format", NAME, b"h", &option("--uuid=")],
        &[b"format", NAME, b"h", &option("--salt=")],
        &[b"format", NAME, b"h", &option("--data-blocks=")],
        &[b"plan", &missing],
        &[b"table", NAME, NAME, root_hash, b"--no-superblock", b"--veritytab=x", b"--hash-offset=4096"],
        &[b"table", NAME, NAME, root_hash, b"--no-superblock", b"--hash-offset=4096"],
        &[&option("--")],
        &[NAME],
        &[b"format", b"--append", NAME, b"--debug"],
        &[b"dump", NAME, b"--hash-offset=8192"],
        &[b"format", b"h", NAME],
    ];
    let mut shown = 0;
    for call in calls {
        let output = run(&sandbox, call);
        for stream in [output.stdout, output.stderr] {
            shown += usize::from(stream.windows(SHOWN.len()).any(|window| window == SHOWN));
            assert!(!stream.contains(&0x9a), "{call:?}");
            let text = String::from_utf8_lossy(&stream);
            let is_bad = |each: char| each != '\n' && each.is_control() || each == '\u{202e}';
            // The columns of format and dump contain a tab.
            assert!(!text.replace('\t', "").contains(is_bad), "{call:?}: {text:?}");
            assert!(!text.lines().any(|line| line.starts_with("UUID:\\")), "{call:?}: {text}");
        }
    }
    assert!(shown >= 15, "{shown} of {} show the name", calls.len());
    // A name that is merely unusual is shown as it is.
    sandbox.write("ä b\\c", &painted(8192));
    let made = sandbox.run(&["format", "ä b\\c", "ä h\\012"]);
    assert!(made.stdout.starts_with("VERITY header information for ä h\\012.\n"), "{made:?}");
}

#[test]
fn bytes_that_are_no_text_are_printed_as_they_are() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(8192));
    let made = sandbox.run(&["format", "d", "h"]);
    let name = [b"n\xff\xe4\xa0 \xe2\xa2 ".as_slice(), "ä".as_bytes()].concat();
    let line = |output: &[u8]| output.split(|&byte| byte == b'\n').next().unwrap_or_default().to_owned();
    let calls: &[&[&[u8]]] = &[
        &[b"verify", b"d", &name, b"00"],
        &[b"verify", &name, b"h", b"00"],
        &[b"format", &name, b"h2"],
        &[b"dump", &name],
    ];
    for call in calls {
        let mut reference = sandbox.command(dmverity_tests::reference(), &[]);
        let theirs = reference.args(call.iter().map(|argument| OsStr::from_bytes(argument))).output().expect("it runs");
        let ours = run(&sandbox, call);
        assert_eq!((ours.status.code(), ours.stderr), (theirs.status.code(), theirs.stderr), "{call:?}");
        assert!(line(&theirs.stdout).is_empty());
    }
    std::fs::rename(sandbox.path("h"), sandbox.path("").join(OsStr::from_bytes(&name))).unwrap();
    let dump = run(&sandbox, &[b"dump", &name]);
    assert_eq!(line(&dump.stdout), [b"VERITY header information for ", &name[..], b"."].concat());
    let json = run(&sandbox, &[b"verify", NAME, &name, made.field("Root hash").as_bytes(), b"--json"]);
    let object: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let message = format!("Device {IN_JSON} does not exist or access denied.");
    assert_eq!(object["error"]["message"], message);
}

#[test]
fn a_superblock_cannot_forge_lines() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(8192));
    assert_eq!(sandbox.run(&["format", "d", "h"]).code, Some(0));
    let mut bytes = sandbox.read("h");
    bytes[32..64].fill(0);
    bytes[32..52].copy_from_slice(b"x\x1b[1A\nRoot hash: 00\x7f");
    sandbox.write("h", &bytes);
    let dump = sandbox.run(&["dump", "h"]);
    let stderr =
        "Hash algorithm x\\033[1A\\012Root hash: 00\\177 not supported.\nDevice h is not a valid VERITY device.\n";
    assert_eq!((dump.code, dump.stdout.as_str(), dump.stderr.as_str()), (Some(1), "", stderr));
    let object: serde_json::Value = serde_json::from_str(&sandbox.run(&["dump", "h", "--json"]).stdout).unwrap();
    let message = object["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("Hash algorithm x\u{1b}[1A\nRoot hash: 00\u{7f} not"), "{message:?}");
}

/// Runs a command line of the shell, in which `$V` is ours.
fn shell(sandbox: &Sandbox, line: &str) -> (Option<i32>, String) {
    let mut command = sandbox.command("/bin/sh", &["-c", line]);
    let output = command.env("V", dmverity_tests::veritysetup()).output().expect("it runs");
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn a_standard_output_that_is_closed_or_full_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(8192));
    let root_hash = sandbox.run(&["format", "d", "h"]).field("Root hash").to_owned();
    let said = |reason: &str| format!("Cannot write to standard output.\nhint: {reason}.\n");
    let (closed, full) = (said("Bad file number"), said("No space left on device"));
    let before = sandbox.snapshot();
    for json in ["", " --json"] {
        // Nothing is written if the root hash is known to be undeliverable.
        for command in ["format d new", "dump h", "plan d", &format!("table d h {root_hash}"), "format d h"] {
            assert_eq!(shell(&sandbox, &format!("\"$V\" {command}{json} >&-")), (Some(1), closed.clone()), "{command}");
        }
        for command in ["dump h", "plan d", &format!("table d h {root_hash}")] {
            let line = format!("\"$V\" {command}{json} >/dev/full");
            assert_eq!(shell(&sandbox, &line), (Some(1), full.clone()), "{command}");
        }
    }
    for line in ["\"$V\" --help >&-", "\"$V\" benchmark >&-", "\"$V\" repair --fec-device=f d h 00 >&-"] {
        assert_eq!(shell(&sandbox, line), (Some(1), closed.clone()), "{line}");
    }
    assert!(sandbox.snapshot() == before);
    let verify = format!("\"$V\" verify d h {root_hash}");
    assert_eq!(shell(&sandbox, &format!("{verify} >&-")), (Some(0), String::new()));
    assert_eq!(shell(&sandbox, &format!("{verify} --json >&-")), (Some(1), closed));
    // An earlier fault is reported too.
    let (code, stderr) = shell(&sandbox, "\"$V\" dump nosuch --json >/dev/full");
    assert_eq!((code, stderr), (Some(1), format!("Device nosuch does not exist or access denied.\n{full}")));
    // A closed pipe is not an error; and there is no other stream to report it on.
    assert_eq!(shell(&sandbox, "\"$V\" dump h | true").0, Some(0));
    assert_eq!(shell(&sandbox, "\"$V\" format d new >&- 2>&-"), (Some(1), String::new()));
    assert!(sandbox.snapshot() == before);
}
