//! Each kind of bad input: message, stream and exit code together, and that a refused command leaves every file as it
//! was and makes none. What needs device-mapper is tested on real kernels.

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

/// Runs a command that has to be refused, with exactly these words on standard error, and nothing on standard output.
#[track_caller]
pub(crate) fn refused(sandbox: &Sandbox, command: &str, code: i32, stderr: &str) {
    let arguments: Vec<&str> = command.split_whitespace().collect();
    let before = sandbox.snapshot();
    let outcome = sandbox.run(&arguments);
    let expected = Outcome { code: Some(code), stdout: String::new(), stderr: stderr.to_owned() };
    assert_eq!(outcome, expected, "{command}");
    // It prints as it goes, and no object.
    if !arguments.contains(&"benchmark") {
        refused_as_json(sandbox, &arguments, code, stderr);
    }
    assert!(sandbox.snapshot() == before, "{command} changed a file");
}

/// The same command with `--json` says the same in one object, and nothing on standard error.
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

/// Like [`refused`], for a command line that cannot be understood: before the message is one line of usage, for the
/// action if there is one, and then the hints, so that the message is the last line.
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
fn forward_error_correction_options() {
    let sandbox = image();
    for hash_device in ["h", "new"] {
        let format = |options: &str, stderr: &str| {
            refused(&sandbox, &format!("format d {hash_device} {options}"), 1, stderr);
        };
        for roots in [0, 1, 25, 255] {
            let hint = format!("hint: --fec-roots is a number from 2 to 24, not {roots}.\n");
            format(&format!("--fec-device=f --fec-roots={roots}"), &format!("Invalid number of parity bytes.\n{hint}"));
        }
        format(
            "--fec-device=f --hash-block-size=512",
            "Block sizes must match for FEC.\nhint: the data block size is 4096 bytes, the hash block size 512.\n",
        );
        format("--fec-device=f --fec-offset=100", "Unsupported VERITY FEC offset.\n");
        format("--fec-device=f --fec-offset=9223372036854775296", "Unsupported VERITY FEC offset.\n");
        format(
            &format!("--fec-device={hash_device} --fec-offset=4096"),
            "Hash area overlaps with FEC area.\n\
             hint: the hash area ends at byte 20480, the FEC area starts at byte 4096.\n",
        );
        format(
            "--fec-device=d",
            "Data area overlaps with FEC area.\n\
             hint: the data area ends at byte 1228800, the FEC area starts at byte 0.\n",
        );
        let format = |options: &str, stderr: &str| {
            refused(&sandbox, &format!("format d {hash_device} {options}"), 4, stderr);
        };
        format(
            "--fec-device=/dev/null",
            "Device /dev/null is not compatible.\nhint: a block device or a regular file is needed.\n",
        );
    }
}

/// Open leaves the correcting to the kernel, but not the checking: some kernels take FEC areas that are too small.
#[test]
fn forward_error_correction_devices_of_open() {
    let sandbox = image();
    let open = |options: &str, code, stderr: &str| {
        refused(&sandbox, &format!("open d v0 h {ROOT_HASH} {options}"), code, stderr);
    };
    open("--fec-device=f", 4, "Device f does not exist or access denied.\n");
    sandbox.write("f", &[0; 16383]);
    open("--fec-device=f", 1, "Device f is too small.\nhint: it has 16383 bytes, but 16384 are needed.\n");
    open(
        "--fec-device=f --fec-roots=24 --fec-offset=4096",
        1,
        "Device f is too small.\nhint: it has 16383 bytes, but 200704 are needed.\n",
    );
    open("--fec-device=f --fec-offset=100", 1, "Unsupported VERITY FEC offset.\n");
    open(
        "--fec-device=f --fec-offset=512",
        1,
        "Unsupported VERITY FEC offset.\n\
         hint: the kernel needs a FEC device, and an offset on it that is a multiple of the block size.\n",
    );
    open(
        "--fec-device=h --fec-offset=8192",
        1,
        "Hash area overlaps with FEC area.\nhint: the hash area ends at byte 20480, the FEC area starts at byte \
         8192.\n",
    );
}

#[test]
fn forward_error_correction_devices_that_are_no_use() {
    let sandbox = image();
    let missing = "Device f does not exist or access denied.\n";
    let not_compatible = "Device dir is not compatible.\nhint: a block device or a regular file is needed.\n";
    std::fs::create_dir(sandbox.path("dir")).unwrap();
    refused(&sandbox, "dump h --fec-device=f", 4, missing);
    refused(&sandbox, "dump h --fec-device=dir", 4, not_compatible);
    let strict = format!("verify --strict d h {ROOT_HASH}");
    let repair = format!("repair d h {ROOT_HASH}");
    let dry_run = format!("{repair} --dry-run");
    for command in [&strict, &repair, &dry_run] {
        refused(&sandbox, &format!("{command} --fec-device=f"), 4, missing);
        refused(&sandbox, &format!("{command} --fec-device=dir"), 4, not_compatible);
    }
    sandbox.write("f", &[0; 16383]);
    for command in [&strict, &repair, &dry_run] {
        let refused = |options: &str, stderr: &str| refused(&sandbox, &format!("{command} {options}"), 1, stderr);
        refused("--fec-device=f", "Device f is too small.\nhint: it has 16383 bytes, but 16384 are needed.\n");
        refused(
            "--fec-device=f --fec-roots=24 --fec-offset=4096",
            "Device f is too small.\nhint: it has 16383 bytes, but 200704 are needed.\n",
        );
        refused("--fec-device=f --fec-offset=100", "Unsupported VERITY FEC offset.\n");
        refused(
            "--fec-device=f --fec-roots=25",
            "Invalid number of parity bytes.\nhint: --fec-roots is a number from 2 to 24, not 25.\n",
        );
        refused(
            "--fec-device=h --fec-offset=8192",
            "Hash area overlaps with FEC area.\n\
             hint: the hash area ends at byte 20480, the FEC area starts at byte 8192.\n",
        );
        refused(
            "--fec-device=d",
            "Data area overlaps with FEC area.\n\
             hint: the data area ends at byte 1228800, the FEC area starts at byte 0.\n",
        );
    }
    // Whether it is needed or not.
    for _ in 0..2 {
        let verify = format!("verify d h {ROOT_HASH} --fec-device=nosuch");
        refused(&sandbox, &verify, 4, "Device nosuch does not exist or access denied.\n");
        sandbox.flip("d", 5000);
    }

    sandbox.write("f", &[0; 16384]);
    let no_root_hash = "Command requires <root_hash> or --root-hash-file option as argument.\n";
    refused(&sandbox, "repair d h --fec-device=f", 1, no_root_hash);
    let hint = "hint: a sha256 root hash has 64 hexadecimal digits, not 2.\n";
    let invalid = format!("Invalid root hash string specified.\n{hint}");
    refused(&sandbox, "repair d h 00 --fec-device=f", 1, &invalid);
    for command in ["repair nosuch h", "repair d nosuch"] {
        let command = format!("{command} {ROOT_HASH} --fec-device=f");
        refused(&sandbox, &command, 4, "Device nosuch does not exist or access denied.\n");
    }
    sandbox.write("short", &painted(1_000_000));
    let message = "Device short is too small.\nhint: it has 1000000 bytes, but 1228800 are needed.\n";
    refused(&sandbox, &format!("repair short h {ROOT_HASH} --fec-device=f"), 1, message);
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

/// Where no superblock says how large the data are, they can be the tree itself, whose root hash then proves it.
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
    for file in ["long", "/dev/zero"] {
        let hint = format!("hint: {file} is longer than 32767 bytes, the kernel's limit for a key.\n");
        let message = format!("Failed to load key in kernel keyring.\n{hint}");
        refused(&sandbox, &format!("open d v0 h {ROOT_HASH} --root-hash-signature={file}"), 1, &message);
    }
    let message = "Invalid root hash string specified.\nhint: it was read from /dev/zero.\n";
    refused(&sandbox, "verify d h --root-hash-file=/dev/zero", 1, message);
}

#[test]
fn command_lines_that_mean_nothing() {
    let sandbox = image();
    misused(&sandbox, "", "veritysetup: Argument <action> missing.\n");
    misused(&sandbox, "bogus", "veritysetup: Unknown action.\n");
    misused(&sandbox, "format d", "veritysetup: format: requires <data_device> <hash_device> as arguments\n");
    misused(
        &sandbox,
        "verify d",
        "veritysetup: verify: requires <data_device> <hash_device> [<root_hash>] as arguments\n",
    );
    misused(
        &sandbox,
        "repair d",
        "veritysetup: repair: requires <data_device> <hash_device> [<root_hash>] as arguments\n",
    );
    misused(
        &sandbox,
        "open d v0",
        "veritysetup: open: requires <data_device> <name> <hash_device> [<root_hash>] as arguments\n",
    );
    for action in ["close", "status"] {
        misused(&sandbox, action, &format!("veritysetup: {action}: requires <name> as arguments\n"));
    }
    misused(&sandbox, "dump", "veritysetup: dump: requires <hash_device> as arguments\n");
    misused(&sandbox, "--nosuch format d new", "--nosuch: unknown option\n");
    misused(&sandbox, "-x format d new", "-x: unknown option\n");
    misused(&sandbox, "format d new --salt", "--salt: missing argument\n");
    misused(&sandbox, "format d new --debug=1", "--debug=1: option does not take an argument\n");
    // The word as it was given.
    misused(&sandbox, "format d new --Salt=aa", "hint: did you mean --salt?\n--Salt=aa: unknown option\n");
    misused(&sandbox, "format d new -vx", "-vx: unknown option\n");
    misused(&sandbox, "format d new -saa -=", "-=: unknown option\n");
    misused(&sandbox, "format d new -s", "-s: missing argument\n");
    misused(&sandbox, "format d new -vs", "-vs: missing argument\n");
    for (option, text, most) in [
        ("format", "x", u64::from(u32::MAX)),
        ("data-blocks", "-1", u64::MAX),
        ("data-block-size", "4k", u64::from(u32::MAX)),
        ("hash-offset", "0x200", u64::MAX),
    ] {
        let hint = format!("hint: --{option} takes a decimal number from 0 to {most}, not {text}.\n");
        let message = format!("veritysetup: invalid numeric value\n{hint}");
        misused(&sandbox, &format!("format d new --{option}={text}"), &message);
        misused(&sandbox, &format!("format d new --{option} {text}"), &message);
    }
    // These have 32 bits, also where they do not count.
    for option in ["format", "data-block-size", "hash-block-size", "fec-roots"] {
        let hint = format!("hint: --{option} takes a decimal number from 0 to 4294967295, not 4294967296.\n");
        let message = format!("veritysetup: invalid numeric value\n{hint}");
        misused(&sandbox, &format!("format d new --{option}=4294967296"), &message);
        misused(&sandbox, &format!("verify d h {ROOT_HASH} --{option}=4294967296"), &message);
    }
}

#[test]
fn options_with_actions_that_do_not_take_them() {
    let sandbox = image();
    let open_or_table = ["open", "table"];
    let long = ["format", "verify", "repair"];
    let allowed: &[(&str, &[&str])] = &[
        ("root-hash-file=x", &["format", "open", "verify", "repair", "table"]),
        ("root-hash-signature=x", &open_or_table),
        ("ignore-corruption", &open_or_table),
        ("restart-on-corruption", &open_or_table),
        ("panic-on-corruption", &open_or_table),
        ("ignore-zero-blocks", &open_or_table),
        ("error-as-corruption", &open_or_table),
        ("use-tasklets", &open_or_table),
        ("expect=x", &["verify", "repair", "open", "table"]),
        ("expect-data-blocks=1", &["verify", "repair", "open", "table"]),
        ("shared", &["open"]),
        ("no-fallback", &["open"]),
        ("strict", &["verify"]),
        ("dry-run", &["format", "repair", "open"]),
        ("like=h", &["format"]),
        ("root-hash", &["dump"]),
        ("from-cmdline=x", &["open"]),
        ("json", &["format", "verify", "repair", "open", "close", "status", "dump", "plan", "table", "features"]),
        ("env", &["format", "status", "dump", "plan"]),
        ("append", &["format", "plan"]),
        ("data-size=4096", &["plan"]),
        ("salt-seed=x", &["format"]),
        ("deterministic", &["format"]),
        ("partition-uuids", &["format", "table"]),
        ("progress-json", &long),
        ("progress-frequency=1", &long),
        ("tree", &["dump"]),
        ("dm-mod-create=x", &["table"]),
        ("veritytab=x", &["table"]),
        ("cmdline", &["table"]),
        ("chromeos", &["table"]),
        ("fit", &["table"]),
        ("ipe", &["table"]),
        ("boot-data-device=x", &["table"]),
        ("boot-hash-device=x", &["table"]),
        ("boot-fec-device=x", &["table"]),
        ("deferred", &["close"]),
        ("cancel-deferred", &["close"]),
    ];
    let commands = [
        "format d new",
        "verify d h 00",
        "repair d h 00",
        "open d v0 h 00",
        "close v0",
        "status v0",
        "dump h",
        "plan d",
        "table d h 00",
        "features",
        "benchmark",
    ];
    for (option, actions) in allowed {
        for command in commands {
            let action = command.split(' ').next().unwrap();
            // Who asks for an object gets one, whatever it has to say.
            if !actions.contains(&action) && (*option, action) != ("json", "benchmark") {
                let name = option.split('=').next().unwrap();
                let message = format!("veritysetup: Option --{name} is not allowed with {action} action.\n");
                misused(&sandbox, &format!("{command} --{option}"), &message);
            }
        }
    }
}

#[test]
fn options_that_contradict_each_other() {
    let sandbox = image();
    let open = format!("open d v0 h {ROOT_HASH}");
    for first in ["ignore-corruption", "panic-on-corruption"] {
        misused(
            &sandbox,
            &format!("{open} --{first} --restart-on-corruption"),
            &format!("veritysetup: Option --{first} and --restart-on-corruption cannot be used together.\n"),
        );
    }
    misused(
        &sandbox,
        &format!("{open} --error-as-corruption"),
        "veritysetup: Option --error-as-corruption must be used with --panic-on-corruption or \
         --restart-on-corruption.\n",
    );
    misused(
        &sandbox,
        "close v0 --deferred --cancel-deferred",
        "veritysetup: Options --cancel-deferred and --deferred cannot be used at the same time.\n",
    );
}
