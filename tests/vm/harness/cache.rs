//! The cache of downloads. A folder appears in it by one rename, so that it is complete or absent; from then on it is
//! used without the network.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};

use super::paths;

/// One fetch at a time: two boots may want the same package.
static FETCHING: Mutex<()> = Mutex::new(());

/// Lets `fetch(work, out)` fill `out` and moves it to `folder`, unless `folder` is there already; `refresh` replaces
/// it.
pub fn cached(folder: &Path, refresh: bool, fetch: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<()> {
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

/// A working folder in the cache, on the file system of the result; removed on drop.
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
