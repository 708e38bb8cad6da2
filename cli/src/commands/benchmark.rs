//! `benchmark`: show how fast this machine hashes blocks, with every backend it has.

use std::hint;
use std::io;
use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use dmverity::HashAlgorithm;
use dmverity::hash::{Backend, BlockHasher};

use crate::arguments::Benchmark;
use crate::failure::{Exit, Failure, Result};
use crate::output;
use crate::report::Report;

/// For how long each is measured.
const DURATION: Duration = Duration::from_millis(200);

/// What each thread hashes again and again: as much as is read at a time, which fits a processor's cache.
const BYTES: usize = 512 << 10;
/// The same in MiB.
const MIB: f64 = 0.5;

/// More than a thread takes, and more than the C library gives from memory that it has kept (32 MiB at the most,
/// `M_MMAP_THRESHOLD` in mallopt(3)): the system is asked each time.
const ROOM_FOR_ONE: usize = 40 << 20;

pub(crate) fn run(benchmark: &Benchmark) -> Result<Report> {
    let threads = benchmark.threads.number()?.map_or(1, NonZero::get);
    let asked_for = super::on(Path::new("memory"), benchmark.image.params()?, BYTES as u64)?;
    let size = asked_for.data_block_size();
    let algorithms: Vec<_> =
        if benchmark.image.hash.is_some() { vec![asked_for.algorithm()] } else { HashAlgorithm::all().collect() };
    let title = format!("Hashing blocks of {size} bytes in memory, threads: {threads}\n");
    output::print(&format!("{title}{:<16}{:<16}{:>10}\n", "Algorithm", "Backend", "MiB/s"))?;
    let mut seen = Vec::new();
    for algorithm in algorithms {
        // Other spellings are not other algorithms.
        if seen.contains(&algorithm) {
            continue;
        }
        seen.push(algorithm);
        for backend in Backend::available(algorithm) {
            let hasher = BlockHasher::new(algorithm, asked_for.hash_type(), asked_for.salt().clone(), size);
            let speed = measure(&hasher.with_backend(backend), threads)?;
            output::print(&format!("{:<16}{:<16}{speed:>10.1}\n", algorithm.name(), backend.name()))?;
        }
    }
    // The results were printed as they came.
    Ok(Report::default())
}

/// MiB per second of all threads together: the amount hashed, divided by the time from before the first thread began
/// until the last was done.
fn measure(hasher: &BlockHasher, threads: usize) -> Result<f64> {
    let start = Instant::now();
    let rounds = thread::scope(|scope| {
        let (ready, is_ready) = mpsc::channel();
        let begin = |_| {
            // A thread that cannot allocate its first memory would abort the process: they allocate it one after the
            // other.
            let mut room = Vec::<u8>::new();
            room.try_reserve_exact(ROOM_FOR_ONE).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
            // A compiler may leave out a request whose memory is not used, and take it for granted.
            drop(hint::black_box(room));
            let ready = ready.clone();
            let thread = thread::Builder::new().spawn_scoped(scope, move || measure_one(hasher, &ready))?;
            let _ = is_ready.recv();
            Ok(thread)
        };
        let measuring = (0..threads).map(begin).collect::<io::Result<Vec<_>>>()?;
        let rounds = measuring.into_iter().map(|thread| thread.join().expect("hashing does not panic")).sum::<u32>();
        Ok::<_, io::Error>(rounds)
    })
    .map_err(|error| {
        let failure = Failure::new(Exit::Memory, format!("Cannot start {threads} threads.")).because(&error);
        failure.hint("there is not enough memory, or a limit of the system does not allow that many.")
    })?;
    Ok(f64::from(rounds) * MIB / start.elapsed().as_secs_f64())
}

/// How often a thread has hashed its blocks, after it has said that it is ready.
fn measure_one(hasher: &BlockHasher, ready: &Sender<()>) -> u32 {
    // Not zeros, which are not hashed.
    let blocks = vec![0x5A; BYTES];
    let stride = hasher.digest_size();
    let mut digests = vec![0; BYTES / hasher.block_size().as_usize() * stride];
    let _ = ready.send(());
    let start = Instant::now();
    let mut rounds = 0_u32;
    while start.elapsed() < DURATION {
        hasher.hash_blocks(&blocks, &mut digests, stride);
        rounds += 1;
    }
    rounds
}
