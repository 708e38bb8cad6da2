//! How long-running work is carried out: thread count, progress reports, cancellation.

use std::fmt;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;

use crate::error::{Error, Result};

/// How far work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of data and hash tree that are hashed, or known to be zeros that need not be; and, with FEC, bytes that
    /// are encoded.
    pub done: u64,
    /// All bytes of data and hash tree, and, with FEC, all that it covers; [`UNKNOWN`](Self::UNKNOWN) while a stream
    /// of unknown length is read.
    pub total: u64,
}

impl Progress {
    /// The total while it is not known.
    pub const UNKNOWN: u64 = u64::MAX;
}

/// How [`format()`](crate::format()), [`verify`](crate::verify) and [`repair()`](crate::repair()) do their work. What
/// they find or write does not depend on it.
///
/// The default is one thread for each processor that this process may use, without progress reports or cancellation.
///
/// # Examples
/// ```
/// use std::num::NonZero;
/// use std::sync::atomic::AtomicBool;
///
/// use dmverity::{Devices, Params, Progress, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| directory.path().join(name);
/// # std::fs::write(path("data.img"), [7; 40960])?;
/// # let devices = Devices::new(path("data.img"), path("hash.img"));
/// // Set by a signal handler or another thread to end the work.
/// let cancel = AtomicBool::new(false);
/// let progress = |Progress { done, total }| eprint!("\r{} %", done * 100 / total);
/// let threads = NonZero::new(2).expect("2 is not 0");
/// let work = Work::default().threads(threads).progress(&progress).cancel(&cancel);
/// dmverity::format(&devices, Params::builder(), &work)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Default)]
#[must_use]
pub struct Work<'a> {
    threads: Option<NonZero<usize>>,
    progress: Option<&'a (dyn Fn(Progress) + Sync)>,
    cancel: Option<&'a AtomicBool>,
}

impl<'a> Work<'a> {
    /// Hashes with this many threads.
    pub fn threads(mut self, threads: NonZero<usize>) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Calls `progress` now and then, with increasing values; the last one is the total, if nothing fails. It is
    /// called by one thread at a time, but not always by the same, and the work waits while it runs.
    pub fn progress(mut self, progress: &'a (dyn Fn(Progress) + Sync)) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Ends with [`Error::Cancelled`] soon after `cancel` has become true. A format cleans up as after any error.
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// The number of threads that hash.
    pub(crate) fn hashing_threads(&self) -> usize {
        self.threads.or_else(|| available_parallelism().ok()).map_or(1, NonZero::get)
    }

    pub(crate) fn report(&self, progress: Progress) {
        if let Some(report) = self.progress {
            report(progress);
        }
    }

    /// [`Error::Cancelled`] if the work is cancelled.
    pub(crate) fn check(&self) -> Result<()> {
        if self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

impl fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("threads", &self.threads).field("cancel", &self.cancel).finish_non_exhaustive()
    }
}
