//! Long work that a signal interrupts: it stops, cleans up, and then the command ends as the signal would have ended
//! it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use dmverity::{Error, Work};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::low_level::emulate_default_handler;

use crate::arguments::LongWork;
use crate::failure::{Exit, Failure, Result};
use crate::memory;
use crate::progress::Display;

/// Runs `work` on a device, with the threads that the options ask for, and shows its progress; does not return if a
/// signal has cancelled it.
///
/// # Errors
/// The outer ones are those of the options, the inner ones those of `work`.
pub(crate) fn watched<T>(
    long: &LongWork,
    device: &Path,
    work: impl FnOnce(&Work<'_>) -> dmverity::Result<T>,
) -> Result<dmverity::Result<T>> {
    let threads = long.threads.number()?;
    let display = Display::new(long, device)?;
    let Signals { cancel, caught } = signals();
    if !memory::has_reserve() {
        return Err(not_enough_memory());
    }
    let show = |progress| display.show(progress);
    let how = Work::default().cancel(cancel).progress(&show);
    let result = work(&threads.map_or(how, |threads| how.threads(threads)));
    drop(display);
    if matches!(result, Err(Error::Cancelled)) && caught.load(Ordering::SeqCst) == 0 && memory::is_short() {
        return Err(not_enough_memory());
    }
    if matches!(result, Err(Error::Cancelled)) {
        let signal = i32::try_from(caught.load(Ordering::SeqCst)).unwrap_or(SIGTERM);
        // It fails for signals that cannot be caught.
        let _ = emulate_default_handler(signal);
    }
    Ok(result)
}

fn not_enough_memory() -> Failure {
    Failure::new(Exit::Memory, "Not enough memory.")
}

/// What signals have done.
struct Signals {
    /// Whether the work has to stop.
    cancel: Arc<AtomicBool>,
    /// The signal, or 0.
    caught: Arc<AtomicUsize>,
}

/// Catches the signals that end work, from the first call on.
fn signals() -> &'static Signals {
    static SIGNALS: OnceLock<Signals> = OnceLock::new();
    SIGNALS.get_or_init(|| {
        let signals = Signals { cancel: Arc::default(), caught: Arc::default() };
        for signal in [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|&signal| !is_ignored(signal)) {
            // A second signal does not wait for the clean-up after the first. A signal that cannot be caught ends the
            // command at once, and leaves a file without superblock.
            let _ = flag::register_conditional_default(signal, Arc::clone(&signals.cancel));
            let _ = flag::register_usize(signal, Arc::clone(&signals.caught), signal.unsigned_abs() as usize);
            let _ = flag::register(signal, Arc::clone(&signals.cancel));
        }
        memory::cancels(&signals.cancel);
        signals
    })
}

/// Makes a write beyond the limit of a file's size fail with EFBIG; a signal would end the command before it has
/// cleaned up.
pub(crate) fn outlive_full_files() {
    // The flag is never read: it is enough that the signal is caught.
    let _ = flag::register(SIGXFSZ, Arc::default());
}

/// Whether the caller wants the command to go on in spite of a signal, as `nohup` does.
pub(crate) fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask & 1 << (signal - 1) != 0
}
