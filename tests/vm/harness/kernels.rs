//! The kernels the tests run on, and the cache of what was fetched for them.
//!
//! `target/vm/kernels/NAME/` holds `vmlinuz`, `lib/modules/RELEASE/` and `package`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};

use super::apt::{Apt, Lists};
use super::architecture::Architecture::{self, Amd64, Arm64};
use super::cache::cached;
use super::{paths, process};

/// A kernel of one generation for one architecture, and the Debian suite that carries it.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// What the tests call it.
    pub name: &'static str,
    /// What its releases begin with.
    pub generation: &'static str,
    /// Debian's suite.
    pub suite: &'static str,
    /// The processors it is for.
    pub architecture: Architecture,
    /// What Debian calls this build: the end of its package's name.
    flavour: &'static str,
}

/// Every kernel the tests run on, oldest first; those of 64-bit Arm are named after the x86 kernel of their generation.
pub const KERNELS: &[Kernel] = &[
    amd64("5.10", "bullseye"),
    amd64("6.1", "bookworm"),
    amd64("6.12", "trixie"),
    amd64("7", "sid"),
    arm64("6.12-arm64", "6.12", "trixie", "-cloud-arm64"),
    // Pages of 16 KiB.
    arm64("6.12-arm64-16k", "6.12", "trixie", "-arm64-16k"),
    arm64("7-arm64", "7", "sid", "-cloud-arm64"),
];

const fn amd64(name: &'static str, suite: &'static str) -> Kernel {
    Kernel { name, generation: name, suite, architecture: Amd64, flavour: "-cloud-amd64" }
}

const fn arm64(name: &'static str, generation: &'static str, suite: &'static str, flavour: &'static str) -> Kernel {
    Kernel { name, generation, suite, architecture: Arm64, flavour }
}

/// The suite the guests' busybox comes from; any would do, the same one everywhere keeps the guests alike.
const BUSYBOX_SUITE: &str = "bookworm";

/// A fetched kernel.
#[derive(Debug)]
pub struct Installed {
    /// Its folder in the cache: `lib/modules` is below it.
    pub folder: PathBuf,
    /// The kernel's full release, `uname -r`.
    pub release: String,
}

/// The kernels for these processors, oldest first.
pub fn of(architecture: Architecture) -> impl DoubleEndedIterator<Item = &'static Kernel> + Clone {
    KERNELS.iter().filter(move |kernel| kernel.architecture == architecture)
}

/// The kernel of that name.
pub fn by_name(name: &str) -> Result<&'static Kernel> {
    KERNELS.iter().find(|kernel| kernel.name == name).ok_or_else(|| {
        let known: Vec<_> = KERNELS.iter().map(|kernel| kernel.name).collect();
        anyhow!("there is no kernel {name:?}, only {}", known.join(", "))
    })
}

/// Makes sure the kernel is in the cache; `refresh` fetches it again.
pub fn kernel(kernel: &Kernel, refresh: bool) -> Result<Installed> {
    let folder = paths::cache().join("kernels").join(kernel.name);
    cached(&folder, refresh, |work, out| fetch_kernel(kernel, work, out))
        .with_context(|| format!("cannot fetch kernel {}", kernel.name))?;
    let release = only_entry(&folder.join("lib/modules"))?;
    Ok(Installed { folder, release })
}

/// Makes sure the static busybox is in the cache.
pub fn busybox(architecture: Architecture, refresh: bool) -> Result<PathBuf> {
    let folder = paths::cache().join(match architecture {
        Amd64 => "busybox",
        Arm64 => "busybox-arm64",
    });
    cached(&folder, refresh, |work, out| {
        let apt = Apt::update(&work.join("apt"), BUSYBOX_SUITE, architecture, Lists::Packages)?;
        let tree = work.join("tree");
        apt.unpack(&["busybox-static".to_owned()], &tree)?;
        let binary = [tree.join("usr/bin/busybox"), tree.join("bin/busybox")].into_iter().find(|path| path.is_file());
        fs::create_dir_all(out)?;
        fs::rename(binary.context("the package busybox-static holds no busybox")?, out.join("busybox"))?;
        Ok(())
    })
    .with_context(|| format!("cannot fetch busybox-static for {}", architecture.debian()))?;
    Ok(folder.join("busybox"))
}

fn fetch_kernel(kernel: &Kernel, work: &Path, out: &Path) -> Result<()> {
    let apt = Apt::update(&work.join("apt"), kernel.suite, kernel.architecture, Lists::Packages)?;
    let image = apt.newest(&format!("linux-image-{}.", kernel.generation), kernel.flavour)?;
    let release = image.strip_prefix("linux-image-").context("the package is named after the release")?.to_owned();
    let version = apt.field(&image, "Version")?;
    // Newer suites split the kernel into packages that are all named after its release.
    let depends = apt.field(&image, "Depends")?;
    let parts = depends
        .split(',')
        .filter_map(|depend| depend.split_whitespace().next())
        .filter(|name| name.ends_with(&release));
    let mut packages = vec![image.clone()];
    packages.extend(parts.map(str::to_owned));
    let tree = work.join("tree");
    apt.unpack(&packages, &tree)?;

    fs::create_dir_all(out.join("lib/modules"))?;
    let modules = out.join("lib/modules").join(&release);
    // Before the suites merged /usr, and after; a split kernel may even use both.
    let found = ["lib/modules", "usr/lib/modules"].map(|place| tree.join(place).join(&release));
    let found = found.iter().find(|place| place.join("kernel").is_dir());
    fs::rename(found.with_context(|| format!("{image} and its parts hold no modules"))?, &modules)?;
    let images = [tree.join(format!("boot/vmlinuz-{release}")), modules.join("vmlinuz")];
    let vmlinuz = images.iter().find(|path| path.is_file());
    fs::rename(vmlinuz.with_context(|| format!("{image} and its parts hold no kernel image"))?, out.join("vmlinuz"))?;
    // The packages leave the list of dependencies to their installation.
    process::output(process::command("depmod")?.arg("-b").arg(out).arg(&release))?;
    fs::write(out.join("package"), format!("{image} {version}\n"))?;
    Ok(())
}

/// The name of the folder's only entry.
fn only_entry(folder: &Path) -> Result<String> {
    let entry = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?.next();
    let entry = entry.with_context(|| format!("{} is empty", folder.display()))??;
    Ok(entry.file_name().to_string_lossy().into_owned())
}
