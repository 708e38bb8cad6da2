//! Variations that must not change the output: every backend, with a program held to it, and numbers of threads.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fmt};

use dmverity_tests::backends::{BACKENDS, Backend, cpuinfo};
use dmverity_tests::veritysetup;

use crate::sandbox::Sandbox;

/// One, two, and numbers that divide nothing evenly.
pub(crate) const THREADS: [u32; 4] = [1, 2, 3, 7];

/// A program to test, and the only backend that it may use.
#[derive(Clone)]
pub(crate) struct Way {
    program: PathBuf,
    backend: Option<&'static str>,
}

impl Way {
    /// The command as the tests build it, held to a backend.
    pub(crate) fn held_to(backend: &Backend) -> Self {
        Self { program: env!("CARGO_BIN_EXE_veritysetup-full").into(), backend: Some(backend.name) }
    }

    /// Debian's `veritysetup`, which must be installed.
    pub(crate) fn reference() -> Self {
        dmverity_tests::reference().into()
    }

    /// The program, to be run in the sandbox.
    pub(crate) fn command(&self, sandbox: &Sandbox, arguments: &[&str]) -> Command {
        let mut command = sandbox.command(&self.program, arguments);
        command.envs(self.backend.map(|backend| ("DMVERITY_BACKEND", backend)));
        command
    }
}

impl From<PathBuf> for Way {
    fn from(program: PathBuf) -> Self {
        Self { program, backend: None }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program.display(), self.backend.unwrap_or_default())
    }
}

/// Each of the ways with numbers of threads: the shipped binary with all of them, the others with three, because how
/// work is divided among threads does not depend on a backend.
pub(crate) fn with_threads(ways: &[Way]) -> impl Iterator<Item = (&Way, u32)> {
    ways.iter().enumerate().flat_map(|(index, way)| {
        let numbers = if index == 0 { &THREADS[..] } else { &[3] };
        numbers.iter().map(move |&threads| (way, threads))
    })
}

/// Of how many random images one is tried: each is, unless `DMVERITY_ONE_OF` has another number, because an emulated
/// program takes many times as long.
pub(crate) fn one_of() -> usize {
    env::var("DMVERITY_ONE_OF").map_or(1, |number| number.parse().expect("DMVERITY_ONE_OF is a number"))
}

/// The shipped binary, and one way for each backend that this processor supports. If `DMVERITY_STATIC_BIN` is set, only
/// that binary: it may be for another processor.
pub(crate) fn ways() -> Vec<Way> {
    let cpuinfo = cpuinfo().expect("Linux has it");
    let mut ways = vec![veritysetup().into()];
    if env::var_os("DMVERITY_STATIC_BIN").is_some() {
        return ways;
    }
    for backend in BACKENDS {
        let lacks = backend.lacks(&cpuinfo);
        if lacks.is_empty() {
            ways.push(Way::held_to(backend));
        } else {
            println!("skipped: {}, because this processor lacks {}", backend.name, lacks.join(" and "));
        }
    }
    ways
}
