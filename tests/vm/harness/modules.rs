//! Picks from a kernel's modules those that a guest may need and their dependencies, and decompresses them. busybox's
//! modprobe, which the kernel runs to load what a table needs, finds them by name and alias.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};

use super::kernels::{Installed, Kernel};
use super::{paths, process};

/// Modules by name; a kernel may have one built in, or lack it.
const NAMES: &[&str] = &[
    // Under test.
    "dm-mod",
    "dm-verity",
    "dm-bufio",
    "reed_solomon",
    // Devices below it.
    "loop",
    "brd",
    "null_blk",
    "scsi_debug",
    "sd_mod",
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "nbd",
    // Devices below it that do something to the data.
    "dm-crypt",
    "dm-delay",
    "dm-flakey",
    "dm-integrity",
    "dm-snapshot",
    "dm-zero",
    // File systems on it, and a checksum that one of them asks for by name.
    "crc32c_generic",
    "erofs",
    "ext4",
    "overlay",
    "squashfs",
];

/// Folders of hash algorithms, and what the names of the modules wanted from there contain.
const HASH_FOLDERS: &[&str] = &[
    "kernel/crypto/",
    "kernel/lib/crypto/",
    "kernel/arch/x86/crypto/",
    "kernel/arch/x86/lib/",
    "kernel/arch/arm64/crypto/",
    "kernel/arch/arm64/lib/",
];
const HASHES: &[&str] =
    &["blake2", "md4", "md5", "rmd", "sha1", "sha2", "sha3", "sha5", "sm3", "streebog", "tgr192", "wp512"];

/// One at a time: two boots may want the same kernel.
static BUILDING: Mutex<()> = Mutex::new(());

/// The folder that holds `lib/modules/RELEASE` for the guest, built unless it is there for this kernel and selection.
pub fn selected(kernel: &Kernel, installed: &Installed) -> Result<PathBuf> {
    let _one = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = paths::cache().join("modules").join(kernel.name);
    let stamp = stamp(installed)?;
    if fs::read_to_string(folder.join("stamp")).is_ok_and(|found| found == stamp) {
        return Ok(folder);
    }
    paths::sweep(&paths::cache().join("modules"))?;
    let work = folder.with_file_name(paths::temporary(kernel.name));
    paths::remove(&work);
    build(installed, &work).with_context(|| format!("cannot prepare the modules of kernel {}", kernel.name))?;
    fs::write(work.join("stamp"), stamp)?;
    paths::remove(&folder);
    fs::rename(&work, &folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// What the selection depends on, as text.
fn stamp(installed: &Installed) -> Result<String> {
    let mut text = fs::read_to_string(installed.folder.join("package"))?;
    writeln!(text, "{NAMES:?} {HASH_FOLDERS:?} {HASHES:?}")?;
    Ok(text)
}

fn build(installed: &Installed, work: &Path) -> Result<()> {
    let from = installed.folder.join("lib/modules").join(&installed.release);
    let into = work.join("lib/modules").join(&installed.release);
    fs::create_dir_all(&into)?;
    let dependencies = fs::read_to_string(from.join("modules.dep")).context("cannot read modules.dep")?;
    let mut compressed = Vec::new();
    for file in select(&dependencies) {
        let target = into.join(file);
        fs::create_dir_all(target.parent().context("a module lies in a folder")?)?;
        fs::copy(from.join(file), &target)?;
        if target.extension().is_some_and(|extension| extension == "xz") {
            compressed.push(target);
        }
    }
    if !compressed.is_empty() {
        process::output(process::command("xz")?.args(["--decompress", "--threads=0"]).args(&compressed))?;
    }
    for list in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        fs::copy(from.join(list), into.join(list)).with_context(|| format!("cannot copy {list}"))?;
    }
    process::output(process::command("depmod")?.arg("-b").arg(work).arg(&installed.release))?;
    Ok(())
}

/// The files to take, out of the lines `FILE: DEPENDENCY...` of `modules.dep`, which lists indirect ones too.
fn select(dependencies: &str) -> BTreeSet<&str> {
    let lines: HashMap<&str, &str> = dependencies.lines().filter_map(|line| line.split_once(':')).collect();
    let wanted = lines.iter().filter(|(file, _)| {
        let name = file.rsplit('/').next().unwrap_or(file);
        let name = name.split(".ko").next().unwrap_or(name);
        let hash =
            HASH_FOLDERS.iter().any(|folder| file.starts_with(folder)) && HASHES.iter().any(|part| name.contains(part));
        hash || NAMES.contains(&name)
    });
    wanted.flat_map(|(file, needs)| needs.split_whitespace().chain([*file])).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn modules_come_with_their_dependencies() {
        let dep = "kernel/drivers/md/dm-verity.ko.xz: kernel/drivers/md/dm-mod.ko.xz kernel/lib/x.ko.xz\n\
                   kernel/drivers/md/dm-mod.ko.xz:\nkernel/lib/x.ko.xz:\nkernel/crypto/wp512.ko:\n\
                   kernel/net/sha1x.ko:\n";
        let found: Vec<_> = super::select(dep).into_iter().collect();
        assert_eq!(
            found,
            [
                "kernel/crypto/wp512.ko",
                "kernel/drivers/md/dm-mod.ko.xz",
                "kernel/drivers/md/dm-verity.ko.xz",
                "kernel/lib/x.ko.xz"
            ]
        );
    }
}
