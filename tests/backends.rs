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

/// The backends of this machine's architecture, fastest first.
pub const BACKENDS: &[Backend] = if cfg!(target_arch = "aarch64") { &AARCH64 } else { &X86_64 };

/// Those of x86-64.
pub const X86_64: [Backend; 4] = [
    Backend { name: "avx512", flags: &["avx512f", "avx512bw"], valgrind: false },
    Backend { name: "sha_ni", flags: &["sha_ni"], valgrind: false },
    Backend { name: "avx2", flags: &["avx2"], valgrind: true },
    Backend { name: "portable", flags: &[], valgrind: true },
];

/// Those of 64-bit Arm.
const AARCH64: [Backend; 3] = [
    Backend { name: "arm_ce", flags: &["sha1", "sha2"], valgrind: true },
    Backend { name: "neon", flags: &["asimd"], valgrind: true },
    Backend { name: "portable", flags: &[], valgrind: true },
];

impl Backend {
    /// The static `veritysetup` that uses only this backend, on any processor.
    pub fn binary(&self) -> Result<PathBuf> {
        up_to_date(built().join(format!("forced/veritysetup-{}", self.name)), &["lib", "cli"], "make forced")
    }

    /// The flags that are missing from this text of `/proc/cpuinfo`.
    pub fn lacks(&self, cpuinfo: &str) -> Vec<&'static str> {
        let line = cpuinfo.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
        let has: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
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

    fn names(backends: &[Backend], cpuinfo: &str) -> Vec<&'static str> {
        backends.iter().filter(|backend| backend.lacks(cpuinfo).is_empty()).map(|backend| backend.name).collect()
    }

    #[test]
    fn flags_are_whole_words() {
        assert_eq!(
            names(&X86_64, "processor\t: 0\nflags\t\t: fpu sha_ni avx2 avx512f avx512bw\n"),
            ["avx512", "sha_ni", "avx2", "portable"]
        );
        assert_eq!(names(&X86_64, "flags\t\t: fpu avx512f avx512bw_x xsha_ni avx2\n"), ["avx2", "portable"]);
    }

    #[test]
    fn every_processor_has_the_portable_one() {
        assert_eq!(names(&X86_64, "Features\t: sha2\n"), ["portable"]);
        assert_eq!(names(&AARCH64, "Features\t: fp asimd sha2\n"), ["neon", "portable"]);
        assert_eq!(names(&AARCH64, "Features\t: fp asimd sha1 sha2\n"), ["arm_ce", "neon", "portable"]);
        assert_eq!(X86_64[0].lacks("flags : avx512f"), ["avx512bw"]);
    }
}
