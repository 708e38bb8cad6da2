//! `serve`: clients of the NBD protocol read an image, each block of it verified.

use std::env;
use std::io;
use std::os::fd::{AsFd as _, RawFd};
use std::path::absolute;
use std::process;
use std::sync::Arc;

use dmverity::nbd::Server;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;
use tempfile::TempDir;

use super::service::{self, Counted, Front, Service};
use super::verified::{CounterFields, VerifiedFields};
use super::web::FetchedFields;
use crate::arguments::{Listen, Serve};
use crate::failure::{Exit, Failure, Result};
use crate::report::Report;
use crate::serving::{Child, Clients, Listener, SocketPath, Woken};

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
    /// For images on web servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<FetchedFields>,
}

/// What serves, and what counts.
struct Sockets<'a> {
    clients: &'a Arc<Clients>,
    listener: &'a Listener,
    service: &'a Service,
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
    let service = Service::open(&serve.service, cannot_start)?;
    let server = Server::new(Arc::clone(&service.reader)).map_err(|error| cannot_start(&error))?;
    let clients = Clients::new(server.preferred_block(service.params.data_block_size()));
    let mut place = Place::of(&serve.listen, inherited)?;
    let front = Sockets { clients: &clients, listener: &place.listener, service: &service };
    let exit_code = service::run(&front, place.child.as_mut())?;
    drop(place);
    let counters = Served::of(&clients, &service);
    let fields = ServeFields { image: service.fields.clone(), counters: counters.clone(), exit_code };
    service.ended("serving", &counters, Report { exit_code, ..Report::new("", fields) })
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
            (Listen::Command(words), Some(path)) => {
                // Named as by nbdkit.
                let uri = path.uri();
                let variables = [("uri", uri.as_ref()), ("unixsocket", path.path().as_os_str())];
                Some(Child::run(words, &variables)?)
            }
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

impl Front for Sockets<'_> {
    /// Waits for something to happen, and accepts clients.
    fn wait(&self) -> Result<Woken> {
        let wake = &self.service.wake;
        let mut events =
            [PollFd::new(wake.as_fd(), PollFlags::POLLIN), PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut events, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(cannot_start(&errno.into())),
        }
        let is_ready = events[1].revents().is_some_and(|events| !events.is_empty());
        let woken = wake.take();
        if is_ready && !woken.stop {
            self.clients.accept(self.listener);
        }
        Ok(woken)
    }

    fn counters(&self) -> String {
        self.service.shown(&Served::of(self.clients, self.service))
    }

    fn finish(&self) {
        self.clients.finish();
    }
}

impl Served {
    fn of(clients: &Clients, service: &Service) -> Self {
        let (connections, refused_connections) = clients.totals();
        let traffic = clients.server().traffic();
        Self {
            connections,
            refused_connections,
            requests: traffic.requests,
            failed_requests: traffic.errors,
            bytes_sent: traffic.bytes,
            reader: service.reader.counters().into(),
            http: service.source.fetched(),
        }
    }
}

impl Counted for Served {
    fn line(&self) -> String {
        let Self { connections, refused_connections, requests, failed_requests, bytes_sent, reader, http } = self;
        let http = http.map_or_else(String::new, |http| format!(" {}", http.line()));
        format!(
            "connections={connections} refused_connections={refused_connections} requests={requests} \
             failed_requests={failed_requests} bytes_sent={bytes_sent} {reader}{http}"
        )
    }
}

fn cannot_start(error: &io::Error) -> Failure {
    Failure::new(Exit::Device, "Cannot serve.").because(error)
}
