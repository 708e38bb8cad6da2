//! What callers rely on when a command succeeds, beyond the golden vectors.

use std::os::unix::fs::PermissionsExt;

use dmverity_tests::vectors::painted;

use crate::reference::normalised;
use crate::sandbox::{Outcome, Sandbox};

const UUID: &str = "--uuid=a60c98d2-ae9b-4865-bfcb-b4e3ace11033";

fn sandbox_with_data(bytes: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(bytes));
    sandbox
}

#[test]
fn the_shipped_binary_fits_an_initramfs() {
    let size = dmverity_tests::veritysetup().metadata().unwrap().len();
    assert!(size <= 4_500_000, "{size} bytes");
}

#[test]
fn version_line_starts_as_callers_compare_it() {
    let outcome = Sandbox::new().run(&["--version"]);
    assert!(outcome.stdout.starts_with("veritysetup 2.8.0 flags: "), "{outcome:?}");
    assert_eq!(outcome.stdout.lines().count(), 1);
    assert!(outcome.stdout.contains("(dmverity "));
    assert_eq!(outcome, Sandbox::new().run(&["-V"]));
}

#[test]
fn help_names_every_action_and_ends_with_the_defaults() {
    let outcome = Sandbox::new().run(&["--help"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    for action in ["format", "verify", "open", "close", "status", "dump"] {
        assert!(outcome.stdout.contains(&format!("\n\t{action} <")), "{action}");
    }
    assert!(outcome.stdout.contains("\n\tfeatures - "));
    assert!(outcome.stdout.ends_with(
        "\nDefault compiled-in dm-verity parameters:\n\tHash: sha256, Data block (bytes): 4096, \
         Hash block (bytes): 4096, Salt size: 32, Hash format: 1\n"
    ));
    assert_eq!(outcome, Sandbox::new().run(&["-?"]));
}

#[test]
fn options_stand_anywhere_and_the_last_one_counts() {
    let sandbox = sandbox_with_data(40960);
    let plain = sandbox.run(&["format", "d", "h", "--salt=aa", UUID, "--hash=sha1"]);
    assert_eq!(plain.code, Some(0));
    for arguments in [
        &["--salt", "aa", UUID, "-h", "sha1", "format", "d", "h"][..],
        &["format", "-s", "aa", "d", "--hash=sha1", UUID, "h"],
        &["format", "--salt=bb", "d", "--hash", "md5", "--hash=sha1", "h", UUID, "-saa"],
        &[UUID, "--salt=aa", "-hsha1", "--", "format", "d", "h"],
    ] {
        assert_eq!(sandbox.run(arguments), plain, "{arguments:?}");
    }
}

#[test]
fn verbose_ends_with_the_result() {
    let sandbox = sandbox_with_data(40960);
    let outcome = sandbox.run(&["-v", "format", "d", "h"]);
    assert!(outcome.stdout.ends_with("\nCommand successful.\n"));
    let reasons = [
        (&["dump", "d"][..], "Command failed with code -1 (wrong or missing parameters).\n"),
        (&["dump", "nosuch"], "Command failed with code -4 (wrong device or file specified).\n"),
    ];
    for (arguments, last) in reasons {
        assert_eq!(sandbox.run(&[arguments, &["--verbose"]].concat()).stdout, last);
    }
    let root_hash = sandbox.run(&["format", "d", "h"]).field("Root hash").to_owned();
    sandbox.flip("d", 5000);
    let outcome = sandbox.run(&["verify", "d", "h", &root_hash, "-v"]);
    assert_eq!(outcome.stdout, "Command failed with code -2 (no permission or bad passphrase).\n");
}

#[test]
fn debug_and_batch_mode_leave_standard_output_alone() {
    let sandbox = sandbox_with_data(40960);
    let plain = sandbox.run(&["format", "d", "h", "--salt=aa", UUID]);
    assert_eq!(sandbox.run(&["format", "d", "h", "--salt=aa", UUID, "-q"]), plain);
    let debug = sandbox.run(&["format", "d", "h", "--salt=aa", UUID, "--debug"]);
    assert_eq!(debug.stdout, plain.stdout.clone() + "Command successful.\n");
    assert!(debug.stderr.lines().all(|line| line.starts_with("# ")));
}

#[test]
fn output_that_cannot_be_written_is_an_error_unless_nobody_reads_it() {
    let sandbox = sandbox_with_data(40960);
    sandbox.run(&["format", "d", "h"]);
    let redirected = |target: &str| {
        let script = format!("\"$0\" dump h {target}");
        let mut command = sandbox.command("sh", &["-c", &script]);
        Outcome::from(command.arg(dmverity_tests::veritysetup()).output().unwrap())
    };
    let full = redirected(">/dev/full");
    assert_eq!(full.code, Some(1));
    assert_eq!(full.stderr, "Cannot write to standard output.\nhint: No space left on device.\n");
    assert_eq!(redirected("| true").stderr, "");
}

#[test]
fn salts_and_uuids_are_random_unless_given() {
    let sandbox = sandbox_with_data(40960);
    let (first, second) = (sandbox.run(&["format", "d", "h"]), sandbox.run(&["format", "d", "h"]));
    for key in ["Salt", "UUID", "Root hash"] {
        assert_ne!(first.field(key), second.field(key), "{key}");
    }
    assert_eq!(first.field("Salt").len(), 64);
    assert_eq!(sandbox.run(&["format", "d", "h", "--salt=-"]).field("Salt"), "-");
}

#[test]
fn a_new_hash_file_belongs_to_its_owner_alone_and_an_old_one_keeps_what_lies_around() {
    let sandbox = sandbox_with_data(40960);
    sandbox.run(&["format", "d", "h", "--salt=-", UUID]);
    assert_eq!(sandbox.path("h").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let alone = sandbox.read("h");
    sandbox.write("h", &vec![0x5A; 40960]);
    sandbox.run(&["format", "d", "h", "--salt=-", UUID, "--hash-offset=8192"]);
    let around = sandbox.read("h");
    assert_eq!(around.len(), 40960);
    assert!(around[..8192].iter().all(|&byte| byte == 0x5A));
    assert_eq!(around[8192..][..512], alone[..512]);
    assert!(around[8192 + 512..][..4096 - 512].iter().all(|&byte| byte == 0x5A));
    assert_eq!(around[12288..16384], alone[4096..]);
    assert!(around[16384..].iter().all(|&byte| byte == 0x5A));
}

#[test]
fn bytes_that_no_block_covers_are_warned_about() {
    let sandbox = sandbox_with_data(40960 + 1000);
    let outcome = sandbox.run(&["format", "d", "h"]);
    assert_eq!(outcome.code, Some(0));
    assert_eq!(outcome.stderr, "WARNING: last 1000 bytes of data are not covered.\n");
    assert_eq!(outcome.field("Data blocks"), "10");
    // No warning if the user gives the number.
    assert_eq!(sandbox.run(&["format", "d", "h", "--data-blocks=9"]).stderr, "");
}

#[test]
fn blocks_above_the_page_size_are_warned_about() {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).unwrap().unwrap();
    let sandbox = sandbox_with_data(1 << 20);
    let size = format!("--data-block-size={}", page * 2);
    let outcome = sandbox.run(&["format", "d", "h", &size]);
    assert_eq!(outcome.code, Some(0));
    assert_eq!(
        outcome.stderr,
        format!("WARNING: Kernel cannot activate device if data block size exceeds page size ({page}).\n")
    );
}

#[test]
fn root_hash_files_hold_the_digits_alone_and_are_read_with_more() {
    let sandbox = sandbox_with_data(40960);
    sandbox.write("root", &[b'x'; 200]);
    let made = sandbox.run(&["format", "d", "h", "--root-hash-file=root"]);
    let root_hash = made.field("Root hash").to_owned();
    assert_eq!(sandbox.read("root"), root_hash.as_bytes());
    for text in [root_hash.clone(), format!("{root_hash}\n"), format!("{}  image\n", root_hash.to_uppercase())] {
        sandbox.write("root", text.as_bytes());
        // The file takes precedence over an argument.
        for arguments in [&["verify", "d", "h"][..], &["verify", "d", "h", "00"]] {
            let outcome = sandbox.run(&[arguments, &["--root-hash-file", "root"]].concat());
            assert_eq!(outcome, Outcome { code: Some(0), stdout: String::new(), stderr: String::new() }, "{text:?}");
        }
    }
    let printed = sandbox.run(&["format", "d", "h", "--root-hash-file=/dev/stdout"]);
    let root_hash = printed.field("Root hash").to_owned();
    assert!(printed.stdout.ends_with(&format!("[bytes]\n{root_hash}")));
}

#[test]
fn format_repeats_names_as_they_were_given_and_stores_them_plain() {
    let sandbox = sandbox_with_data(40960);
    let upper = "A60C98D2-AE9B-4865-BFCB-B4E3ACE11033";
    let made = sandbox.run(&["format", "d", "h", "--hash=SHA256", "--uuid", upper]);
    assert_eq!((made.field("Hash algorithm"), made.field("UUID")), ("SHA256", upper));
    let dumped = sandbox.run(&["dump", "h"]);
    assert_eq!(dumped.field("Hash algorithm"), "sha256");
    assert_eq!(dumped.field("UUID"), upper.to_lowercase());
}

#[test]
fn the_kernels_names_of_algorithms_are_the_same_algorithms() {
    let sandbox = sandbox_with_data(40960);
    for (userland, kernel) in
        [("ripemd160", "rmd160"), ("whirlpool", "wp512"), ("stribog256", "streebog256"), ("stribog512", "streebog512")]
    {
        let root_hash = |name: &str| {
            let made = sandbox.run(&["format", "d", name, "--salt=aa", "--hash", name]);
            assert_eq!(sandbox.run(&["dump", name]).field("Hash algorithm"), name);
            assert_eq!(sandbox.run(&["verify", "d", name, made.field("Root hash")]).code, Some(0));
            made.field("Root hash").to_owned()
        };
        assert_eq!(root_hash(userland), root_hash(kernel));
    }
}

#[test]
fn a_superblock_counts_before_the_options() {
    let sandbox = sandbox_with_data(40960);
    let made = sandbox.run(&["format", "d", "h", "--hash=sha512"]);
    let options = ["--hash=sha1", "--salt=bb", "--data-blocks=3", "--data-block-size=512", "--format=0"];
    let verified = sandbox.run(&[&["verify", "d", "h", made.field("Root hash")][..], &options].concat());
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

#[test]
fn a_failed_format_takes_its_new_file_away() {
    let sandbox = sandbox_with_data(1 << 20);
    // The tree does not fit under the limit, which a shell sets for the command alone.
    let mut command = sandbox.command("sh", &["-c", "ulimit -f 8; trap '' XFSZ; exec \"$0\" format d h"]);
    let outcome = Outcome::from(command.arg(dmverity_tests::veritysetup()).output().unwrap());
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.stderr, "Cannot extend device h.\nhint: File too large.\n");
    assert_eq!(sandbox.snapshot().len(), 1);
}

/// Although the file of an image without a tree ends with the superblock's block.
#[test]
fn the_size_of_the_hash_device_is_told_in_whole_hash_blocks() {
    for hash_offset in ["0", "512"] {
        let sandbox = sandbox_with_data(4096);
        let offset = format!("--hash-offset={hash_offset}");
        let format = ["format", "d", "h", "--salt=aa", UUID, "--hash-block-size=8192", &offset];
        sandbox.write("h", &[0; 8192]);
        let expected = sandbox.reference(&format);
        assert_eq!(expected.code, Some(0));
        sandbox.write("h", &[0; 8192]);
        assert_eq!(normalised(&sandbox.run(&format)), normalised(&expected));
    }
}
