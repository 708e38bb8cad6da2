//! Each kind of bad input: message, stream and exit code. A refused command changes and creates no file. Cases that
//! need device-mapper are tested on real kernels.

mod command_line;
mod fec;

use dmverity_tests::schema;
use dmverity_tests::vectors::painted;
use serde_json::Value;

use crate::sandbox::{Outcome, Sandbox};

const ROOT_HASH: &str = "4124f9e30fdb0aea1bdff64d02ce75c19507062a0ff83e1ac0810638b99ec188";

/// 300 data blocks and a valid hash device over them, whose root hash is [`ROOT_HASH`].
fn image() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    let made = sandbox.run(&["format", "d", "h", "--salt=aa", "--uuid=a60c98d2-ae9b-4865-bfcb-b4e3ace11033"]);
    assert_eq!((made.code, made.field("Root hash")), (Some(0), ROOT_HASH));
    sandbox
}

/// Runs a command that must be refused with exactly this text on standard error and nothing on standard output.
#[track_caller]
pub(crate) fn refused(sandbox: &Sandbox, command: &str, code: i32, stderr: &str) {
    let arguments: Vec<&str> = command.split_whitespace().collect();
    let before = sandbox.snapshot();
    let outcome = sandbox.run(&arguments);
    let expected = Outcome { code: Some(code), stdout: String::new(), stderr: stderr.to_owned() };
    assert_eq!(outcome, expected, "{command}");
    refused_as_json(sandbox, &arguments, code, stderr);
    assert!(sandbox.snapshot() == before, "{command} changed a file");
}

/// The same command with `--json` prints the same in one object, and nothing on standard error.
#[track_caller]
fn refused_as_json(sandbox: &Sandbox, arguments: &[&str], code: i32, stderr: &str) {
    let arguments: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
    let outcome = sandbox.run(&arguments);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(code), ""), "{arguments:?}");
    let object = schema::check(&outcome.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    let error = &object["error"];
    assert_eq!(error["code"], code, "{arguments:?}");
    let warnings =
        object["warnings"].as_array().into_iter().flatten().map(|warning| format!("WARNING: {}\n", text(warning)));
    let message = [format!("{}\n", text(&error["message"]))];
    let hints = error["hints"].as_array().into_iter().flatten().map(|hint| format!("hint: {}\n", text(hint)));
    let (message, hints) = (message.concat(), hints.collect::<String>());
    let warnings: String = warnings.collect();
    // After the line of usage the hints come first.
    let said = [format!("{warnings}{message}{hints}"), format!("{hints}{message}")];
    assert!(said.iter().any(|said| stderr.ends_with(said)), "{arguments:?}: {stderr} and {said:?}");
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Like [`refused`], for a command line that cannot be parsed: a line of usage, for the action if there is one, and the
/// hints precede the message, which is the last line.
#[track_caller]
pub(crate) fn misused(sandbox: &Sandbox, command: &str, message: &str) {
    const ARGUMENTS: &[(&[&str], &str)] = &[
        (&["format"], "format [OPTION...] <data_device> <hash_device>"),
        (&["verify"], "verify [OPTION...] <data_device> <hash_device> [<root_hash>]"),
        (&["repair"], "repair [OPTION...] <data_device> <hash_device> [<root_hash>]"),
        (&["open", "create"], "open [OPTION...] <data_device> <name> <hash_device> [<root_hash>]"),
        (&["close", "remove"], "close [OPTION...] <name>"),
        (&["status"], "status [OPTION...] <name>"),
        (&["dump"], "dump [OPTION...] <hash_device>"),
        (&["plan"], "plan [OPTION...] [<data_device>]"),
        (&["table"], "table [OPTION...] <data_device> <hash_device> [<root_hash>]"),
        (&["features"], "features [OPTION...]"),
        (&["benchmark"], "benchmark [OPTION...]"),
    ];
    let usage = |word| ARGUMENTS.iter().find(|(names, _)| names.contains(&word)).map(|&(_, usage)| usage);
    let usage = command.split(' ').find_map(usage).unwrap_or("[OPTION...] <action> <action-specific>");
    let (hints, lines): (Vec<&str>, Vec<&str>) =
        message.split_inclusive('\n').partition(|line| line.starts_with("hint: "));
    let stderr = format!("Usage: veritysetup {usage}\n{}{}", hints.concat(), lines.concat());
    refused(sandbox, command, 1, &stderr);
}

#[test]
fn devices_that_are_missing_or_none() {
    let sandbox = image();
    let missing = "Device nosuch does not exist or access denied.\n";
    refused(&sandbox, "format nosuch h", 4, missing);
    refused(&sandbox, "format nosuch new", 4, missing);
    refused(&sandbox, &format!("verify nosuch h {ROOT_HASH}"), 4, missing);
    refused(&sandbox, &format!("verify d nosuch {ROOT_HASH}"), 4, missing);
    refused(&sandbox, &format!("open nosuch v0 h {ROOT_HASH}"), 4, missing);
    refused(&sandbox, &format!("open d v0 nosuch {ROOT_HASH}"), 4, missing);
    refused(&sandbox, "dump nosuch", 4, missing);

    std::fs::create_dir(sandbox.path("dir")).unwrap();
    let hint = "hint: a block device or a regular file is needed.\n";
    for device in ["dir", "/dev/null"] {
        let message = format!("Device {device} is not compatible.\n{hint}");
        refused(&sandbox, &format!("format {device} new"), 4, &message);
        refused(&sandbox, &format!("format d {device}"), 4, &message);
        refused(&sandbox, &format!("verify {device} h {ROOT_HASH}"), 4, &message);
        refused(&sandbox, &format!("open d v0 {device} {ROOT_HASH}"), 4, &message);
        refused(&sandbox, &format!("dump {device}"), 4, &message);
    }
}

#[test]
fn hash_devices_without_a_usable_superblock() {
    let sandbox = image();
    let not_valid = "Device bad is not a valid VERITY device.\n";
    let patched = |offset: usize, patch: &[u8]| {
        let mut bytes = sandbox.read("h");
        bytes[offset..offset + patch.len()].copy_from_slice(patch);
        sandbox.write("bad", &bytes);
    };
    patched(0, b"x");
    for command in [&format!("verify d bad {ROOT_HASH}"), &format!("open d v0 bad {ROOT_HASH}"), "dump bad"] {
        refused(&sandbox, command, 1, not_valid);
    }
    for offset in [4096, 1_048_576] {
        let hint = "hint: there is a superblock at byte 0: use --hash-offset=0.\n";
        let message = format!("Device h is not a valid VERITY device.\n{hint}");
        refused(&sandbox, &format!("dump h --hash-offset={offset}"), 1, &message);
    }
    for length in [0, 511] {
        sandbox.write("bad", &sandbox.read("h")[..length]);
        refused(&sandbox, "dump bad", 1, not_valid);
    }
    let reasons: [(usize, &[u8], &str, &str); 9] = [
        (8, &[2], "Unsupported VERITY version 2.\n", ""),
        (12, &[2], "Unsupported VERITY hash type 2.\n", ""),
        (32, b"nosuch\0", "Hash algorithm nosuch not supported.\n", ""),
        (32, b"\0", "Hash algorithm  not supported.\n", ""),
        (
            64,
            &[1],
            "Unsupported VERITY block size.\n",
            "hint: block sizes are powers of two from 512 to 524288 bytes; 4097 is not one.\n",
        ),
        (
            68,
            &[0, 0, 0, 128],
            "Unsupported VERITY block size.\n",
            "hint: block sizes are powers of two from 512 to 524288 bytes; 2147483648 is not one.\n",
        ),
        (72, &[0; 8], "VERITY header corrupted.\n", "hint: it covers no data blocks.\n"),
        (72, &[255; 8], "VERITY header corrupted.\n", "hint: it covers more data than a device can hold.\n"),
        (80, &[1, 1], "VERITY header corrupted.\n", "hint: the salt is longer than 256 bytes.\n"),
    ];
    for (offset, patch, reason, hint) in reasons {
        patched(offset, patch);
        refused(&sandbox, "dump bad", 1, &format!("{reason}{not_valid}{hint}"));
        refused(&sandbox, &format!("verify d bad {ROOT_HASH}"), 1, &format!("{reason}{not_valid}{hint}"));
    }
}

#[test]
fn parameters_the_format_does_not_have() {
    let sandbox = image();
    let sizes = "hint: block sizes are powers of two from 512 to 524288 bytes;";
    for hash_device in ["h", "new"] {
        let format = |options: &str, stderr: &str| {
            refused(&sandbox, &format!("format d {hash_device} {options}"), 1, stderr);
        };
        format("--hash=nosuch", "Hash algorithm nosuch not supported.\n");
        for salt in ["zz", "aaa", "0x00", "--"] {
            format(&format!("--salt={salt}"), "Invalid salt string specified.\n");
        }
        format(
            &format!("--salt={}", "ab".repeat(257)),
            "Invalid salt string specified.\nhint: the salt has 257 bytes; the maximum is 256.\n",
        );
        for size in [0, 1, 256, 3000, 1_048_576, u32::MAX] {
            let message = format!("Unsupported VERITY block size.\n{sizes} {size} is not one.\n");
            format(&format!("--data-block-size={size}"), &message);
            format(&format!("--hash-block-size={size}"), &message);
        }
        format("--format=2", "Unsupported VERITY hash type 2.\n");
        for uuid in ["abc", "{a60c98d2-ae9b-4865-bfcb-b4e3ace11033}", "a60c98d2ae9b4865bfcbb4e3ace11033"] {
            let message = format!("Wrong VERITY UUID format provided on device {hash_device}.\n");
            format(&format!("--uuid={uuid}"), &message);
        }
        for offset in [1_u64, 100, 513, 1 << 63] {
            format(&format!("--hash-offset={offset}"), "Unsupported VERITY hash offset.\n");
            format(&format!("--fec-offset={offset}"), "Unsupported VERITY FEC offset.\n");
        }
        format("--hash-offset=9223372036854775296", "Unsupported VERITY hash offset.\n");
        format(
            "--data-blocks=301",
            "Device d is too small.\nhint: it has 1228800 bytes, but 1232896 are \
             needed.\n",
        );
        format(
            "--data-blocks=18446744073709551615",
            "Device offset overflow.\n\
             hint: 18446744073709551615 data blocks of 4096 bytes are more than a device can hold.\n",
        );
        format(
            "--data-block-size=524288 --data-blocks=3",
            "Device d is too small.\nhint: it has 1228800 bytes, but 1572864 are needed.\n",
        );
    }
    sandbox.write("small", &[0; 4095]);
    let message = "Device small is too small.\nhint: it has 4095 bytes, but one data block has 4096.\n";
    refused(&sandbox, "format small new", 1, message);
    refused(
        &sandbox,
        "dump h --hash-offset=100",
        1,
        "Unsupported VERITY hash offset.\nDevice h is not a valid VERITY device.\n",
    );
}

#[test]
fn areas_that_overlap() {
    let sandbox = image();
    let message = |start: u64| {
        format!(
            "Data area overlaps with hash area.\n\
             hint: the data area ends at byte 1228800, the hash area starts at byte {start}.\n"
        )
    };
    refused(&sandbox, "format d d", 1, &message(0));
    refused(&sandbox, "format d d --data-blocks=300 --hash-offset=1228288", 1, &message(1_228_288));
    std::os::unix::fs::symlink("d", sandbox.path("link")).unwrap();
    refused(&sandbox, "format d link", 1, &message(0));
    std::fs::hard_link(sandbox.path("d"), sandbox.path("same")).unwrap();
    refused(&sandbox, "format d same", 1, &message(0));
    // Without superblock the tree starts at the hash block below the offset: here inside the data.
    refused(
        &sandbox,
        "format d d --no-superblock --hash-block-size=65536 --data-blocks=300 --hash-offset=1228800",
        1,
        &message(1_179_648),
    );
}

#[test]
fn root_hashes() {
    let sandbox = image();
    let invalid = "Invalid root hash string specified.\n";
    for command in ["verify d h", "open d v0 h"] {
        refused(&sandbox, command, 1, "Command requires <root_hash> or --root-hash-file option as argument.\n");
        for text in ["zz", &format!("0{ROOT_HASH}"), "0x00"] {
            refused(&sandbox, &format!("{command} {text}"), 1, invalid);
        }
        let hint = "hint: a sha256 root hash has 64 hexadecimal digits, not 62.\n";
        refused(&sandbox, &format!("{command} {}", &ROOT_HASH[2..]), 1, &format!("{invalid}{hint}"));

        let missing = "Cannot read root hash file nosuch.\nhint: No such file or directory.\n";
        refused(&sandbox, &format!("{command} --root-hash-file=nosuch"), 4, missing);
        sandbox.write("empty", b"\n");
        let hint = "hint: it has 1 bytes, but a sha256 root hash has 64 hexadecimal digits.\n";
        let message = format!("Invalid root hash file empty.\n{hint}");
        refused(&sandbox, &format!("{command} --root-hash-file=empty"), 1, &message);
        sandbox.write("text", &[b'x'; 64]);
        let hint = "hint: it was read from text.\n";
        refused(&sandbox, &format!("{command} --root-hash-file=text"), 1, &format!("{invalid}{hint}"));
    }
    for hash_device in ["h", "new"] {
        let message = "Cannot create root hash file nosuch/root for writing.\nhint: No such file or directory.\n";
        refused(&sandbox, &format!("format d {hash_device} --root-hash-file=nosuch/root"), 1, message);
    }
}

#[test]
fn images_that_are_shorter_than_they_say() {
    let sandbox = image();
    sandbox.write("short", &painted(1_000_000));
    let hint = "hint: short: it has 1000000 bytes, but 1228800 are needed.\n";
    let message = format!("Verification of data area failed.\n{hint}");
    refused(&sandbox, &format!("verify short h {ROOT_HASH}"), 1, &message);
    let message = "Device short is too small.\nhint: it has 1000000 bytes, but 1228800 are needed.\n";
    refused(&sandbox, &format!("open short v0 h {ROOT_HASH}"), 1, message);

    sandbox.write("short", &sandbox.read("h")[..12288]);
    let hint = "hint: short: it has 12288 bytes, but 20480 are needed.\n";
    let message = format!("Verification of data area failed.\n{hint}");
    refused(&sandbox, &format!("verify d short {ROOT_HASH}"), 1, &message);
    let message = "Device short is too small.\nhint: it has 12288 bytes, but 20480 are needed.\n";
    refused(&sandbox, &format!("open d v0 short {ROOT_HASH}"), 1, message);
}

/// Without a superblock that gives their size, the data can be the tree itself, which the root hash then proves.
#[test]
fn areas_that_overlap_without_a_superblock() {
    let sandbox = image();
    sandbox.write("tree", &sandbox.read("h")[4096..8192]);
    let message =
        "Data area overlaps with hash area.\nhint: the data area ends at byte 4096, the hash area starts at byte 0.\n";
    for command in ["verify tree ./tree", "table tree ./tree", "open tree v0 ./tree"] {
        refused(&sandbox, &format!("{command} {ROOT_HASH} --salt=aa --no-superblock"), 1, message);
    }
    assert_eq!(
        sandbox.reference(&["verify", "tree", "./tree", ROOT_HASH, "--salt=aa", "--no-superblock"]).code,
        Some(1)
    );
}

#[test]
fn images_that_do_not_match() {
    let sandbox = image();
    let verify = format!("verify bad h {ROOT_HASH}");
    sandbox.write("bad", &sandbox.read("d"));
    sandbox.flip("bad", 5000);
    refused(&sandbox, &verify, 2, "Verification failed at position 4096.\nVerification of data area failed.\n");
    for block in [7, 200, 299] {
        sandbox.flip("bad", block * 4096 + 17);
    }
    refused(
        &sandbox,
        &verify,
        2,
        "Verification failed at position 4096.\nVerification failed at position 28672.\n\
         Verification failed at position 819200.\nVerification failed at position 1224704.\n\
         Verification of data area failed.\n",
    );
    // Twenty by name, the others by number.
    sandbox.write("bad", &vec![0; 300 * 4096]);
    let named: Vec<_> = (0..20).map(|block| format!("Verification failed at position {}.\n", block * 4096)).collect();
    let named = named.concat();
    refused(
        &sandbox,
        &verify,
        2,
        &format!("{named}Verification failed at 280 more positions.\nVerification of data area failed.\n"),
    );

    let verify = format!("verify d bad {ROOT_HASH}");
    let hash_flipped = |offset, message: &str| {
        sandbox.write("bad", &sandbox.read("h"));
        sandbox.flip("bad", offset);
        refused(&sandbox, &verify, 2, &format!("{message}Verification of data area failed.\n"));
    };
    // The top block is at 4096 and holds three digests; the level below is at 8192, 12288 and 16384.
    hash_flipped(5000, "Spare area is not zeroed at position 4192.\n");
    hash_flipped(12288, "Verification failed at position 524288.\nVerification failed at position 12288.\n");
    hash_flipped(4100, "Verification failed at position 8192.\n");
    hash_flipped(20479, "Spare area is not zeroed at position 17792.\nVerification failed at position 16384.\n");

    let other = format!("0{}", &ROOT_HASH[1..]);
    refused(&sandbox, &format!("verify d h {other}"), 1, "Verification of root hash failed.\n");
}

#[test]
fn mapping_names() {
    let sandbox = image();
    let open = |name: &str, message: &str| {
        refused(&sandbox, &format!("open d {name} h {ROOT_HASH}"), 1, message);
        refused(&sandbox, &format!("create {name} d h {ROOT_HASH}"), 1, message);
    };
    open("a/b", "Name must not contain '/' character.\n");
    open(&"a".repeat(128), "Name is too long.\n");
    open("..", "Cannot use device .., name is invalid or still in use.\n");
}

#[test]
fn signature_files() {
    let sandbox = image();
    refused(
        &sandbox,
        &format!("open d v0 h {ROOT_HASH} --root-hash-signature=nosuch"),
        1,
        "Invalid signature file nosuch.\nhint: No such file or directory.\n",
    );
    sandbox.write("empty", b"");
    refused(
        &sandbox,
        &format!("open d v0 h {ROOT_HASH} --root-hash-signature=empty"),
        1,
        "Invalid signature file empty.\nhint: it is empty.\n",
    );
    sandbox.write("long", &vec![1; 32768]);
    for (file, message) in
        [("long", "Failed to load key in kernel keyring."), ("/dev/zero", "Invalid signature file /dev/zero.")]
    {
        let hint = format!("hint: {file} is longer than 32767 bytes, the kernel's limit for a key.\n");
        let message = format!("{message}\n{hint}");
        refused(&sandbox, &format!("open d v0 h {ROOT_HASH} --root-hash-signature={file}"), 1, &message);
    }
    let message = "Invalid root hash string specified.\nhint: it was read from /dev/zero.\n";
    refused(&sandbox, "verify d h --root-hash-file=/dev/zero", 1, message);
}
