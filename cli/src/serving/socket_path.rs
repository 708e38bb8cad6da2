//! A socket with a path: made so that only its owner can connect, and removed at the end.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr};
use nix::sys::stat::{Mode, umask};

use super::socket::Listener;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::whole_file::directory_of;

/// The longest path that a socket can have, in bytes, and a zero.
const LONGEST: usize = 107;

/// Read and write for the owner.
const OTHERS: Mode = Mode::from_bits_truncate(0o177);

/// The path of a socket that is listened on.
pub(crate) struct SocketPath {
    path: PathBuf,
    directory: PathBuf,
    /// Whether the directory was made for it.
    is_own_directory: bool,
    /// Device and inode: another server's may have taken its place.
    identity: (u64, u64),
}

impl SocketPath {
    /// Makes the socket, and its directory if there is none. What a server has left behind that no longer runs is
    /// replaced.
    pub(crate) fn bind(path: &Path) -> Result<(Self, Listener)> {
        let cannot = |error: &io::Error| {
            Failure::new(Exit::Device, format!("Cannot make socket {}.", text_of(path))).because(error)
        };
        if path.as_os_str().len() > LONGEST || path.as_os_str().as_bytes().contains(&0) {
            return Err(Failure::new(Exit::Parameters, format!("Cannot make socket {}.", text_of(path))).hint(
                format!("the path of a socket has at most {LONGEST} bytes, this one has {}.", path.as_os_str().len()),
            ));
        }
        let directory = directory_of(path);
        let is_own_directory = make_directory(directory).map_err(|error| cannot(&error))?;
        let bound = Self::bind_in(path, directory, is_own_directory, cannot);
        if bound.is_err() && is_own_directory {
            let _ = fs::remove_dir(directory);
        }
        bound
    }

    fn bind_in(
        path: &Path,
        directory: &Path,
        is_own_directory: bool,
        cannot: impl Fn(&io::Error) -> Failure,
    ) -> Result<(Self, Listener)> {
        // Of two servers that find the same socket left behind, one replaces it, and the other finds the new one.
        let lock = lock(directory);
        let listener = match bind_private(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                check_stale(path)?;
                fs::remove_file(path).and_then(|()| bind_private(path)).map_err(|error| cannot(&error))?
            }
            bound => bound.map_err(|error| cannot(&error))?,
        };
        let identity =
            fs::symlink_metadata(path).map(|file| (file.dev(), file.ino())).map_err(|error| cannot(&error))?;
        drop(lock);
        let bound = Self { path: path.to_owned(), directory: directory.to_owned(), is_own_directory, identity };
        Ok((bound, Listener::Unix(listener)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How clients name it.
    pub(crate) fn uri(&self) -> String {
        uri(&self.path)
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let lock = lock(&self.directory);
        if fs::symlink_metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
        drop(lock);
        if self.is_own_directory {
            // It fails if another program has put a file there.
            let _ = fs::remove_dir(&self.directory);
        }
    }
}

/// Makes a directory for its owner alone, if it is not there; whether it was made.
fn make_directory(directory: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        // It is there, and cannot be written to.
        Err(_) if directory.is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

/// A lock on a directory. Without it, where a file system has none, only servers that start at the same moment are in
/// each other's way.
fn lock(directory: &Path) -> Option<Flock<File>> {
    Flock::lock(File::open(directory).ok()?, FlockArg::LockExclusive).ok()
}

/// Makes a socket that only its owner can connect to, from the first moment.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let before = umask(OTHERS);
    let listener = UnixListener::bind(path);
    umask(before);
    listener
}

/// Fails unless the path is that of a socket that no process listens on.
fn check_stale(path: &Path) -> Result<()> {
    let refused =
        |exit: Exit, why: &str| Err(Failure::new(exit, format!("Cannot make socket {}.", text_of(path))).hint(why));
    if !fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
        return refused(Exit::Parameters, "there is something else than a socket with that name.");
    }
    match connect(path) {
        Err(Errno::ECONNREFUSED) => Ok(()),
        // So many clients wait that it would have to wait too.
        Ok(()) | Err(Errno::EAGAIN) => refused(Exit::Busy, "a process listens on it."),
        Err(errno) => {
            Err(Failure::new(Exit::Busy, format!("Cannot make socket {}.", text_of(path))).because(&errno.into()))
        }
    }
}

/// Connects to a socket without waiting, and ends the connection.
fn connect(path: &Path) -> nix::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    socket::connect(socket.as_raw_fd(), &UnixAddr::new(path)?)
}

/// How clients name a socket.
fn uri(socket: &Path) -> String {
    let mut uri = "nbd+unix:///?socket=".to_owned();
    for &byte in socket.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(byte.into());
        } else {
            write!(uri, "%{byte:02X}").expect("a String takes everything");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_uri_has_any_path() {
        let uri_of = |bytes: &[u8]| uri(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(uri_of(b"/tmp/a-b/s.0~_"), "nbd+unix:///?socket=/tmp/a-b/s.0~_");
        assert_eq!(uri_of(b"a &%\xff"), "nbd+unix:///?socket=a%20%26%25%FF");
    }
}
