//! A command that is the only client: it learns where the socket is from its environment.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{self, Command, ExitStatus};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};

/// A running command. It is not left behind.
pub(crate) struct Child {
    process: process::Child,
    status: Option<ExitStatus>,
    is_told: bool,
}

impl Child {
    /// Runs a program with its arguments. The variables `uri` and `unixsocket` name the socket, as those of nbdkit do.
    pub(crate) fn run(words: &[OsString], socket: &Path) -> Result<Self> {
        let (program, arguments) = words.split_first().expect("the option needs a word");
        let process =
            Command::new(program).args(arguments).env("uri", uri(socket)).env("unixsocket", socket).spawn().map_err(
                |error| Failure::new(Exit::Parameters, format!("Cannot run {}.", text_of(program))).because(&error),
            )?;
        Ok(Self { process, status: None, is_told: false })
    }

    /// The exit code that a shell would have, once it has ended.
    pub(crate) fn exit_code(&mut self) -> Option<u8> {
        if self.status.is_none() {
            self.status = self.process.try_wait().ok().flatten();
        }
        let status = self.status?;
        let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1);
        Some(u8::try_from(code).unwrap_or(1))
    }

    /// Has it end: politely, and the second time at once.
    pub(crate) fn end(&mut self) {
        let signal = if self.is_told { Signal::SIGKILL } else { Signal::SIGTERM };
        self.is_told = true;
        if self.exit_code().is_none() {
            // It has not been waited for, so the number is still its own.
            let _ = kill(Pid::from_raw(self.process.id().cast_signed()), signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.exit_code().is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// How clients name a socket.
fn uri(socket: &Path) -> String {
    let mut uri = "nbd+unix:///?socket=".to_owned();
    for &byte in socket.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(byte.into());
        } else {
            write!(uri, "%{byte:02X}").expect("a String takes everything");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_uri_has_any_path() {
        let uri_of = |bytes: &[u8]| uri(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(uri_of(b"/tmp/a-b/s.0~_"), "nbd+unix:///?socket=/tmp/a-b/s.0~_");
        assert_eq!(uri_of(b"a &%\xff"), "nbd+unix:///?socket=a%20%26%25%FF");
    }
}
