//! Running the host's programs: a missing one is an error that names the Debian package to install.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

/// The Debian package a program comes from, for the programs the harness needs.
fn package(program: &str) -> &str {
    match program {
        "qemu-system-x86_64" => "qemu-system-x86",
        "qemu-system-aarch64" => "qemu-system-arm",
        "readelf" => "binutils",
        "depmod" => "kmod",
        "xz" => "xz-utils",
        "ldd" => "libc-bin",
        "apt-get" | "apt-cache" => "apt",
        "dpkg-deb" | "dpkg" => "dpkg",
        "veritysetup" => "cryptsetup-bin",
        "dmsetup" => "dmsetup",
        "blockdev" | "ipcrm" | "setpriv" | "unshare" => "util-linux",
        "losetup" | "mount" => "mount",
        "sfdisk" => "fdisk",
        "cat" | "chroot" | "cp" | "cut" | "date" | "dd" | "id" | "rm" | "sha256sum" | "stat" | "tr" | "uname" => {
            "coreutils"
        }
        "keyctl" => "keyutils",
        "openssl" => "openssl",
        "lz4" => "lz4",
        "zstd" => "zstd",
        "udevadm" => "udev",
        "fincore" => "util-linux-extra",
        "perf" => "linux-perf",
        "groff" => "groff-base",
        "script" => "bsdutils",
        "cmp" => "diffutils",
        "mke2fs" => "e2fsprogs",
        "mksquashfs" => "squashfs-tools",
        other => other,
    }
}

/// Where a program is: on `PATH`, or in the folders for administrators, which are not on every user's `PATH`.
pub fn find(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    for folder in folders {
        let candidate = folder.join(program);
        if candidate.is_file() {
            return Ok(candidate);
        }
    }
    Err(missing(program))
}

/// Fails unless all of the programs are there, and then names every package that is missing.
pub fn require(programs: &[&str]) -> Result<()> {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| find(program).is_err()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|program| package(program)).collect();
    packages.sort_unstable();
    packages.dedup();
    bail!("not installed: {}; they come with: apt-get install {}", missing.join(", "), packages.join(" "))
}

/// The error for a program that is not there.
fn missing(program: &str) -> anyhow::Error {
    anyhow!("`{program}` is not installed: apt-get install {}", package(program))
}

/// A command for a program found by [`find`].
pub fn command(program: &str) -> Result<Command> {
    Ok(command_at(&find(program)?))
}

/// A command for a program that is there.
pub fn command_at(path: &Path) -> Command {
    let mut command = Command::new(path);
    // Error texts are shown and partly compared; locales would change them.
    command.env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs the command to its end and returns its standard output; a failure carries what it said.
pub fn output(command: &mut Command) -> Result<String> {
    let name = Path::new(command.get_program()).file_name().unwrap_or(OsStr::new("?")).to_string_lossy().into_owned();
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing(&name)),
        other => other.with_context(|| format!("cannot run `{name}`"))?,
    };
    if !output.status.success() {
        bail!("`{name}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
