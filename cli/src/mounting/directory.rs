//! The directory that is mounted on: it has to be there, and free.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statfs::{FUSE_SUPER_MAGIC, statfs};

use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};

/// An existing directory that can be mounted on.
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Checks a directory. The files of the image must not be in it: they would be hidden.
    pub(crate) fn new(directory: &Path, files: &[&Path]) -> Result<Self> {
        let refused = |exit, why: &str| Err(cannot(exit, directory).hint(why));
        let found = look(directory).map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
            // The kernel knows, or finds out just now, that no process answers.
            Some(Errno::ENOTCONN | Errno::ECONNABORTED) => dead(directory),
            _ => cannot(Exit::Device, directory).because(&error),
        })?;
        let Found { path, is_directory, is_mounted } = found;
        if !is_directory {
            return refused(Exit::Parameters, "it is not a directory.");
        }
        if is_mounted {
            return refused(Exit::Busy, "a FUSE file system is mounted there already.");
        }
        let hides = |file: &&Path| file.canonicalize().is_ok_and(|file| file.starts_with(&path));
        if let Some(hidden) = files.iter().copied().find(|file| hides(file)) {
            return refused(Exit::Parameters, &format!("{} is in it, and would be hidden.", text_of(hidden)));
        }
        Ok(Self { path })
    }

    /// Its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file in it.
    pub(crate) fn file(&self) -> PathBuf {
        self.path.join(super::one_file::NAME)
    }
}

/// What a path leads to.
struct Found {
    path: PathBuf,
    is_directory: bool,
    /// Whether a FUSE file system is mounted on this directory itself.
    is_mounted: bool,
}

fn look(directory: &Path) -> io::Result<Found> {
    let path = directory.canonicalize()?;
    let metadata = fs::metadata(&path)?;
    let parent = path.parent().map(fs::metadata).transpose()?;
    let is_root = parent.is_none_or(|parent| parent.dev() != metadata.dev());
    let is_mounted = is_root && statfs(&path)?.filesystem_type() == FUSE_SUPER_MAGIC;
    Ok(Found { path, is_directory: metadata.is_dir(), is_mounted })
}

pub(super) fn cannot(exit: Exit, directory: &Path) -> Failure {
    Failure::new(exit, format!("Cannot mount on {}.", text_of(directory)))
}

/// What a process has left behind that was killed.
fn dead(directory: &Path) -> Failure {
    let path = text_of(directory);
    cannot(Exit::Busy, directory).because(&Errno::ENOTCONN.into()).hint(format!(
        "a killed process has left a mount behind; remove it: fusermount3 -u {path}, or as root umount {path}"
    ))
}
