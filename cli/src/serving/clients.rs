//! The clients that are connected, each served by a thread of its own.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dmverity::nbd::{Error, Server, Session};

use super::socket::{Listener, Socket, Timed};

/// The most clients at a time: more are sent away.
pub(crate) const MOST: usize = 64;

/// How long a client may take to say what it wants.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a client may take to send the rest of a request, or to take some of a reply.
const STALL: Duration = Duration::from_secs(60);

/// How long requests that are being served may still take at the end, and how long threads take to notice it.
const DRAIN: Duration = Duration::from_secs(3);
const LEAVE: Duration = Duration::from_secs(1);

/// When a client cannot be accepted for want of descriptors, how long it is until the next try.
const PAUSE: Duration = Duration::from_millis(50);

/// The clients of one server.
pub(crate) struct Clients {
    server: Server<'static>,
    state: Mutex<State>,
    /// One of them has gone.
    gone: Condvar,
}

#[derive(Default)]
struct State {
    connected: HashMap<u64, Arc<Socket>>,
    /// How many there were; the number of the last one.
    total: u64,
    refused: u64,
}

impl Clients {
    pub(crate) fn new(server: Server<'static>) -> Arc<Self> {
        Arc::new(Self { server, state: Mutex::default(), gone: Condvar::new() })
    }

    pub(crate) fn server(&self) -> &Server<'static> {
        &self.server
    }

    /// How many there were, and how many were sent away.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let state = self.state();
        (state.total, state.refused)
    }

    /// Accepts a client, if there is one, and starts to serve it.
    pub(crate) fn accept(self: &Arc<Self>, listener: &Listener) {
        let socket = match listener.accept() {
            Ok(socket) => Arc::new(socket),
            Err(error) => {
                if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionAborted) {
                    log::debug!("a client cannot be accepted: {error}");
                    thread::sleep(PAUSE);
                }
                return;
            }
        };
        let Some(number) = self.enter(&socket) else { return };
        let clients = Arc::clone(self);
        let thread = thread::Builder::new().name(format!("client {number}"));
        let spawned = thread.spawn(move || {
            let leaving = Leaving { clients: &clients, number };
            if let Err(error) = serve(&clients.server, &socket) {
                log::debug!("client {number}: {}", with_cause(&error));
            }
            drop(leaving);
        });
        if let Err(error) = spawned {
            log::debug!("client {number} cannot be served: {error}");
            self.leave(number);
        }
    }

    /// Counts a client in, unless it is one too many or another user's.
    fn enter(&self, socket: &Arc<Socket>) -> Option<u64> {
        let mut state = self.state();
        if !socket.is_of_owner() || state.connected.len() >= MOST {
            state.refused += 1;
            return None;
        }
        state.total += 1;
        let number = state.total;
        state.connected.insert(number, Arc::clone(socket));
        Some(number)
    }

    fn leave(&self, number: u64) {
        self.state().connected.remove(&number);
        self.gone.notify_all();
    }

    /// Has each client's requests that have come be served, and no others; waits until they have gone, but not for
    /// long.
    pub(crate) fn finish(&self) {
        for (how, time) in [(Shutdown::Read, DRAIN), (Shutdown::Both, LEAVE)] {
            let state = self.state();
            state.connected.values().for_each(|socket| socket.shutdown(how));
            let deadline = Instant::now() + time;
            let mut state = state;
            while !state.connected.is_empty() {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                state = self.gone.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a client out, even if its thread has panicked.
struct Leaving<'a> {
    clients: &'a Clients,
    number: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.clients.leave(self.number);
    }
}

fn serve(server: &Server<'_>, socket: &Socket) -> Result<(), Error> {
    let Some(session) = server.handshake(Timed::new(socket, HANDSHAKE)?)? else { return Ok(()) };
    session.stream().each_call(STALL)?;
    Session::run(session)
}

/// An error with its cause.
fn with_cause(error: &Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
