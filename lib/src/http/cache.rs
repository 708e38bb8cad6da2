//! A local file of blocks that were proven.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use super::answer::Origin;
use super::lines::{BLOCK, BLOCKS, HEADER, LINE, Lines};
use crate::io::{ReadAt as _, WriteAt as _};

/// Why a file cannot be used as a cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// It holds something else. It was left as it was.
    #[error("the file is not a cache")]
    Foreign,
    /// Another process uses it.
    #[error("another process uses the cache")]
    Busy,
    /// A cache of this size holds nothing.
    #[error("a cache has at least {least} bytes")]
    TooSmall {
        /// The size of the smallest one, in bytes.
        least: u64,
    },
    /// It cannot be opened, read or written.
    #[error("the cache cannot be used")]
    Io {
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl From<io::Error> for CacheError {
    fn from(source: io::Error) -> Self {
        Self::Io { source }
    }
}

/// Blocks of any number of files on web servers in one local file of bounded size. A clone is the same cache.
///
/// It holds only blocks that a reader has proven, and is not trusted: each block that is read from it is proven again.
/// If a process is killed while it writes, or the file is changed, what is wrong in it is fetched again. One process
/// uses it at a time, and only its owner can read it.
#[derive(Clone)]
pub struct Cache(Arc<Mutex<Store>>);

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

/// What is told that a cache cannot be written to.
type OnFailure = Box<dyn Fn(&io::Error) + Send + Sync>;

struct Store {
    file: File,
    lines: Lines,
    /// Called once, when the first block cannot be written. From then on the cache is only read.
    on_failure: Option<OnFailure>,
}

impl Cache {
    /// The size of the smallest cache, in bytes.
    pub const LEAST_BYTES: u64 = 1 << 20;

    /// Opens or makes the file at `path`, which will have at most `bytes` bytes. A cache of another size is emptied.
    /// `on_failure` is called if a block cannot be written later; reading goes on without the cache then.
    ///
    /// # Errors
    /// Any [`CacheError`]. A file that is not a cache is left as it was.
    pub fn open(
        path: impl AsRef<Path>,
        bytes: u64,
        on_failure: impl Fn(&io::Error) + Send + Sync + 'static,
    ) -> Result<Self, CacheError> {
        if bytes < Self::LEAST_BYTES {
            return Err(CacheError::TooSmall { least: Self::LEAST_BYTES });
        }
        let file = open(path.as_ref())?;
        let wanted = Lines::fitting(bytes);
        let lines = match lines_of(&file, wanted)? {
            Some(lines) => lines,
            None => empty(&file, wanted)?,
        };
        Ok(Self(Arc::new(Mutex::new(Store { file, lines, on_failure: Some(Box::new(on_failure)) }))))
    }

    /// The part of it that has blocks of one file.
    pub(super) fn of(&self, url: &str, origin: &Origin) -> Cached {
        let mut hash = Sha256::new();
        for text in [Some(url), origin.tag.as_deref(), origin.modified.as_deref()] {
            hash.update(text.unwrap_or_default());
            hash.update([0]);
        }
        hash.update(origin.size.to_le_bytes());
        let digest = hash.finalize();
        let key = digest[..8].iter().fold(0, |key, &byte| key << 8 | u64::from(byte));
        Cached { cache: self.clone(), key }
    }
}

/// Opens a regular file, and locks it.
fn open(path: &Path) -> Result<File, CacheError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    #[cfg(target_os = "linux")]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, nix::libc::O_NONBLOCK);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(CacheError::Foreign);
    }
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(CacheError::Busy),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The table of a cache with this many lines; `None` if the file has to be emptied first, which it may be.
fn lines_of(file: &File, wanted: u64) -> Result<Option<Lines>, CacheError> {
    let mut header = Vec::new();
    file.take(HEADER as u64).read_to_end(&mut header)?;
    if header.is_empty() {
        return Ok(None);
    }
    let found = Lines::of_header(&header).ok_or(CacheError::Foreign)?;
    if found != wanted || file.metadata()?.len() != Lines::file_bytes(wanted) {
        return Ok(None);
    }
    let bytes = usize::try_from(Lines::table_bytes(wanted)).map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
    let mut table = crate::memory::zeroed(bytes).map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
    file.read_exact_at(&mut table, HEADER as u64)?;
    Ok(Some(Lines::of_table(&table)))
}

/// Empties a file and makes it a cache.
fn empty(file: &File, lines: u64) -> Result<Lines, CacheError> {
    let bytes = usize::try_from(Lines::table_bytes(lines)).map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
    let table = crate::memory::zeroed(bytes).map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
    file.set_len(0)?;
    // The header comes first: a file without it is not ours.
    let made = file.write_all_at(&Lines::header(lines), 0).and_then(|()| file.set_len(Lines::file_bytes(lines)));
    if let Err(error) = made {
        // An empty file can be used the next time.
        _ = file.set_len(0);
        return Err(error.into());
    }
    Ok(Lines::of_table(&table))
}

/// The blocks of one file on a web server. Positions are bytes of that file.
#[derive(Clone, Debug)]
pub(super) struct Cached {
    cache: Cache,
    key: u64,
}

impl Cached {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.cache.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all of these bytes are there.
    pub(super) fn has(&self, bytes: &Range<u64>) -> bool {
        let store = self.lock();
        each_line(bytes).all(|(line, part)| store.find(self.key, line, &part).is_some())
    }

    /// Fills `buffer` from byte `offset` on, if all of that is there. If not, `buffer` may have changed.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> bool {
        let mut store = self.lock();
        let mut rest = buffer;
        each_line(&(offset..offset + rest.len() as u64)).all(|(line, part)| {
            let (now, after) = std::mem::take(&mut rest).split_at_mut(length(&part));
            rest = after;
            let Some(index) = store.find(self.key, line, &part) else { return false };
            store.lines.was_used(index);
            let position = store.lines.position(index) + part.start % LINE;
            store.file.read_exact_at(now, position).is_ok()
        })
    }

    /// Keeps the whole blocks among these bytes.
    pub(super) fn keep(&self, offset: u64, bytes: &[u8]) {
        let start = offset.next_multiple_of(BLOCK);
        let end = (offset + bytes.len() as u64) / BLOCK * BLOCK;
        if start >= end {
            return;
        }
        let mut store = self.lock();
        if store.on_failure.is_none() {
            return;
        }
        for (line, part) in each_line(&(start..end)) {
            let from = usize::try_from(part.start - offset).expect("it is within the bytes");
            if let Err(error) = store.keep(self.key, line, &part, &bytes[from..][..length(&part)]) {
                if let Some(tell) = store.on_failure.take() {
                    tell(&error);
                }
                return;
            }
        }
    }

    /// Forgets the blocks that these bytes are in.
    pub(super) fn forget(&self, bytes: &Range<u64>) {
        let mut store = self.lock();
        for (line, part) in each_line(bytes) {
            if let Some(index) = store.lines.find(self.key, line) {
                let blocks = store.lines.entry(index).blocks & !mask(&part);
                // What cannot be written is wrong again the next time.
                _ = store.set(index, self.key, line, blocks);
            }
        }
    }
}

impl Store {
    /// The line, if all of these bytes of it are there.
    fn find(&self, key: u64, line: u64, part: &Range<u64>) -> Option<usize> {
        let index = self.lines.find(key, line)?;
        (mask(part) & !self.lines.entry(index).blocks == 0).then_some(index)
    }

    fn keep(&mut self, key: u64, line: u64, part: &Range<u64>, bytes: &[u8]) -> io::Result<()> {
        if self.find(key, line, part).is_some() {
            return Ok(());
        }
        let known = self.lines.find(key, line);
        let Some(index) = known.or_else(|| self.lines.place(key, line)) else { return Ok(()) };
        let mut blocks = self.lines.entry(index).blocks;
        if known.is_none() && blocks != 0 {
            // No entry may name bytes that are being replaced.
            blocks = 0;
            self.set(index, key, line, blocks)?;
        }
        self.file.write_all_at(bytes, self.lines.position(index) + part.start % LINE)?;
        self.set(index, key, line, blocks | mask(part))
    }

    fn set(&mut self, index: usize, key: u64, line: u64, blocks: u32) -> io::Result<()> {
        self.lines.set(index, key, line, blocks);
        let (at, entry) = self.lines.stored(index);
        self.file.write_all_at(&entry, at)
    }
}

/// The lines that bytes are in, and which of the bytes are in each.
fn each_line(bytes: &Range<u64>) -> impl Iterator<Item = (u64, Range<u64>)> + use<> {
    let Range { start, end } = *bytes;
    (start / LINE..end.div_ceil(LINE)).map(move |line| (line, start.max(line * LINE)..end.min((line + 1) * LINE)))
}

/// A bit for each block of a line that these bytes, which are in it, are in.
fn mask(part: &Range<u64>) -> u32 {
    let first = part.start / BLOCK % BLOCKS;
    let last = (part.end - 1) / BLOCK % BLOCKS;
    (first..=last).fold(0, |mask, block| mask | 1 << block)
}

fn length(part: &Range<u64>) -> usize {
    usize::try_from(part.end - part.start).expect("it is within a line")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        (directory, path)
    }

    fn open(path: &Path) -> Cache {
        Cache::open(path, 1 << 20, |error| panic!("{error}")).unwrap()
    }

    fn file(cache: &Cache, size: u64) -> Cached {
        cache.of("http://a/", &Origin { size, tag: None, modified: None })
    }

    #[test]
    fn whole_blocks_are_kept_across_processes() {
        let (_directory, path) = place();
        let bytes: Vec<u8> = (0..=250).cycle().take(200_000).collect();
        let cache = open(&path);
        assert!(matches!(Cache::open(&path, 1 << 20, |_| {}), Err(CacheError::Busy)));
        file(&cache, 1).keep(1000, &bytes);
        drop(cache);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::metadata(&path).unwrap().len() <= 1 << 20);
        let cache = open(&path);
        let cached = file(&cache, 1);
        let mut found = vec![0; 100_000];
        assert!(cached.read(&mut found, 5000) && found == bytes[4000..104_000]);
        assert!(cached.has(&(4096..200_704)) && !cached.has(&(4095..4097)) && !cached.has(&(200_700..200_705)));
        assert!(!file(&cache, 2).has(&(4096..8192)), "another version of the file");
        cached.forget(&(8192..8193));
        assert!(!cached.has(&(8192..8193)) && cached.has(&(12_288..16_384)) && cached.has(&(4096..8192)));
    }

    #[test]
    fn it_is_bounded_and_what_is_old_makes_room() {
        let (_directory, path) = place();
        let cache = open(&path);
        let cached = file(&cache, 1);
        for block in 0..4096_u64 {
            cached.keep(block * BLOCK, &[u8::try_from(block % 251).unwrap(); 4096]);
        }
        assert!(fs::metadata(&path).unwrap().len() <= 1 << 20);
        let there: Vec<u64> = (0..4096).filter(|block| cached.has(&(block * BLOCK..(block + 1) * BLOCK))).collect();
        assert!((64..256).contains(&there.len()) && there.contains(&4095), "{}", there.len());
        for block in there {
            let mut found = [0; 4096];
            assert!(cached.read(&mut found, block * BLOCK));
            assert_eq!(found, [u8::try_from(block % 251).unwrap(); 4096]);
        }
    }

    #[test]
    fn what_is_not_a_cache_is_left_alone() {
        let (directory, path) = place();
        for content in [&b"something"[..], &[0; 5000], b"dmverity\0cache\0"] {
            fs::write(&path, content).unwrap();
            assert!(matches!(Cache::open(&path, 1 << 20, |_| {}), Err(CacheError::Foreign)));
            assert_eq!(fs::read(&path).unwrap(), content);
        }
        assert!(matches!(Cache::open(directory.path(), 1 << 20, |_| {}), Err(CacheError::Io { .. })));
        assert!(matches!(Cache::open("/dev/null", 1 << 20, |_| {}), Err(CacheError::Foreign)));
        assert!(matches!(Cache::open(&path, 1000, |_| {}), Err(CacheError::TooSmall { .. })));
    }

    #[test]
    fn a_damaged_or_resized_cache_begins_again() {
        let (_directory, path) = place();
        file(&open(&path), 1).keep(0, &[7; 16384]);
        let whole = fs::metadata(&path).unwrap().len();
        for len in [24, 4096, 5000, whole - 1] {
            fs::File::options().write(true).open(&path).unwrap().set_len(len).unwrap();
            assert!(!file(&open(&path), 1).has(&(0..4096)));
            assert_eq!(fs::metadata(&path).unwrap().len(), whole);
        }
        file(&open(&path), 1).keep(0, &[7; 16384]);
        let larger = Cache::open(&path, 4 << 20, |_| {}).unwrap();
        assert!(!file(&larger, 1).has(&(0..4096)));
        drop(larger);
        // Any entries are entries; the bytes are whatever is there.
        let raw = fs::File::options().write(true).open(&path).unwrap();
        raw.write_all_at(&[0xff; 2000], HEADER as u64).unwrap();
        let cache = Cache::open(&path, 4 << 20, |_| {}).unwrap();
        file(&cache, 1).keep(0, &[7; 16384]);
        assert!(file(&cache, 1).has(&(0..16384)));
    }

    #[test]
    fn what_cannot_be_written_is_told_once() {
        let (_directory, path) = place();
        drop(open(&path));
        let told = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&told);
        let cache = Cache::open(&path, 1 << 20, move |_| _ = counted.fetch_add(1, Ordering::Relaxed)).unwrap();
        // A file that is open for reading alone.
        cache.0.lock().unwrap().file = File::open(&path).unwrap();
        for block in 0..10 {
            file(&cache, 1).keep(block * BLOCK, &[7; 4096]);
            assert!(!file(&cache, 1).has(&(block * BLOCK..(block + 1) * BLOCK)));
        }
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }
}
