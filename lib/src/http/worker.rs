//! Threads that fetch ahead of those that read.

use std::sync::{Arc, PoisonError};

use super::shared::Shared;
use crate::work::start_thread;

/// How many requests are on their way at the same time, beside those of readers that wait.
const MOST_THREADS: usize = 4;

/// Wakes a waiting thread to fetch what is in the queue, or starts a new one.
pub(super) fn wake(shared: &Arc<Shared>) {
    let mut state = shared.lock();
    if state.idle > 0 || state.threads == MOST_THREADS {
        drop(state);
        shared.asked.notify_one();
        return;
    }
    state.threads += 1;
    drop(state);
    let for_thread = Arc::clone(shared);
    if start_thread("fetch", |builder| builder.spawn(move || run(&for_thread))).is_none() {
        // The reader fetches it itself then.
        shared.lock().threads -= 1;
    }
}

/// Fetches until the end.
fn run(shared: &Shared) {
    let mut state = shared.lock();
    while !state.has_ended {
        if let Some(pieces) = state.queue.pop_front() {
            drop(state);
            shared.fetch_ahead(pieces);
            state = shared.lock();
        } else {
            state.idle += 1;
            state = shared.asked.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}
