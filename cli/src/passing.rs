//! Data that pass through standard input and standard output. Neither waits so long that a signal goes unnoticed: a
//! call that would have to wait fails with [`ErrorKind::Interrupted`] now and then, and the library tries it again
//! unless the work has been cancelled.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::streams;

/// The argument that means standard input.
pub(crate) const STDIN: &str = "-";

/// What messages call it.
pub(crate) const STDIN_NAME: &str = "standard input";
pub(crate) const STDOUT_NAME: &str = "standard output";

/// In milliseconds: how long a signal may go unnoticed.
const WAIT: u16 = 100;

/// What an ordinary user may give a pipe, as long as `/proc/sys/fs/pipe-max-size` has its default.
const PIPE_BYTES: i32 = 1 << 20;

/// Where a pipe has any room, it has room for this much.
const LEAST_ROOM: usize = 4096;

/// Data on standard input.
pub(crate) struct Input(File);

impl Input {
    /// Standard input, which must be none of these devices and files: they are written to.
    pub(crate) fn new<'a>(targets: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let refused = |line: &str| Failure::new(Exit::Device, line);
        if streams::stdin_was_closed() {
            return Err(refused("Cannot read standard input.").because(&Errno::EBADF.into()));
        }
        let stdin = io::stdin();
        if stdin.is_terminal() {
            return Err(
                refused("Standard input is a terminal.").hint("data are expected there: format - hash.img < data.img")
            );
        }
        let own = Path::new("/proc/self/fd/0");
        if let Some(target) = targets.into_iter().find(|target| dmverity::dm::is_stored_together(own, target)) {
            let line = format!("Cannot write to {}.", text_of(target));
            return Err(Failure::new(Exit::Parameters, line).hint("it is the data on standard input."));
        }
        let file = stdin
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| refused("Cannot read standard input.").because(&error))?;
        // Longer reads, if it is a pipe; it can be read in any case.
        let _ = fcntl(&file, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        Ok(Self(file.into()))
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        wait(self.0.as_fd(), PollFlags::POLLIN)?;
        self.0.read(buffer).map_err(now_and_then)
    }
}

/// Data for standard output.
pub(crate) struct Output {
    file: File,
    /// How much is written at a time.
    most: usize,
}

impl Output {
    pub(crate) fn new() -> io::Result<Self> {
        let file = streams::inherited(libc::STDOUT_FILENO)?;
        if !file.metadata()?.file_type().is_fifo() {
            // A terminal or socket is asked for room, a file always has some.
            let most = if file.metadata()?.is_file() { usize::MAX } else { LEAST_ROOM };
            return Ok(Self { file, most });
        }
        let _ = fcntl(&file, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        // Opened once more, so that writes which do not wait are this command's own affair: the flag would be another
        // process's too.
        let own = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open("/proc/self/fd/1");
        Ok(own.map_or(Self { file, most: LEAST_ROOM }, |file| Self { file, most: usize::MAX }))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        wait(self.file.as_fd(), PollFlags::POLLOUT)?;
        self.file.write(&bytes[..bytes.len().min(self.most)]).map_err(now_and_then)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Waits until something can be read or written, but not for long.
fn wait(file: BorrowedFd<'_>, events: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(file, events)], PollTimeout::from(WAIT))? {
        0 => Err(ErrorKind::Interrupted.into()),
        // Errors and the end show with the next call.
        _ => Ok(()),
    }
}

/// Another process may have set the descriptor not to wait.
fn now_and_then(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::Interrupted.into() } else { error }
}
