//! Images that are one file: `format --append`, `--hash-offset=auto`.

use dmverity_tests::vectors::painted;

use crate::bad_input::{misused, refused};
use crate::interrupted::{killed_at_each_call, traced};
use crate::sandbox::{Outcome, Sandbox};

const SEED: &str = "--salt-seed=an image";

fn ok(sandbox: &Sandbox, arguments: &[&str]) -> Outcome {
    let outcome = sandbox.run(arguments);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    outcome
}

/// The number in a line such as `Hash offset: 4096 [bytes]`.
fn bytes(outcome: &Outcome, key: &str) -> String {
    outcome.field(key).strip_suffix(" [bytes]").expect("bytes").to_owned()
}

/// Checks that both tools verify an image at the offsets that ours reports, and that both find one flipped byte.
fn is_verified_by_both(sandbox: &Sandbox, image: &str, made: &Outcome) {
    let hash_offset = format!("--hash-offset={}", bytes(made, "Hash offset"));
    let fec = made.stdout.contains("FEC offset").then(|| bytes(made, "FEC offset"));
    let mut arguments = vec!["verify".to_owned(), image.into(), image.into(), made.field("Root hash").into()];
    arguments.push(hash_offset);
    if let Some(offset) = fec {
        let roots = made.field("FEC RS roots");
        arguments.extend([
            format!("--fec-device={image}"),
            format!("--fec-offset={offset}"),
            format!("--fec-roots={roots}"),
        ]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    for outcome in [sandbox.run(&arguments), sandbox.reference(&arguments)] {
        assert_eq!(outcome, Outcome { code: Some(0), stdout: String::new(), stderr: String::new() }, "{arguments:?}");
    }
    ok(sandbox, &["verify", image, image, made.field("Root hash"), "--hash-offset=auto"]);
}

#[test]
fn the_reference_opens_what_is_appended_with_the_offsets_that_are_printed() {
    let sandbox = Sandbox::new();
    let mut rng = fastrand::Rng::with_seed(6);
    for round in 0..40 {
        let block = 512 << rng.u32(..8);
        let hash_block = if round % 2 == 0 { block } else { 512 << rng.u32(..8) };
        let data = painted(rng.usize(1..400_000));
        sandbox.write("image", &data);
        let (block, hash_block) = (format!("--data-block-size={block}"), format!("--hash-block-size={hash_block}"));
        let roots = format!("--fec-roots={}", rng.u32(2..=24));
        let mut arguments = vec!["format", "--append", "image", &block, &hash_block, "-q"];
        if round % 2 == 0 && round % 3 > 0 {
            arguments.push(&roots);
        }
        let made = sandbox.run(&arguments);
        assert_eq!(made.code, Some(0), "{arguments:?} {made:?}");
        let image = sandbox.read("image");
        assert_eq!(image.len().to_string(), bytes(&made, "Image size"), "{arguments:?}");
        assert!(image.starts_with(&data), "{arguments:?}");
        is_verified_by_both(&sandbox, "image", &made);
        let plan = ["plan", "--append", "image", &block, &hash_block, arguments.get(6).copied().unwrap_or("-q")];
        assert_eq!(bytes(&ok(&sandbox, &plan), "Image size"), bytes(&made, "Image size"), "{arguments:?}");
    }
}

#[test]
fn the_reference_makes_the_same_bytes() {
    let sandbox = Sandbox::new();
    let data = painted(300 * 4096);
    sandbox.write("ours", &data);
    sandbox.write("theirs", &data);
    let made = ok(&sandbox, &["format", "--append", "ours", SEED, "--fec-roots=4"]);
    let (offset, fec_offset) = (bytes(&made, "Hash offset"), bytes(&made, "FEC offset"));
    let theirs = sandbox.reference(&[
        "format",
        "theirs",
        "theirs",
        "--data-blocks=300",
        &format!("--hash-offset={offset}"),
        "--fec-device=theirs",
        &format!("--fec-offset={fec_offset}"),
        "--fec-roots=4",
        &format!("--salt={}", made.field("Salt")),
        &format!("--uuid={}", made.field("UUID")),
    ]);
    assert_eq!(theirs.code, Some(0), "{theirs:?}");
    assert!(sandbox.read("ours") == sandbox.read("theirs"));
}

#[test]
fn appending_again_replaces_what_was_appended() {
    let sandbox = Sandbox::new();
    sandbox.write("image", &painted(100_000));
    let first = ok(&sandbox, &["format", "--append", "image", SEED, "--fec-roots=2"]);
    let fresh = sandbox.read("image");
    assert_eq!(ok(&sandbox, &["format", "--append", "image", SEED, "--fec-roots=2"]), first);
    assert!(sandbox.read("image") == fresh);
    // Changed data needs another tree.
    sandbox.flip("image", 5000);
    let second = ok(&sandbox, &["format", "--append", "image", SEED, "--hash=sha512"]);
    assert_ne!(first.field("Root hash"), second.field("Root hash"));
    is_verified_by_both(&sandbox, "image", &second);
}

#[test]
fn parity_may_have_a_file_of_its_own_or_be_said_to_be_in_the_image() {
    let sandbox = Sandbox::new();
    sandbox.write("image", &painted(100_000));
    let made = ok(&sandbox, &["format", "--append", "image", "--fec-device=parity", "--fec-roots=8"]);
    assert_eq!(bytes(&made, "FEC offset"), "0");
    let verify = ["verify", "image", "image", made.field("Root hash"), "--hash-offset", &bytes(&made, "Hash offset")];
    let with_fec = [&verify[..], &["--fec-device=parity", "--fec-roots=8"]].concat();
    sandbox.flip("image", 4096);
    let found = "Verification failed at position 4096.\nVerification of data area failed.\n\
                 Found 1 repairable errors with FEC device.\n";
    let outcome = sandbox.run(&with_fec);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), found));
    sandbox.flip("image", 4096);

    sandbox.write("other", &painted(100_000));
    ok(&sandbox, &["format", "--append", "other", SEED, "--fec-device=./other"]);
    let inside = sandbox.read("other");
    sandbox.write("other", &painted(100_000));
    ok(&sandbox, &["format", "--append", "other", SEED, "--fec-roots=2"]);
    assert!(sandbox.read("other") == inside);
}

/// A killed format leaves nothing that loads, and the next format makes the same image as from the data alone.
#[test]
fn killed_at_every_call_that_writes() {
    let sandbox = Sandbox::new();
    let data = painted(300_001);
    let format = ["format", "--append", "image", SEED, "--fec-roots=2", "--threads=1"];
    sandbox.write("image", &data);
    ok(&sandbox, &format);
    let expected = sandbox.read("image");
    for before in [&data, &expected] {
        let prepare = || sandbox.write("image", before);
        killed_at_each_call(&sandbox, &format, prepare, |index| {
            let left = sandbox.read("image");
            assert!(left.starts_with(&data), "call {index}");
            let loads = sandbox.run(&["dump", "image", "--hash-offset=auto"]).code == Some(0);
            assert_eq!(loads, left == expected, "call {index}: what loads is whole");
            ok(&sandbox, &format);
            assert!(sandbox.read("image") == expected, "call {index}");
        });
    }
}

/// Data that the owner adds after an unfinished tree, left by a killed format, is not taken for that tree.
#[test]
fn what_was_added_to_an_unfinished_image_is_not_cut_off() {
    let sandbox = Sandbox::new();
    let data = painted(300_001);
    let format = ["format", "--append", "image", SEED, "--fec-roots=2"];
    sandbox.write("image", &data);
    ok(&sandbox, &format);
    let expected = sandbox.read("image");
    sandbox.write("image", &data);
    traced(&sandbox, &format, &["-e", "inject=pwrite64:signal=KILL:when=2"]);
    let left = sandbox.read("image");
    let end = expected.len();
    assert_eq!(left.len(), end);
    for change in [vec![1; end + 4096], vec![0; 3 * end], vec![1; end - 100], vec![0; 303_104 + 100]] {
        let now = change.len();
        let mut image = left[..end.min(now)].to_vec();
        image.extend(&change[end.min(now)..]);
        sandbox.write("image", &image);
        let message = format!(
            "Device image has an unfinished hash area and was changed afterwards.\n\
             hint: the data ended at byte 300001, an unfinished hash area that was to end at byte {end} follows at \
             byte \
             303104, and the file now ends at byte {now}.\n\
             hint: if nothing after the data is needed, discard it: truncate --size=300001 image\n"
        );
        refused(&sandbox, "format --append image", 1, &message);
        refused(&sandbox, "plan --append image", 1, &message);
        assert!(sandbox.read("image") == image);
    }
    sandbox.write("image", &sandbox.read("image")[..300_001]);
    ok(&sandbox, &format);
    assert!(sandbox.read("image") == expected);
}

/// `resize2fs` makes a file system as long as its file: even if the end of that is a hash tree.
#[test]
fn a_file_system_that_was_grown_into_the_tree_is_not_cut_off() {
    let sandbox = Sandbox::new();
    let run = |program: &str, arguments: &[&str]| {
        let output = sandbox.command(program, arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(output.status.success(), "{output:?}");
    };
    let format = ["format", "--append", "image", SEED, "--fec-roots=24", "--threads=1"];
    for unfinished in [true, false] {
        sandbox.write("image", &[]);
        run("truncate", &["--size=20M", "image"]);
        run("mkfs.ext4", &["-q", "-b", "1024", "image"]);
        if unfinished {
            traced(&sandbox, &format, &["-e", "inject=pwrite64:signal=KILL:when=2"]);
        } else {
            ok(&sandbox, &format);
        }
        let before = sandbox.read("image");
        run("resize2fs", &["image"]);
        let grown = sandbox.read("image");
        assert!(grown != before && grown.len() == before.len());
        let size = grown.len() / 1024 * 1024;
        let message = format!(
            "Device image has a file system that reaches into its hash area.\n\
             hint: the file system has {size} bytes, the data end at byte 20971520, and --append would replace what \
             follows \
             them: shrink the file system.\n\
             hint: if the hash area is not needed, make it a part of the data: dd if=/dev/zero of=image bs=512 \
             seek=40960 \
             count=1 conv=notrunc\n"
        );
        refused(&sandbox, "format --append image", 1, &message);
        refused(&sandbox, "plan --append image", 1, &message);
        run("dd", &["if=/dev/zero", "of=image", "bs=512", "seek=40960", "count=1", "conv=notrunc"]);
        let made = ok(&sandbox, &format);
        assert!(sandbox.read("image").starts_with(&grown[..20 << 20]));
        is_verified_by_both(&sandbox, "image", &made);
        run("e2fsck", &["-fn", "image"]);
    }
}

#[test]
fn an_image_that_is_cut_in_its_superblock_stays_as_it_is() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    ok(&sandbox, &["format", "--append", "d"]);
    let image = sandbox.read("d");
    for len in [8, 100, 400, 511] {
        let found = 300 * 4096 + len;
        sandbox.write("d", &image[..found]);
        for action in ["format", "plan"] {
            let outcome = sandbox.run(&[action, "--append", "d"]);
            assert_eq!(outcome.code, Some(1), "{len} {outcome:?}");
            let start = format!("Device d is too small.\nhint: it has {found} bytes, ");
            assert!(outcome.stderr.starts_with(&start), "{len} {outcome:?}");
        }
        let outcome = sandbox.run(&["dump", "d", "--hash-offset=auto"]);
        assert_eq!(outcome.first_error(), "Device d is not a valid VERITY device.", "{len}");
        assert!(sandbox.read("d") == image[..found], "{len}");
    }
}

#[test]
fn a_signal_leaves_the_file_as_it_was() {
    let sandbox = Sandbox::new();
    let data = painted(4 << 20);
    sandbox.write("image", &data);
    // The test's own process may ignore the signal. At the third write the tree is being written.
    let mut command = sandbox.command("env", &["--default-signal=INT", "strace", "-f", "-qq", "-o", "trace"]);
    command.args(["-e", "trace=pwrite64", "-e", "inject=pwrite64:signal=INT:when=2"]);
    let output = command.arg(dmverity_tests::veritysetup()).args(["format", "--append", "image"]).output().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(2), "{output:?}");
    assert!(sandbox.read("image") == data);
}

#[test]
fn no_superblock_or_more_than_one() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    let made = ok(&sandbox, &["format", "d", "h", "--salt=aa"]);
    let root_hash = made.field("Root hash");
    let hint = "hint: no superblock was found right after the data it describes: --hash-offset=auto is for data and \
         hash tree on one device; a separate hash device usually has its hash tree at offset 0.\n";
    let none = |device: &str| format!("Device {device} is not a valid VERITY device.\n{hint}");
    // `h` has no data before its superblock.
    refused(&sandbox, "dump h --hash-offset=auto", 1, &none("h"));
    for command in ["verify d h", "open d v0 h", "table d h"] {
        refused(&sandbox, &format!("{command} {root_hash} --hash-offset=auto"), 1, &none("h"));
    }
    refused(&sandbox, &format!("repair d h {root_hash} --hash-offset=auto --fec-device=d"), 1, &none("h"));
    refused(&sandbox, "dump nosuch --hash-offset=auto", 4, "Device nosuch does not exist or access denied.\n");

    // An image of an image: the inner tree is still right after its own data.
    ok(&sandbox, &["format", "--append", "d", SEED]);
    let size = sandbox.read("d").len();
    let blocks = format!("--data-blocks={}", size / 4096);
    ok(&sandbox, &["format", "d", "d", &blocks, &format!("--hash-offset={size}"), "--salt=bb"]);
    let two = format!(
        "Device d has more than one VERITY superblock.\nhint: they are at bytes 1228800, {size}: choose one with \
         --hash-offset.\n"
    );
    // It ends before the image does, so that the outer one is meant.
    assert_eq!(ok(&sandbox, &["dump", "d", "--hash-offset=auto"]).field("Hash offset"), format!("{size} [bytes]"));
    refused(&sandbox, "format --append d", 1, &two);
    refused(&sandbox, "plan --append d", 1, &two);
    // Neither of them is where the end of the image says.
    sandbox.write("longer", &[sandbox.read("d"), vec![1; 5000]].concat());
    refused(&sandbox, "dump longer --hash-offset=auto", 1, &two.replace(" d ", " longer "));
}

#[test]
fn what_is_behind_a_tree_is_not_cut_off() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    ok(&sandbox, &["format", "--append", "d"]);
    let mut image = sandbox.read("d");
    let end = image.len();
    image.extend([1; 100]);
    sandbox.write("d", &image);
    let message = format!(
        "Device d has data after its hash area.\nhint: the hash area from byte 1228800 ends at byte {end}, the file at \
         byte {}: the bytes in between are not its parity; --append would discard them.\n",
        end + 100
    );
    refused(&sandbox, "format --append d", 1, &message);
    refused(&sandbox, "plan --append d", 1, &message);
    sandbox.write("d", &image[..end - 1]);
    let message = format!("Device d is too small.\nhint: it has {} bytes, but {end} are needed.\n", end - 1);
    refused(&sandbox, "format --append d", 1, &message);
}

#[test]
fn bad_input() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    sandbox.write("empty", &[]);
    refused(&sandbox, "format --append nosuch", 4, "Device nosuch does not exist or access denied.\n");
    refused(
        &sandbox,
        "format --append empty",
        1,
        "Device empty is too small.\nhint: it has 0 bytes, but one data block has 4096.\n",
    );
    let roots = "Invalid number of parity bytes.\nhint: --fec-roots is a number from 2 to 24, not 25.\n";
    refused(&sandbox, "format --append d --fec-roots=25", 1, roots);
    refused(&sandbox, "plan --append d --fec-roots=25", 1, roots);
    refused(
        &sandbox,
        "format --append d --fec-roots=2 --hash-block-size=512",
        1,
        "Block sizes must match for FEC.\nhint: the data block size is 4096 bytes, the hash block size 512.\n",
    );
    refused(
        &sandbox,
        "format --append d --fec-device=nosuch/fec",
        1,
        "Cannot create FEC image nosuch/fec for writing.\nhint: No such file or directory.\n",
    );
    misused(&sandbox, "format --append", "veritysetup: format: requires <image> as arguments\n");
    for option in ["hash-offset=4096", "fec-offset=4096", "data-blocks=10"] {
        let name = option.split('=').next().unwrap();
        let message = format!("veritysetup: Option --append and --{name} cannot be used together.\n");
        misused(&sandbox, &format!("format --append d --{option}"), &message);
    }
    for action in ["format d h", "plan d"] {
        let message = format!(
            "veritysetup: Option --hash-offset=auto is not allowed with {} action.\n",
            action.split(' ').next().unwrap()
        );
        misused(&sandbox, &format!("{action} --hash-offset=auto"), &message);
    }
    misused(
        &sandbox,
        "verify d d 00 --hash-offset=auto --no-superblock",
        "veritysetup: Option --hash-offset=auto and --no-superblock cannot be used together.\n",
    );
    misused(
        &sandbox,
        "dump d --hash-offset=Auto",
        "veritysetup: invalid numeric value\nhint: --hash-offset takes a decimal number from 0 to \
         18446744073709551615, not Auto.\n",
    );
    // A directory, and a device without an image.
    let hint = "hint: a block device or a regular file is needed.\n";
    for device in [".", "/dev/null"] {
        refused(
            &sandbox,
            &format!("format --append {device}"),
            4,
            &format!("Device {device} is not compatible.\n{hint}"),
        );
    }
}
