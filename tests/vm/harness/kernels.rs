//! The kernels the tests run on, and the cache of what was fetched for them.
//!
//! `target/vm/kernels/NAME/` holds `vmlinuz`, `lib/modules/RELEASE/` and `package`. It appears by one rename, so it is
//! either complete or not there, and once there it is used without the network.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow, bail};

use super::apt::Apt;
use super::{paths, process};

/// A kernel generation, and the Debian suite that carries it.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// What the tests call it; its releases begin with this.
    pub name: &'static str,
    /// Debian's suite.
    pub suite: &'static str,
}

/// Every generation the tests run on, oldest first.
pub const KERNELS: &[Kernel] = &[
    Kernel { name: "5.10", suite: "bullseye" },
    Kernel { name: "6.1", suite: "bookworm" },
    Kernel { name: "6.12", suite: "trixie" },
    Kernel { name: "7", suite: "sid" },
];

/// The suite the guests' busybox comes from; any would do, the same one everywhere keeps the guests alike.
const BUSYBOX_SUITE: &str = "bookworm";

/// A fetched kernel.
#[derive(Debug)]
pub struct Installed {
    /// Its folder in the cache: `lib/modules` lies below it.
    pub folder: PathBuf,
    /// The kernel's full release, `uname -r`.
    pub release: String,
}

/// One fetch at a time: two boots may want the same package.
static FETCHING: Mutex<()> = Mutex::new(());

/// The kernel of that name.
pub fn by_name(name: &str) -> Result<&'static Kernel> {
    KERNELS.iter().find(|kernel| kernel.name == name).ok_or_else(|| {
        let known: Vec<_> = KERNELS.iter().map(|kernel| kernel.name).collect();
        anyhow!("there is no kernel {name:?}, only {}", known.join(", "))
    })
}

/// Makes sure the kernel is in the cache; `refresh` fetches it even so.
pub fn kernel(kernel: &Kernel, refresh: bool) -> Result<Installed> {
    let folder = paths::cache().join("kernels").join(kernel.name);
    cached(&folder, refresh, |work, out| fetch_kernel(kernel, work, out))
        .with_context(|| format!("cannot fetch kernel {}", kernel.name))?;
    let release = only_entry(&folder.join("lib/modules"))?;
    Ok(Installed { folder, release })
}

/// Makes sure the static busybox is in the cache.
pub fn busybox(refresh: bool) -> Result<PathBuf> {
    let folder = paths::cache().join("busybox");
    cached(&folder, refresh, |work, out| {
        let apt = Apt::update(&work.join("apt"), BUSYBOX_SUITE)?;
        let tree = work.join("tree");
        apt.unpack(&["busybox-static".to_owned()], &tree)?;
        let binary = [tree.join("usr/bin/busybox"), tree.join("bin/busybox")].into_iter().find(|path| path.is_file());
        fs::create_dir_all(out)?;
        fs::rename(binary.context("the package busybox-static holds no busybox")?, out.join("busybox"))?;
        Ok(())
    })
    .context("cannot fetch busybox-static")?;
    Ok(folder.join("busybox"))
}

/// Lets `fetch(work, out)` fill `out` and moves it to `folder`, unless `folder` is there already.
fn cached(folder: &Path, refresh: bool, fetch: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<()> {
    let _one = FETCHING.lock().unwrap_or_else(PoisonError::into_inner);
    if folder.is_dir() && !refresh {
        return Ok(());
    }
    if std::env::consts::ARCH != "x86_64" {
        bail!("the guests are x86-64 machines and run programs of the host's: this needs an x86-64 host");
    }
    let work = Work::new()?;
    let out = work.0.join("out");
    fetch(&work.0, &out)?;
    fs::create_dir_all(folder.parent().context("a cache folder has a parent")?)?;
    if folder.is_dir() {
        fs::rename(folder, work.0.join("old"))?;
    }
    match fs::rename(&out, folder) {
        // Another process was faster: its copy is as good.
        Err(_) if folder.is_dir() => Ok(()),
        other => other.with_context(|| format!("cannot create {}", folder.display())),
    }
}

fn fetch_kernel(kernel: &Kernel, work: &Path, out: &Path) -> Result<()> {
    let apt = Apt::update(&work.join("apt"), kernel.suite)?;
    let image = apt.newest(&format!("linux-image-{}.", kernel.name), "-cloud-amd64")?;
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

/// A working folder in the cache, on the same file system as what becomes of it; gone at the end.
struct Work(PathBuf);

impl Work {
    fn new() -> Result<Self> {
        let all = paths::cache().join("apt");
        paths::sweep(&all)?;
        let own = all.join(paths::temporary("fetch"));
        paths::remove(&own);
        fs::create_dir_all(&own)?;
        Ok(Self(own))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        paths::remove(&self.0);
    }
}
