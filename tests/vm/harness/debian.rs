//! Trees of Debian's packages, unpacked over each other. None of the packages' scripts runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use super::apt::{Apt, Lists};
use super::architecture::Architecture;
use super::cache::cached;
use super::{paths, process, sources};

/// The programs that open verity images through libcryptsetup, and the packages that every Debian has.
const CLIENTS: &[&str] = &[
    // Under test.
    "cryptsetup-bin",
    "libcryptsetup12",
    "mount",
    "systemd",
    "systemd-container",
    "systemd-cryptsetup",
    "systemd-repart",
    "udev",
    // Tools of the cases and of cryptsetup's own tests.
    "base-files",
    "bash",
    "coreutils",
    "dash",
    "diffutils",
    "dmsetup",
    "gawk",
    "grep",
    "kmod",
    "openssl",
    "procps",
    "sed",
    "util-linux",
    "xxd",
    "xz-utils",
];

/// The tree of these packages and everything they depend on, from the cache. A changed list is fetched again.
pub fn tree(name: &str, suite: &str, architecture: Architecture, packages: &[&str]) -> Result<PathBuf> {
    if !sources::SUITES.contains(&suite) {
        bail!("{suite:?} is none of Debian's suites: {}", sources::SUITES.join(", "));
    }
    let choice = Sha256::digest(packages.join(" "));
    let name = match architecture {
        Architecture::Amd64 => name.to_owned(),
        Architecture::Arm64 => format!("{name}-{}", architecture.debian()),
    };
    let folder = paths::cache().join(format!("{name}-{suite}-{}", hex::encode(&choice[..4])));
    cached(&folder, false, |work, out| {
        // As on every current Debian; the packages themselves have both.
        for name in ["bin", "lib", "lib64", "sbin"] {
            fs::create_dir_all(out.join("usr").join(name))?;
            symlink(format!("usr/{name}"), out.join(name))?;
        }
        let apt = Apt::update(&work.join("apt"), suite, architecture, Lists::Packages)?;
        apt.unpack_with_dependencies(packages, out)
    })
    .with_context(|| format!("cannot fetch a Debian {suite} for {}", architecture.debian()))?;
    Ok(folder)
}

/// The programs that use libcryptsetup for verity.
pub fn clients(suite: &str) -> Result<PathBuf> {
    tree("clients", suite, Architecture::Amd64, CLIENTS)
}

/// The same as a disk for a machine: a squashfs, from the cache.
pub fn clients_disk(suite: &str) -> Result<PathBuf> {
    let tree = clients(suite)?;
    let folder = tree.with_extension("disk");
    let disk = Path::new("tree.squashfs");
    cached(&folder, false, |_, out| {
        process::require(&["mksquashfs"])?;
        fs::create_dir_all(out)?;
        let mut mksquashfs = process::command("mksquashfs")?;
        // The compression that costs an emulated machine least.
        mksquashfs.arg(&tree).arg(out.join(disk)).args(["-quiet", "-no-progress", "-all-root", "-comp", "lz4"]);
        process::output(&mut mksquashfs).map(drop)
    })?;
    Ok(folder.join(disk))
}
