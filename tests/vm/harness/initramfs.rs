//! Packs a guest's file system into an initramfs, anew for every boot and uncompressed: finding out whether an older
//! one still fits would take longer.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use cpio::newc::{self, Builder, ModeFileType};

/// Folders that must exist, even if empty.
const FOLDERS: &[&str] = &["dev", "etc", "proc", "ref", "root", "run", "sys", "tmp", "usr/bin", "usr/sbin", "var"];

/// The guest has a merged /usr, as every current Debian: files of `/lib` are put into `usr/lib`.
const MERGED: &[&str] = &["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// An initramfs being written.
pub struct Initramfs {
    file: BufWriter<File>,
    /// Paths already written: a second entry of a name would replace the first one in the guest.
    names: BTreeSet<String>,
}

impl std::fmt::Debug for Initramfs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Initramfs").field("entries", &self.names.len()).finish_non_exhaustive()
    }
}

impl Initramfs {
    /// Begins the archive.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut archive = Self { file: BufWriter::with_capacity(1 << 20, file), names: BTreeSet::new() };
        for folder in FOLDERS {
            archive.folder(folder)?;
        }
        for name in MERGED {
            let target = format!("usr/{name}");
            archive.folder(&target)?;
            archive.link(name, &target)?;
        }
        Ok(archive)
    }

    /// Adds a copy of the host's file, with its executable bit.
    pub fn copy(&mut self, guest: &str, host: &Path) -> Result<()> {
        let content = fs::read(host).with_context(|| format!("cannot read {}", host.display()))?;
        let executable = fs::metadata(host)?.permissions().mode() & 0o111 != 0;
        self.put(guest, &content, executable)
    }

    /// Adds a file.
    pub fn put(&mut self, guest: &str, content: &[u8], executable: bool) -> Result<()> {
        let name = self.place(guest)?;
        let mode = if executable { 0o755 } else { 0o644 };
        self.entry(&name, mode, ModeFileType::Regular, content)
    }

    /// Adds everything below the host's folder.
    pub fn copy_tree(&mut self, guest: &str, host: &Path) -> Result<()> {
        let mut entries = fs::read_dir(host)?.collect::<std::io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let guest = format!("{guest}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                self.copy_tree(&guest, &entry.path())?;
            } else {
                self.copy(&guest, &entry.path())?;
            }
        }
        Ok(())
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, guest: &str, target: &str) -> Result<()> {
        let name = self.place(guest)?;
        self.entry(&name, 0o777, ModeFileType::Symlink, target.as_bytes())
    }

    /// Ends the archive.
    pub fn finish(self) -> Result<()> {
        let mut file = newc::trailer(self.file)?;
        file.flush().context("cannot write the initramfs")
    }

    /// Makes the folders of the path; returns it in the archive's spelling.
    fn place(&mut self, guest: &str) -> Result<String> {
        let path = guest.trim_start_matches('/');
        let first = path.split('/').next().unwrap_or(path);
        let name = if MERGED.contains(&first) && path != first { format!("usr/{path}") } else { path.to_owned() };
        if let Some((parent, _)) = name.rsplit_once('/') {
            self.folder(parent)?;
        }
        Ok(name)
    }

    fn folder(&mut self, path: &str) -> Result<()> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for name in ends.map(|end| &path[..end]).filter(|name| !name.is_empty()) {
            if !self.names.contains(name) {
                self.entry(name, 0o755, ModeFileType::Directory, &[])?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, name: &str, mode: u32, kind: ModeFileType, content: &[u8]) -> Result<()> {
        if !self.names.insert(name.to_owned()) {
            return Ok(());
        }
        let size = u32::try_from(content.len()).map_err(|_| anyhow!("{name} is too large for an initramfs"))?;
        let number = u32::try_from(self.names.len())?;
        let mut writer = Builder::new(name).ino(number).mode(mode).set_mode_file_type(kind).write(&mut self.file, size);
        writer.write_all(content)?;
        writer.finish().with_context(|| format!("cannot write {name} into the initramfs"))?;
        Ok(())
    }
}
