//! Where things are: the cache under the workspace's `target/vm/`, and the scripts.

use std::path::{Path, PathBuf};
use std::{fs, process};

use anyhow::Result;

use crate::workspace;

/// Everything the harness keeps: kernels, logs, built initramfs files.
pub fn cache() -> PathBuf {
    workspace().join("target/vm")
}

/// Console logs and the cases' output of the latest run.
pub fn logs() -> PathBuf {
    cache().join("logs")
}

/// A name for something that only this process uses, which [`sweep`] recognises as temporary.
pub fn temporary(name: &str) -> String {
    format!("{name}~{}", process::id())
}

/// Creates the folder, or removes from it the entries with names from [`temporary`] whose processes have ended.
pub fn sweep(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.rsplit_once('~').and_then(|(_, number)| number.parse::<u32>().ok());
        let alive = |number: u32| number == process::id() || Path::new("/proc").join(number.to_string()).exists();
        if number.is_some_and(|number| !alive(number)) {
            remove(&entry.path());
        }
    }
    Ok(())
}

/// Removes a file or folder, if it exists; the next sweep tries again if it cannot be removed now.
pub fn remove(path: &Path) {
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

/// A folder of `tests/vm/`.
pub fn vm(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vm").join(folder)
}
