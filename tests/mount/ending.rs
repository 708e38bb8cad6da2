//! How a mount ends, and what is refused before there is one.

use std::fs;
use std::io::Read as _;
use std::process::{Command, Output};

use dmverity_tests::schema;
use nix::sys::signal::Signal;

use crate::image::{BLOCK, Image};
use crate::mounted::{Mounted, command, is_mounted, is_readable};
use crate::program;

const BLOCKS: usize = 100;

fn output(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn signals_end_it_and_one_shows_the_counters() {
    let image = Image::new(BLOCKS, &[]);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut mounted = Mounted::new(&image, &["--direct-io"]);
        assert!(is_readable(&image, &mounted.open(), 7));
        mounted.signal(Signal::SIGUSR1);
        let line = mounted.line();
        assert!(line.starts_with("opened=1 requests=1 failed_requests=0 bytes_read=4096 blocks_read=1 "), "{line}");
        mounted.signal(signal);
        let ended = mounted.wait();
        assert_eq!((ended.code, is_mounted(&image.path("mnt"))), (Some(0), false), "{signal}: {ended:?}");
        assert_eq!(ended.stderr, line);
    }
}

#[test]
fn unmounting_ends_it() {
    let image = Image::new(BLOCKS, &[]);
    for words in [&["umount", "mnt"][..], &["fusermount3", "-u", "mnt"]] {
        let mounted = Mounted::new(&image, &[]);
        assert!(image.run(words[0], &words[1..]).status.success(), "{words:?}");
        let ended = mounted.wait();
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(0), 1), "{ended:?}");
    }
}

#[test]
fn while_it_is_in_use_its_name_is_removed_and_reads_fail() {
    let image = Image::new(BLOCKS, &[]);
    let mounted = Mounted::new(&image, &[]);
    let mut file = mounted.open();
    let ended = mounted.stop();
    assert_eq!(ended.code, Some(0));
    let was_in_use = "/mnt was in use: programs that still read the file get errors.\n";
    assert!(ended.stderr.starts_with("WARNING: ") && ended.stderr.contains(was_in_use), "{ended:?}");
    assert!(file.read(&mut [0]).is_err());
}

#[test]
fn a_killed_one_leaves_a_mount_behind_and_the_next_says_so() {
    let image = Image::new(BLOCKS, &[]);
    let mounted = Mounted::new(&image, &[]);
    mounted.signal(Signal::SIGKILL);
    let (code, stdout, stderr) = output(command(&image, &["--events-json=events"]));
    assert_eq!((code, stdout.as_str()), (Some(5), ""));
    assert_eq!(
        stderr,
        "Cannot mount on mnt.\nhint: Transport endpoint is not connected.\nhint: a killed process has left a mount \
         behind; remove it: fusermount3 -u mnt, or as root umount mnt\n"
    );
    assert!(image.run("fusermount3", &["-u", "mnt"]).status.success());
    assert_eq!(Mounted::new(&image, &[]).stop().code, Some(0));
}

#[test]
fn a_command_ends_it_with_its_exit_code() {
    let image = Image::new(BLOCKS, &[]);
    let exec = |words: &[&str]| output(command(&image, &[&["-q", "--exec"], words].concat()));
    assert_eq!(exec(&["cmp", "mnt/image", "data.img"]), (Some(0), String::new(), String::new()));
    assert_eq!(exec(&["sh", "-c", "cmp \"$image\" data.img; exit 42"]).0, Some(42));
    assert_eq!(exec(&["sh", "-c", "kill -KILL $$"]).0, Some(137));
    let (code, _, stderr) = exec(&["./nothing"]);
    assert_eq!((code, stderr.as_str()), (Some(1), "Cannot run ./nothing.\nhint: No such file or directory.\n"));
    // Unmounted under it: it is told to end.
    let (code, ..) = exec(&["sh", "-c", "umount mnt; exec sleep 1000"]);
    assert_eq!(code, Some(128 + 15));
    assert!(!is_mounted(&image.path("mnt")));
}

#[test]
fn a_bad_block_can_be_the_end() {
    let image = Image::new(BLOCKS, &[]);
    image.flip("data.img", 50 * BLOCK as u64);
    let mounted = Mounted::new(&image, &["--on-corruption=stop", "--direct-io"]);
    let file = mounted.open();
    assert!(is_readable(&image, &file, 49) && !is_readable(&image, &file, 50));
    drop(file);
    let ended = mounted.wait();
    assert_eq!(ended.code, Some(2));
    let hint = "hint: mount-file has ended with it, as --on-corruption=stop demands.\n";
    assert!(ended.stderr.contains("Data block 50 at byte 204800 is not what the root hash says.\n"), "{ended:?}");
    assert!(ended.stderr.ends_with(hint) && !is_mounted(&image.path("mnt")), "{ended:?}");
}

#[test]
fn the_object_says_what_was_read() {
    let image = Image::new(BLOCKS, &[]);
    let arguments = ["mount-file", "data.img", "hash.img", "--json", "--root-hash-file=root-hash", "mnt", "--exec"];
    fs::write(image.path("root-hash"), &image.root_hash).expect("writable");
    fs::create_dir(image.path("mnt")).expect("writable");
    let (code, stdout, stderr) =
        output(image.command(program(), &[&arguments[..], &["cmp", "mnt/image", "data.img"]].concat()));
    assert_eq!((code, stderr.lines().count()), (Some(0), 0), "{stderr}");
    let object = schema::check(&stdout).expect("what the schema says");
    assert_eq!((&object["action"], &object["exit_code"]), (&"mount-file".into(), &0.into()));
    assert_eq!(object["bytes_read"], image.data.len());
}

#[test]
fn a_refused_command_touches_nothing() {
    let image = Image::new(BLOCKS, &[]);
    let mounted = Mounted::new(&image, &[]);
    let before = image.names();
    let refused = |arguments: &[&str], code: i32, lines: &str| {
        let words = [&["mount-file", "--events-json=events"], arguments].concat();
        let (found, stdout, stderr) = output(image.command(program(), &words));
        assert_eq!((found, stdout.as_str(), stderr.as_str()), (Some(code), "", lines), "{arguments:?}");
    };
    let with = |directory| ["data.img", "hash.img", image.root_hash.as_str(), directory];
    refused(&with("mnt"), 5, "Cannot mount on mnt.\nhint: a FUSE file system is mounted there already.\n");
    refused(&with("none"), 4, "Cannot mount on none.\nhint: No such file or directory.\n");
    refused(&with("hash.img"), 1, "Cannot mount on hash.img.\nhint: it is not a directory.\n");
    refused(&with("."), 1, "Cannot mount on ..\nhint: data.img is in it, and would be hidden.\n");
    assert_eq!(image.names(), before);
    let (code, _, stderr) = output(image.command(program(), &["mount-file", "data.img"]));
    assert_eq!(code, Some(1));
    let needed = "mount-file: requires <data_device> <hash_device> [<root_hash>] <directory> as arguments";
    assert!(stderr.contains(needed), "{stderr}");
    assert_eq!(mounted.stop().code, Some(0));
}

#[test]
fn an_image_is_found_as_by_the_other_actions() {
    let image = Image::new(BLOCKS, &[]);
    fs::create_dir(image.path("mnt")).expect("writable");
    fs::write(image.path("root-hash"), &image.root_hash).expect("writable");
    fs::copy(image.path("hash.img"), image.path("data.img.verity")).expect("writable");
    fs::copy(image.path("data.img"), image.path("one.img")).expect("writable");
    let append = ["format", "--append", "one.img", "--root-hash-file=other-root-hash"];
    assert!(image.run(program(), &append).status.success());
    for arguments in [
        &["data.img", "--root-hash-file=root-hash", "mnt"][..],
        &["data.img", "mnt", &format!("--root-hash={}", image.root_hash)],
        &["one.img", "one.img", "mnt", "--hash-offset=auto", "--root-hash-file=other-root-hash"],
    ] {
        let command = image.command(program(), &[&["mount-file"], arguments].concat());
        let mounted = Mounted::spawn(&image, command);
        assert!(fs::read(mounted.path()).is_ok_and(|copy| copy == image.data), "{arguments:?}");
        assert_eq!(mounted.stop().code, Some(0));
    }
}

#[test]
fn a_command_without_fuse_says_so() {
    let image = Image::new(BLOCKS, &[]);
    let arguments = ["mount-file", "data.img", "hash.img", &image.root_hash, "mnt"];
    let (code, stdout, stderr) = output(image.command(dmverity_tests::veritysetup(), &arguments));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.starts_with("This veritysetup was built without FUSE.\nhint: build it with: "), "{stderr}");
}
