//! Starting threads.

use std::io;
use std::thread::Builder;

use super::signals::SignalsHeld;
use crate::memory;

/// Has `spawn` start a thread of this name. The thread holds back all signals, so that a program's handlers run on the
/// program's own threads. `None` if the system gives no thread, or has no room for one.
pub(crate) fn start_thread<T>(name: &str, spawn: impl FnOnce(Builder) -> io::Result<T>) -> Option<T> {
    memory::find_room_for_a_thread().ok()?;
    let _signals = SignalsHeld::all();
    spawn(Builder::new().name(name.into())).ok()
}
