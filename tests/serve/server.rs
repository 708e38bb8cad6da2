//! A server that runs while a test reads from it.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dmverity_tests::veritysetup;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::image::Image;

/// No server takes that long; without it a test would hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// `veritysetup serve` on a socket `nbd` in the image's directory.
pub(crate) struct Server {
    process: Child,
    socket: PathBuf,
}

/// How a server has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// One of the counters in the last line.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        dmverity_tests::counter(&self.stderr, name)
    }
}

impl Server {
    /// Serves the image with more options.
    pub(crate) fn start(image: &Image, options: &[&str]) -> Self {
        Self::of(image, &[&["data.img", "hash.img", &image.root_hash, "--socket=nbd"], options].concat())
    }

    /// The same with all arguments.
    pub(crate) fn of(image: &Image, arguments: &[&str]) -> Self {
        Self::spawn(image.command(veritysetup(), &[&["serve"], arguments].concat()), image.path("nbd"))
    }

    /// A command that makes a socket.
    pub(crate) fn spawn(mut command: Command, socket: PathBuf) -> Self {
        let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut server = Self { process: process.expect("it runs"), socket };
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(&server.socket).is_err() {
            if let Some(status) = server.process.try_wait().expect("it is a child") {
                panic!("{status}: {:?}", server.end());
            }
            assert!(Instant::now() < deadline, "the server does not start");
            sleep(Duration::from_millis(5));
        }
        server
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// What clients name it with.
    pub(crate) fn uri(&self) -> String {
        format!("nbd+unix:///?socket={}", self.socket.display())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).expect("it runs");
    }

    /// Its next line on standard error.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        let stderr = self.process.stderr.as_mut().expect("it is a pipe");
        // Nothing that follows the line may be taken too.
        BufReader::with_capacity(1, stderr).read_until(b'\n', &mut line).expect("readable");
        String::from_utf8(line).expect("text")
    }

    /// Has it end with SIGTERM.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Waits until it has ended.
    pub(crate) fn wait(mut self) -> Ended {
        self.end()
    }

    fn end(&mut self) -> Ended {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        // Less than a pipe holds is written to either.
        let read = |pipe: &mut dyn std::io::Read, text: &mut String| pipe.read_to_string(text).expect("text");
        read(self.process.stdout.as_mut().expect("a pipe"), &mut stdout);
        read(self.process.stderr.as_mut().expect("a pipe"), &mut stderr);
        let status = self.process.wait().expect("it is a child");
        Ended { code: status.code(), stdout, stderr }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
