//! `--json`: every action that works without a kernel, checked against the published schema and the text output.
//! Refusals are checked in `bad_input.rs`, actions that need a kernel in the virtual machines.

use dmverity_tests::schema;
use dmverity_tests::vectors::painted;
use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// Runs a command with `--json`; it must end with this code and print only an object that the schema allows.
#[track_caller]
fn object(sandbox: &Sandbox, arguments: &[&str], code: i32) -> Value {
    let outcome = sandbox.run(&[arguments, &["--json"]].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(code), ""), "{arguments:?}");
    let object = schema::check(&outcome.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    let action = arguments.iter().find(|word| !word.starts_with('-')).expect("an action");
    assert_eq!(object["action"], *action, "{arguments:?}");
    assert_eq!(object["error"].is_null(), code == 0, "{arguments:?}");
    if code > 0 {
        assert_eq!(object["error"]["code"], code, "{arguments:?}");
    }
    object
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    sandbox
}

/// The value from the text output.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn format_and_dump_say_what_the_text_says() {
    let sandbox = sandbox();
    let options = ["--salt-seed=x", "--fec-device=f", "--fec-roots=4"];
    let format = [&["format", "d", "h"][..], &options].concat();
    let text = sandbox.run(&format);
    let made = object(&sandbox, &format, 0);
    let dump = ["dump", "h", "--fec-device=f", "--fec-roots=4"];
    let dumped = object(&sandbox, &dump, 0);
    for (key, field) in [
        ("UUID", "uuid"),
        ("Hash type", "hash_type"),
        ("Data blocks", "data_blocks"),
        ("Data block size", "data_block_size"),
        ("Hash blocks", "hash_blocks"),
        ("Hash block size", "hash_block_size"),
        ("Hash algorithm", "hash_algorithm"),
        ("Salt", "salt"),
    ] {
        let expected = text.field(key).trim_end_matches(" [bytes]");
        assert_eq!(shown(&made[field]), expected, "{key}");
        assert_eq!(made[field], dumped[field], "{key}");
    }
    assert_eq!(shown(&made["root_hash"]), text.field("Root hash"));
    assert_eq!(shown(&made["fec"]["roots"]), text.field("FEC RS roots"));
    assert_eq!(shown(&made["fec"]["blocks"]), text.field("FEC blocks"));
    assert_eq!(made["fec"], dumped["fec"]);
    assert_eq!(made["levels"], dumped["levels"]);
    assert_eq!(made["levels"][0], json!({"level": 1, "blocks": 1, "offset": 4096, "bytes": 4096}));
    assert_eq!(made["hash_area"], json!({"offset": 0, "bytes": 20480}));
    let root_hash = text.field("Root hash");
    let uuids = &made["partition_uuids"];
    assert_eq!(shown(&uuids["data"]).replace('-', ""), root_hash[..32]);
    assert_eq!(shown(&uuids["hash"]).replace('-', ""), root_hash[32..]);
}

#[test]
fn warnings_and_what_has_no_value() {
    let sandbox = sandbox();
    sandbox.write("odd", &painted(4096 + 10));
    let made = object(&sandbox, &["format", "odd", "h", "--no-superblock", "--hash=md5", "--salt=-"], 0);
    assert_eq!(made["warnings"], json!(["last 10 bytes of data are not covered."]));
    assert_eq!(made["uncovered_bytes"], 10);
    assert_eq!((&made["uuid"], &made["fec"], &made["partition_uuids"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!((&made["levels"], &made["salt"]), (&json!([]), &json!("-")));
    let ignored = object(&sandbox, &["dump", "h", "more"], 1);
    assert_eq!(ignored["warnings"], json!(["ignored arguments: more"]));
}

#[test]
fn verify_and_repair_say_what_is_wrong() {
    let sandbox = sandbox();
    let fec = "--fec-device=f";
    let root_hash = sandbox.run(&["format", "d", "h", fec]).field("Root hash").to_owned();
    let verify = ["verify", "d", "h", &root_hash];
    let good = object(&sandbox, &verify, 0);
    assert_eq!((&good["verified"], &good["failures"], &good["fec"]), (&json!(true), &json!([]), &Value::Null));

    sandbox.flip("d", 5000);
    let fault = json!([{"kind": "data_block", "position": 4096}]);
    let bad = object(&sandbox, &verify, 2);
    assert_eq!((&bad["verified"], &bad["failures"], &bad["failures_total"]), (&json!(false), &fault, &json!(1)));
    assert_eq!(bad["error"]["message"], "Verification failed at position 4096.\nVerification of data area failed.");
    let repairable = object(&sandbox, &[&verify[..], &[fec]].concat(), 0);
    assert_eq!((&repairable["verified"], &repairable["failures"]), (&json!(false), &fault));
    assert_eq!(repairable["fec"], json!({"repairable": true, "wrong_bytes": 1}));
    object(&sandbox, &[&verify[..], &[fec, "--strict"]].concat(), 2);

    let repair = ["repair", "d", "h", &root_hash, fec];
    let wrong_root_hash = "00".repeat(32);
    let beyond = object(&sandbox, &["repair", "d", "h", &wrong_root_hash, fec], 2);
    assert_eq!((&beyond["proven"], &beyond["repaired_bytes"]), (&json!(false), &json!(0)));
    let dry = object(&sandbox, &[&repair[..], &["--dry-run"]].concat(), 0);
    let block = json!([{"area": "data", "block": 1, "position": 4096, "wrong_bytes": 1}]);
    assert_eq!((&dry["blocks"], &dry["dry_run"], &dry["repaired_bytes"]), (&block, &json!(true), &json!(0)));
    let done = object(&sandbox, &repair, 0);
    assert_eq!((&done["blocks"], &done["repaired_bytes"]), (&block, &json!(1)));
    assert_eq!(object(&sandbox, &repair, 0)["wrong_bytes"], 0);

    let wrong = object(&sandbox, &["verify", "d", "h", &wrong_root_hash], 1);
    assert_eq!((&wrong["verified"], &wrong["failures_total"]), (&json!(false), &json!(0)));
    assert_eq!(wrong["error"]["message"], "Verification of root hash failed.");
}

#[test]
fn plan_and_table() {
    let sandbox = sandbox();
    let made = object(&sandbox, &["format", "d", "h", "--salt-seed=x"], 0);
    let planned = object(&sandbox, &["plan", "d"], 0);
    for field in ["hash_offset", "hash_area", "hash_blocks", "levels", "data_blocks", "fec"] {
        assert_eq!(planned[field], made[field], "{field}");
    }
    assert_eq!(planned["hash_device_bytes"], sandbox.read("h").len());
    let root_hash = shown(&made["root_hash"]);
    for form in ["--cmdline", "--veritytab=v", "--dm-mod-create=v", "--partition-uuids", "-q"] {
        let table = object(&sandbox, &["table", "d", "h", &root_hash, form], 0);
        assert_eq!(table["partition_uuids"], made["partition_uuids"], "{form}");
    }
}

#[test]
fn a_missing_kernel_a_missing_file_and_a_bad_command_line() {
    let sandbox = sandbox();
    let missing = object(&sandbox, &["dump", "nosuch"], 4);
    assert_eq!((&missing["error"]["errno"], &missing["error"]["errno_name"]), (&json!(2), &json!("ENOENT")));
    let outcome = sandbox.run(&["format", "--json", "--nosuch"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""));
    let object = schema::check(&outcome.stdout).unwrap();
    assert_eq!((&object["action"], &object["error"]["message"]), (&Value::Null, &json!("--nosuch: unknown option")));
    // After the end of options it is an argument.
    let outcome = sandbox.run(&["format", "--nosuch", "--", "--json"]);
    assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{outcome:?}");
}

#[test]
fn the_root_hash_file_comes_before_the_object_says_that_all_is_well() {
    let sandbox = sandbox();
    let made = object(&sandbox, &["format", "d", "h", "--root-hash-file=r"], 0);
    assert_eq!(String::from_utf8(sandbox.read("r")).unwrap(), shown(&made["root_hash"]));
    // The file cannot be written after the format: the object is printed all the same.
    let full = object(&sandbox, &["format", "d", "h", "--root-hash-file=/dev/full"], 1);
    assert!(full["root_hash"].is_string(), "{full}");
    assert_eq!(full["error"]["errno_name"], "ENOSPC");
}

/// The expected objects of the kernel cases match the schema.
#[test]
fn features_of_every_kernel_are_as_published() {
    let folder = dmverity_tests::workspace().join("tests/vm/expected");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let objects: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    assert_eq!(objects.len(), dmverity_tests::vm::kernels::KERNELS.len());
    for path in objects {
        schema::check(&std::fs::read_to_string(path).unwrap()).unwrap();
    }
}

/// Ways in which existing scripts parse the text.
#[test]
fn existing_parsers_read_the_text() {
    let sandbox = sandbox();
    for options in [&["--salt=abcd"][..], &["--salt=-", "--hash=sha512"], &["--append"]] {
        let append = options == ["--append"];
        let devices: &[&str] = if append { &["format", "d"] } else { &["format", "d", "h"] };
        let text = sandbox.run(&[devices, options].concat());
        let lines: Vec<&str> = text.stdout.lines().collect();
        // ^Root hash:\s+([a-f0-9]{64})$
        let digits = if options.contains(&"--hash=sha512") { 128 } else { 64 };
        let root_hash = regex_lite::Regex::new(&format!("(?m)^Root hash:\\s+([a-f0-9]{{{digits}}})$")).unwrap();
        assert_eq!(root_hash.captures_iter(&text.stdout).count(), 1, "{text:?}");
        // awk '/^Data blocks:/ { print $NF }' and the same for the salt.
        let last_field = |key: &str| {
            let line = lines.iter().find(|line| line.starts_with(key)).unwrap();
            line.split_whitespace().last().unwrap().to_owned()
        };
        assert_eq!(last_field("Data blocks:"), "300");
        let salt = last_field("Salt:");
        assert!(salt == "-" || (!salt.is_empty() && salt.bytes().all(|byte| byte.is_ascii_hexdigit())), "{salt}");
        // Each line but the title splits at its first colon into a key and a value, with no key twice.
        let mut keys: Vec<&str> = Vec::new();
        for line in &lines[1..] {
            let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
            assert!(!key.trim().is_empty() && value.starts_with([' ', '\t']), "{line}");
            assert!(!keys.contains(&key), "{line}");
            keys.push(key);
        }
        // The title is unchanged.
        assert_eq!(lines[0], format!("VERITY header information for {}.", if append { "d" } else { "h" }));
    }
}
