//! Sockets that clients connect to, and those that they are connected to: Unix and TCP.

use std::cell::Cell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockaddrLike as _, SockaddrStorage, getsockname, getsockopt, sockopt};
use nix::unistd::geteuid;

use crate::failure::{Exit, Failure, Result};
use crate::streams;

/// A socket that is listened on.
pub(crate) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// A socket with a client at its other end.
pub(crate) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Listener {
    /// A listening socket that this process was started with.
    pub(crate) fn inherited(number: RawFd) -> Result<Self> {
        let refused = |why: &str| {
            Failure::new(Exit::Parameters, format!("File descriptor {number} cannot be used as a socket."))
                .hint(format!("{why}."))
        };
        let copy = streams::inherited(number).map_err(|_| refused("it is not an open socket"))?;
        let socket = OwnedFd::from(copy);
        let is_listening = getsockopt(&socket, sockopt::AcceptConn).map_err(|_| refused("it is not an open socket"))?;
        if !is_listening {
            return Err(refused("it is not listening"));
        }
        let address: SockaddrStorage = getsockname(socket.as_raw_fd()).map_err(|_| refused("it has no address"))?;
        match address.family() {
            Some(AddressFamily::Unix) => Ok(Self::Unix(socket.into())),
            Some(AddressFamily::Inet | AddressFamily::Inet6) => Ok(Self::Tcp(socket.into())),
            _ => Err(refused("it is neither a Unix nor a TCP socket")),
        }
    }

    /// A client that has connected.
    pub(crate) fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(listener) => listener.accept().map(|(socket, _)| Socket::Unix(socket)),
            Self::Tcp(listener) => {
                let (socket, _) = listener.accept()?;
                // A reply does not wait for the next one.
                socket.set_nodelay(true)?;
                nix::sys::socket::setsockopt(&socket, sockopt::KeepAlive, &true)?;
                Ok(Socket::Tcp(socket))
            }
        }
    }

    /// Has `accept` fail when there is no client.
    pub(crate) fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Unix(listener) => listener.set_nonblocking(true),
            Self::Tcp(listener) => listener.set_nonblocking(true),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(listener) => listener.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
        }
    }
}

impl Socket {
    /// Whether the client is a process of this one's user or of root. Who connects by TCP is not known.
    pub(crate) fn is_of_owner(&self) -> bool {
        match self {
            Self::Unix(socket) => getsockopt(socket, sockopt::PeerCredentials)
                .is_ok_and(|peer| peer.uid() == geteuid().as_raw() || peer.uid() == 0),
            Self::Tcp(_) => true,
        }
    }

    /// Ends the connection in one direction or both.
    pub(crate) fn shutdown(&self, how: Shutdown) {
        // It may have ended already.
        let _ = match self {
            Self::Unix(socket) => socket.shutdown(how),
            Self::Tcp(socket) => socket.shutdown(how),
        };
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.set_read_timeout(Some(timeout)),
            Self::Tcp(socket) => socket.set_read_timeout(Some(timeout)),
        }
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.set_write_timeout(Some(timeout)),
            Self::Tcp(socket) => socket.set_write_timeout(Some(timeout)),
        }
    }
}

/// A client's socket with its timeouts: all that is read until the deadline, and each call after it.
pub(super) struct Timed<'a> {
    socket: &'a Socket,
    deadline: Cell<Option<Instant>>,
}

impl<'a> Timed<'a> {
    /// The handshake has to be over within this time.
    pub(super) fn new(socket: &'a Socket, handshake: Duration) -> io::Result<Self> {
        socket.set_write_timeout(handshake)?;
        Ok(Self { socket, deadline: Cell::new(Some(Instant::now() + handshake)) })
    }

    /// The handshake is over: from now on each call may take this long.
    pub(super) fn each_call(&self, timeout: Duration) -> io::Result<()> {
        self.deadline.set(None);
        self.socket.set_read_timeout(timeout)?;
        self.socket.set_write_timeout(timeout)
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(deadline) = self.deadline.get() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.socket.set_read_timeout(left)?;
        }
        match self.socket {
            Socket::Unix(socket) => (&mut &*socket).read(buffer),
            Socket::Tcp(socket) => (&mut &*socket).read(buffer),
        }
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.socket {
            Socket::Unix(socket) => (&mut &*socket).write_vectored(parts),
            Socket::Tcp(socket) => (&mut &*socket).write_vectored(parts),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
