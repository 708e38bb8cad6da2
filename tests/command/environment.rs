//! `--env`: lines that a shell evaluates, held against JSON and read back by shells.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::Output;

use dmverity_tests::vectors::painted;
use dmverity_tests::{schema, veritysetup};
use serde_json::Value;

use crate::bad_input::misused;
use crate::sandbox::Sandbox;

const SHELLS: [&str; 2] = ["dash", "bash"];

/// Names with a meaning for a shell.
const HOSTILE: &[&[u8]] = &[
    b"plain",
    b"it's",
    b"''",
    b"'; touch evil; '",
    b"$(touch evil)",
    b"`touch evil`",
    b"two  blanks ",
    b"new\nline\n",
    b"back\\slash\\\\",
    b"\"quotes\" & * ? [a] ; | > < # ~ ! {a,b} $HOME",
    b"bytes\xff\xfe\x80\x01\x7f\x1b",
    b"\xc3\xa4\xe2\x82",
    b"=",
    b"-",
];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(40960 + 100));
    sandbox
}

fn run(sandbox: &Sandbox, program: &OsStr, arguments: &[&OsStr]) -> Output {
    let output = sandbox.command(program, &[]).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

#[test]
fn shells_read_back_every_path() {
    let sandbox = sandbox();
    for name in HOSTILE {
        let [data, hash] =
            [&b"./d "[..], b"./h "].map(|start| OsString::from(OsStr::from_bytes(&[start, name].concat())));
        std::fs::write(sandbox.path("").join(&data), painted(40960)).unwrap();
        let format = ["format".as_ref(), "--env".as_ref(), data.as_os_str(), hash.as_os_str()];
        let made = run(&sandbox, veritysetup().as_os_str(), &format);
        assert!(made.status.success(), "{made:?}");
        sandbox.write("lines", &made.stdout);
        let wanted = [data.as_bytes(), b"\0", hash.as_bytes(), b"\x0041\0"].concat();
        for shell in SHELLS {
            let numbers = "$((VERITY_DATA_BLOCKS * 4 + VERITY_HASH_TYPE))";
            let show = format!(r#"printf '%s\0' "$VERITY_DATA_DEVICE" "$VERITY_HASH_DEVICE" "{numbers}""#);
            for how in [r#"eval "$1""#, ". ./lines", r#"eval "$("$0" dump --env "$2")"; VERITY_DATA_DEVICE=$3"#] {
                let script = OsString::from(format!("set -eu; {how}; {show}"));
                let lines = OsStr::from_bytes(&made.stdout);
                let program = veritysetup();
                let words = ["-c".as_ref(), &*script, program.as_os_str(), lines, hash.as_os_str(), data.as_os_str()];
                let read = run(&sandbox, shell.as_ref(), &words);
                assert!(read.status.success(), "{shell}: {how}: {read:?}");
                assert_eq!(read.stdout, wanted, "{shell}: {how}: {}", name.escape_ascii());
            }
        }
    }
    assert!(!sandbox.path("evil").exists());
}

/// The texts and numbers in an object, as shell variables.
fn scalars(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Bool(truth) => found.push(u8::from(*truth).to_string()),
        Value::Number(number) => found.push(number.to_string()),
        Value::String(text) => found.push(format!("'{text}'")),
        // These actions have no list of words except flags.
        Value::Null | Value::Array(_) => {}
        Value::Object(fields) => fields.values().for_each(|value| scalars(value, found)),
    }
}

#[test]
fn nothing_that_json_has_is_missing() {
    let sandbox = sandbox();
    let uuid = "--uuid=a60c98d2-ae9b-4865-bfcb-b4e3ace11033";
    for command in [
        &["format", "d", "h", "--salt=aa", uuid, "--fec-device=f", "--fec-roots=4"][..],
        &["format", "d", "h", "--salt-seed=x"],
        &["format", "d", "h", "--no-superblock", "--salt=-"],
        &["format", "--append", "i", "--salt=aa", uuid, "--fec-roots=2"],
        &["dump", "h", "--fec-device=f", "--fec-roots=4"],
        &["plan", "d", "--fec-roots=2"],
        &["plan", "--append", "--data-size=5000"],
    ] {
        if command[0] == "dump" {
            sandbox.run(&["format", "d", "h"]);
        }
        sandbox.write("i", &painted(40960 + 100));
        let lines = sandbox.run(&[command, &["--env"]].concat());
        sandbox.write("i", &painted(40960 + 100));
        let object = sandbox.run(&[command, &["--json"]].concat());
        let object = schema::check(&object.stdout).unwrap();
        assert_eq!(lines.code, Some(0), "{lines:?}");
        let pairs: BTreeMap<&str, &str> = lines.stdout.lines().map(|line| line.split_once('=').unwrap()).collect();
        assert_eq!(pairs.len(), lines.stdout.lines().count());
        let mut wanted = Vec::new();
        for (field, value) in object.as_object().unwrap() {
            if !["action", "warnings", "error"].contains(&field.as_str()) {
                scalars(value, &mut wanted);
            }
        }
        let mut said: Vec<String> = pairs.values().filter(|value| **value != "''").map(ToString::to_string).collect();
        said.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(said, wanted, "{command:?}: {}", lines.stdout);
        assert_eq!(pairs["VERITY_DATA_BLOCKS"], object["data_blocks"].to_string());
    }
}

/// Warnings and errors go to standard error as always, and standard output has only lines for a shell.
#[test]
fn what_is_no_value_goes_to_standard_error() {
    let sandbox = sandbox();
    let made = sandbox.run(&["format", "d", "h", "--env", "-v", "--root-hash-file=r"]);
    assert_eq!((made.code, made.stderr.as_str()), (Some(0), "WARNING: last 100 bytes of data are not covered.\n"));
    assert!(made.stdout.lines().all(|line| line.starts_with("VERITY_")), "{}", made.stdout);
    let root_hash = String::from_utf8(sandbox.read("r")).unwrap();
    assert!(made.stdout.contains(&format!("VERITY_ROOT_HASH='{root_hash}'\n")), "{}", made.stdout);
    let dumped = sandbox.run(&["dump", "nosuch", "--env"]);
    let message = "Device nosuch does not exist or access denied.\n";
    assert_eq!((dumped.code, dumped.stdout.as_str(), dumped.stderr.as_str()), (Some(4), "", message));
    let inactive = sandbox.run(&["status", "../dmverity-nosuch", "--env"]);
    assert_eq!((inactive.code, inactive.stderr.as_str()), (Some(4), ""));
    assert!(
        inactive.stdout.starts_with("VERITY_NAME='../dmverity-nosuch'\nVERITY_ACTIVE=0\nVERITY_IN_USE=''\n"),
        "{inactive:?}"
    );
    // No value of an earlier command remains.
    assert!(inactive.stdout.contains("\nVERITY_ROOT_HASH=''\n"));
    let together = "veritysetup: Option --env and --json cannot be used together.\n";
    let both = sandbox.run(&["dump", "h", "--env", "--json"]);
    assert_eq!(schema::check(&both.stdout).unwrap()["error"]["message"].as_str(), together.lines().next());
    misused(&sandbox, "verify d h 00 --env", "veritysetup: Option --env is not allowed with verify action.\n");
}
