//! Keeps signals away from the library's threads: the handlers of a program run on the program's own.

#[cfg(target_os = "linux")]
use nix::sys::signal::{SigSet, SigmaskHow};

/// Every signal is blocked in this thread until this is dropped. A thread that is started meanwhile inherits that, and
/// keeps it.
#[derive(Debug)]
pub(crate) struct Blocked {
    #[cfg(target_os = "linux")]
    before: Option<SigSet>,
}

impl Blocked {
    /// Blocks every signal.
    pub(crate) fn all() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            before: SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK).ok(),
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Blocked {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            // It cannot fail: the mask is one that this thread had.
            let _ = before.thread_set_mask();
        }
    }
}
