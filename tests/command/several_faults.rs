//! Which of several faults is named: callers match the text and the exit code. Beside the reference, but for the lines
//! that it adds.

use dmverity_tests::vectors::painted;

use crate::sandbox::{Outcome, Sandbox};

/// 300 data blocks, a hash device `h` over them, one `hf` with parity in `f`, and things that are no devices. With the
/// root hash.
fn images() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    let made = sandbox.run(&["format", "d", "h", "--salt=aa"]);
    let root_hash = made.field("Root hash").to_owned();
    assert_eq!(sandbox.run(&["format", "d", "hf", "--salt=aa", "--fec-device=f"]).code, Some(0));
    sandbox.write("junk", b"junk");
    sandbox.write("empty", b"");
    std::fs::create_dir(sandbox.path("dir")).expect("a new folder");
    (sandbox, root_hash)
}

/// The exit code and the line that names a fault; the reference adds that the hash device is invalid.
fn named(outcome: &Outcome) -> (Option<i32>, &str) {
    let mut lines = outcome.stderr.lines().filter(|line| !line.starts_with("WARNING: "));
    (outcome.code, lines.next().unwrap_or_default())
}

/// Command lines with faults, of which the reference names the right one.
const COMMANDS: &[&str] = &[
    "open /dev/does-not-exist foobar /etc/passwd foobar",
    "open /dev/does-not-exist foobar nosuch foobar",
    "open d foobar nosuch foobar",
    "open d foobar junk foobar",
    "open d foobar junk",
    "open nodata foobar nosuch",
    "open nodata foobar h foobar",
    "open nodata foobar h --root-hash-file=nosuch",
    "open nodata foobar h ROOT --root-hash-signature=nosuch",
    "open d foobar h ROOT --root-hash-signature=nosuch",
    "open d foobar h ROOT --root-hash-signature=dir",
    "open d foobar h ROOT --root-hash-signature=empty",
    "open d foobar h zz --root-hash-signature=nosuch",
    "open d foobar junk zz --root-hash-signature=nosuch",
    "open d foobar h ROOT --fec-device=nosuch",
    "open d foobar h ROOT --fec-device=dir",
    "open d foobar h foobar --fec-device=dir",
    "open d foobar junk foobar --fec-device=nosuch",
    "open nosuch foobar h foobar --fec-device=nosuch2",
    "open nodata foobar h ROOT --no-superblock --hash=foo",
    "open d foobar nosuch ROOT --no-superblock --hash=foo",
    "open d foobar h foobar --no-superblock --hash=foo",
    "open d foobar h foobar --no-superblock --salt=xx",
    "open nodata foobar h foobar --no-superblock --salt=xx",
    "open nodata foobar h foobar --hash-offset=3",
    "open d foobar h foobar --hash-offset=3",
    "create foobar nodata nosuch foobar",
    "verify nodata h foobar",
    "verify nodata nohash foobar",
    "verify d nohash foobar",
    "verify nodata junk foobar",
    "verify d junk foobar",
    "verify d h foobar",
    "verify nodata h",
    "verify d h ROOT --fec-device=nosuch",
    "verify d h ROOT --fec-device=dir",
    "verify d hf ROOT --fec-device=empty",
    "verify d h zz --fec-device=nosuch",
    "verify nodata h zz --fec-device=nosuch",
    "verify d junk zz --fec-device=nosuch",
    "verify dir h zz --fec-device=nosuch",
    "verify d dir zz",
    "verify nodata h zz --fec-device=f --fec-roots=99",
    "verify nodata nohash zz --fec-device=f --fec-offset=512",
    "verify nodata h zz --no-superblock --hash=foo",
    "verify d h ROOT --hash=foo --salt=zz --uuid=foo --data-block-size=3 --format=3",
    "format nodata h2 --hash=foo",
    "format nodata h --hash=foo",
    "format nodata h --uuid=xx",
    "format nodata h --salt=xx",
    "format nodata h --data-block-size=3",
    "format nodata h --format=3",
    "format nodata h --fec-device=nof --fec-roots=77",
    "format dir h --hash=foo",
    "format d dir --hash=foo",
    "format d h2 --hash=foo",
    "format d h3 --hash=foo --salt=xx",
    "format d h3 --hash=foo --uuid=xx",
    "format nodata h3 --root-hash-file=nosuch/x",
    "dump nosuch --salt=xx",
    "dump nosuch --hash-offset=3",
    "dump h --hash-offset=3",
    "dump nosuch --fec-roots=99 --fec-device=f",
    "dump junk --fec-device=nosuch",
    "dump h --fec-device=nosuch",
    "dump h --fec-device=dir",
];

#[test]
fn the_same_fault_is_named_as_by_the_reference() {
    let (sandbox, root_hash) = images();
    let before = sandbox.snapshot();
    for command in COMMANDS {
        let arguments: Vec<&str> =
            command.split_whitespace().map(|word| if word == "ROOT" { &root_hash } else { word }).collect();
        let ours = sandbox.run(&arguments);
        let theirs = sandbox.reference(&arguments);
        assert_eq!(named(&ours), named(&theirs), "{command}");
        // The reference leaves unfinished files.
        for left in ["h2", "h3", "nof"] {
            let _ = std::fs::remove_file(sandbox.path(left));
        }
        let is_more = |line: &str| line.starts_with("hint: ") || line.starts_with("WARNING: ");
        let (faults, _): (Vec<_>, Vec<_>) = ours.stderr.lines().partition(|line| !is_more(line));
        // A wrong offset is reported for the device too.
        let usual = ours.stdout.is_empty() && faults.iter().skip(1).all(|line| line.starts_with("Device h is"));
        assert!(usual, "{command}: {ours:?}");
        assert!(sandbox.snapshot() == before, "{command} changed a file");
    }
}

/// `repair` and `table`, which the reference does not have, check in the same order.
#[test]
fn other_actions_name_the_same_fault() {
    let (sandbox, root_hash) = images();
    let missing = |device| (Some(4), format!("Device {device} does not exist or access denied."));
    let cases = [
        ("nodata nohash zz", missing("nohash")),
        ("nodata junk zz", missing("nodata")),
        ("d junk zz", (Some(1), "Device junk is not a valid VERITY device.".to_owned())),
        ("d h zz", missing("nofec")),
        ("d h zz --fec-device=f", (Some(1), "Invalid root hash string specified.".to_owned())),
    ];
    for action in ["repair", "table", "verify"] {
        for (rest, (code, line)) in &cases {
            let command = format!("{action} --fec-device=nofec {rest}");
            let outcome = sandbox.run(&command.split_whitespace().collect::<Vec<_>>());
            assert_eq!(named(&outcome), (*code, line.as_str()), "{command}");
        }
        // Values that are not needed are checked too.
        let outcome = sandbox.run(&[action, "d", "h", &root_hash, "--fec-device=dir"]);
        assert_eq!(named(&outcome), (Some(4), "Device dir is not compatible."), "{action}");
    }
}

/// Parity that cannot help a repair.
#[test]
fn parity_that_cannot_help_is_said_to_be_the_reason() {
    let (sandbox, root_hash) = images();
    sandbox.flip("d", 10);
    sandbox.write("short", &[7; 5000]);
    let begin = "Verification failed at position 0.\nVerification of data area failed.\n\
                 Errors cannot be repaired with FEC device.\n";
    let cases = [
        ("empty", "", "hint: Device empty is too small.\nhint: it has 0 bytes, but 16384 are needed.\n"),
        ("short", "", "hint: Device short is too small.\nhint: it has 5000 bytes, but 16384 are needed.\n"),
        (
            "f",
            "--fec-offset=4096",
            "hint: Device f is too small.\nhint: it has 16384 bytes, but 20480 are \
             needed.\n",
        ),
        ("f", "--fec-roots=4", "hint: Device f is too small.\nhint: it has 16384 bytes, but 32768 are needed.\n"),
        (
            "hf",
            "--fec-offset=0",
            "hint: Hash area overlaps with FEC area.\n\
             hint: the hash area ends at byte 20480, the FEC area starts at byte 0.\n",
        ),
        (
            "d",
            "",
            "hint: Data area overlaps with FEC area.\n\
             hint: the data area ends at byte 1228800, the FEC area starts at byte 0.\n",
        ),
    ];
    for (device, option, hints) in cases {
        let device = format!("--fec-device={device}");
        let mut arguments = vec!["verify", "d", "hf", &root_hash, &device];
        arguments.extend(Some(option).filter(|option| !option.is_empty()));
        for strict in [&[][..], &["--strict"]] {
            let ours = sandbox.run(&[&arguments, strict].concat());
            assert_eq!(
                (ours.code, ours.stderr.as_str()),
                (Some(2), format!("{begin}{hints}").as_str()),
                "{arguments:?}"
            );
        }
        let theirs = sandbox.reference(&arguments);
        assert_eq!(theirs.code, Some(2), "{arguments:?}");
        assert!(theirs.stderr.ends_with("Errors cannot be repaired with FEC device.\n"), "{theirs:?}");
    }
    // The data is intact: then an option is wrong.
    sandbox.flip("d", 10);
    let strict = sandbox.run(&["verify", "d", "hf", &root_hash, "--fec-device=empty", "--strict"]);
    assert_eq!(named(&strict), (Some(1), "Device empty is too small."));
    assert_eq!(sandbox.run(&["verify", "d", "hf", &root_hash, "--fec-device=empty"]).code, Some(0));
}
