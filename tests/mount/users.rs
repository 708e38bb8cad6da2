//! Users who are not root, and user namespaces: neither needs device-mapper, and the second no helper.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use dmverity_tests::{ordinary, workspace};
use nix::unistd::geteuid;

use crate::image::Image;
use crate::mounted::{Mounted, is_mounted};
use crate::program;

/// An image of a file system in a directory of the user's, with the command, named `veritysetup`.
fn image_of_files() -> Image {
    let image = Image::new(1, &[]);
    fs::set_permissions(image.directory(), Permissions::from_mode(0o755)).expect("it is ours");
    fs::copy(program(), image.path("veritysetup")).expect("readable");
    let mut random = fastrand::Rng::with_seed(1);
    for (name, size) in [("etc/hostname", 5), ("usr/lib/large", 700_000), ("usr/lib/empty", 0), ("small", 4097)] {
        let path = image.path("rootfs").join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("writable");
        let text: String = std::iter::repeat_with(|| random.alphanumeric()).take(size).collect();
        fs::write(path, text).expect("writable");
    }
    ordinary::give(image.directory());
    image
}

/// A command of the user's in the directory, which finds the image's `veritysetup` first.
fn as_user(image: &Image, words: &[&str]) -> Command {
    ordinary::command(image.directory(), words)
}

fn text(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text")
}

fn make(image: &Image) {
    text(&mut as_user(image, &["mksquashfs", "rootfs", "rootfs.squashfs", "-quiet", "-no-progress"]));
    text(&mut as_user(image, &["veritysetup", "format", "rootfs.squashfs", "tree", "--root-hash-file=root-hash"]));
    text(&mut as_user(image, &["mkdir", "mnt", "files"]));
}

const MOUNT: &[&str] = &["veritysetup", "mount-file", "rootfs.squashfs", "tree", "--root-hash-file=root-hash", "mnt"];

#[test]
fn a_user_mounts_with_the_helper() {
    let image = image_of_files();
    make(&image);
    let mounted = Mounted::spawn(&image, as_user(&image, MOUNT));
    text(&mut as_user(&image, &["cmp", "mnt/image", "rootfs.squashfs"]));
    // Even root is another user.
    assert!(!geteuid().is_root() || fs::read(mounted.path()).is_err());
    assert_eq!(mounted.stop().code, Some(0));
    let mounted = Mounted::spawn(&image, as_user(&image, MOUNT));
    text(&mut as_user(&image, &["fusermount3", "-u", "mnt"]));
    assert_eq!(mounted.wait().code, Some(0));
}

#[test]
fn a_user_without_the_helper_learns_what_to_install() {
    let image = image_of_files();
    make(&image);
    let path = format!("PATH={}", image.directory().display());
    let program = image.path("veritysetup");
    let words = [&["env", &path, program.to_str().expect("text")], &MOUNT[1..]].concat();
    let mut command = as_user(&image, &words);
    let Output { status, stderr, .. } = command.output().expect("it runs");
    let stderr = String::from_utf8(stderr).expect("text");
    assert_eq!(status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("there is no fusermount3: install it (Debian's package is fuse3)."), "{stderr}");
}

#[test]
fn in_a_user_namespace_squashfuse_lists_and_reads_every_file() {
    let image = image_of_files();
    make(&image);
    let script = "squashfuse \"$image\" files && diff -r rootfs files && ls -R files && umount files";
    let namespace = [&["unshare", "--user", "--map-root-user", "--mount"], MOUNT, &["--exec", "sh", "-c", script]];
    let listed = text(&mut as_user(&image, &namespace.concat()));
    for name in ["hostname", "large", "empty", "small"] {
        assert!(listed.lines().any(|line| line == name), "{listed}");
    }
    assert!(!is_mounted(&image.path("mnt")));
}

/// The commands of the guide's recipe print what the guide shows.
#[test]
fn the_recipe_of_the_guide_works() {
    let guide = fs::read_to_string(workspace().join("man/guide.md")).expect("it is there");
    let section = guide.split_once("\n### In a container without privileges\n").expect("it is there").1;
    let block = section.split_once("```console\n").and_then(|(_, rest)| rest.split_once("```")).expect("commands").0;
    let command = |line: &str| Some(line.strip_prefix("$ ").or(line.strip_prefix(">"))?.to_owned() + "\n");
    let script: String = block.lines().filter_map(command).collect();
    let shown: Vec<&str> = block.lines().filter(|line| !line.starts_with(['$', '>'])).collect();
    assert!(script.contains("mount-file") && !shown.is_empty());
    let image = image_of_files();
    fs::remove_dir_all(image.path("rootfs")).expect("it is ours");
    fs::create_dir_all(image.path("rootfs/etc")).expect("writable");
    fs::write(image.path("rootfs/etc/hostname"), "container\n").expect("writable");
    fs::write(image.path("rootfs/init"), "").expect("writable");
    let printed = text(&mut as_user(&image, &["sh", "-e", "-c", &script]));
    assert_eq!(printed.lines().collect::<Vec<_>>(), shown, "{script}");
}

#[test]
fn any_path_is_a_name_and_none_is_an_option() {
    let image = image_of_files();
    make(&image);
    let name = OsStr::from_bytes(b"a,suid,\\dev\xff b");
    fs::rename(image.path("rootfs.squashfs"), image.directory().join(name)).expect("writable");
    let directory: PathBuf = image.directory().join(OsStr::from_bytes(b"d,\xfe"));
    fs::create_dir(&directory).expect("writable");
    ordinary::give(&directory);
    for prefix in [&[][..], &["unshare", "--user", "--map-root-user", "--mount"]] {
        let mut command = as_user(&image, &[prefix, &["veritysetup", "mount-file"]].concat());
        command.arg(name).args(["tree", "--root-hash-file=root-hash"]).arg(&directory);
        command.args(["-q", "--exec", "sh", "-c", "grep -a a,suid /proc/self/mountinfo; cat \"$image\" | cksum"]);
        let Output { status, stdout, stderr } = command.output().expect("it runs");
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        let line = stdout.split(|&byte| byte == b'\n').next().expect("a line");
        let shown = b" ro,nosuid,nodev,";
        assert!(line.windows(shown.len()).any(|window| window == shown), "{}", String::from_utf8_lossy(line));
        let source = b" a,suid,\\134dev\xff\\040b ";
        assert!(line.windows(source.len()).any(|window| window == source), "{}", String::from_utf8_lossy(line));
    }
}
