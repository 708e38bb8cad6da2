//! `serve`: clients of the NBD protocol read an image, each block of it verified.

use std::env;
use std::io;
use std::os::fd::{AsFd as _, RawFd};
use std::path::absolute;
use std::process;
use std::sync::Arc;

use dmverity::nbd::Server;
use dmverity::{Corruption, VerifiedReader};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;
use tempfile::TempDir;

use super::bad_blocks::BadBlocks;
use super::verified::{self, CounterFields, Verified, VerifiedFields};
use crate::arguments::{Listen, OnCorruption, Serve};
use crate::failure::{Exit, Failure, Result};
use crate::output;
use crate::report::Report;
use crate::serving::{Child, Clients, Listener, SocketPath, Wake, Woken};

/// The first descriptor that systemd passes, see `sd_listen_fds(3)`.
const FIRST_PASSED: RawFd = 3;

/// What was served.
#[derive(Serialize)]
struct ServeFields {
    #[serde(flatten)]
    image: VerifiedFields,
    #[serde(flatten)]
    counters: Served,
    /// That of the command that was run.
    exit_code: Option<u8>,
}

/// What clients have asked for, and what reading it took.
#[derive(Clone, Serialize)]
struct Served {
    connections: u64,
    refused_connections: u64,
    requests: u64,
    failed_requests: u64,
    bytes_sent: u64,
    reader: CounterFields,
}

/// What serves, and what counts.
struct Service {
    clients: Arc<Clients>,
    reader: Arc<VerifiedReader>,
    wake: Arc<Wake>,
}

/// Where clients come from, and what has to be removed at the end, in this order.
struct Place {
    listener: Listener,
    child: Option<Child>,
    _path: Option<SocketPath>,
    _directory: Option<TempDir>,
}

pub(crate) fn run(serve: &Serve) -> Result<Report> {
    let inherited = inherited(&serve.listen)?;
    let stops = serve.reader.on_corruption == OnCorruption::Stop;
    let mut made = None;
    let Verified { reader, params, fields, warnings } = verified::open(&serve.image, &serve.reader, || {
        let bad_blocks = Arc::new(BadBlocks::new(serve.reader.events.as_ref())?);
        let wake = Wake::new().map_err(|error| cannot_start(&error))?;
        let (told, woken) = made.insert((bad_blocks, wake)).clone();
        Ok(move |found: &Corruption| {
            told.report(found);
            if stops && !found.recovered {
                woken.stop();
            }
        })
    })?;
    let (bad_blocks, wake) = made.expect("the reader has got what reports");
    let reader = Arc::new(reader);
    let server = Server::new(Arc::clone(&reader)).map_err(|error| cannot_start(&error))?;
    let clients = Clients::new(server.preferred_block(params.data_block_size()));
    let service = Service { clients, reader, wake };
    let mut place = Place::of(&serve.listen, inherited)?;
    let exit_code = service.run(&mut place, serve.json)?;
    drop(place);
    let counters = service.counters();
    let mut report = Report { warnings, exit_code, ..Report::default() };
    if !serve.is_quiet {
        report.notes.push(counters.line());
    }
    report.fields = Some(Box::new(ServeFields { image: fields, counters, exit_code }));
    match bad_blocks.first_lost().filter(|_| stops) {
        Some(line) => Err(report.failed(
            Failure::new(Exit::Permission, line).hint("serving has ended with it, as --on-corruption=stop demands."),
        )),
        None => Ok(report),
    }
}

/// The inherited socket that the options ask for, or that systemd has passed.
fn inherited(listen: &Listen) -> Result<Option<Listener>> {
    let number = match listen {
        Listen::Inherited(number) => *number,
        Listen::Activation => passed()?,
        Listen::Socket(_) | Listen::Command(_) => return Ok(None),
    };
    Listener::inherited(number).map(Some)
}

/// The one descriptor that was passed to this process.
fn passed() -> Result<RawFd> {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let count = number("LISTEN_FDS").filter(|_| number("LISTEN_PID") == Some(process::id()));
    match count {
        Some(1) => Ok(FIRST_PASSED),
        Some(count) => Err(Failure::new(Exit::Parameters, format!("systemd has passed {count} sockets."))
            .hint("--listen-fd chooses one of them: the first is 3.")),
        None => Err(Failure::usage("serve: requires --socket, --listen-fd or --exec")),
    }
}

impl Place {
    fn of(listen: &Listen, inherited: Option<Listener>) -> Result<Self> {
        let (path, directory) = match listen {
            Listen::Socket(path) => (Some(path.clone()), None),
            Listen::Command(_) => {
                let directory = private_directory().map_err(|error| cannot_start(&error))?;
                (Some(absolute(directory.path().join("nbd")).map_err(|error| cannot_start(&error))?), Some(directory))
            }
            Listen::Inherited(_) | Listen::Activation => (None, None),
        };
        let bound = path.map(|path| SocketPath::bind(&path)).transpose()?;
        let (path, listener) = match (bound, inherited) {
            (Some((path, listener)), _) => (Some(path), listener),
            (None, Some(listener)) => (None, listener),
            (None, None) => unreachable!("each place has a socket"),
        };
        listener.set_nonblocking().map_err(|error| cannot_start(&error))?;
        let child = match (listen, &path) {
            (Listen::Command(words), Some(path)) => Some(Child::run(words, path.path())?),
            _ => None,
        };
        Ok(Self { listener, child, _path: path, _directory: directory })
    }
}

/// A directory that only its owner can look into, where other sockets are too if there is such a place.
fn private_directory() -> io::Result<TempDir> {
    let builder = || tempfile::Builder::new().prefix("veritysetup-").clone();
    let runtime = env::var_os("XDG_RUNTIME_DIR").filter(|directory| !directory.is_empty());
    let made = runtime.and_then(|directory| builder().tempdir_in(directory).ok());
    made.map_or_else(|| builder().tempdir(), Ok)
}

impl Service {
    /// Serves until a signal comes, the command has ended, or a bad block demands it. The result is the exit code of
    /// the command.
    fn run(&self, place: &mut Place, json: bool) -> Result<Option<u8>> {
        let mut is_interrupted = false;
        let mut has_ended = false;
        loop {
            let woken = self.wait(&place.listener)?;
            if woken.show {
                output::print_error(&(self.counters().shown(json) + "\n"));
            }
            let Some(child) = &mut place.child else {
                if woken.end || woken.interrupt || woken.stop {
                    break;
                }
                continue;
            };
            if let Some(code) = child.exit_code() {
                self.clients.finish();
                return Ok(Some(code));
            }
            // A terminal has interrupted the command too.
            if woken.end || (woken.interrupt && is_interrupted) {
                child.end();
            }
            is_interrupted |= woken.interrupt;
            if woken.stop && !has_ended {
                has_ended = true;
                self.clients.finish();
                child.end();
            }
        }
        self.clients.finish();
        Ok(None)
    }

    /// Waits for something to happen, and accepts clients.
    fn wait(&self, listener: &Listener) -> Result<Woken> {
        let mut events =
            [PollFd::new(self.wake.as_fd(), PollFlags::POLLIN), PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut events, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(cannot_start(&errno.into())),
        }
        let is_ready = events[1].revents().is_some_and(|events| !events.is_empty());
        let woken = self.wake.take();
        if is_ready && !woken.stop {
            self.clients.accept(listener);
        }
        Ok(woken)
    }

    fn counters(&self) -> Served {
        let (connections, refused_connections) = self.clients.totals();
        let traffic = self.clients.server().traffic();
        Served {
            connections,
            refused_connections,
            requests: traffic.requests,
            failed_requests: traffic.errors,
            bytes_sent: traffic.bytes,
            reader: self.reader.counters().into(),
        }
    }
}

impl Served {
    fn shown(&self, json: bool) -> String {
        if json { serde_json::to_string(self).expect("numbers") } else { self.line() }
    }

    fn line(&self) -> String {
        let Self { connections, refused_connections, requests, failed_requests, bytes_sent, reader } = self;
        format!(
            "connections={connections} refused_connections={refused_connections} requests={requests} \
             failed_requests={failed_requests} bytes_sent={bytes_sent} {reader}"
        )
    }
}

fn cannot_start(error: &io::Error) -> Failure {
    Failure::new(Exit::Device, "Cannot serve.").because(error)
}
