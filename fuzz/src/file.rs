//! Files in memory that have a path: a fuzz target writes none to a disk.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::sys::memfd::{MFdFlags, memfd_create};

/// A file that is used again and again.
#[derive(Debug)]
pub(crate) struct MemoryFile {
    file: File,
    path: PathBuf,
}

impl MemoryFile {
    pub(crate) fn new() -> Self {
        let file = File::from(memfd_create("dmverity-fuzz", MFdFlags::MFD_CLOEXEC).expect("there is memory"));
        let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
        Self { file, path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces its content.
    pub(crate) fn set(&self, bytes: &[u8]) {
        self.file.set_len(bytes.len() as u64).expect("it can be resized");
        self.file.write_all_at(bytes, 0).expect("it can be written");
    }

    /// Its content.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let len = self.file.metadata().expect("it is open").len();
        let mut bytes = vec![0; usize::try_from(len).expect("it is small")];
        self.file.read_exact_at(&mut bytes, 0).expect("it can be read");
        bytes
    }
}
