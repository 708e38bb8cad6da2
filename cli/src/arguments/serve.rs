//! `serve`.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use super::service::ServiceOptions;
use super::words::Words;
use crate::failure::Result;

/// `serve`.
pub(crate) struct Serve {
    pub(crate) service: ServiceOptions,
    pub(crate) listen: Listen,
}

/// Where clients come from.
pub(crate) enum Listen {
    /// They connect to a socket with this path.
    Socket(PathBuf),
    /// They connect to a socket that this process has inherited.
    Inherited(RawFd),
    /// The only one is a command that is run: program and arguments.
    Command(Vec<OsString>),
    /// They connect to the socket that systemd says it has passed.
    Activation,
}

impl Serve {
    pub(super) fn of(words: &Words) -> Result<Self> {
        let command = words.values("exec");
        let listen = match (words.path_option("socket"), words.number("listen-fd")?) {
            (Some(path), _) => Listen::Socket(path),
            // A number that is too large is not one of an open socket either.
            (None, Some(number)) => Listen::Inherited(RawFd::try_from(number).unwrap_or(RawFd::MAX)),
            (None, None) if command.is_empty() => Listen::Activation,
            (None, None) => Listen::Command(command),
        };
        Ok(Self { service: ServiceOptions::of(words)?, listen })
    }
}
