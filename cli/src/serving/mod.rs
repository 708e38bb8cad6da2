//! What a command needs to serve clients on sockets: the socket, the clients and their threads; and what any command
//! needs that serves until it is told to end: signals, and another command that is run meanwhile.

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
