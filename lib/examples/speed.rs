//! How fast this library is in a program that is built as this one is, on this machine.
//!
//!     cargo run --release --example speed -- [PART OF A ROW'S NAME]
//!
//! Prints for each backend how fast one thread hashes blocks in memory, as `veritysetup benchmark` does, and how fast
//! it formats with parity of 2, 8 and 24 roots, all in memory: the best of several rounds each.

use std::env;
use std::error::Error;
use std::iter;
use std::num::NonZero;
use std::time::{Duration, Instant};

use dmverity::hash::{Backend, BlockHasher};
use dmverity::{BlockSize, Fec, HashAlgorithm, HashType, Image, Memory, Params, Salt, Storage, Work};

/// What is hashed again and again, in KiB: this much fits a processor's own cache.
const HASHED: u16 = 512;

/// What is formatted again and again, in KiB.
const FORMATTED: u16 = 16 << 10;

/// How often each image is formatted; blocks are hashed ten times as often.
const ROUNDS: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let wanted = env::args().nth(1).unwrap_or_default();
    println!("{:<24}{:<16}{:>10}", "what", "backend", "MiB/s");
    for name in ["sha256", "sha1", "sha512"] {
        let algorithm = HashAlgorithm::from_name(name)?;
        for backend in Backend::available(algorithm) {
            if format!("{name}, {}", backend.name()).contains(&wanted) {
                println!("{name:<24}{:<16}{:>10.1}", backend.name(), hashing(algorithm, backend));
            }
        }
    }
    let fastest = Backend::available(HashAlgorithm::sha256())[0];
    for roots in [2, 8, 24] {
        let what = format!("sha256, {roots} roots");
        if what.contains(&wanted) {
            println!("{what:<24}{:<16}{:>10.1}", fastest.name(), formatting(roots)?);
        }
    }
    Ok(())
}

/// How many MiB are hashed in a second.
fn hashing(algorithm: HashAlgorithm, backend: Backend) -> f64 {
    let hasher = BlockHasher::new(algorithm, HashType::Normal, Salt::default(), BlockSize::default());
    let hasher = hasher.with_backend(backend);
    let blocks = bytes(HASHED);
    let stride = hasher.digest_size();
    let mut digests = vec![0; blocks.len() / hasher.block_size().as_usize() * stride];
    let round = || {
        let start = Instant::now();
        hasher.hash_blocks(&blocks, &mut digests, stride);
        start.elapsed()
    };
    per_second(HASHED, iter::repeat_with(round).take(10 * ROUNDS).min())
}

/// How many MiB are hashed and encoded in a second.
fn formatting(roots: u64) -> Result<f64, Box<dyn Error>> {
    let data = bytes(FORMATTED);
    let (hash, fec) = (Memory::from(Vec::new()), Memory::from(Vec::new()));
    let mut image = Image::new(Storage::Read(&data), Storage::Write(&hash))?.with_fec(Storage::Write(&fec))?;
    let work = Work::default().threads(NonZero::<usize>::MIN);
    let mut shortest = None;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        image.format(Params::builder().fec(Fec::new(roots, 0)?), &work)?;
        shortest = shortest.into_iter().chain([start.elapsed()]).min();
    }
    Ok(per_second(FORMATTED, shortest))
}

/// This many KiB that are not zeros, which would not be hashed.
fn bytes(kib: u16) -> Vec<u8> {
    vec![0x5A; usize::from(kib) << 10]
}

fn per_second(kib: u16, time: Option<Duration>) -> f64 {
    f64::from(kib) / 1024.0 / time.unwrap_or_default().as_secs_f64()
}
