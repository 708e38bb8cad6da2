//! Serves a file as it is, without verifying anything, to clients of the NBD protocol on a socket: what verification
//! costs is seen by comparing `veritysetup serve` with this.
//!
//!     cargo run --features nbd --example nbd_server -- FILE SOCKET
//!
//! It runs until a signal ends it, and leaves its socket behind. A server that others rely on also limits the number of
//! its clients and looks at who they are.

use std::env;
use std::error::Error;
use std::fs::File;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use dmverity::nbd::{self, Server};

/// A client that keeps it waiting for longer has stalled.
const TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nbd_server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(file), Some(socket)) = (arguments.next(), arguments.next()) else {
        return Err("usage: nbd_server FILE SOCKET".into());
    };
    let server = Server::new(File::open(file)?)?;
    let listener = UnixListener::bind(socket)?;
    thread::scope(|scope| {
        for client in listener.incoming() {
            let client = client?;
            let server = &server;
            scope.spawn(move || {
                if let Err(error) = one_client(server, &client) {
                    eprintln!("nbd_server: {error}");
                }
            });
        }
        Ok(())
    })
}

fn one_client(server: &Server<'_>, client: &UnixStream) -> Result<(), nbd::Error> {
    client.set_read_timeout(Some(TIMEOUT))?;
    client.set_write_timeout(Some(TIMEOUT))?;
    server.serve(client)
}
