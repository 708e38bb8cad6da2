//! What a command needs to serve clients on sockets: the socket, the clients and their threads, signals, and a command
//! that is the only client.

mod child;
mod clients;
mod socket;
mod socket_path;
mod wake;

pub(crate) use child::Child;
pub(crate) use clients::Clients;
pub(crate) use socket::Listener;
pub(crate) use socket_path::SocketPath;
pub(crate) use wake::{Wake, Woken};
