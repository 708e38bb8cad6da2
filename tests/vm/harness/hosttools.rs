//! Programs of the host that run in the guest, with the libraries they load: the reference `veritysetup`, `dmsetup`,
//! udev with its rules, this package's own programs, and those that a script written for a complete Debian calls.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

use anyhow::{Context as _, Result, anyhow};

use super::architecture::Architecture;
use super::{foreign, paths, process};

/// Where udev's rules are, before and after the distribution merged /usr.
const RULES: [&str; 2] = ["/usr/lib/udev/rules.d", "/lib/udev/rules.d"];

/// The rules for block devices and device-mapper, and the package each comes from. Others only cost time at boot.
const RULE_FILES: &[(&str, &str)] = &[
    ("50-udev-default.rules", "udev"),
    ("55-dm.rules", "dmsetup"),
    ("60-block.rules", "udev"),
    ("60-persistent-storage.rules", "udev"),
    ("60-persistent-storage-dm.rules", "dmsetup"),
    ("95-dm-notify.rules", "dmsetup"),
];

/// Programs for scripts that busybox's do not serve.
pub const USERLAND: &[&str] =
    &["bash", "blockdev", "cat", "cut", "dd", "grep", "id", "losetup", "rm", "sed", "sha256sum", "stat", "tr", "uname"];

/// A program that every guest has.
#[derive(Debug)]
pub struct Tool {
    /// Its name.
    pub program: &'static str,
    /// Where it is in the guest.
    pub guest: &'static str,
    /// Debian's package.
    pub package: &'static str,
}

/// The reference `veritysetup` (apart from ours), `dmsetup`, and tools that busybox does not have.
pub const TOOLS: &[Tool] = &[
    tool("veritysetup", "/ref/veritysetup", "cryptsetup-bin"),
    tool("dmsetup", "/usr/sbin/dmsetup", "dmsetup"),
    // For cleaning up, and the keyring for cases; Debian's busybox has none.
    tool("ipcrm", "/usr/bin/ipcrm", "util-linux"),
    tool("keyctl", "/usr/bin/keyctl", "keyutils"),
    // For taking capabilities away; busybox's cannot.
    tool("setpriv", "/ref/setpriv", "util-linux"),
    // For loop devices with long sectors, which busybox's does not make.
    tool("losetup", "/ref/losetup", "mount"),
    // For the kernel as a client of `serve`.
    tool("nbd-client", "/usr/sbin/nbd-client", "nbd-client"),
];

const fn tool(program: &'static str, guest: &'static str, package: &'static str) -> Tool {
    Tool { program, guest, package }
}

/// Files for the guest: where each goes, and the host's file it is a copy of.
pub type Copies = BTreeMap<String, PathBuf>;

/// The programs of [`TOOLS`]: the host's, or Debian's for another architecture.
pub fn tools(architecture: Architecture) -> Result<Copies> {
    if architecture != Architecture::Amd64 {
        return foreign::tools(architecture);
    }
    let mut copies = Copies::new();
    for tool in TOOLS {
        program(&process::find(tool.program)?, tool.guest, &mut copies)?;
    }
    add_legacy_hashes(&mut copies);
    Ok(copies)
}

/// OpenSSL loads its older hashes (whirlpool, ripemd160) from a folder beside it when the reference asks for them.
pub fn add_legacy_hashes(copies: &mut Copies) {
    let beside = |path: &Path| Some(path.parent()?.join("ossl-modules/legacy.so"));
    let crypto = copies.iter().find(|(path, _)| path.contains("/libcrypto.so"));
    let legacy = crypto.and_then(|(guest, host)| Some((beside(Path::new(guest))?, beside(host)?)));
    if let Some((guest, host)) = legacy.filter(|(_, host)| host.is_file()) {
        copies.insert(guest.to_string_lossy().into_owned(), host);
    }
}

/// systemd's udevd, `udevadm` and the rules.
pub fn udev() -> Result<Copies> {
    let mut copies = Copies::new();
    program(&process::find("udevadm")?, "/usr/bin/udevadm", &mut copies)?;
    // One program under two names where it is a link, two programs on older systems; a copy serves both.
    let daemon = ["/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd"].map(PathBuf::from);
    let daemon = daemon
        .iter()
        .find(|path| path.is_file())
        .ok_or_else(|| anyhow!("udevd is not installed: apt-get install udev"))?;
    program(daemon, "/usr/lib/systemd/systemd-udevd", &mut copies)?;
    for (name, package) in RULE_FILES {
        let found = RULES.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
        let found = found.ok_or_else(|| anyhow!("udev's rules {name} are not installed: apt-get install {package}"))?;
        copies.insert(format!("/usr/lib/udev/rules.d/{name}"), found);
    }
    Ok(copies)
}

/// A program of this package's, as `/usr/bin/NAME`: Cargo builds it together with the test that is running.
pub fn own(name: &str) -> Result<Copies> {
    let running = env::current_exe()?;
    // Tests are one folder deeper than programs.
    let mut folders = running.ancestors().skip(1).take(2);
    let found = folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()));
    let found = found.with_context(|| format!("there is no program {name} near {}", running.display()))?;
    let mut copies = Copies::new();
    program(&found, &format!("/usr/bin/{name}"), &mut copies)?;
    Ok(copies)
}

/// A program of `tests/c/`, compiled here against the C library.
pub fn compiled(name: &str) -> Result<PathBuf> {
    static ONE: Mutex<()> = Mutex::new(());
    process::require(&["cc"])?;
    let (folder, sources) = (paths::cache().join("c"), crate::workspace().join("tests/c"));
    paths::sweep(&folder)?;
    // Two boots may want it at the same time, in this process and in others.
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (made, program) = (folder.join(paths::temporary(name)), folder.join(name));
    let mut cc = process::command("cc")?;
    cc.args(["-O1", "-pthread", "-Wl,--as-needed", "-I"]).arg(crate::workspace().join("lib/c/include"));
    cc.arg(sources.join(format!("{name}.c"))).arg(crate::c_library()?).args(["-ldl", "-o"]).arg(&made);
    process::output(&mut cc)?;
    fs::rename(&made, &program)?;
    Ok(program)
}

/// The programs of [`USERLAND`], in a folder of their own: everything else in the guest still uses busybox's.
pub fn userland(folder: &str) -> Result<Copies> {
    let mut copies = Copies::new();
    for name in USERLAND {
        program(&process::find(name)?, &format!("{folder}/{name}"), &mut copies)?;
    }
    Ok(copies)
}

/// Adds the program and every library `ldd` says it loads, each where the loader looks for it.
fn program(file: &Path, guest: &str, copies: &mut Copies) -> Result<()> {
    let file = fs::canonicalize(file).with_context(|| format!("cannot find {}", file.display()))?;
    let listing = process::output(process::command("ldd")?.arg(&file))?;
    for library in libraries(&listing) {
        copies.insert(library.to_owned(), library.into());
    }
    copies.insert(guest.to_owned(), file);
    Ok(())
}

/// The paths in ldd's output: `NAME => PATH (ADDRESS)`, or `PATH (ADDRESS)` for the loader itself.
fn libraries(listing: &str) -> impl Iterator<Item = &str> {
    listing.lines().filter_map(|line| {
        let path = line.split_once(" => ").map_or(line, |(_, path)| path).trim();
        path.starts_with('/').then(|| path.split(" (").next().unwrap_or(path))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn libraries_are_read_from_ldd() {
        let text = "\tlinux-vdso.so.1 (0x1)\n\tliba.so => /lib/x/liba.so (0x2)\n\t/lib64/ld-linux.so.2 (0x3)\n";
        assert_eq!(super::libraries(text).collect::<Vec<_>>(), ["/lib/x/liba.so", "/lib64/ld-linux.so.2"]);
    }
}
