//! Image policies: what `systemd-dissect --validate` of two suites says of disk images, and what we say.
//!
//! Like `systemd-repart` it runs from an unpacked tree; it looks at files and needs no privilege.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use dmverity::ddi::{
    Architecture, Designator, DiskImage, Error, FileSystem, Gpt, ImageFacts, Policy, Refusal, SignatureSource, Unsigned,
};
use dmverity::{Seed, Work};
use dmverity_tests::chain;
use dmverity_tests::vm::debian;

/// How many policies are tried with each image.
const ROUNDS: usize = 200;

const PARTITIONS: &[&str] = &["root", "usr", "root-verity", "root-verity-sig", "usr-verity", "home", ""];

/// The flags that both versions know.
const FLAGS: &[&str] = &[
    "verity",
    "signed",
    "encrypted",
    "unprotected",
    "unused",
    "absent",
    "open",
    "ignore",
    "read-only-on",
    "read-only-off",
    "growfs-on",
    "growfs-off",
];

/// A policy of a few items; some have the same item twice.
fn policy(random: &mut fastrand::Rng) -> String {
    let items = (0..random.usize(1..=3)).map(|_| {
        // The partitions that the images have come first.
        let partition = PARTITIONS[random.usize(0..PARTITIONS.len()).min(random.usize(0..PARTITIONS.len()))];
        let flags: Vec<&str> = (0..random.usize(0..=3)).map(|_| FLAGS[random.usize(0..FLAGS.len())]).collect();
        format!("{partition}={}", flags.join("+"))
    });
    items.collect::<Vec<_>>().join(":")
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Agrees,
    Refused,
    NoPolicy,
}

pub(crate) fn theirs(tree: &Path, policy: &str, image: &Path) -> Verdict {
    let libraries = tree.join("usr/lib/x86_64-linux-gnu");
    let path = std::env::join_paths([libraries.clone(), libraries.join("systemd")]).expect("no path has a colon");
    let mut dissect = Command::new(tree.join("usr/lib64/ld-linux-x86-64.so.2"));
    dissect.arg("--library-path").arg(path).arg(tree.join("usr/bin/systemd-dissect"));
    dissect.arg("--validate").arg(format!("--image-policy={policy}")).arg(image);
    let output = dissect.output().expect("a tree has its loader");
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Verdict::Agrees
    } else if said.contains(&*image.to_string_lossy()) {
        Verdict::Refused
    } else {
        // Others are about the text, and do not begin with the image's name.
        Verdict::NoPolicy
    }
}

fn compare(suite: &str, accepts_more: impl Fn(&str, &Refusal) -> bool, accepts_less: impl Fn(&str) -> bool) {
    let tree = debian::clients(suite).expect("a tree of Debian's programs");
    let folder = tempfile::tempdir().expect("the test's own files");
    chain::unpack(folder.path());
    let mut random = fastrand::Rng::with_seed(16);
    let mut agreed = 0;
    for name in chain::IMAGES {
        let image = folder.path().join(format!("ddi/{name}.raw"));
        let file = File::open(&image).expect("the test's own files");
        let facts = ImageFacts::of(&Gpt::read(&file).expect("it has a table"), &file).expect("it can be read");
        for _ in 0..ROUNDS {
            let text = policy(&mut random);
            let theirs = theirs(&tree, &text, &image);
            let ours = match Policy::parse(&text) {
                Ok(policy) => policy.check(&facts),
                Err(error) => {
                    assert!(matches!(error, Error::PolicySyntax { .. }));
                    assert_eq!(theirs, Verdict::NoPolicy, "{suite} {name} {text}: {error}");
                    continue;
                }
            };
            match (&ours, &theirs) {
                (Ok(()), Verdict::Agrees) => agreed += 1,
                (Err(_), Verdict::Refused) => {}
                (Err(refusal), Verdict::Agrees) if accepts_more(&text, refusal) => {}
                (Ok(()), Verdict::Refused) if accepts_less(name) => {}
                _ => panic!("{suite} {name} {text}: {ours:?}, {theirs:?}"),
            }
        }
    }
    assert!(agreed > ROUNDS / 4, "{suite}: {agreed} policies say nothing");
}

/// Where systemd lets an image pass and uses it with less protection than it has, or not at all.
fn is_weaker(_: &str, refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Protection { .. })
}

#[test]
fn verdicts_of_trixie() {
    // A signature that is not ignored has to be asked for.
    compare("trixie", is_weaker, |image| !image.contains("unsigned"));
}

#[test]
fn verdicts_of_sid() {
    compare("sid", is_weaker, |_| false);
}

#[test]
fn what_is_built_is_a_disk_image_to_both() {
    let folder = tempfile::tempdir().expect("the test's own files");
    let image = folder.path().join("image.raw");
    let data = b"hsqs".repeat(5000);
    let architecture = Architecture::local().expect("this processor has partition types");
    for sector_size in [512, 4096] {
        for (designator, signature, policy, expected) in [
            (Designator::Root, SignatureSource::None, "root=verity", Verdict::Agrees),
            (Designator::Root, SignatureSource::None, "root=signed", Verdict::Refused),
            (Designator::Root, SignatureSource::Deferred, "root=signed", Verdict::Agrees),
            (Designator::Usr, SignatureSource::Deferred, "usr=signed+read-only-on+growfs-off", Verdict::Agrees),
        ] {
            let mut disk = DiskImage::new(&Seed::new("x").expect("it is a text"));
            disk.sector_size = sector_size;
            disk.add(FileSystem::new(designator, architecture, data.len() as u64), Some(2), signature);
            let file = File::options().read(true).write(true).create(true).truncate(true).open(&image);
            let plan = disk.plan().expect("it can be made");
            let file = file.expect("the test's own files");
            plan.build(&[&data], &file, &mut Unsigned, &Work::default()).expect("it can be made");
            for suite in ["trixie", "sid"] {
                let tree = debian::clients(suite).expect("a tree of Debian's programs");
                assert_eq!(theirs(&tree, policy, &image), expected, "{suite} {policy} {sector_size}");
            }
        }
    }
}
