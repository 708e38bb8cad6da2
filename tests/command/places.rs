//! The files that `format` writes to: files that must grow first, files that cannot be created, and missing device
//! nodes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use dmverity_tests::vectors::painted;
use dmverity_tests::veritysetup;

use crate::bad_input::refused;
use crate::interrupted::traced;
use crate::sandbox::{Outcome, Sandbox};

/// Data and tree in one file that ends within the data: the bytes equal the reference's.
#[test]
fn data_that_end_before_their_last_block_are_filled_with_zeros() {
    let sandbox = Sandbox::new();
    let uuid = "--uuid=a60c98d2-ae9b-4865-bfcb-b4e3ace11033";
    for (bytes, blocks, offset, options) in [
        (3_599_360, 879, 3_600_384, &["--no-superblock"][..]),
        (3_599_360, 879, 3_600_384, &["--no-superblock", "--hash-block-size=1024"]),
        (3_599_360, 879, 3_600_384, &[uuid]),
        (3_599_360, 879, 3_600_384, &[uuid, "--fec-device=f"]),
        (130 * 4096 + 1, 131, 1 << 20, &[uuid]),
        (600_000, 187, 187 * 4096, &[uuid]),
        (300_000, 300, 307_200, &[uuid, "--data-block-size=1024", "--hash-block-size=1024", "--hash=sha512"]),
        // From the reference, with a file that is long enough.
        (100, 1, 4096, &["--no-superblock"]),
        (100, 1, 4096, &[uuid]),
        (4096, 2, 8192, &[uuid]),
        (4196, 2, 8192, &[uuid, "--fec-device=f"]),
        (400_000, 98, 401_408, &["--no-superblock"]),
        (400_000, 98, 401_408, &[uuid, "--fec-device=image", "--fec-offset=425984"]),
        (3_599_360, 879, 3_600_384, &[uuid, "--fec-device=image", "--fec-offset=4194304"]),
    ] {
        let (block_count, hash_offset) = (format!("--data-blocks={blocks}"), format!("--hash-offset={offset}"));
        let fixed = ["format", "image", "image", &block_count, &hash_offset, "--salt=8a7b"];
        let arguments = [&fixed[..], options].concat();
        let data = painted(bytes);
        let result = |is_ours: bool, length: usize| {
            let _ = fs::remove_file(sandbox.path("f"));
            let mut image = data.clone();
            image.resize(length, 0);
            sandbox.write("image", &image);
            let outcome = if is_ours { sandbox.run(&arguments) } else { sandbox.reference(&arguments) };
            let root_hash = outcome.stdout.lines().find(|line| line.starts_with("Root hash:")).map(str::to_owned);
            (outcome.code, root_hash, sandbox.read("image"), fs::read(sandbox.path("f")).unwrap_or_default())
        };
        let ours = result(true, bytes);
        assert_eq!(ours.0, Some(0), "{arguments:?}");
        let block = if options.contains(&"--data-block-size=1024") { 1024 } else { 4096 };
        let mut theirs = result(false, bytes);
        let has_padded = theirs.0 == Some(0);
        // As soon as it has written one block of digests.
        let is_enough = if block == 1024 { 16 * 1024 } else { 128 * 4096 };
        assert_eq!(has_padded, bytes > is_enough && !options.contains(&"--fec-offset=4194304"), "{arguments:?}");
        if !has_padded && (blocks > 1 || !options.contains(&uuid)) {
            theirs = result(false, blocks * block);
        }
        // The reference cannot write one block of data with the superblock after it.
        assert!(ours == theirs || theirs.0 != Some(0), "{arguments:?}");
        let root_hash = ours.1.as_ref().and_then(|line| line.split_whitespace().last()).unwrap();
        let mut verify = vec!["verify", "image", "image", root_hash, &hash_offset];
        if options.contains(&"--no-superblock") {
            verify.extend([block_count.as_str(), "--salt=8a7b"].iter().chain(options));
        }
        sandbox.write("image", &ours.2);
        assert_eq!(sandbox.run(&verify).without_uncovered().code, Some(0), "{verify:?}");
        if theirs.0 == Some(0) {
            assert_eq!(sandbox.reference(&verify).code, Some(0), "{verify:?}");
        }
    }
}

#[test]
fn zeros_in_place_of_whole_blocks_are_warned_of_and_seeds_are_as_ever() {
    let sandbox = Sandbox::new();
    let format = ["format", "d", "d", "--data-blocks=200", "--hash-offset=819200"];
    sandbox.write("d", &painted(600_000));
    let made = sandbox.run(&[&format[..], &["--deterministic"]].concat());
    let warning = "WARNING: last 219200 bytes of data were missing and were filled with zeros.\n";
    assert_eq!((made.code, made.stderr.as_str()), (Some(0), warning));
    assert_eq!(made, Outcome { stderr: warning.into(), ..sandbox.run(&[&format[..], &["--deterministic"]].concat()) });
    sandbox.write("d", &painted(819_200 - 4095));
    let made = sandbox.run(&format);
    assert_eq!((made.code, made.stderr.as_str()), (Some(0), ""));
}

/// No file grows before all checks, and after a failure it has its old length again.
#[test]
fn a_file_that_would_be_filled_up_for_nothing_stays_as_it_is() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(600_000));
    sandbox.write("empty", b"");
    let small = |name: &str, found: u64, needed: u64| {
        format!("Device {name} is too small.\nhint: it has {found} bytes, but {needed} are needed.\n")
    };
    // In two files, the data file does not grow.
    refused(&sandbox, "format d h --data-blocks=147", 1, &small("d", 600_000, 602_112));
    refused(&sandbox, "format empty empty --data-blocks=2 --hash-offset=8192", 1, &small("empty", 0, 8192));
    let overlap = "Data area overlaps with hash area.\n\
                   hint: the data area ends at byte 602112, the hash area starts at byte 602112.\n";
    let overlap = overlap.replace("starts at byte 602112", "starts at byte 598016");
    refused(&sandbox, "format d d --data-blocks=147 --hash-offset=598016", 1, &overlap);
    let fec = "Hash area overlaps with FEC area.\nhint: the hash area ends at byte 618496, the FEC area starts at byte \
         614400.\n";
    refused(&sandbox, "format d d --data-blocks=147 --hash-offset=602112 --fec-device=d --fec-offset=614400", 1, fec);
    let huge = "Device offset overflow.\n\
                hint: 2251799813685248 data blocks of 4096 bytes are more than a device can hold.\n";
    refused(&sandbox, "format d d --data-blocks=2251799813685248 --hash-offset=602112", 1, huge);
    refused(
        &sandbox,
        "format d d --data-blocks=147 --hash-offset=602112 --fec-device=nosuch/f",
        1,
        "Cannot create FEC image nosuch/f for writing.\nhint: No such file or directory.\n",
    );
    let format = ["format", "d", "d", "--data-blocks=147", "--hash-offset=602112", "--fec-device=f", "--threads=1"];
    let before = sandbox.snapshot();
    let calls = traced(&sandbox, &format, &[]);
    for name in ["pwrite64", "fdatasync"] {
        let count = calls.iter().filter(|call| *call == name).count();
        // The superblock is written last, after everything else.
        for nth in 1..count + usize::from(name == "pwrite64") {
            sandbox.write("d", &before[&sandbox.path("d")]);
            let _ = fs::remove_file(sandbox.path("f"));
            traced(&sandbox, &format, &["-e", &format!("inject={name}:error=EIO:when={nth}")]);
            assert!(sandbox.read("d") == before[&sandbox.path("d")], "{name} {nth}");
            assert!(!sandbox.path("f").exists(), "{name} {nth}");
        }
    }
}

#[test]
fn images_that_cannot_be_created() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    let long = "a".repeat(300);
    let no_file = "No such file or directory";
    symlink("nowhere/x", sandbox.path("dangling")).unwrap();
    for (path, why) in [
        ("nosuch/x", no_file),
        ("d/x", "Not a directory"),
        ("/proc/nosuch", no_file),
        ("h/", "Is a directory"),
        (long.as_str(), "File name too long"),
    ] {
        for (command, area) in [
            (format!("format d {path}"), "hash"),
            (format!("format d h --fec-device={path}"), "FEC"),
            (format!("format nodata h --fec-device={path}"), "FEC"),
            (format!("format --append d --fec-device={path}"), "FEC"),
        ] {
            let line = format!("Cannot create {area} image {path} for writing.");
            // Only an attempt shows that no file can be created there, and it comes last.
            if path.starts_with("/proc") && command.contains("nodata") {
                continue;
            }
            refused(&sandbox, &command, 1, &format!("{line}\nhint: {why}.\n"));
            if !command.contains("--append") {
                let outcome = sandbox.reference(&command.split(' ').collect::<Vec<_>>());
                assert_eq!((outcome.code, outcome.first_error()), (Some(1), line.as_str()), "{command}");
            }
            let _ = fs::remove_file(sandbox.path("h"));
        }
    }
    let hash = "Cannot create hash image nosuch/x for writing.\nhint: No such file or directory.\n";
    refused(&sandbox, "format nodata nosuch/x", 1, hash);
    let nowhere = "Device dangling does not exist or access denied.\n";
    refused(&sandbox, "format d dangling", 4, nowhere);
    assert_eq!(sandbox.reference(&["format", "d", "dangling"]).stderr, nowhere);
}

#[test]
fn directories_and_files_that_others_may_not_write_to() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    fs::create_dir(sandbox.path("closed")).unwrap();
    sandbox.write("closed/shut", b"x");
    for (name, mode) in [("d", 0o644), ("closed/shut", 0o444), ("closed", 0o555), (".", 0o777)] {
        fs::set_permissions(sandbox.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let before = sandbox.snapshot();
    let line = ["setpriv", "--reuid=65534", "--clear-groups"];
    let line = if nix::unistd::geteuid().is_root() { &line[..] } else { &["env"] };
    for (options, area, path) in [
        ("closed/new", "hash", "closed/new"),
        ("closed/shut", "hash", "closed/shut"),
        ("h --fec-device=closed/new", "FEC", "closed/new"),
        ("h --fec-device=closed/shut", "FEC", "closed/shut"),
    ] {
        let mut command = sandbox.command(line[0], &line[1..]);
        command.arg(veritysetup()).args(["format", "d"]).args(options.split(' '));
        let outcome = Outcome::from(command.output().unwrap());
        let stderr = format!("Cannot create {area} image {path} for writing.\nhint: Permission denied.\n");
        assert_eq!(outcome, Outcome { code: Some(1), stdout: String::new(), stderr }, "{options}");
        assert!(sandbox.snapshot() == before, "{options}");
    }
    fs::set_permissions(sandbox.path("closed"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// No file is created for a missing partition.
#[test]
fn nothing_is_created_among_device_nodes() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    symlink("/dev", sandbox.path("nodes")).unwrap();
    symlink("/dev/dmverity-nosuch", sandbox.path("node")).unwrap();
    let hint = "hint: veritysetup creates no files in a directory of device nodes.\n";
    let paths = [
        "/dev/dmverity-nosuch",
        "/dev/mapper/dmverity-nosuch",
        "/dev/disk/by-partuuid/dmverity/nosuch",
        "nodes/dmverity-nosuch",
    ];
    for path in paths {
        let message = format!("Device {path} does not exist or access denied.\n{hint}");
        for command in [
            format!("format d {path}"),
            format!("format d h --fec-device={path}"),
            format!("format d {path} --fec-device={path}"),
            format!("format --append d --fec-device={path}"),
        ] {
            refused(&sandbox, &command, 4, &message);
        }
    }
    refused(&sandbox, "format d node", 4, "Device node does not exist or access denied.\n");
    for path in paths {
        assert!(fs::symlink_metadata(path).is_err(), "{path}");
    }
    // File systems mounted below `/dev` are for files.
    let is_mounted = Command::new("mountpoint").args(["-q", "/dev/shm"]).status().is_ok_and(|status| status.success());
    if let (true, Ok(directory)) = (is_mounted, tempfile::tempdir_in("/dev/shm")) {
        let hash = directory.path().join("h");
        assert_eq!(sandbox.run(&["format", "d", hash.to_str().unwrap()]).code, Some(0));
        assert!(hash.exists());
    }
}
