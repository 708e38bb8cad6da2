//! Holding signals back while something is half done.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// Signals for a fault in this thread: holding them back would hide the fault and end the program silently.
const FAULTS: [Signal; 7] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGABRT, Signal::SIGTRAP, Signal::SIGSYS];

/// Holds back the signals that could end this thread, so that none leaves a half-made mapping behind. They arrive when
/// this is dropped. In a program with several threads the others have to do the same, as they do for any signal.
pub(super) struct SignalsHeld {
    before: Option<SigSet>,
}

impl SignalsHeld {
    pub(super) fn hold() -> Self {
        let mut signals = SigSet::all();
        for fault in FAULTS {
            signals.remove(fault);
        }
        Self { before: signals.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok() }
    }
}

impl Drop for SignalsHeld {
    fn drop(&mut self) {
        if let Some(Err(errno)) = self.before.map(|before| before.thread_set_mask()) {
            log::warn!("cannot restore the signal mask: {errno}");
        }
    }
}
