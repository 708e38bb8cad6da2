//! The root hash without writing anything, and images with the parameters of another one: `format --dry-run`,
//! `dump --root-hash`, `format --like`.

use dmverity_tests::schema;
use dmverity_tests::vectors::painted;

use crate::bad_input::{misused, refused};
use crate::sandbox::{Outcome, Sandbox};

const UUID: &str = "--uuid=a60c98d2-ae9b-4865-bfcb-b4e3ace11033";

fn data() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    sandbox
}

/// Runs it with `--dry-run` and without; both must print the same, and the first must change nothing.
#[track_caller]
fn is_the_same(sandbox: &Sandbox, command: &str) -> Outcome {
    let arguments: Vec<&str> = command.split(' ').collect();
    let before = sandbox.snapshot();
    let planned = sandbox.run(&[&arguments[..], &["--dry-run"]].concat());
    let json = sandbox.run(&[&arguments[..], &["--dry-run", "--json"]].concat());
    assert!(sandbox.snapshot() == before, "{command} changed a file");
    let made = sandbox.run(&arguments);
    assert_eq!(planned, made, "{command}");
    assert_eq!(made.code, Some(0), "{command}");
    let object = schema::check(&json.stdout).unwrap_or_else(|error| panic!("{command}: {error}"));
    assert_eq!(object["dry_run"], true);
    assert_eq!(object["root_hash"], made.field("Root hash"));
    assert_eq!(object["hash_device"].as_str(), arguments.get(2 - usize::from(command.contains("--append"))).copied());
    made
}

#[test]
fn a_dry_run_prints_what_format_prints_and_writes_nothing() {
    let sandbox = data();
    let same = |command: &str| is_the_same(&sandbox, &format!("format {command} --salt=aa {UUID}"));
    same("d h");
    // Over the older image.
    same("d h --hash=sha512 --data-block-size=1024 --hash-block-size=8192");
    same("d new --fec-device=f --fec-roots=7");
    same("d h --fec-device=h --fec-offset=65536");
    same("d none --no-superblock --format=0 --hash=sha1");
    same("d one --data-blocks=1");
    same("d odd --data-blocks=100 --hash-offset=8192 --partition-uuids");
    let odd = painted(300 * 4096 + 5);
    sandbox.write("odd", &odd);
    assert!(same("odd over").stderr.starts_with("WARNING: last 5 bytes"));
    // In one file, with and without an older tree of other blocks.
    for (file, options) in
        [("a", ""), ("a", " --data-block-size=65536"), ("b", " --no-superblock"), ("b", " --fec-roots=2")]
    {
        if !sandbox.path(file).exists() {
            sandbox.write(file, &odd);
        }
        let command = format!("format {file} --append --salt=aa {UUID}{options}");
        let arguments: Vec<&str> = command.split(' ').collect();
        let before = sandbox.read(file);
        let planned = sandbox.run(&[&arguments[..], &["--dry-run"]].concat());
        assert!(sandbox.read(file) == before, "{command}");
        assert_eq!(planned, sandbox.run(&arguments), "{command}");
    }
    // A file that would be filled up.
    sandbox.write("gap", &painted(600_000));
    same("gap gap --data-blocks=147 --hash-offset=602112");
    sandbox.write("gap", &painted(600_000));
    same("gap gap --data-blocks=200 --hash-offset=819200 --no-superblock --fec-device=gap --fec-offset=1048576");
}

#[test]
fn no_hash_device_is_needed_and_streams_get_the_root_hash() {
    let sandbox = data();
    let made = sandbox.run(&["format", "d", "h", "--salt=aa", UUID]);
    let dry = ["format", "--dry-run", "d", "--salt=aa", UUID];
    let before = sandbox.snapshot();
    let planned = sandbox.run(&dry);
    let expected = made.stdout.replace("information for h.", "information for d.");
    assert_eq!((planned.code, planned.stdout), (Some(0), expected.clone()));
    let object = sandbox.run(&[&dry[..], &["--json", "--fec-device=f"]].concat());
    let object = schema::check(&object.stdout).unwrap();
    assert_eq!((object["hash_device"].is_null(), &object["fec"]["covered_blocks"]), (true, &304.into()));
    // Streams are written, files are not.
    let streamed = sandbox.run(&[&dry[..], &["--root-hash-file=-"]].concat());
    assert_eq!(streamed.stdout, expected + made.field("Root hash"));
    assert_eq!(sandbox.run(&[&dry[..], &["--root-hash-file=r"]].concat()).code, Some(0));
    assert!(sandbox.snapshot() == before);
    // Refused like a real format.
    let overlap = "Data area overlaps with hash area.\n\
                   hint: the data area ends at byte 1228800, the hash area starts at byte 0.\n";
    refused(&sandbox, "format --dry-run d d", 1, overlap);
    refused(&sandbox, "format --dry-run nosuch", 4, "Device nosuch does not exist or access denied.\n");
    let no_file = "hint: No such file or directory.\n";
    let message = format!("Cannot create hash image nosuch/h for writing.\n{no_file}");
    refused(&sandbox, "format --dry-run d nosuch/h", 1, &message);
    let message = format!("Cannot create root hash file nosuch/r for writing.\n{no_file}");
    refused(&sandbox, "format --dry-run d --root-hash-file=nosuch/r", 1, &message);
    misused(&sandbox, "format --dry-run", "veritysetup: format: requires <data_device> [<hash_device>] as arguments\n");
    misused(&sandbox, "format d", "veritysetup: format: requires <data_device> <hash_device> as arguments\n");
}

#[test]
fn dump_shows_the_root_hash_and_says_that_it_is_not_verified() {
    let sandbox = data();
    let warning = "WARNING: the root hash was computed from the hash tree alone; nothing was verified.\n";
    for options in ["", " --hash=sha512", " --format=0 --hash=sha1", " --hash-block-size=1024", " --fec-device=f"] {
        let format = format!("format d h{options}");
        let made = sandbox.run(&format.split(' ').collect::<Vec<_>>());
        let dump = ["dump", "h", "--root-hash"];
        let fec = if options.contains("fec") { &["--fec-device=f"][..] } else { &[] };
        let dumped = sandbox.run(&[&dump[..], fec].concat());
        assert_eq!(dumped, Outcome { stderr: warning.into(), ..made.clone() }, "{options}");
        let object = schema::check(&sandbox.run(&["dump", "h", "--root-hash", "--json"]).stdout).unwrap();
        assert_eq!(object["root_hash"], made.field("Root hash"));
        assert_eq!(object["warnings"].as_array().map(Vec::len), Some(1));
        let plain = schema::check(&sandbox.run(&["dump", "h", "--json"]).stdout).unwrap();
        assert!(plain["root_hash"].is_null());
    }
    // Damage below the top block is not detected, which is why the output says so.
    sandbox.write("image", &painted(300 * 4096));
    let made = sandbox.run(&["format", "--append", "image"]);
    sandbox.flip("image", 5000);
    let dumped = sandbox.run(&["dump", "image", "--hash-offset=auto", "--root-hash"]);
    assert_eq!((dumped.code, dumped.field("Root hash")), (Some(0), made.field("Root hash")));
    sandbox.run(&["format", "d", "one", "--data-blocks=1"]);
    let none = "Device one has no hash tree.\n\
                hint: the root hash of an image of one data block is the digest of that block.\n";
    refused(&sandbox, "dump one --root-hash", 1, none);
    sandbox.write("short", &sandbox.read("h")[..8192]);
    let short = "Device short is too small.\nhint: it has 8192 bytes, but 20480 are needed.\n";
    refused(&sandbox, "dump short --root-hash", 1, short);
}

#[test]
fn a_new_image_is_like_another_one_but_for_what_options_say() {
    let sandbox = data();
    let old = [
        "format",
        "d",
        "old",
        "--hash=sha512",
        "--data-block-size=1024",
        "--hash-block-size=2048",
        "--data-blocks=1000",
    ];
    let made = sandbox.run(&old);
    let like = |options: &[&str]| sandbox.run(&[&["format", "d", "h", "--like=old"], options].concat());
    let same = like(&[]);
    assert_eq!(same.stderr, "WARNING: 200 whole blocks at the end of the data are not covered by the hash tree.\n");
    assert!(sandbox.read("h") == sandbox.read("old"));
    assert_eq!(same.stdout, made.stdout.replace("for old.", "for h."));
    // Over the very image.
    let before = sandbox.read("old");
    assert_eq!(sandbox.run(&["format", "d", "old", "--like=old"]).code, Some(0));
    assert!(sandbox.read("old") == before);
    // An option takes precedence.
    for (option, key, value) in [
        ("--salt=aa", "Salt", "aa"),
        ("--salt=-", "Salt", "-"),
        (UUID, "UUID", &UUID[7..]),
        ("--hash=sha1", "Hash algorithm", "sha1"),
        ("--format=0", "Hash type", "0"),
        ("--hash-block-size=512", "Hash block size", "512 [bytes]"),
        ("--data-blocks=7", "Data blocks", "7"),
        ("--data-blocks=0", "Data blocks", "1200"),
        ("--data-block-size=4096", "Data blocks", "300"),
    ] {
        let changed = like(&[option]);
        assert_eq!((changed.code, changed.field(key)), (Some(0), value), "{option}");
        for other in ["Salt", "UUID", "Hash algorithm", "Hash type", "Hash block size"] {
            assert!(other == key || changed.field(other) == made.field(other), "{option} {other}");
        }
    }
    let seeded = like(&["--salt-seed=x"]);
    let seed = sandbox.run(&["format", "d", "h", "--salt-seed=x"]);
    assert_eq!((seeded.field("Salt"), seeded.field("UUID")), (seed.field("Salt"), seed.field("UUID")));
    // Type 0, without superblock, and an image in one file, as the model and as the result.
    sandbox.run(&["format", "d", "old", "--format=0", "--salt=-"]);
    assert_eq!((like(&[]).field("Hash type"), like(&[]).field("Salt")), ("0", "-"));
    assert_eq!(like(&["--no-superblock"]).field("UUID"), "");
    sandbox.write("image", &painted(200 * 4096 + 1));
    let appended = sandbox.run(&["format", "--append", "image", "--like=old"]);
    assert_eq!((appended.code, appended.field("Data blocks"), appended.field("Hash type")), (Some(0), "201", "0"));
    let found = sandbox.run(&["format", "d", "h", "--like=image"]);
    assert_eq!((found.field("UUID"), found.field("Data blocks")), (appended.field("UUID"), "201"));
}

#[test]
fn models_that_are_none() {
    let sandbox = data();
    refused(&sandbox, "format d h --like=nosuch", 4, "Device nosuch does not exist or access denied.\n");
    refused(&sandbox, "format d h --like=d", 1, "Device d is not a valid VERITY device.\n");
    sandbox.write("small", &painted(4096));
    sandbox.run(&["format", "d", "old"]);
    let small = "Device small is too small.\nhint: it has 4096 bytes, but 1228800 are needed.\n";
    refused(&sandbox, "format small h --like=old", 1, small);
    let mut bytes = sandbox.read("old");
    bytes[8] = 2;
    sandbox.write("bad", &bytes);
    let outcome = sandbox.run(&["format", "d", "h", "--like=bad"]);
    assert_eq!((outcome.code, outcome.first_error()), (Some(1), "Unsupported VERITY version 2."));
    assert!(!sandbox.path("h").exists());
}

/// Parity that would have to cover zeros without end.
#[test]
fn parity_far_after_the_end_of_the_hash_file_is_refused() {
    let sandbox = data();
    let format = "format d h --fec-device=h --fec-offset=";
    let hint = |offset: u64| {
        format!(
            "Unsupported VERITY FEC offset.\nhint: parity at byte {offset} would cover the zeros after the end of the \
             hash device at byte 20480: byte 68719497216 is the last possible place for it.\n"
        )
    };
    for offset in [4_611_686_018_427_387_904, 68_719_497_728] {
        refused(&sandbox, &format!("{format}{offset}"), 1, &hint(offset));
    }
    assert_eq!(sandbox.run(&["format", "d", "h", "--fec-device=h", "--fec-offset=1048576"]).code, Some(0));
    let far = sandbox.run(&["format", "d", "h", "--fec-device=f", "--fec-offset=1099511627776", "--dry-run"]);
    assert_eq!(far.code, Some(0), "one of its own covers none of them: {far:?}");
}
