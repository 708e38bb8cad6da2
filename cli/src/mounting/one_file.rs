//! A file system of one file, whose bytes the root hash proves.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use dmverity::{BlockSize, ReadAt as _, VerifiedReader};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags,
    ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry, ReplyOpen, Request,
};
use nix::unistd::{getegid, geteuid};

use crate::serving::Wake;

/// The file's name.
pub(super) const NAME: &str = "image";

const FILE: INodeNo = INodeNo(2);

/// How long the kernel may remember what is said of names and attributes, none of which changes.
const FOREVER: Duration = Duration::from_secs(1 << 30);

/// What the kernel has asked for.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    opened: AtomicU64,
    reads: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
}

impl Traffic {
    /// How often the file was opened, reads, how many of them failed, and the bytes of the others.
    pub(crate) fn now(&self) -> [u64; 4] {
        [&self.opened, &self.reads, &self.failed, &self.bytes].map(|counter| counter.load(Ordering::Relaxed))
    }
}

/// The file system.
pub(crate) struct OneFile {
    reader: Arc<VerifiedReader>,
    traffic: Arc<Traffic>,
    /// Says when to hand out nothing more.
    wake: Arc<Wake>,
    directory: FileAttr,
    file: FileAttr,
    flags: FopenFlags,
}

impl OneFile {
    /// A file with what the reader reads. `direct_io` keeps it out of the page cache.
    pub(crate) fn new(
        reader: Arc<VerifiedReader>,
        block_size: BlockSize,
        direct_io: bool,
        wake: Arc<Wake>,
    ) -> io::Result<Self> {
        let size = reader.size()?;
        let file = FileAttr {
            ino: FILE,
            size,
            blocks: size.div_ceil(512),
            // No time is proven.
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: FileType::RegularFile,
            perm: 0o444,
            nlink: 1,
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            rdev: 0,
            blksize: u32::try_from(block_size.bytes()).map_err(io::Error::other)?,
            flags: 0,
        };
        let directory = FileAttr {
            ino: INodeNo::ROOT,
            size: 0,
            blocks: 0,
            kind: FileType::Directory,
            perm: 0o555,
            nlink: 2,
            ..file
        };
        // What was proven once stays proven in the kernel's memory, for those who open the file later, too.
        let flags = if direct_io { FopenFlags::FOPEN_DIRECT_IO } else { FopenFlags::FOPEN_KEEP_CACHE };
        Ok(Self { reader, traffic: Arc::default(), wake, directory, file, flags })
    }

    pub(crate) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    /// Bytes of the file, fewer at its end alone.
    ///
    /// A bad block makes all of it fail, never shorter: the kernel takes what is missing for the end of the file, and
    /// hands out zeros. It asks again for each page that it needs.
    fn bytes(&self, offset: u64, count: u32) -> io::Result<Vec<u8>> {
        if self.wake.is_stopped() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = u64::from(count).min(self.file.size.saturating_sub(offset));
        if count == 0 {
            return Ok(Vec::new());
        }
        let count = usize::try_from(count).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(count)?;
        bytes.resize(count, 0);
        self.reader.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn attributes(&self, ino: INodeNo) -> Option<&FileAttr> {
        [&self.directory, &self.file].into_iter().find(|attributes| attributes.ino == ino)
    }
}

impl Filesystem for OneFile {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if parent == INodeNo::ROOT && name == NAME {
            reply.entry(&FOREVER, &self.file, Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(ino) {
            Some(attributes) => reply.attr(&FOREVER, attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        if ino != FILE {
            return reply.error(Errno::EISDIR);
        }
        self.traffic.opened.fetch_add(1, Ordering::Relaxed);
        reply.opened(FileHandle(0), self.flags);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.traffic.reads.fetch_add(1, Ordering::Relaxed);
        match self.bytes(offset, size) {
            Ok(bytes) => {
                self.traffic.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                reply.data(&bytes);
            }
            Err(error) => {
                log::debug!("{size} bytes at {offset} cannot be read: {error}");
                self.traffic.failed.fetch_add(1, Ordering::Relaxed);
                reply.error(Errno::EIO);
            }
        }
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        if ino != INodeNo::ROOT {
            return reply.error(Errno::ENOTDIR);
        }
        let entries = [(".", &self.directory), ("..", &self.directory), (NAME, &self.file)];
        for (next, (name, attributes)) in (1..).zip(entries).skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            if reply.add(attributes.ino, next, attributes.kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
