//! `build`: disk images whose every byte is known, and which other programs read.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::{Command, Stdio};
use std::time::Duration;

use dmverity_tests::vectors::painted;
use dmverity_tests::{chain, schema, veritysetup};
use serde_json::{Value, json};

use crate::sandbox::{Outcome, Sandbox};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("root", &painted(300 * 4096 - 10));
    sandbox.write("usr", &painted(70 * 4096));
    sandbox
}

fn ok(sandbox: &Sandbox, arguments: &[&str]) -> Outcome {
    let outcome = sandbox.run(arguments);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{arguments:?}: {}", outcome.stdout);
    outcome
}

fn object(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let outcome = ok(sandbox, &[arguments, &["--json"]].concat());
    schema::check(&outcome.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

/// The output of another program, which has to succeed.
fn run(sandbox: &Sandbox, program: &str, arguments: &[&str]) -> String {
    let output = sandbox.command(program, arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}: install Debian's fdisk and gdisk"));
    let outcome = Outcome::from(output);
    assert_eq!(outcome.code, Some(0), "{program} {arguments:?}: {outcome:?}");
    outcome.stdout + &outcome.stderr
}

#[test]
fn other_programs_find_no_fault() {
    let sandbox = sandbox();
    for options in [
        &["--min-size"][..],
        &["--defer-signature", "--fec-roots=2"],
        &["--usr=usr", "--defer-signature", "--min-size", "--arch=arm64"],
    ] {
        let made = object(&sandbox, &[&["build", "--output=image", "--root=root"], options].concat());
        let checked = run(&sandbox, "/usr/sbin/sgdisk", &["-v", "image"]);
        assert!(checked.contains("No problems found"), "{options:?}: {checked}");
        let checked = run(&sandbox, "/usr/sbin/sfdisk", &["--verify", "image"]);
        assert!(checked.contains("No errors detected"), "{options:?}: {checked}");
        let listed = run(&sandbox, "/usr/sbin/sfdisk", &["--json", "image"]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let table = &listed["partitiontable"];
        let same = |ours: &Value, theirs: &Value| ours.as_str().unwrap().eq_ignore_ascii_case(theirs.as_str().unwrap());
        assert!(same(&made["disk_uuid"], &table["id"]));
        let (ours, theirs) = (made["partitions"].as_array().unwrap(), table["partitions"].as_array().unwrap());
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!(same(&ours["uuid"], &theirs["uuid"]) && same(&ours["type_guid"], &theirs["type"]));
            assert_eq!((&theirs["name"], &theirs["attrs"]), (&ours["type"], &json!("GUID:60")));
            assert_eq!(ours["offset"], theirs["start"].as_u64().unwrap() * 512);
            assert_eq!(ours["bytes"], theirs["size"].as_u64().unwrap() * 512);
        }
    }
}

#[test]
fn the_partitions_are_those_of_systemd_repart() {
    let sandbox = Sandbox::new();
    chain::unpack(&sandbox.path(""));
    for (name, kind, sector, verity) in
        [(chain::IMAGES[0], "--root", 512, 688_128), (chain::IMAGES[2], "--usr", 4096, 692_224)]
    {
        let theirs = sandbox.read(&format!("ddi/{name}.raw"));
        let first = sector * if sector == 512 { 40 } else { 6 };
        let data = &theirs[first..first + 74 * 4096];
        sandbox.write("fs", data);
        let superblock = &theirs[verity..verity + 512];
        let uuid = hex::encode(&superblock[16..32]);
        let salt = hex::encode(&superblock[88..120]);
        let image = [
            "build",
            "--output=image",
            &format!("{kind}=fs"),
            "--arch=x86-64",
            &format!("--uuid={uuid}"),
            &format!("--salt={salt}"),
            &format!("--sector-size={sector}"),
            "--min-size",
            "--root-hash-file=root-hash",
        ];
        let made = object(&sandbox, &image);
        let said: Value = serde_json::from_slice(&sandbox.read(&format!("ddi/{name}.json"))).unwrap();
        assert_eq!(made["images"][0]["root_hash"], said[0]["roothash"], "{name}");
        assert_eq!(sandbox.read("root-hash"), said[0]["roothash"].as_str().unwrap().as_bytes());
        let ours = sandbox.read("image");
        for (index, place) in [first, verity].into_iter().enumerate() {
            let partition = &made["partitions"][index];
            assert_eq!(partition["uuid"], said[index]["uuid"], "{name}");
            let number = |field: &str| usize::try_from(partition[field].as_u64().unwrap()).unwrap();
            let (offset, bytes) = (number("offset"), number("bytes"));
            assert!(ours[offset..offset + bytes] == theirs[place..place + bytes], "{name} {index}");
            // What theirs has more of is zeros.
            let size = usize::try_from(said[index]["raw_size"].as_u64().unwrap()).unwrap();
            assert!(theirs[place + bytes..place + size].iter().all(|&byte| byte == 0));
        }
        assert_eq!(made["partitions"][0]["offset"], said[0]["offset"]);
        // The verified content is the file system.
        assert_eq!(sandbox.run(&["verify", "image", "--root-hash-file=root-hash"]).code, Some(0));
    }
}

#[test]
fn the_same_options_make_the_same_bytes() {
    let sandbox = sandbox();
    let options = ["--root=root", "--usr=usr", "--fec-roots=4", "--defer-signature", "--salt-seed=x"];
    let make = |output: &str, more: &[&str]| {
        ok(&sandbox, &[&["build", &format!("--output={output}")], &options[..], more].concat());
        sandbox.read(output)
    };
    let one = make("one", &["--threads=1"]);
    assert!(one == make("two", &["--threads=3"]));
    // Another seed makes another image, in every partition's UUID too.
    ok(&sandbox, &["build", "--output=other", "--root=root", "--salt-seed=y"]);
    let [ours, other] = ["one", "other"].map(|name| object(&sandbox, &["inspect", name]));
    assert_ne!(ours["table"]["disk_uuid"], other["table"]["disk_uuid"]);
    assert_ne!(ours["images"][0]["root_hash"], other["images"][0]["root_hash"]);
    // The seed is that of `format`.
    let root_hash = ok(&sandbox, &["format", "usr", "hash", "--salt-seed=x usr"]).field("Root hash").to_owned();
    assert_eq!(ours["images"][1]["root_hash"], root_hash);
    assert_eq!(ours["images"][0]["superblock"]["fec"]["roots"], 4);
    assert_eq!(ours["images"][0]["signature"]["state"], "empty");
    // And a dry run computes the same, without a file.
    let dry = object(&sandbox, &[&["build", "--output=none", "--dry-run"], &options[..]].concat());
    assert_eq!(dry["images"][0]["root_hash"], ours["images"][0]["root_hash"]);
    assert_eq!(dry["partitions"], ours["partitions"]);
    assert!(!sandbox.path("none").exists());
}

#[test]
fn nothing_but_the_options_decides_without_a_seed() {
    let sandbox = sandbox();
    let uuid = "--uuid=a60c98d2-ae9b-4865-bfcb-b4e3ace11033";
    for output in ["one", "two"] {
        ok(&sandbox, &["build", &format!("--output={output}"), "--root=root", "--salt=5a17", uuid]);
    }
    assert!(sandbox.read("one") == sandbox.read("two"));
    let set = object(&sandbox, &["inspect", "one"])["images"][0].clone();
    assert_eq!(set["superblock"]["uuid"], "a60c98d2-ae9b-4865-bfcb-b4e3ace11033");
    assert_eq!(set["superblock"]["salt"], "5a17");
    // By default they are random.
    let random = ["three", "four"].map(|output| {
        object(&sandbox, &["build", &format!("--output={output}"), "--root=root"])["images"][0]["root_hash"].clone()
    });
    assert_ne!(random[0], random[1]);
}

#[test]
fn holes_stay_holes() {
    let sandbox = Sandbox::new();
    let file = File::create(sandbox.path("fs")).unwrap();
    file.set_len(1 << 30).unwrap();
    for (place, bytes) in [(5 << 20, 3 << 20), (700 << 20, 1 << 20)] {
        file.write_all_at(&vec![7; bytes], place).unwrap();
    }
    // Zeros that are written become a hole too.
    file.write_all_at(&vec![0; 4 << 20], 900 << 20).unwrap();
    ok(&sandbox, &["build", "--output=image", "--root=fs", "--min-size", "--salt=-"]);
    let metadata = fs::metadata(sandbox.path("image")).unwrap();
    let (data, tree) = (1 << 30, 8 << 20);
    assert!(metadata.len() > data + tree);
    // The data, and the tree over holes.
    assert!(metadata.blocks() * 512 < (4 << 20) + tree + (1 << 20), "{}", metadata.blocks() * 512);
    let root_hash = ok(&sandbox, &["format", "fs", "hash", "--salt=-"]).field("Root hash").to_owned();
    assert_eq!(sandbox.run(&["verify", "image", &format!("--root-hash={root_hash}")]).code, Some(0));
}

#[test]
fn an_interrupted_build_leaves_nothing() {
    let sandbox = Sandbox::in_memory();
    sandbox.write("fs", &painted(64 << 20));
    let arguments = ["build", "--output=image", "--root=fs", "--fec-roots=20", "--threads=1", "-q"];
    for (signal, millis) in [("INT", 5), ("TERM", 60), ("INT", 150), ("KILL", 30), ("KILL", 120)] {
        let mut child =
            sandbox.command(veritysetup(), &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(millis));
        let killed = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
        let ended = child.wait().unwrap();
        assert!(killed.success(), "{signal}");
        if sandbox.path("image").exists() {
            // It was faster: then all of it is there.
            assert_eq!(sandbox.run(&["verify", "image"]).code, Some(0), "{signal} {ended:?}");
            fs::remove_file(sandbox.path("image")).unwrap();
            continue;
        }
        assert!(!ended.success(), "{signal}");
        for (path, _) in sandbox.snapshot().iter().filter(|(path, _)| !path.ends_with("fs")) {
            // A process that is killed cannot remove its file; it is no image.
            assert_eq!(signal, "KILL", "{path:?} is left");
            let found = sandbox.run(&["inspect", path.to_str().unwrap()]);
            assert_eq!(found.code, Some(2), "{found:?}");
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_made_is_refused_and_nothing_is_changed() {
    let sandbox = sandbox();
    sandbox.write("kept", b"kept");
    fs::create_dir(sandbox.path("folder")).unwrap();
    let before = sandbox.snapshot();
    for (arguments, code, expected) in [
        (&["--output=kept"][..], 1, "veritysetup: build: requires --root or --usr"),
        (&["--root=root"], 1, "veritysetup: build: requires --output"),
        (&["--output=kept", "--root=missing"], 4, "Device missing does not exist or access denied."),
        (&["--output=kept", "--root=folder"], 4, ""),
        (&["--output=folder", "--root=root"], 1, "Cannot create disk image folder."),
        (&["--output=/dev/null", "--root=root"], 1, "Cannot create disk image /dev/null."),
        (&["--output=/dev/new", "--root=root"], 1, "Cannot create disk image /dev/new."),
        (&["--output=missing/new", "--root=root"], 1, "Cannot create disk image missing/new."),
        (&["--output=root", "--root=root"], 1, "Cannot create disk image root."),
        (&["--output=kept", "--root=root", "--sector-size=1024"], 1, "Cannot create disk image kept."),
        (&["--output=kept", "--root=root", "--sector-size=x"], 1, "veritysetup: invalid numeric value"),
        (&["--output=kept", "--root=root", "--arch=z80"], 1, "Invalid value of option --arch."),
        (&["--output=kept", "--root=root", "--fec-roots=1"], 1, "Invalid number of parity bytes."),
        (&["--output=kept", "--root=root", "--hash=md5"], 1, ""),
        (&["--output=kept", "--root=root", "--hash=bogus"], 1, "Hash algorithm bogus not supported."),
        (&["--output=kept", "--root=root", "--uuid=x"], 1, "Wrong UUID format provided."),
        (&["--output=kept", "--root=root", "--salt=x"], 1, "Invalid salt string specified."),
        (
            &["--output=kept", "--root=root", "--salt=00", "--salt-seed=x"],
            1,
            "veritysetup: Option --salt and --salt-seed cannot be used together.",
        ),
        (&["--output=kept", "--root=root", "--usr"], 1, "--usr: missing argument"),
        (
            &["--output=kept", "--root=root", "--policy=*"],
            1,
            "veritysetup: Option --policy is not allowed with build action.",
        ),
    ] {
        let arguments = [&["build"], arguments].concat();
        let outcome = sandbox.run(&arguments);
        assert_eq!(outcome.code, Some(code), "{arguments:?}: {outcome:?}");
        assert!(
            outcome.stderr.lines().any(|line| line == expected) || expected.is_empty(),
            "{arguments:?}: {outcome:?}"
        );
        let json = sandbox.run(&[&arguments[..], &["--json"]].concat());
        schema::check(&json.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        assert!(sandbox.snapshot() == before, "{arguments:?}");
    }
    // An image that is there is replaced, and a link to it stays one.
    std::os::unix::fs::symlink("kept", sandbox.path("link")).unwrap();
    ok(&sandbox, &["build", "--output=link", "--root=root"]);
    assert!(sandbox.path("link").is_symlink());
    assert_eq!(sandbox.run(&["inspect", "kept"]).code, Some(0));
    let usr = sandbox.run(&["verify", "root", "usr", "00", "--usr=x"]);
    assert_eq!((usr.code, usr.stderr.lines().last()), (Some(1), Some("--usr=x: option does not take an argument")));
}
