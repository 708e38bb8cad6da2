//! Variations that must not change the output: every backend, with a binary forced to it, and numbers of threads.

use std::env;
use std::path::PathBuf;

use dmverity_tests::backends::{BACKENDS, cpuinfo};
use dmverity_tests::veritysetup;

/// One, two, and numbers that divide nothing evenly.
pub(crate) const THREADS: [u32; 4] = [1, 2, 3, 7];

/// Each of the binaries with numbers of threads: the shipped one with all of them, the others with two, because how
/// work is divided among threads does not depend on a backend.
pub(crate) fn with_threads(ways: &[PathBuf]) -> impl Iterator<Item = (&PathBuf, u32)> {
    ways.iter().enumerate().flat_map(|(index, way)| {
        let every = if index == 0 { 1 } else { 2 };
        THREADS.into_iter().step_by(every).map(move |threads| (way, threads))
    })
}

/// The shipped binary, and one for each backend that this processor supports. If `DMVERITY_STATIC_BIN` is set, only
/// that binary: it was built differently from the others.
///
/// # Panics
/// If one of them has not been built.
pub(crate) fn ways() -> Vec<PathBuf> {
    let cpuinfo = cpuinfo().expect("Linux has it");
    let mut ways = vec![veritysetup()];
    if env::var_os("DMVERITY_STATIC_BIN").is_some() {
        return ways;
    }
    for backend in BACKENDS {
        // Even if the processor does not support it, it must have been built.
        let binary = backend.binary().unwrap_or_else(|error| panic!("{error:#}"));
        let lacks = backend.lacks(&cpuinfo);
        if lacks.is_empty() {
            ways.push(binary);
        } else {
            println!("skipped: {}, because this processor lacks {}", backend.name, lacks.join(" and "));
        }
    }
    ways
}
