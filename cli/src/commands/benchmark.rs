//! `benchmark`: show how fast this machine hashes blocks and makes parity, with every backend it has.

use std::fmt;
use std::hint;
use std::io;
use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use dmverity::hash::{Backend, BlockHasher};
use dmverity::{Fec, HashAlgorithm, Parity, ParityBackend};
use serde::Serialize;

use crate::arguments::Benchmark;
use crate::failure::{Exit, Failure, Result};
use crate::output;
use crate::report::Report;

/// For how long each is measured.
const DURATION: Duration = Duration::from_millis(200);

/// What each thread hashes again and again: as much as is read at a time, which fits a processor's cache.
const BYTES: usize = 512 << 10;
/// The same in KiB.
const KIB: u64 = 512;

/// How many codewords are encoded at a time, so that their data are about as much: 2 KiB of each symbol.
const CODEWORDS: usize = 2 << 10;

/// The least parity, the most, and some.
const ROOTS: [u64; 3] = [2, 8, 24];

/// More than a thread takes, and more than the C library gives from memory that it has kept (32 MiB at the most,
/// `M_MMAP_THRESHOLD` in mallopt(3)): the system is asked each time.
const ROOM_FOR_ONE: usize = 40 << 20;

/// What a thread does again and again, and how many KiB that are.
type Job<'a> = (u64, Box<dyn FnMut() + 'a>);
/// What makes it, in the thread that does it.
type NewJob<'a> = dyn Fn() -> dmverity::Result<Job<'a>> + Sync + 'a;

/// A tenth of a MiB per second. Whole numbers are printed by less code than fractions.
#[derive(Clone, Copy)]
struct Tenths(u64);

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8}.{}", self.0 / 10, self.0 % 10)
    }
}

#[derive(Serialize)]
struct Hashing {
    algorithm: &'static str,
    backend: &'static str,
    mib_per_second: u64,
}

#[derive(Serialize)]
struct OfParity {
    roots: u64,
    backend: &'static str,
    mib_per_second: u64,
}

#[derive(Serialize)]
struct Fields {
    threads: usize,
    block_size: usize,
    hashing: Vec<Hashing>,
    parity: Vec<OfParity>,
}

pub(crate) fn run(benchmark: &Benchmark) -> Result<Report> {
    let threads = benchmark.threads.number()?.map_or(1, NonZero::get);
    let asked_for = super::on(Path::new("memory"), benchmark.image.params()?, BYTES as u64)?;
    let size = asked_for.data_block_size();
    let is_one = benchmark.image.hash.is_some();
    let algorithms: Vec<_> = if is_one { vec![asked_for.algorithm()] } else { HashAlgorithm::all().collect() };
    // The results are printed as they come.
    let print = |line: &str| if benchmark.json { Ok(()) } else { output::print(line) };
    let title = format!("Hashing blocks of {size} bytes in memory, threads: {threads}\n");
    print(&format!("{title}{:<16}{:<16}{:>10}\n", "Algorithm", "Backend", "MiB/s"))?;
    let mut fields = Fields { threads, block_size: size.as_usize(), hashing: Vec::new(), parity: Vec::new() };
    let mut seen = Vec::new();
    for algorithm in algorithms {
        // Other spellings are not other algorithms.
        if seen.contains(&algorithm) {
            continue;
        }
        seen.push(algorithm);
        for backend in Backend::available(algorithm) {
            let hasher = BlockHasher::new(algorithm, asked_for.hash_type(), asked_for.salt().clone(), size);
            let hasher = hasher.with_backend(backend);
            let speed = measure(&|| Ok(hashing(&hasher)), threads)?;
            let row = Hashing { algorithm: algorithm.name(), backend: backend.name(), mib_per_second: speed.0 / 10 };
            print(&format!("{:<16}{:<16}{speed}\n", row.algorithm, row.backend))?;
            fields.hashing.push(row);
        }
    }
    if !is_one {
        let title = format!("\nParity of data in memory, threads: {threads}\n");
        print(&format!("{title}{:<16}{:<16}{:>10}\n", "Roots", "Backend", "MiB/s"))?;
        for roots in ROOTS {
            let fec = Fec::new(roots, 0)?;
            for backend in ParityBackend::available() {
                let speed = measure(&|| encoding(&fec, backend), threads)?;
                print(&format!("{roots:<16}{:<16}{speed}\n", backend.name()))?;
                fields.parity.push(OfParity { roots, backend: backend.name(), mib_per_second: speed.0 / 10 });
            }
        }
    }
    Ok(Report::new("", fields))
}

fn hashing(hasher: &BlockHasher) -> Job<'_> {
    // Not zeros, which are not hashed.
    let blocks = vec![0x5A; BYTES];
    let stride = hasher.digest_size();
    let mut digests = vec![0; BYTES / hasher.block_size().as_usize() * stride];
    (KIB, Box::new(move || hasher.hash_blocks(&blocks, &mut digests, stride)))
}

fn encoding(fec: &Fec, backend: ParityBackend) -> dmverity::Result<Job<'static>> {
    let data = vec![0x5A; (255 - fec.roots as usize) * CODEWORDS];
    let mut parity = Parity::new(fec, CODEWORDS, backend)?;
    let encode = move || _ = hint::black_box(parity.encode(&data));
    Ok((u64::from(255 - fec.roots) * 2, Box::new(encode)))
}

/// What all threads do together in a second: what each did, divided by the time from before the first thread began
/// until the last was done.
fn measure(job: &NewJob<'_>, threads: usize) -> Result<Tenths> {
    let start = Instant::now();
    let measured = thread::scope(|scope| {
        let (ready, is_ready) = mpsc::channel();
        let begin = |_| {
            // A thread that cannot allocate its first memory would abort the process: they allocate it one after the
            // other.
            let mut room = Vec::<u8>::new();
            room.try_reserve_exact(ROOM_FOR_ONE).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
            // A compiler may leave out a request whose memory is not used, and take it for granted.
            drop(hint::black_box(room));
            let ready = ready.clone();
            let thread = thread::Builder::new().spawn_scoped(scope, move || measure_one(job, &ready))?;
            let _ = is_ready.recv();
            Ok(thread)
        };
        let measuring = (0..threads).map(begin).collect::<io::Result<Vec<_>>>()?;
        let measured = measuring.into_iter().map(|thread| thread.join().expect("no job panics"));
        Ok::<_, io::Error>(measured.sum::<dmverity::Result<u64>>())
    })
    .map_err(|error| {
        let failure = Failure::new(Exit::Memory, format!("Cannot start {threads} threads.")).because(&error);
        failure.hint("there is not enough memory, or a limit of the system does not allow that many.")
    })?;
    let micros = start.elapsed().as_micros().max(1);
    let kib = measured?;
    Ok(Tenths(u64::try_from(u128::from(kib) * 10_000_000 / 1024 / micros).unwrap_or(u64::MAX)))
}

/// How many KiB a thread has processed, after it has said that it is ready.
fn measure_one(job: &NewJob<'_>, ready: &Sender<()>) -> dmverity::Result<u64> {
    let job = job();
    let _ = ready.send(());
    let (kib, mut job) = job?;
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < DURATION {
        job();
        rounds += 1;
    }
    Ok(rounds * kib)
}
