//! Debian's `systemd-repart`, which looks for the library by name when it runs, on Debian's library and on ours.
//!
//! It runs from an unpacked tree of its suite, with the tree's own loader and libraries: nothing is installed, and no
//! privilege is needed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dmverity_c::functions::FUNCTIONS;
use dmverity_tests::vm::debian;

use crate::{compiler, library, run, source, text};

/// What both images are made from.
const SEED: &str = "--seed=3bc1c38a-4d33-404f-b0e2-9644e20ffa71";

/// A folder with the definitions of two partitions: for data, and for their hash tree.
fn definitions(folder: &Path, data: &Path) -> PathBuf {
    let definitions = folder.join("verity");
    fs::create_dir_all(&definitions).expect("the test's own files");
    let root = format!("[Partition]\nType=root\nCopyBlocks={}\nVerity=data\nVerityMatchKey=root\n", data.display());
    let hash = "[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=root\n";
    for (name, text) in [("1-root.conf", root.as_str()), ("2-hash.conf", hash)] {
        fs::write(definitions.join(name), text).expect("the test's own files");
    }
    definitions
}

/// The program with these folders of libraries.
pub(crate) fn repart(tree: &Path, libraries: &OsStr) -> Command {
    let mut repart = Command::new(tree.join("usr/lib64/ld-linux-x86-64.so.2"));
    repart.arg("--library-path").arg(libraries).arg(tree.join("usr/bin/systemd-repart"));
    repart.args(["--offline=yes", "--empty=create", "--dry-run=no", "--no-pager", SEED]);
    repart
}

/// Makes the image.
fn make(tree: &Path, ours: Option<&Path>, definitions: &Path, data: &Path, image: &Path) {
    let libraries = tree.join("usr/lib/x86_64-linux-gnu");
    let theirs = [libraries.clone(), libraries.join("systemd")];
    let path = ours.into_iter().map(Path::to_owned).chain(theirs);
    let mut repart = repart(tree, &std::env::join_paths(path).expect("no path has a colon"));
    // With room for the hash tree, which `auto` does not count.
    let room = fs::metadata(data).expect("the test's own files").len() + (32 << 20);
    run(repart.arg(format!("--size={room}")).arg("--definitions").arg(definitions).arg(image));
}

fn compare(suite: &str) {
    let tree = debian::clients(suite).expect("a tree of Debian's programs");
    let folder = tempfile::tempdir().expect("the test's own files");
    let data = folder.path().join("data");
    let mut random = fastrand::Rng::with_seed(15);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(24 << 20).collect();
    fs::write(&data, bytes).expect("the test's own files");
    let definitions = definitions(folder.path(), &data);
    let (theirs, ours) = (folder.path().join("theirs.raw"), folder.path().join("ours.raw"));
    make(&tree, None, &definitions, &data, &theirs);
    make(&tree, library().parent(), &definitions, &data, &ours);
    let theirs = fs::read(theirs).expect("the test's own files");
    assert!(theirs == fs::read(ours).expect("the test's own files"), "{suite}: the images differ");
    // It has a hash tree: there is a superblock, and more than the data and two tables.
    assert!(theirs.windows(8).any(|bytes| bytes == b"verity\0\0"), "{suite}");
    // The library was used: without it there is no image.
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("the test's own files");
    fs::write(empty.join("libcryptsetup.so.12"), "").expect("the test's own files");
    let without = folder.path().join("without.raw");
    let refused = std::panic::catch_unwind(|| make(&tree, Some(&empty), &definitions, &data, &without));
    assert!(refused.is_err(), "{suite}: the library in the first folder was not used");
}

#[test]
fn repart_of_trixie_makes_the_same_image() {
    compare("trixie");
}

#[test]
fn repart_of_sid_makes_the_same_image() {
    compare("sid");
}

/// Makes the image on a library that says how long `crypt_format` took, and returns that.
fn seconds(tree: &Path, folder: &Path, real: &Path, data: &Path) -> f64 {
    let libraries = tree.join("usr/lib/x86_64-linux-gnu");
    let path = [folder.to_owned(), libraries.clone(), libraries.join("systemd")];
    let mut repart = repart(tree, &std::env::join_paths(path).expect("no path has a colon"));
    let image = folder.join("image.raw");
    // A file that is there is refused.
    let _ = fs::remove_file(&image);
    let room = fs::metadata(data).expect("the test's own files").len() + (32 << 20);
    repart.arg(format!("--size={room}")).arg("--definitions").arg(folder.join("verity")).arg(&image);
    let said = text(&run(repart.env("REAL_LIBRARY", real)).stderr);
    let line = said.lines().find_map(|line| line.split_once("crypt_format: "));
    line.and_then(|(_, seconds)| seconds.trim().parse().ok()).expect("the time of crypt_format")
}

/// How long the hash tree of 1 GiB takes: shown, not judged.
#[test]
#[ignore = "for a quiet machine: make test-lib"]
fn repart_is_faster() {
    let tree = debian::clients("trixie").expect("a tree of Debian's programs");
    let folder = tempfile::tempdir_in(dmverity_tests::built()).unwrap();
    let names = FUNCTIONS.iter().filter(|function| function.name != "crypt_format");
    let names = names.fold(String::new(), |list, function| list + "NAME(" + function.name + ")\n");
    fs::write(folder.path().join("names.h"), names).unwrap();
    let mut cc = compiler("cc", folder.path());
    cc.args(["-I.", "-shared", "-fPIC", "-o", "libcryptsetup.so.12"]).arg(source("timed.c")).arg("-ldl");
    run(&mut cc);
    let data = folder.path().join("data");
    let mut random = fastrand::Rng::with_seed(16);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(1 << 30).collect();
    fs::write(&data, bytes).unwrap();
    definitions(folder.path(), &data);
    let theirs = tree.join("usr/lib/x86_64-linux-gnu/libcryptsetup.so.12");
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        for (times, real) in times.iter_mut().zip([&theirs, &library()]) {
            times.push(seconds(&tree, folder.path(), real, &data));
        }
    }
    let [theirs, ours] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[2]
    });
    println!(
        "systemd-repart, the hash tree of 1 GiB, medians of 5: Debian's library {theirs:.3} s, ours {ours:.3} s: {:.1} \
         times as fast",
        theirs / ours
    );
}
