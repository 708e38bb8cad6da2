//! A server that runs for as long as it is measured.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a server may take to accept connections.
const START: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) socket: PathBuf,
    child: Child,
}

impl Server {
    /// Runs the command that `with` makes for a socket, and waits until it accepts a connection.
    pub(crate) fn start(folder: &Path, with: impl FnOnce(&Path) -> Command) -> Result<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let socket = folder.join(format!("socket{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        _ = fs::remove_file(&socket);
        let mut command = with(&socket);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = child.with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let since = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("{} ended: {status}", command.get_program().display());
            }
            if since.elapsed() > START {
                _ = child.kill();
                bail!("{} does not accept connections", command.get_program().display());
            }
            sleep(Duration::from_millis(10));
        }
        Ok(Self { socket, child })
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM)?;
        self.child.wait()?;
        _ = fs::remove_file(&self.socket);
        Ok(())
    }
}
