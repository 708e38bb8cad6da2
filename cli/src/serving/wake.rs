//! What wakes the thread that waits: signals, and threads that serve.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::low_level::pipe;

use crate::interruption::is_ignored;

/// Flags, and a pipe that is readable when one of them was set.
pub(crate) struct Wake {
    reader: UnixStream,
    writer: UnixStream,
    /// SIGTERM or SIGHUP has come.
    end: Arc<AtomicBool>,
    /// SIGINT has come.
    interrupt: Arc<AtomicBool>,
    /// SIGUSR1 has come.
    show: Arc<AtomicBool>,
    /// A thread wants it to end.
    stop: AtomicBool,
}

/// What has happened since it was last asked.
pub(crate) struct Woken {
    pub(crate) end: bool,
    pub(crate) interrupt: bool,
    pub(crate) show: bool,
    pub(crate) stop: bool,
}

impl Wake {
    /// From now on signals do not end the command, but wake it.
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let wake = Self {
            reader,
            writer,
            end: Arc::default(),
            interrupt: Arc::default(),
            show: Arc::default(),
            stop: AtomicBool::new(false),
        };
        let flags =
            [(SIGTERM, &wake.end), (SIGHUP, &wake.end), (SIGINT, &wake.interrupt), (SIGUSR1, &wake.show)].into_iter();
        for (signal, flag) in flags.filter(|(signal, _)| !is_ignored(*signal)) {
            flag::register(signal, Arc::clone(flag))?;
            pipe::register(signal, wake.writer.try_clone()?)?;
        }
        pipe::register(SIGCHLD, wake.writer.try_clone()?)?;
        Ok(Arc::new(wake))
    }

    /// Has it end, for a reason of the command's own.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        // If the pipe is full, it is readable.
        let _ = (&self.writer).write(&[0]);
    }

    /// Whether a thread wants it to end.
    #[cfg(feature = "fuse")]
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Empties the pipe and says what has happened.
    pub(crate) fn take(&self) -> Woken {
        let mut bytes = [0; 256];
        while matches!((&self.reader).read(&mut bytes), Ok(1..)) {}
        Woken {
            end: self.end.swap(false, Ordering::SeqCst),
            interrupt: self.interrupt.swap(false, Ordering::SeqCst),
            show: self.show.swap(false, Ordering::SeqCst),
            stop: self.stop.load(Ordering::SeqCst),
        }
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
