//! Work that several threads do piece by piece, and whose results are handed over one by one in the order of the
//! pieces.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::mpsc::{self, Sender};
use std::sync::{Condvar, Mutex, MutexGuard, TryLockError};
use std::{panic, thread};

use crate::error::{Error, Result, WithCauses};
use crate::memory;
use crate::work::SignalsHeld;

/// How many pieces each worker may be ahead of the one that is handed over next.
const AHEAD: u64 = 4;

/// Takes pieces from `next` until there are none, has `workers` threads `work` on them, each with a value of its own
/// from `local`, and gives every result to `deliver` in the order in which the pieces came. Neither `next` nor
/// `deliver` runs twice at a time. While `next` waits, results are delivered nevertheless.
///
/// # Errors
/// The first one in the order of the pieces, as if there was one worker; nothing is delivered after it.
pub(crate) fn in_order<P: Send, L, T: Send>(
    workers: usize,
    mut next: impl FnMut() -> Result<Option<P>> + Send,
    local: impl Fn() -> Result<L> + Sync,
    work: impl Fn(&mut L, P) -> Result<T> + Sync,
    mut deliver: impl FnMut(T) -> Result<()> + Send,
) -> Result<()> {
    if workers <= 1 {
        let mut local = local()?;
        while let Some(piece) = next()? {
            deliver(work(&mut local, piece)?)?;
        }
        return Ok(());
    }
    let queue = Queue {
        next: Mutex::new(next),
        state: Mutex::new(State { claimed: 0, delivered: 0, finished: BTreeMap::new(), ended: false, error: None }),
        room: Condvar::new(),
        window: AHEAD * workers as u64,
        deliver: Mutex::new(deliver),
    };
    let worker = |mut local: L| {
        let _stop = StopOnPanic(&queue);
        while let Some((number, piece)) = queue.claim() {
            let result = work(&mut local, piece);
            queue.finish(number, result);
        }
    };
    // This thread is one of them. If no more can be started, or cannot get what they need, work goes on with the
    // existing ones.
    let own = local()?;
    let another = |ready: Sender<()>| {
        let local = local();
        drop(ready);
        match local {
            Ok(local) => worker(local),
            Err(error) => log::debug!("one thread less: {}", WithCauses(&error)),
        }
    };
    let another = &another;
    thread::scope(|scope| {
        let mut threads = Vec::new();
        let signals = SignalsHeld::all();
        for _ in 1..workers {
            // A thread without room for its first allocations would abort the process, so threads start one after the
            // other.
            if let Err(error) = memory::find_room_for_a_thread() {
                log::debug!("no more threads: {error}");
                break;
            }
            let (ready, is_ready) = mpsc::channel();
            match thread::Builder::new().spawn_scoped(scope, move || another(ready)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    log::debug!("no more threads: {error}");
                    break;
                }
            }
            // It never sends, but drops its end.
            let _ = is_ready.recv();
        }
        drop(signals);
        worker(own);
        // The scope waits for what they do, not for their end; a process with a thread cannot enter a user namespace.
        for thread in threads {
            if let Err(panic) = thread.join() {
                panic::resume_unwind(panic);
            }
        }
    });
    queue.state.into_inner().expect("a panic would have come through the scope").error.map_or(Ok(()), Err)
}

/// The same for ranges of which bytes are made, in one piece of code for all callers.
pub(crate) fn ranges_in_order(
    workers: usize,
    next: &mut (dyn FnMut() -> Result<Option<Range<u64>>> + Send),
    work: &(dyn Fn(Range<u64>) -> Result<Vec<u8>> + Sync),
    deliver: &mut (dyn FnMut(Range<u64>, Vec<u8>) -> Result<()> + Send),
) -> Result<()> {
    let work = |(): &mut (), range: Range<u64>| Ok((range.clone(), work(range)?));
    in_order(workers, next, || Ok(()), work, |(range, bytes)| deliver(range, bytes))
}

struct Queue<N, T, D> {
    /// Locked by the thread that claims a piece. Taken before `state`, never while holding it.
    next: Mutex<N>,
    state: Mutex<State<T>>,
    /// Told when something was delivered, or everything has ended.
    room: Condvar,
    window: u64,
    /// Locked by the thread that delivers. Taken before `state`, never while holding it.
    deliver: Mutex<D>,
}

struct State<T> {
    claimed: u64,
    delivered: u64,
    /// Results that wait for those before them.
    finished: BTreeMap<u64, Result<T>>,
    /// No piece is claimed any more.
    ended: bool,
    error: Option<Error>,
}

impl<P, T, N: FnMut() -> Result<Option<P>>, D: FnMut(T) -> Result<()>> Queue<N, T, D> {
    /// The next piece and its number, as soon as there is room for its result.
    fn claim(&self) -> Option<(u64, P)> {
        let mut next = self.next.lock().expect("no panic while it was held");
        let mut state = self.lock();
        while !state.ended && state.claimed - state.delivered >= self.window {
            state = self.room.wait(state).expect("no panic while it was held");
        }
        if state.ended {
            return None;
        }
        drop(state);
        // It may wait, for a stream: others deliver meanwhile.
        let piece = next();
        let mut state = self.lock();
        if state.ended {
            return None;
        }
        let number = state.claimed;
        state.claimed += 1;
        match piece {
            Ok(Some(piece)) => Some((number, piece)),
            Ok(None) => {
                state.ended = true;
                None
            }
            // It has its place in the order, after what was claimed before.
            Err(error) => {
                state.ended = true;
                drop((state, next));
                self.finish(number, Err(error));
                None
            }
        }
    }

    /// Takes a result, and delivers all whose turn it is, unless another thread does already.
    fn finish(&self, number: u64, result: Result<T>) {
        self.lock().finished.insert(number, result);
        loop {
            let mut deliver = match self.deliver.try_lock() {
                Ok(deliver) => deliver,
                // It checks again after it has released the lock.
                Err(TryLockError::WouldBlock) => return,
                Err(TryLockError::Poisoned(_)) => panic!("another thread panicked"),
            };
            while let Some(result) = self.take_ready() {
                let delivered = result.and_then(&mut *deliver);
                let mut state = self.lock();
                state.delivered += 1;
                if let Err(error) = delivered {
                    state.error = Some(error);
                    state.ended = true;
                    self.room.notify_all();
                } else {
                    // There is room for one more.
                    self.room.notify_one();
                }
            }
            drop(deliver);
            let state = self.lock();
            if !state.is_ready() {
                return;
            }
        }
    }

    fn take_ready(&self) -> Option<Result<T>> {
        let mut state = self.lock();
        let number = state.delivered;
        if state.is_ready() { state.finished.remove(&number) } else { None }
    }
}

impl<N, T, D> Queue<N, T, D> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no panic while it was held")
    }
}

impl<T> State<T> {
    /// Whether there is a result to be delivered now.
    fn is_ready(&self) -> bool {
        self.error.is_none() && self.finished.contains_key(&self.delivered)
    }
}

/// Ends the other threads when one panics: the piece it worked on will never be finished.
struct StopOnPanic<'a, N, T, D>(&'a Queue<N, T, D>);

impl<N, T, D> Drop for StopOnPanic<'_, N, T, D> {
    fn drop(&mut self) {
        if thread::panicking()
            && let Ok(mut state) = self.0.state.lock()
        {
            state.ended = true;
            self.0.room.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn numbers(count: u64) -> impl FnMut() -> Result<Option<u64>> + Send {
        let mut numbers = 0..count;
        move || Ok(numbers.next())
    }

    fn error(found: u64) -> Error {
        Error::HashType { found }
    }

    #[test]
    fn results_come_in_order_whatever_the_number_of_workers() {
        for workers in [1, 2, 3, 7, 32] {
            let mut delivered = Vec::new();
            let work = |(): &mut (), number: u64| {
                // Some take longer than those after them.
                thread::sleep(std::time::Duration::from_micros(number * 7919 % 400));
                Ok(number * 3)
            };
            in_order(
                workers,
                numbers(200),
                || Ok(()),
                work,
                |result| {
                    delivered.push(result);
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(delivered, (0..200).map(|number| number * 3).collect::<Vec<_>>(), "{workers}");
        }
    }

    #[test]
    fn the_first_error_ends_it_and_what_comes_before_is_delivered() {
        for workers in [1, 2, 3, 7] {
            let mut delivered = 0;
            let work = |(): &mut (), number| if number == 60 || number == 61 { Err(error(number)) } else { Ok(()) };
            let result = in_order(
                workers,
                numbers(1000),
                || Ok(()),
                work,
                |()| {
                    delivered += 1;
                    Ok(())
                },
            );
            assert!(matches!(result, Err(Error::HashType { found: 60 })), "{workers}: {result:?}");
            assert_eq!(delivered, 60, "{workers}");
        }
    }

    #[test]
    fn errors_of_the_pieces_and_of_the_delivery_end_it_too() {
        for workers in [1, 2, 7] {
            let mut pieces = 0..u64::MAX;
            let next = || {
                let piece = pieces.next().expect("many");
                if piece == 30 { Err(error(piece)) } else { Ok(Some(piece)) }
            };
            let mut delivered = 0;
            let result = in_order(
                workers,
                next,
                || Ok(()),
                |(), _| Ok(()),
                |()| {
                    delivered += 1;
                    Ok(())
                },
            );
            assert!(matches!(result, Err(Error::HashType { found: 30 })), "{workers}");
            assert_eq!(delivered, 30, "{workers}");

            let result = in_order(
                workers,
                numbers(u64::MAX),
                || Ok(()),
                |(), n| Ok(n),
                |n| if n == 9 { Err(error(n)) } else { Ok(()) },
            );
            assert!(matches!(result, Err(Error::HashType { found: 9 })), "{workers}");
        }
    }

    #[test]
    fn what_is_done_is_delivered_while_the_next_piece_is_waited_for() {
        let (is_delivered, delivered) = mpsc::channel();
        let mut number = 0;
        let next = move || {
            // The second piece comes after the first is delivered, as an answer would.
            if number > 0 {
                delivered.recv().expect("the first is delivered");
            }
            number += 1;
            Ok((number < 5).then_some(number))
        };
        let deliver = |()| {
            is_delivered.send(()).expect("it is waited for");
            Ok(())
        };
        in_order(3, next, || Ok(()), |(), _| Ok(()), deliver).unwrap();
    }

    #[test]
    fn nobody_runs_far_ahead() {
        let (claimed, delivered) = (AtomicU64::new(0), AtomicU64::new(0));
        let next = || {
            let number = claimed.fetch_add(1, Ordering::SeqCst);
            assert!(number - delivered.load(Ordering::SeqCst) <= 3 * AHEAD);
            Ok((number < 500).then_some(number))
        };
        let deliver = |()| {
            delivered.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        in_order(3, next, || Ok(()), |(), _| Ok(()), deliver).unwrap();
        assert_eq!(delivered.into_inner(), 500);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn signals_go_to_the_callers_thread() {
        use nix::sys::signal::{SigSet, Signal};

        let own = thread::current().id();
        let before = SigSet::thread_get_mask().unwrap();
        let work = |(): &mut (), _| {
            thread::sleep(std::time::Duration::from_micros(100));
            let mask = SigSet::thread_get_mask().unwrap();
            let is_blocked = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGCHLD].map(|signal| mask.contains(signal));
            Ok((thread::current().id(), is_blocked))
        };
        let mut others = 0;
        let deliver = |(thread, is_blocked)| {
            let expected = if thread == own { [false; 3] } else { [true; 3] };
            assert_eq!(is_blocked, expected);
            others += u32::from(thread != own);
            Ok(())
        };
        in_order(4, numbers(200), || Ok(()), work, deliver).unwrap();
        assert!(others > 0);
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }

    #[test]
    fn a_panic_is_not_waited_for() {
        let panics = || {
            let work = |(): &mut (), number: u64| {
                assert_ne!(number, 5);
                Ok(())
            };
            in_order(3, numbers(u64::MAX), || Ok(()), work, |()| Ok(()))
        };
        assert!(std::panic::catch_unwind(panics).is_err());
    }
}
