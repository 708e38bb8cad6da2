//! Both directions with Debian's `veritysetup` over seeded random parameters: both format the same bytes, and each
//! verifies, dumps and refuses the other's images alike.

use dmverity_tests::vectors::painted;

use crate::sandbox::{Outcome, Sandbox};
use crate::ways::{Way, one_of, ways, with_threads};

/// How many parameter sets there are.
const SETS: u64 = 240;

/// Algorithms that the OpenSSL of every reference tool has.
const ALGORITHMS: &[(&str, u64)] = &[
    ("sha1", 20),
    ("sha224", 28),
    ("sha256", 32),
    ("sha384", 48),
    ("sha512", 64),
    ("sha3-224", 28),
    ("sha3-256", 32),
    ("sha3-384", 48),
    ("sha3-512", 64),
    ("blake2b-512", 64),
    ("blake2s-256", 32),
    ("ripemd160", 20),
    ("whirlpool", 64),
    ("sm3", 32),
    ("md5", 16),
];

/// At most this much data in one set, so that the test takes seconds.
const MAX_DATA: u64 = 4 << 20;

pub(crate) const UUID: &str = "a60c98d2-ae9b-4865-bfcb-b4e3ace11033";

/// One set of parameters.
#[derive(Debug)]
struct Set {
    algorithm: &'static str,
    hash_type: u32,
    data_block_size: u64,
    hash_block_size: u64,
    data_blocks: u64,
    salt: String,
    superblock: bool,
    /// Where the hash area starts; on the data device if that is the only device.
    hash_offset: u64,
    one_device: bool,
    /// Bytes at the end of the data device that no block covers.
    tail: u64,
}

impl Set {
    fn random(rng: &mut fastrand::Rng) -> Self {
        let (algorithm, digest_size) = ALGORITHMS[rng.usize(..ALGORITHMS.len())];
        let hash_type = rng.u32(0..=1);
        let block_size = |rng: &mut fastrand::Rng| 512 << if rng.bool() { 3 } else { rng.u32(0..=10) };
        let (data_block_size, hash_block_size) = (block_size(rng), block_size(rng));
        let stride = if hash_type == 1 { digest_size.next_power_of_two() } else { digest_size };
        let fan_out: u64 = 1 << (hash_block_size / stride).ilog2();
        // A power of the fan-out, or a multiple of one, and a block or two to either side of it.
        let mut boundary = fan_out.pow(rng.u32(0..=4));
        if rng.bool() {
            boundary *= rng.u64(1..=3);
        }
        let one_device = rng.u32(0..4) == 0;
        // Up to 2.8 the reference cannot put a superblock without a tree anywhere but at the start of a new file.
        let fewest = if one_device { 2 } else { 1 };
        let data_blocks = (boundary + rng.u64(0..=4)).saturating_sub(2).clamp(fewest, MAX_DATA / data_block_size);
        let salt_len = match rng.u32(0..6) {
            0 => 0,
            1 => 256,
            2 => 32,
            _ => rng.usize(1..=255),
        };
        let data_bytes = data_blocks * data_block_size;
        let superblock = rng.u32(0..4) != 0;
        let hash_offset = match (one_device, superblock) {
            // Without superblock, the tree is at the offset only if that is a whole number of hash blocks.
            (true, false) => data_bytes.next_multiple_of(hash_block_size),
            (true, true) => data_bytes.next_multiple_of(512) + 512 * rng.u64(0..=9),
            (false, _) if data_blocks == 1 => 0,
            (false, false) => hash_block_size * rng.u64(0..=2),
            (false, true) => 512 * rng.u64(0..=1) * rng.u64(0..=20),
        };
        Self {
            algorithm,
            hash_type,
            data_block_size,
            hash_block_size,
            data_blocks,
            salt: hex::encode((0..salt_len).map(|_| rng.u8(..)).collect::<Vec<_>>()),
            superblock,
            hash_offset,
            one_device,
            tail: if one_device { 0 } else { rng.u64(0..=1) * rng.u64(..data_block_size) },
        }
    }

    /// Whether there is more than one way to compute the hash.
    fn has_backends(&self) -> bool {
        ["sha1", "sha224", "sha256", "sha384", "sha512"].contains(&self.algorithm)
    }

    /// The first byte of the hash tree on its device.
    fn tree_start(&self) -> usize {
        let start = if self.superblock {
            (self.hash_offset + 512).next_multiple_of(self.hash_block_size)
        } else {
            self.hash_offset / self.hash_block_size * self.hash_block_size
        };
        usize::try_from(start).expect("small")
    }

    /// The options that describe the image to a command that does not read its superblock.
    fn options(&self) -> Vec<String> {
        let salt = if self.salt.is_empty() { "-" } else { &self.salt };
        let mut options = vec![
            format!("--hash={}", self.algorithm),
            format!("--format={}", self.hash_type),
            format!("--data-block-size={}", self.data_block_size),
            format!("--hash-block-size={}", self.hash_block_size),
            format!("--hash-offset={}", self.hash_offset),
            format!("--salt={salt}"),
        ];
        if self.one_device || self.tail == 0 {
            options.push(format!("--data-blocks={}", self.data_blocks));
        }
        options.push(if self.superblock { format!("--uuid={UUID}") } else { "--no-superblock".to_owned() });
        options
    }
}

/// The text both tools agree on: before 2.8 the reference printed block sizes without a unit and the title without a
/// full stop.
pub(crate) fn normalised(outcome: &Outcome) -> String {
    let text = outcome.stdout.replace(" [bytes]", "");
    text.lines().map(|line| line.trim_end_matches('.').to_owned() + "\n").collect()
}

pub(crate) fn without_padding(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// One wrong byte anywhere in the protected area: both tools give the same verdict and the same first position.
fn check_wrong_byte(
    set: &Set,
    tree_blocks: u64,
    ours: &Sandbox,
    verify: &[&str],
    rng: &mut fastrand::Rng,
    context: &str,
) {
    let data_bytes = usize::try_from(set.data_blocks * set.data_block_size).expect("small");
    let tree_bytes = usize::try_from(tree_blocks * set.hash_block_size).expect("small");
    if tree_bytes > 0 && rng.bool() {
        ours.flip(if set.one_device { "data" } else { "hash" }, set.tree_start() + rng.usize(..tree_bytes));
    } else {
        ours.flip("data", rng.usize(..data_bytes));
    }
    let (found, expected) = (ours.run(verify).without_uncovered(), ours.reference(verify));
    if expected.first_error() == "Verification of root hash failed." {
        // There is only one data block: the root hash may be wrong instead.
        assert_eq!((found.code, expected.code), (Some(1), Some(1)), "{context}");
    } else {
        assert_eq!((found.code, expected.code), (Some(2), Some(2)), "{context}: {found:?} {expected:?}");
    }
    assert_eq!(found.first_error(), expected.first_error(), "{context}");
}

fn check(seed: u64, ways: &[Way]) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let set = Set::random(&mut rng);
    let context = format!("seed {seed}: {set:?}");
    let (ours, theirs) = (Sandbox::new(), Sandbox::new());
    let data: Vec<u8> = (0..set.data_blocks * set.data_block_size + set.tail).map(|_| rng.u8(..)).collect();
    // Bytes to be kept: an older, perhaps longer file around the hash area.
    let older = (!set.one_device && rng.bool()).then(|| vec![0x5A; rng.usize(..100_000)]);
    for sandbox in [&ours, &theirs] {
        sandbox.write("data", &data);
        if let Some(older) = &older {
            sandbox.write("hash", older);
        }
    }
    let hash = if set.one_device { "data" } else { "hash" };
    let options = set.options();
    let with_options = |command: &[&'static str]| -> Vec<String> {
        command.iter().map(|&word| word.to_owned()).chain(options.iter().cloned()).collect()
    };
    let format = with_options(&["format", "data", hash]);
    let format: Vec<&str> = format.iter().map(String::as_str).collect();
    let (made, expected) = (ours.run(&format), theirs.reference(&format));
    assert_eq!(made.code, Some(0), "{context}: {made:?}");
    assert_eq!(expected.code, Some(0), "{context}: {expected:?}");
    assert_eq!(normalised(&made), normalised(&expected), "{context}");
    let (made_bytes, expected_bytes) = (ours.read(hash), theirs.read(hash));
    if set.data_blocks == 1 {
        // Without a level the reference's versions leave the file at different lengths; the bytes are the same.
        assert!(without_padding(&made_bytes) == without_padding(&expected_bytes), "{context}: the hash devices differ");
    } else {
        assert!(made_bytes == expected_bytes, "{context}: the hash devices differ");
    }

    // With every backend that there is for the algorithm, over the same older file.
    let again = Sandbox::new();
    again.write("data", &data);
    for (way, threads) in with_threads(if set.has_backends() { ways } else { &ways[..1] }) {
        match &older {
            _ if set.one_device => again.write("data", &data),
            Some(older) => again.write("hash", older),
            None => again.write("hash", &[]),
        }
        let threads = format!("--threads={threads}");
        let outcome = way.command(&again, &format).arg(&threads).output().expect("it can be run");
        assert_eq!(Outcome::from(outcome), made, "{context}: {way} {threads}");
        assert!(again.read(hash) == made_bytes, "{context}: {way} {threads}");
    }

    let root_hash = made.field("Root hash").to_owned();
    let offset = format!("--hash-offset={}", set.hash_offset);
    let mut verify = if set.superblock {
        vec!["verify".to_owned(), "data".to_owned(), hash.to_owned(), offset.clone()]
    } else {
        with_options(&["verify", "data", hash])
    };
    verify.push(root_hash);
    let verify: Vec<&str> = verify.iter().map(String::as_str).collect();
    for outcome in [ours.reference(&verify), theirs.run(&verify).without_uncovered()] {
        assert_eq!(outcome, Outcome { code: Some(0), stdout: String::new(), stderr: String::new() }, "{context}");
    }
    if set.superblock {
        let dump = ["dump", hash, &offset];
        let (shown, expected) = (theirs.run(&dump), ours.reference(&dump));
        assert_eq!((shown.code, expected.code), (Some(0), Some(0)), "{context}");
        assert_eq!(normalised(&shown), normalised(&expected), "{context}");
    }

    let tree_blocks = made.field("Hash blocks").parse().expect("a number");
    check_wrong_byte(&set, tree_blocks, &ours, &verify, &mut rng, &context);
}

/// Two tests, for two processors.
fn check_every_second(first: u64) {
    let ways = ways();
    for seed in (first..SETS).step_by(2 * one_of()) {
        check(seed, &ways);
    }
}

#[test]
fn images_are_the_same_in_both_directions() {
    check_every_second(0);
}

#[test]
fn more_images_are_the_same_in_both_directions() {
    check_every_second(1);
}

/// A single data block has no tree, and the file ends after its content, as with the reference.
#[test]
fn a_single_data_block_makes_the_same_files() {
    let sandbox = Sandbox::in_memory();
    let uuid = "--uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71";
    let sizes: Vec<u32> = (9..=19).map(|log2| 1 << log2).collect();
    let mut cases = Vec::new();
    for &hash_block in &sizes {
        for options in ["", "--no-superblock", "--hash-offset=1048576", "--no-superblock --hash-offset=1048576"] {
            for data_block in [512, 4096] {
                cases.push((data_block, hash_block, options.to_owned()));
            }
            if options.is_empty() || hash_block <= 8192 {
                cases.push((hash_block, hash_block, format!("{options} --fec-device=FEC")));
            }
        }
    }
    for (data_block, hash_block, options) in cases {
        let blocks = [format!("--data-block-size={data_block}"), format!("--hash-block-size={hash_block}")];
        sandbox.write("d", &painted(data_block as usize));
        // A longer existing file keeps the rest of its content.
        for is_there in [false, true].into_iter().filter(|&is_there| !is_there || [512, 65_536].contains(&hash_block)) {
            let make = |ours: bool| {
                let (hash, fec) = if ours { ("h", "f") } else { ("rh", "rf") };
                for name in [hash, fec] {
                    std::fs::remove_file(sandbox.path(name)).ok();
                }
                if is_there {
                    sandbox.write(hash, &painted(1_700_000));
                }
                let options = options.replace("FEC", fec);
                let mut arguments = vec!["format", "d", hash, "--salt=aa", uuid, &blocks[0], &blocks[1]];
                arguments.extend(options.split_whitespace());
                let outcome = if ours { sandbox.run(&arguments) } else { sandbox.reference(&arguments) };
                assert_eq!(outcome.code, Some(0), "{arguments:?} {outcome:?}");
                let fec = options.contains("fec").then(|| sandbox.read(fec));
                (outcome.field("Root hash").to_owned(), sandbox.read(hash), fec)
            };
            let (ours, theirs) = (make(true), make(false));
            assert_eq!(ours.0, theirs.0, "{data_block} {hash_block} {options}");
            assert_eq!(ours.1.len(), theirs.1.len(), "{data_block} {hash_block} {options} {is_there}");
            assert!(ours.1 == theirs.1, "{data_block} {hash_block} {options} {is_there}: hash device");
            assert!(ours.2 == theirs.2, "{data_block} {hash_block} {options} {is_there}: FEC device");
        }
    }
}

#[test]
fn data_and_tree_in_one_file_are_as_long_as_the_reference_has_them() {
    let sandbox = Sandbox::in_memory();
    let uuid = "--uuid=3bc1c38a-4d33-404f-b0e2-9644e20ffa71";
    for blocks in [1, 2, 5] {
        for hash_block in [512, 1024, 2048, 4096, 8192] {
            for options in [&[][..], &["--no-superblock"]] {
                for name in ["ours", "theirs"] {
                    sandbox.write(name, &painted(5 * 8192 + 100));
                }
                let (blocks, hash_block) =
                    (format!("--data-blocks={blocks}"), format!("--hash-block-size={hash_block}"));
                let make = |name| {
                    let offset = "--hash-offset=40960";
                    [&["format", name, name, "--salt=aa", uuid, offset, &blocks, &hash_block], options].concat()
                };
                let (ours, theirs) = (sandbox.run(&make("ours")), sandbox.reference(&make("theirs")));
                assert_eq!((ours.code, theirs.code), (Some(0), Some(0)), "{ours:?} {theirs:?}");
                assert_eq!(ours.field("Root hash"), theirs.field("Root hash"));
                assert!(sandbox.read("ours") == sandbox.read("theirs"), "{blocks} {hash_block} {options:?}");
            }
        }
    }
}
