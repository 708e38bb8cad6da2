//! The programs that people use: each reads what the image has, and gets an I/O error for a bad block and for nothing
//! else; with parity, none.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, Refused};
use crate::image::{BLOCK, Image};
use crate::server::Server;

const BLOCKS: usize = 600;
/// In the middle of what a program reads at once.
const BAD: usize = 321;

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn flip_bad_block(image: &Image) {
    image.flip("data.img", (BAD * BLOCK + 77) as u64);
}

#[test]
fn nbdinfo_sees_a_disk_without_a_name() {
    let image = Image::new(BLOCKS, &[]);
    let server = Server::start(&image, &[]);
    let nbdinfo = |options: &[&str]| text(&image.run("nbdinfo", &[options, &[&server.uri()]].concat()));
    assert_eq!(nbdinfo(&["--size"]).trim(), (BLOCKS * BLOCK).to_string());
    let list: Value = serde_json::from_str(&nbdinfo(&["--json", "--list"])).expect("JSON");
    let export = &list["exports"][0];
    assert_eq!(list["exports"].as_array().expect("a list").len(), 1);
    assert_eq!(export["export-name"], "");
    for (field, value) in [("is_read_only", true), ("can_multi_conn", true), ("can_trim", false), ("can_zero", false)] {
        assert_eq!(export[field], value, "{field}");
    }
    assert_eq!(export["block_size_preferred"], BLOCK);
    assert_eq!(export["contexts"], serde_json::json!(["base:allocation"]));
    let map: Value = serde_json::from_str(&nbdinfo(&["--json", "--map"])).expect("JSON");
    assert_eq!(map.as_array().expect("a list").len(), 1);
    assert_eq!(map[0]["description"], "data");
}

#[test]
fn holes_are_told_where_the_tree_proves_zeros() {
    let mut data = vec![0; BLOCKS * BLOCK];
    data[..BLOCK].fill(1);
    data[500 * BLOCK..].fill(2);
    let image = Image::of(data, &[]);
    // Its middle becomes a hole, and so does a block that is to be data.
    let file = fs::File::options().write(true).open(image.path("data.img")).expect("a file");
    file.set_len(BLOCK as u64).expect("writable");
    file.set_len((BLOCKS * BLOCK) as u64).expect("writable");
    std::os::unix::fs::FileExt::write_all_at(&file, &image.data[501 * BLOCK..], (501 * BLOCK) as u64)
        .expect("writable");
    let server = Server::start(&image, &[]);
    let map = text(&image.run("nbdinfo", &["--json", "--map", &server.uri()]));
    let map: Value = serde_json::from_str(&map).expect("JSON");
    let extents: Vec<_> = map.as_array().expect("a list").iter().map(|each| (&each["offset"], &each["type"])).collect();
    assert_eq!(
        format!("{extents:?}"),
        "[(Number(0), Number(0)), (Number(4096), Number(3)), (Number(2048000), Number(0))]"
    );
    // The hole where data have to be is no zeros.
    let mut client = Client::new(server.socket(), true);
    let length = u32::try_from(BLOCK).expect("short");
    assert!(client.read(500 * BLOCK as u64, length).is_err());
    assert_eq!(client.read(100 * BLOCK as u64, length), Ok(vec![0; BLOCK]));
}

#[test]
fn every_program_reads_what_the_image_has() {
    let image = Image::new(BLOCKS, &[]);
    for options in [&[][..], &["--verify=pool", "--threads=3"], &["--verify=inline", "--check-at-most-once"]] {
        let server = Server::start(&image, options);
        read_with_every_program(&image, &server);
        let ended = server.stop();
        assert_eq!(ended.code, Some(0));
        assert_eq!((ended.counter("failed_requests"), ended.counter("corrupted")), (0, 0));
    }
}

fn read_with_every_program(image: &Image, server: &Server) {
    let uri = &server.uri();
    let copy = image.run("nbdcopy", &[uri, "-"]);
    assert!(copy.status.success() && copy.stdout == image.data, "nbdcopy");
    text(&image.run("qemu-img", &["convert", "-f", "raw", "-O", "raw", uri, "copy.img"]));
    assert!(fs::read(image.path("copy.img")).is_ok_and(|copy| copy == image.data), "qemu-img convert");
    text(&image.run("qemu-img", &["compare", "-f", "raw", "-F", "raw", uri, "copy.img"]));
    let mounted = Mounted::new(image, server);
    assert!(fs::read(mounted.file()).is_ok_and(|copy| copy == image.data), "nbdfuse");
    drop(mounted);
    text(&python(image, server, "import sys\nsys.exit(h.pread(h.get_size(), 0) != open('copy.img', 'rb').read())"));
}

/// Runs a program in Python in which `h` is connected.
fn python(image: &Image, server: &Server, program: &str) -> Output {
    let connect = "import sys, nbd\nh = nbd.NBD()\nh.connect_uri(sys.argv[1])\n";
    // Debian's, which has the module.
    image.run("/usr/bin/python3", &["-c", &format!("{connect}{program}"), &server.uri()])
}

/// The disk as a file, by nbdfuse.
struct Mounted {
    directory: tempfile::TempDir,
    process: std::process::Child,
}

impl Mounted {
    fn new(image: &Image, server: &Server) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut command = image.command("nbdfuse", &["-r"]);
        let process = command.arg(directory.path()).arg(server.uri()).spawn().expect("nbdfuse");
        let mounted = Self { directory, process };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !mounted.file().exists() {
            assert!(Instant::now() < deadline, "nbdfuse does not mount");
            sleep(Duration::from_millis(10));
        }
        mounted
    }

    fn file(&self) -> std::path::PathBuf {
        self.directory.path().join("nbd")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("fusermount3").arg("-u").arg(self.directory.path()).status();
        let _ = self.process.wait();
    }
}

#[test]
fn a_bad_block_is_an_io_error_and_nothing_else_is() {
    let image = Image::new(BLOCKS, &[]);
    flip_bad_block(&image);
    let server = Server::start(&image, &["--events-json=events"]);
    let uri = &server.uri();
    fs::write(image.path("copy.img"), &image.data).expect("writable");
    let copy = image.run("nbdcopy", &[uri, "null:"]);
    assert_eq!(copy.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&copy.stderr).contains("Input/output error"), "{copy:?}");
    let convert = image.run("qemu-img", &["convert", "-f", "raw", "-O", "raw", uri, "other.img"]);
    assert_eq!(convert.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&convert.stderr).contains("Input/output error"), "{convert:?}");
    let compare = image.run("qemu-img", &["compare", "-f", "raw", "-F", "raw", uri, "copy.img"]);
    assert_eq!(compare.status.code(), Some(4), "{compare:?}");
    let program = format!(
        "import errno
good = open('copy.img', 'rb').read()
for block in range({BLOCKS}):
    try:
        assert h.pread({BLOCK}, block * {BLOCK}) == good[block * {BLOCK}:][:{BLOCK}] and block != {BAD}
    except nbd.Error as error:
        assert error.errnum == errno.EIO and block == {BAD}, (block, error)"
    );
    text(&python(&image, &server, &program));
    let mounted = Mounted::new(&image, &server);
    let bad = check_around_the_bad_block(&image, &mounted.file());
    assert_eq!(bad, vec![BAD]);
    drop(mounted);
    // However often it was read, it is named once.
    let ended = server.stop();
    assert_eq!(ended.code, Some(0));
    let events = fs::read_to_string(image.path("events")).expect("text");
    let position = BAD * BLOCK;
    assert_eq!(
        events,
        format!(
            "{{\"area\":\"data\",\"block\":{BAD},\"offset\":{position},\"data_offset\":{position},\
             \"data_bytes\":{BLOCK},\"recovered\":false}}\n"
        )
    );
    assert!(ended.counter("corrupted") > 4, "{}", ended.stderr);
}

/// Reads blocks of a file, and returns those that cannot be read.
fn check_around_the_bad_block(image: &Image, file: &Path) -> Vec<usize> {
    let file = fs::File::open(file).expect("it is mounted");
    let is_bad = |block: &usize| {
        let mut bytes = [0; BLOCK];
        match std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, (block * BLOCK) as u64) {
            Ok(()) => {
                assert!(bytes == image.data[block * BLOCK..][..BLOCK], "block {block}");
                false
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(nix::errno::Errno::EIO as i32));
                true
            }
        }
    };
    (BAD - 40..BAD + 40).filter(is_bad).collect()
}

#[test]
fn with_parity_a_bad_block_is_recovered() {
    let image = Image::new(BLOCKS, &["--fec-device=fec.img"]);
    flip_bad_block(&image);
    let server = Server::start(&image, &["--fec-device=fec.img", "--events-json=events"]);
    read_with_every_program(&image, &server);
    let ended = server.stop();
    assert_eq!(ended.counter("failed_requests"), 0);
    assert!(ended.counter("recovered") > 0 && ended.counter("recovered") == ended.counter("corrupted"));
    let events = fs::read_to_string(image.path("events")).expect("text");
    assert_eq!(events.lines().count(), 1);
    assert!(events.contains("\"recovered\":true"), "{events}");
}

#[test]
fn a_structured_reply_names_the_bad_block() {
    let image = Image::new(BLOCKS, &[]);
    flip_bad_block(&image);
    let server = Server::start(&image, &[]);
    let whole = u32::try_from(BLOCKS * BLOCK).expect("short");
    let mut client = Client::new(server.socket(), true);
    assert_eq!(client.read(0, whole), Err(Refused { errno: 5, offset: Some((BAD * BLOCK) as u64) }));
    assert_eq!(
        client.read((BAD * BLOCK + 5) as u64, 1),
        Err(Refused { errno: 5, offset: Some((BAD * BLOCK + 5) as u64) })
    );
    let mut simple = Client::new(server.socket(), false);
    assert_eq!(simple.read(0, whole), Err(Refused { errno: 5, offset: None }));
    // Everything else is still there.
    assert_eq!(client.read(0, 10).as_deref(), Ok(&image.data[..10]));
    let ended = server.stop();
    assert!(ended.stderr.starts_with("Data block 321 at byte 1314816 is not what the root hash says.\nconnections="));
}

#[test]
fn serving_may_end_with_a_bad_block() {
    let image = Image::new(BLOCKS, &[]);
    flip_bad_block(&image);
    let server = Server::start(&image, &["--on-corruption=stop"]);
    let mut client = Client::new(server.socket(), true);
    assert_eq!(client.read(0, 10).as_deref(), Ok(&image.data[..10]));
    // The client gets its error first.
    let offset = (BAD * BLOCK) as u64;
    assert_eq!(client.read(offset, 10), Err(Refused { errno: 5, offset: Some(offset) }));
    assert!(client.is_ended());
    let ended = server.wait();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("hint: serving has ended with it, as --on-corruption=stop demands.\n"), "{ended:?}");
    // One that is recovered is no reason to end.
    let image = Image::new(BLOCKS, &["--fec-device=fec.img"]);
    flip_bad_block(&image);
    let server = Server::start(&image, &["--on-corruption=stop", "--fec-device=fec.img"]);
    assert_eq!(Client::new(server.socket(), true).read(offset, 10).as_deref(), Ok(&image.data[BAD * BLOCK..][..10]));
    assert_eq!(server.stop().code, Some(0));
}
