//! Holes have the same result as zeros, and are not read.

use std::fs::File;
use std::os::unix::fs::FileExt;

use dmverity_tests::veritysetup;

use crate::sandbox::Sandbox;
use crate::ways::THREADS;

/// One set of parameters, and the positions of data; everything else is a hole.
#[derive(Debug)]
struct Set {
    data_block_size: u64,
    hash_block_size: u64,
    hash: &'static str,
    hash_type: u32,
    bytes: u64,
    data: Vec<(u64, usize)>,
}

impl Set {
    fn random(rng: &mut fastrand::Rng) -> Self {
        let block_size = |rng: &mut fastrand::Rng| 512 << if rng.bool() { 3 } else { rng.u32(0..=10) };
        let bytes = rng.u64(1..=48 << 20);
        let pieces = rng.usize(0..=6);
        let data_block_size: u64 = block_size(rng);
        Self {
            data_block_size,
            hash_block_size: block_size(rng),
            hash: ["sha256", "sha1", "sha512"][rng.usize(..3)],
            hash_type: rng.u32(0..=1),
            bytes: bytes.max(data_block_size),
            data: (0..pieces).map(|_| (rng.u64(..bytes), rng.usize(1..=2 << 20))).collect(),
        }
    }
}

#[test]
fn holes_are_hashed_like_zeros() {
    let mut rng = fastrand::Rng::with_seed(11);
    for round in 0..60 {
        let set = Set::random(&mut rng);
        let sandbox = Sandbox::new();
        let sparse = File::create(sandbox.path("sparse")).unwrap();
        sparse.set_len(set.bytes).unwrap();
        for (offset, len) in &set.data {
            let len = (*len).min(usize::try_from(set.bytes - offset).unwrap());
            sparse.write_all_at(&vec![rng.u8(1..); len], *offset).unwrap();
        }
        // The same without holes.
        sandbox.write("dense", &sandbox.read("sparse"));
        let options = [
            format!("--data-block-size={}", set.data_block_size),
            format!("--hash-block-size={}", set.hash_block_size),
            format!("--hash={}", set.hash),
            format!("--format={}", set.hash_type),
            "--salt=5a17".to_owned(),
            "--uuid=a60c98d2-ae9b-4865-bfcb-b4e3ace11033".to_owned(),
        ];
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let expected = sandbox.run(&[&["format", "dense", "expected"], &options[..]].concat());
        let root_hash = expected.field("Root hash").to_owned();
        let threads = THREADS[round % THREADS.len()];
        let threads = format!("--threads={threads}");
        let made = sandbox.run(&[&["format", "sparse", "made", &threads], &options[..]].concat());
        assert_eq!(made.field("Root hash"), root_hash, "{set:?}");
        assert!(sandbox.read("made") == sandbox.read("expected"), "{set:?}");
        let verified = sandbox.run(&["verify", "sparse", "made", &root_hash, &threads]);
        assert_eq!((verified.code, verified.stderr.as_str()), (Some(0), ""), "{set:?}");
        if round % 10 == 0 {
            let theirs = sandbox.reference(&["verify", "sparse", "made", &root_hash]);
            assert_eq!(theirs.code, Some(0), "{set:?} {theirs:?}");
        }
        // A hole in place of data is detected.
        if let Some((offset, _)) = set.data.first() {
            let hole = File::options().write(true).open(sandbox.path("sparse")).unwrap();
            let block = offset / set.data_block_size * set.data_block_size;
            if block + set.data_block_size <= set.bytes {
                hole.write_all_at(&vec![0; usize::try_from(set.data_block_size).unwrap()], block).unwrap();
                let found = sandbox.run(&["verify", "sparse", "made", &root_hash, &threads]);
                assert_eq!(found.code, Some(2), "{set:?}");
                assert_eq!(found.first_error(), format!("Verification failed at position {block}."), "{set:?}");
            }
        }
    }
}

/// How many bytes of file `name` a command reads.
fn bytes_read(sandbox: &Sandbox, name: &str, arguments: &[&str]) -> u64 {
    let mut command = sandbox.command("strace", &["-f", "-qq", "-y", "-o", "trace", "-e", "trace=pread64"]);
    let outcome = command.arg(veritysetup()).args(arguments).output();
    let outcome = outcome.unwrap_or_else(|error| panic!("strace: {error}: install Debian's package strace"));
    assert!(outcome.status.success(), "{outcome:?}");
    let trace = String::from_utf8(sandbox.read("trace")).expect("strace writes text");
    let of_file = trace.lines().filter(|line| line.contains(&format!("/{name}>,")) || line.contains("resumed"));
    of_file.filter_map(|line| line.rsplit_once(" = ")?.1.trim().parse::<u64>().ok()).sum()
}

#[test]
fn holes_are_not_read() {
    const MIB: u64 = 1 << 20;
    let sandbox = Sandbox::new();
    let file = File::create(sandbox.path("d")).unwrap();
    file.set_len(1024 * MIB).unwrap();
    let format = ["format", "d", "h", "--salt=-", "--threads=1"];
    assert_eq!(bytes_read(&sandbox, "d", &format), 0);
    // Of the tree only what does not are over a hole is read again.
    assert!(bytes_read(&sandbox, "h", &format) <= MIB);
    for piece in [3, 200, 1021] {
        file.write_all_at(&vec![7; 2 << 20], piece * MIB + 12345).unwrap();
    }
    let read = bytes_read(&sandbox, "d", &format);
    // Blocks and pages around them may be data too.
    assert!((6 * MIB..=16 * MIB).contains(&read), "{read}");
    let root_hash = sandbox.run(&format).field("Root hash").to_owned();
    let read = bytes_read(&sandbox, "d", &["verify", "d", "h", &root_hash, "--threads=1"]);
    assert!((6 * MIB..=16 * MIB).contains(&read), "{read}");
}
