//! The hash backends that a build can be forced to use, and which of them this processor supports.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{built, up_to_date};

/// A hash backend.
#[derive(Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its name in `--cfg dmverity_backend="NAME"`.
    pub name: &'static str,
    /// The flags in `/proc/cpuinfo` that it needs.
    flags: &'static [&'static str],
    /// Whether valgrind supports its instructions.
    pub valgrind: bool,
}

/// All backends, fastest first.
pub const BACKENDS: [Backend; 4] = [
    Backend { name: "avx512", flags: &["avx512f", "avx512bw"], valgrind: false },
    Backend { name: "sha_ni", flags: &["sha_ni"], valgrind: false },
    Backend { name: "avx2", flags: &["avx2"], valgrind: true },
    Backend { name: "portable", flags: &[], valgrind: true },
];

impl Backend {
    /// The static `veritysetup` that uses only this backend, on any processor.
    pub fn binary(&self) -> Result<PathBuf> {
        up_to_date(built().join(format!("forced/veritysetup-{}", self.name)), &["lib", "cli"], "make forced")
    }

    /// The flags that are missing from this text of `/proc/cpuinfo`.
    pub fn lacks(&self, cpuinfo: &str) -> Vec<&'static str> {
        let line = cpuinfo.lines().find_map(|line| line.strip_prefix("flags")?.split_once(':'));
        let has: Vec<&str> = line.map_or("", |(_, flags)| flags).split_whitespace().collect();
        self.flags.iter().copied().filter(|flag| !has.contains(flag)).collect()
    }
}

/// The text of `/proc/cpuinfo`.
pub fn cpuinfo() -> Result<String> {
    fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")
}

/// The backends that this processor supports.
pub fn available(cpuinfo: &str) -> impl Iterator<Item = &'static Backend> {
    BACKENDS.iter().filter(|backend| backend.lacks(cpuinfo).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(cpuinfo: &str) -> Vec<&'static str> {
        available(cpuinfo).map(|backend| backend.name).collect()
    }

    #[test]
    fn flags_are_whole_words() {
        assert_eq!(
            names("processor\t: 0\nflags\t\t: fpu sha_ni avx2 avx512f avx512bw\n"),
            ["avx512", "sha_ni", "avx2", "portable"]
        );
        assert_eq!(names("flags\t\t: fpu avx512f avx512bw_x xsha_ni avx2\n"), ["avx2", "portable"]);
    }

    #[test]
    fn every_processor_has_the_portable_one() {
        assert_eq!(names("Features\t: sha2\n"), ["portable"]);
        assert_eq!(BACKENDS[0].lacks("flags : avx512f"), ["avx512bw"]);
    }
}
