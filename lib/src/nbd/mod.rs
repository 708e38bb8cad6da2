//! Feature `nbd`: the server's side of the NBD protocol, read-only, over any stream.
//!
//! A client of the [NBD protocol][proto] reads a [`ReadAt`] as a disk: qemu, libguestfs, `nbdcopy`, `nbdfuse`, and
//! the Linux kernel with `nbd-client`. Over a reader that verifies what it reads, each of them gets bytes that the
//! root hash proves, or an I/O error.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::os::unix::net::UnixStream;
//!
//! use dmverity::nbd::Server;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new(vec![7_u8; 4096])?;
//! let (ours, mut theirs) = UnixStream::pair()?;
//! std::thread::scope(|scope| {
//!     scope.spawn(|| server.serve(&ours));
//!     let mut greeting = [0; 18];
//!     theirs.read_exact(&mut greeting)?;
//!     assert!(greeting.starts_with(b"NBDMAGICIHAVEOPT"));
//!     // ABORT ends it.
//!     theirs.write_all(b"\0\0\0\x03IHAVEOPT\0\0\0\x02\0\0\0\0")
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is spoken
//!
//! Fixed newstyle negotiation with `EXPORT_NAME`, `GO`, `INFO`, `LIST`, `ABORT`, `STRUCTURED_REPLY` and the metadata
//! context `base:allocation`; every other option is answered with `ERR_UNSUP`. There is one export, whose name is
//! empty. `READ`, `FLUSH`, `BLOCK_STATUS` and `DISC` are served; what would change something fails with `EPERM`.
//! Several connections to one server are served side by side, each on the thread that calls [`Server::serve`].
//!
//! # Hostile clients
//!
//! All numbers that a client sends are checked before they are used. A client can make a connection take the memory of
//! one request, [`MAX_REQUEST`] bytes, and the time of two threads. What a client must not do at all ends its
//! connection with [`Error::Violation`]. A client that stalls is stopped by the stream alone: its timeouts of reading
//! and writing count. One that passes between two requests is waited out, since a client may have nothing to ask for
//! hours.
//!
//! [proto]: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md

mod error;
mod export;
mod handshake;
mod input;
mod parts;
mod protocol;
mod reply;
mod server;
mod session;
mod status;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use export::Traffic;
pub use protocol::{MAX_OPTION, MAX_OPTIONS, MAX_REQUEST};
pub use server::Server;
pub use session::Session;

#[cfg(doc)]
use crate::io::ReadAt;
