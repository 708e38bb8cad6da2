//! Kernel command lines and root hash files.
//!
//! Input: a kernel command line as it is in `/proc/cmdline`; the same bytes are read as a root hash file.

use dmverity::boot::BootImage;
use dmverity::cmdline::{Cmdline, Fault, Root, RootImage};
use dmverity::{HashAlgorithm, Params, Plan, RootHash};
use veritysetup::fuzzing;

use crate::file::MemoryFile;

pub(crate) const DICTIONARY: &[&str] = &[
    "roothash=",
    "usrhash=",
    "rd.",
    "systemd.verity=no",
    "systemd.verity=yes",
    "systemd.verity_root_data=",
    "systemd.verity_root_hash=",
    "systemd.verity_root_options=",
    "systemd.verity_usr_data=",
    "\"",
    "'",
    "\\",
    " ",
    "\t",
    "\n",
    "\x0b",
    "\0",
    "--",
    "=",
    ",",
    "dyndbg=\"file x.c ",
    "/dev/vda2",
    "PARTUUID=",
    "superblock=no",
    "fec-device=",
    "root-hash-signature=",
    "hash-offset=",
    "expect-data-blocks=",
    "panic-on-corruption",
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
];

thread_local! {
    static FILE: MemoryFile = MemoryFile::new();
}

/// A line with a root hash is never taken for one that requests nothing; the last root hash of a line counts; a line
/// that this library writes can be read back.
pub fn kernel_cmdline(data: &[u8]) {
    let parsed = Cmdline::parse(data);
    let mentions = |name: &[u8]| data.windows(name.len()).any(|window| window == name);
    let has_hash = mentions(b"roothash=");
    match &parsed {
        Err(fault) => assert!(!fault.to_string().is_empty()),
        Ok(Cmdline { root: Root::NotAsked, usr, .. }) => {
            assert!(!has_hash && (*usr || !mentions(b"usrhash=")), "{}", data.escape_ascii());
        }
        Ok(Cmdline { root: Root::SwitchedOff, .. }) => {}
        Ok(Cmdline { root: Root::Image(image), .. }) => check_image(image),
    }
    check_more(data, &parsed);
    FILE.with(|file| {
        file.set(data);
        let read = fuzzing::root_hash_file(file.path(), HashAlgorithm::default());
        let first = data.get(..64).unwrap_or_default();
        if let Ok(root_hash) = read {
            assert_eq!(first.to_ascii_lowercase(), root_hash.to_string().into_bytes());
        } else {
            assert!(first.is_empty() || !first.iter().all(u8::is_ascii_hexdigit));
        }
    });
    written(data);
}

fn check_image(image: &RootImage) {
    assert!(image.root_hash.as_bytes().len() >= 16);
    for device in [&image.data_device, &image.hash_device] {
        assert!(device.path.starts_with("/dev/") && !device.path.contains(char::is_control), "{device:?}");
    }
    for option in &image.options {
        let is_text = |value: &String| !value.is_empty() && !value.contains(char::is_control);
        assert!(option.value.as_ref().is_none_or(is_text), "{option:?}");
    }
}

fn check_more(line: &[u8], parsed: &Result<Cmdline, Fault>) {
    let with = |more: &[u8]| Cmdline::parse(&[line, more].concat());
    if let Ok(parsed) = parsed {
        match with(b"\n") {
            Ok(other) => assert_eq!(&other, parsed),
            Err(fault) => assert_eq!(fault, Fault::Backslash),
        }
    }
    let root_hash = "ab".repeat(32);
    match with(format!(" roothash={root_hash}").as_bytes()) {
        Ok(Cmdline { root: Root::NotAsked, .. }) => panic!("the root hash is overlooked: {}", line.escape_ascii()),
        Ok(Cmdline { root: Root::Image(image), .. }) => assert_eq!(image.root_hash.to_string(), root_hash),
        Ok(Cmdline { root: Root::SwitchedOff, .. }) | Err(_) => {}
    }
}

/// A line with devices whose names are the input.
fn written(data: &[u8]) {
    let name = |rest: &[u8]| format!("/dev/{}", String::from_utf8_lossy(rest));
    let (first, second) = data.split_at(data.len() / 2);
    let plan = Plan::new(Params::builder(), 1 << 20).expect("valid");
    let root_hash = RootHash::new((0..32).collect());
    let image = BootImage::new(&plan.layout, &root_hash).data_device(name(first)).hash_device(name(second));
    if let Ok(line) = image.cmdline() {
        match Cmdline::parse(line.as_bytes()) {
            Ok(Cmdline { root: Root::Image(image), .. }) => {
                assert_eq!(image.root_hash, root_hash);
                assert_eq!((image.data_device.path, image.hash_device.path), (name(first), name(second)));
            }
            other => panic!("{line:?} reads as {other:?}"),
        }
    }
}
