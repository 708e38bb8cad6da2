//! Debian's `systemd-repart`, which looks for the library by name when it runs, on Debian's library and on ours.
//!
//! It runs from an unpacked tree of its suite, with the tree's own loader and libraries: nothing is installed, and no
//! privilege is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dmverity_tests::vm::debian;

use crate::{library, run};

/// What both images are made from.
const SEED: &str = "--seed=3bc1c38a-4d33-404f-b0e2-9644e20ffa71";

/// A folder with the definitions of partitions: one for data and, if wanted, one for its hash tree.
fn definitions(folder: &Path, data: &Path, with_verity: bool) -> PathBuf {
    let name = if with_verity { "verity" } else { "plain" };
    let definitions = folder.join(name);
    fs::create_dir_all(&definitions).expect("the test's own files");
    let verity = |kind| if with_verity { format!("Verity={kind}\nVerityMatchKey=root\n") } else { String::new() };
    let root = format!("[Partition]\nType=root\nCopyBlocks={}\n{}", data.display(), verity("data"));
    fs::write(definitions.join("1-root.conf"), root).expect("the test's own files");
    if with_verity {
        fs::write(definitions.join("2-hash.conf"), format!("[Partition]\nType=root-verity\n{}", verity("hash")))
            .expect("the test's own files");
    }
    definitions
}

/// Makes the image; returns the time that took.
fn make(tree: &Path, ours: Option<&Path>, definitions: &Path, data: &Path, image: &Path) -> Duration {
    let libraries = tree.join("usr/lib/x86_64-linux-gnu");
    let theirs = [libraries.clone(), libraries.join("systemd")];
    let path = ours.into_iter().map(Path::to_owned).chain(theirs);
    let path = std::env::join_paths(path).expect("no path has a colon");
    let mut repart = Command::new(tree.join("usr/lib64/ld-linux-x86-64.so.2"));
    repart.arg("--library-path").arg(path).arg(tree.join("usr/bin/systemd-repart"));
    repart.args(["--offline=yes", "--empty=create", "--dry-run=no", "--no-pager", SEED]);
    // With room for the hash tree, which `auto` does not count.
    let room = fs::metadata(data).expect("the test's own files").len() + (32 << 20);
    repart.arg(format!("--size={room}")).arg("--definitions").arg(definitions).arg(image);
    let begin = Instant::now();
    run(&mut repart);
    begin.elapsed()
}

fn compare(suite: &str) {
    let tree = debian::clients(suite).expect("a tree of Debian's programs");
    let folder = tempfile::tempdir().expect("the test's own files");
    let data = folder.path().join("data");
    let mut random = fastrand::Rng::with_seed(15);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(24 << 20).collect();
    fs::write(&data, bytes).expect("the test's own files");
    let definitions = definitions(folder.path(), &data, true);
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

/// How long the hash trees of 1 GiB take: shown, not judged.
#[test]
#[ignore = "for a quiet machine: make test-lib"]
fn repart_is_faster() {
    let tree = debian::clients("trixie").expect("a tree of Debian's programs");
    let folder = tempfile::tempdir_in(dmverity_tests::built()).expect("the test's own files");
    let data = folder.path().join("data");
    let mut random = fastrand::Rng::with_seed(16);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(1 << 30).collect();
    fs::write(&data, bytes).expect("the test's own files");
    let (plain, verity) = (definitions(folder.path(), &data, false), definitions(folder.path(), &data, true));
    let image = folder.path().join("image.raw");
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..5 {
        let runs = [(&plain, None), (&verity, None), (&verity, library().parent().map(Path::to_owned))];
        for (times, (definitions, ours)) in times.iter_mut().zip(runs) {
            // A file that is there is refused.
            let _ = fs::remove_file(&image);
            times.push(make(&tree, ours.as_deref(), definitions, &data, &image));
        }
    }
    let [plain, theirs, ours] = times.map(|mut times| {
        times.sort_unstable();
        times[2].as_secs_f64()
    });
    println!(
        "systemd-repart, 1 GiB, medians of 5: without a hash tree {plain:.3} s, with Debian's library {theirs:.3} s,"
    );
    println!("with ours {ours:.3} s; the hash tree: {:.1} times as fast", (theirs - plain) / (ours - plain));
}
