//! Holding signals back.

#[cfg(feature = "dm")]
use nix::sys::signal::Signal;
#[cfg(target_os = "linux")]
use nix::sys::signal::{SigSet, SigmaskHow};

/// Signals for a fault in this thread: holding them back would hide the fault and end the program silently.
#[cfg(feature = "dm")]
const FAULTS: [Signal; 7] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGABRT, Signal::SIGTRAP, Signal::SIGSYS];

/// Signals that this thread holds back. They arrive when this is dropped.
#[derive(Debug)]
pub(crate) struct SignalsHeld {
    #[cfg(target_os = "linux")]
    before: Option<SigSet>,
}

impl SignalsHeld {
    /// Holds back every signal. A thread that is started meanwhile inherits that and keeps it, so that a program's
    /// handlers run on the program's own threads.
    pub(crate) fn all() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            before: SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK).ok(),
        }
    }

    /// Holds back the signals that could end this thread, so that none leaves a half-made mapping behind. In a program
    /// with several threads the others have to do the same, as they do for any signal.
    #[cfg(feature = "dm")]
    pub(crate) fn all_but_faults() -> Self {
        let mut signals = SigSet::all();
        for fault in FAULTS {
            signals.remove(fault);
        }
        Self { before: signals.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok() }
    }
}

#[cfg(target_os = "linux")]
impl Drop for SignalsHeld {
    fn drop(&mut self) {
        if let Some(Err(errno)) = self.before.map(|before| before.thread_set_mask()) {
            log::warn!("cannot restore the signal mask: {errno}");
        }
    }
}
