//! The ways in which the same has to come out: every backend, by a binary that is held to it, and numbers of threads.

use std::env;
use std::path::PathBuf;

use dmverity_tests::backends::{BACKENDS, cpuinfo};
use dmverity_tests::veritysetup;

/// One, two, and numbers that divide nothing evenly.
pub(crate) const THREADS: [u32; 4] = [1, 2, 3, 7];

/// The binary that is shipped, and those for each backend that this processor has. One that `DMVERITY_STATIC_BIN` names
/// was built in another way than those: it is the only one then.
///
/// # Panics
/// If one of them has not been built.
pub(crate) fn ways() -> Vec<PathBuf> {
    let cpuinfo = cpuinfo().expect("Linux has it");
    let mut ways = vec![veritysetup()];
    if env::var_os("DMVERITY_STATIC_BIN").is_some() {
        return ways;
    }
    for backend in &BACKENDS {
        // Also where the processor lacks something: it must have been built.
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
