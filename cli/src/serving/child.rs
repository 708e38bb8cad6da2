//! A command that is run while something is served: it learns from its environment where that is.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt as _;
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
    /// Runs a program with its arguments, and with these variables.
    pub(crate) fn run(words: &[OsString], variables: &[(&str, &OsStr)]) -> Result<Self> {
        let (program, arguments) = words.split_first().expect("the option needs a word");
        let process =
            Command::new(program).args(arguments).envs(variables.iter().copied()).spawn().map_err(|error| {
                Failure::new(Exit::Parameters, format!("Cannot run {}.", text_of(program))).because(&error)
            })?;
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
