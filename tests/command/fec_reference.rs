//! Both directions with Debian's `veritysetup` over seeded random images with forward error correction: both format the
//! same bytes, and each finds the same number of errors in the other's image.

use std::collections::BTreeSet;

use crate::fec::{self, Files, Hashing, Image};
use crate::reference::{normalised, without_padding};
use crate::sandbox::{Outcome, Sandbox};
use crate::ways::{Way, one_of, ways, with_threads};

/// How many images there are: more than eight for each number of roots.
const IMAGES: u64 = 200;

/// How many data blocks there are: around a number that fills whole rounds, with or without the tree, or any.
fn data_blocks(rng: &mut fastrand::Rng, hashing: &Hashing, roots: usize) -> usize {
    if hashing.block > 4096 {
        return rng.usize(1..=20);
    }
    let whole_rounds = (255 - roots) * if hashing.block < 4096 { rng.usize(1..=4) } else { rng.usize(1..=2) };
    match rng.u32(..8) {
        0 => 1,
        1 | 2 => rng.usize(2..=300),
        3 | 4 => whole_rounds - 2 + rng.usize(..=4),
        _ => {
            let with_tree = |blocks: &usize| blocks + hashing.levels(*blocks).iter().sum::<usize>();
            let most = (1..whole_rounds).rfind(|blocks| with_tree(blocks) <= whole_rounds).expect("there is room");
            most - 2 + rng.usize(..=4)
        }
    }
}

fn image(seed: u64, rng: &mut fastrand::Rng) -> Image {
    let roots = 2 + usize::try_from(seed % 23).expect("small");
    let block = match rng.u32(..20) {
        0 => 512 << rng.u32(4..=7),
        1..4 => 1024,
        4..6 => 2048,
        6..10 => 4096,
        _ => 512,
    };
    let hashing = Hashing::random(rng, block);
    let data_blocks = data_blocks(rng, &hashing, roots);
    Image::random(rng, hashing, roots, data_blocks)
}

/// Both wrote the same. Without a tree the reference's versions leave the hash device at different lengths.
#[track_caller]
fn assert_same(image: &Image, ours: &Files, theirs: &Files, context: &str) {
    for (name, bytes) in ours {
        let expected = &theirs[name];
        if *name == "hash" && image.hash_blocks == 0 {
            assert!(without_padding(bytes) == without_padding(expected), "{context}: {name} differs");
        } else {
            assert!(bytes == expected, "{context}: {name} differs");
        }
    }
}

fn check(seed: u64, ways: &[Way]) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let image = image(seed, &mut rng);
    let context = format!("seed {seed}: {image:?}");
    let older = image.older_files(&mut rng);
    let (ours, theirs) = (Sandbox::in_memory(), Sandbox::in_memory());
    fec::write(&ours, &older);
    fec::write(&theirs, &older);
    let format = image.format();
    let (made, expected) = (fec::run(&ours, &ways[0], &format), fec::run(&theirs, &Way::reference(), &format));
    assert_eq!((made.code, expected.code), (Some(0), Some(0)), "{context}: {made:?} {expected:?}");
    assert_eq!(normalised(&made), normalised(&expected), "{context}");
    let files = image.read(&ours);
    assert_same(&image, &files, &image.read(&theirs), &context);

    // With every backend, and with more threads, over the same older files.
    for (way, threads) in with_threads(ways) {
        let context = format!("{context}: {way} with {threads} threads");
        let again = Sandbox::in_memory();
        fec::write(&again, &older);
        let mut format = format.clone();
        format.push(format!("--threads={threads}"));
        assert_eq!(fec::run(&again, way, &format), made, "{context}");
        assert!(image.read(&again) == files, "{context}: other bytes");
    }

    if let Some(dump) = image.dump() {
        let (shown, expected) = (fec::run(&theirs, &ways[0], &dump), fec::run(&ours, &Way::reference(), &dump));
        assert_eq!((shown.code, expected.code), (Some(0), Some(0)), "{context}: {shown:?} {expected:?}");
        assert_eq!(normalised(&shown), normalised(&expected), "{context}");
    }
    check_errors(&image, (&ours, &theirs), made.field("Root hash"), ways, &mut rng, &context);
}

/// Each tool verifies the other's image, intact and with a few wrong bytes.
fn check_errors(
    image: &Image,
    (ours, theirs): (&Sandbox, &Sandbox),
    root_hash: &str,
    ways: &[Way],
    rng: &mut fastrand::Rng,
    context: &str,
) {
    let verify = image.check("verify", root_hash);
    let way = &ways[rng.usize(..ways.len())];
    let outcomes = || (fec::run(theirs, way, &verify), fec::run(ours, &Way::reference(), &verify));
    let silent = Outcome { code: Some(0), stdout: String::new(), stderr: String::new() };
    let (found, expected) = outcomes();
    assert_eq!((&found, &expected), (&silent, &silent), "{context}");

    // Wrong parity alone is not noticed.
    let good = image.read(ours);
    let mut bad = good.clone();
    for _ in 0..rng.usize(..3) {
        let at = rng.usize(image.parity());
        bad.get_mut(image.fec).expect("a file of the image")[at] ^= 0x55;
    }
    for sandbox in [ours, theirs] {
        fec::write(sandbox, &bad);
    }
    let (found, expected) = outcomes();
    assert_eq!((&found, &expected), (&silent, &silent), "{context}");

    // One byte that the tree proves, with others of its codeword, and some of further codewords.
    let mut bad = good.clone();
    let number = rng.usize(..image.proven());
    let (name, range) = image.block(number);
    let place = (name, rng.usize(range.clone()));
    fec::damage(&mut bad, place, rng);
    let codeword = number % image.rounds * image.hashing.block + place.1 - range.start;
    let others = image.symbols(codeword).filter(|other| other.place != place);
    let count = rng.usize(..image.roots / 2);
    fec::damage_some(&mut bad, others, count, rng);
    for other in (0..rng.usize(..5)).map(|_| rng.usize(..image.codewords())).collect::<BTreeSet<_>>() {
        if other != codeword {
            let count = rng.usize(1..=image.roots / 2);
            fec::damage_some(&mut bad, image.symbols(other), count, rng);
        }
    }
    for sandbox in [ours, theirs] {
        fec::write(sandbox, &bad);
    }
    let (found, expected) = outcomes();
    assert_eq!(found.first_error(), expected.first_error(), "{context}");
    let number = fec::different_bytes(&good, &bad);
    let last = format!("Found {number} repairable errors with FEC device.");
    assert_eq!(expected.stderr.lines().last(), Some(&*last), "{context}: {expected:?}");
    assert_eq!(found.stderr.lines().last(), Some(&*last), "{context}: {found:?}");
    assert_eq!((found.code, &*found.stdout), (Some(0), ""), "{context}: {found:?}");
    // Without a tree, the reference up to 2.8 still reports the root hash as wrong after a correction.
    let code = if image.hash_blocks == 0 { 2 } else { 0 };
    assert_eq!(expected.code, Some(code), "{context}: {expected:?}");
}

/// Two tests, for two processors.
fn check_every_second(first: u64) {
    let ways = ways();
    for seed in (first..IMAGES).step_by(2 * one_of()) {
        check(seed, &ways);
    }
}

#[test]
fn images_with_parity_are_the_same_in_both_directions() {
    check_every_second(0);
}

#[test]
fn more_images_with_parity_are_the_same_in_both_directions() {
    check_every_second(1);
}
