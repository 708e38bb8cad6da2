//! The files that are hashed.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use dmverity_tests::vm::process;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::random;

pub(crate) const MIB: u64 = 1 << 20;
/// The size of one write or read.
const CHUNK: usize = 1 << 20;

/// Writes a new file of random bytes and reads it once, so that all of it is in the page cache, in new pages as for
/// every other file: copying older pages can take half as long again.
pub(crate) fn write_random(path: &Path, mib: u64) -> Result<()> {
    remove(path)?;
    let mut file = create(path)?;
    let mut writer = Random::new();
    for _ in 0..mib {
        file.write_all(writer.chunk())?;
    }
    // No writeback may happen during the measurement.
    file.sync_all()?;
    read(path)
}

/// Makes a file that is one hole.
pub(crate) fn write_hole(path: &Path, mib: u64) -> Result<()> {
    remove(path)?;
    create(path)?.set_len(mib * MIB)?;
    Ok(())
}

/// Makes a file of holes with this many pieces of random bytes at equal distances, and reads the pieces once.
pub(crate) fn write_scattered(path: &Path, mib: u64, pieces: u64, piece_mib: u64) -> Result<()> {
    write_hole(path, mib)?;
    let file = File::options().read(true).write(true).open(path)?;
    let mut writer = Random::new();
    let mut buffer = vec![0; CHUNK];
    for piece in 0..pieces {
        // In the middle of its part: neither the file's start nor its end is data.
        let start = (mib / pieces * piece + mib / pieces / 2) * MIB;
        for chunk in 0..piece_mib {
            file.write_all_at(writer.chunk(), start + chunk * MIB)?;
        }
        file.sync_all()?;
        for chunk in 0..piece_mib {
            file.read_exact_at(&mut buffer, start + chunk * MIB)?;
        }
    }
    Ok(())
}

/// How long it takes to write a new file of this size and to sync it.
pub(crate) fn time_to_write(path: &Path, bytes: u64) -> Result<Duration> {
    remove(path)?;
    let mut writer = Random::new();
    let chunk = writer.chunk();
    let start = Instant::now();
    let mut file = create(path)?;
    let mut left = bytes;
    while left > 0 {
        let len = left.min(MIB);
        file.write_all(&chunk[..usize::try_from(len)?])?;
        left -= len;
    }
    file.sync_all()?;
    let elapsed = start.elapsed();
    remove(path)?;
    Ok(elapsed)
}

/// Drops a file from the page cache. Returns false if the kernel kept more than a hundredth of it, as it does on tmpfs.
///
/// `/proc/sys/vm/drop_caches` would drop everyone's files.
pub(crate) fn drop_cached(path: &Path) -> Result<bool> {
    let file = File::open(path)?;
    // Only clean pages can be dropped.
    file.sync_all()?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    Ok(cached(path)? <= file.metadata()?.len() / 100)
}

/// How many bytes of a file are in the page cache. `fincore` tells: reads with `RWF_NOWAIT` would start read-ahead.
pub(crate) fn cached(path: &Path) -> Result<u64> {
    let mut command = process::command("fincore")?;
    let text = process::output(command.args(["--bytes", "--raw", "--noheadings", "--output", "RES"]).arg(path))?;
    text.trim().parse().with_context(|| format!("fincore printed {text:?}"))
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn create(path: &Path) -> Result<File> {
    File::create_new(path).with_context(|| format!("cannot create {}", path.display()))
}

fn read(path: &Path) -> Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; CHUNK];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Chunks of random bytes, the same in every run.
struct Random {
    state: u64,
    chunk: Vec<u8>,
}

impl Random {
    fn new() -> Self {
        Self { state: 1, chunk: vec![0; CHUNK] }
    }

    /// The next one.
    fn chunk(&mut self) -> &[u8] {
        for word in self.chunk.chunks_exact_mut(8) {
            word.copy_from_slice(&random::next(&mut self.state).to_le_bytes());
        }
        &self.chunk
    }
}
