//! A file that is mounted while a test reads from it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::image::{BLOCK, Image};
use crate::program;

/// `veritysetup mount-file` on a directory `mnt` next to the image.
pub(crate) struct Mounted {
    process: Child,
    directory: PathBuf,
}

/// How the command has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

impl Ended {
    /// One of the counters in the last line.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        dmverity_tests::counter(&self.stderr, name)
    }
}

/// The command with the image's arguments and more options.
pub(crate) fn command(image: &Image, options: &[&str]) -> Command {
    let _ = fs::create_dir(image.path("mnt"));
    image.command(program(), &[&["mount-file", "data.img", "hash.img", &image.root_hash, "mnt"], options].concat())
}

impl Mounted {
    /// Mounts the image with more options.
    pub(crate) fn new(image: &Image, options: &[&str]) -> Self {
        Self::spawn(image, command(image, options))
    }

    /// The same with a command of the test's own.
    pub(crate) fn spawn(image: &Image, mut command: Command) -> Self {
        let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut mounted = Self { process: process.expect("it runs"), directory: image.path("mnt") };
        let mut line = String::new();
        let stdout = mounted.process.stdout.as_mut().expect("a pipe");
        BufReader::with_capacity(1, stdout).read_line(&mut line).expect("text");
        assert!(line.ends_with("/mnt/image is mounted.\n"), "{line}: {:?}", mounted.end());
        mounted
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("image")
    }

    pub(crate) fn open(&self) -> File {
        File::open(self.path()).expect("it is mounted")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).expect("it runs");
    }

    /// Its next line on standard error.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let stderr = self.process.stderr.as_mut().expect("a pipe");
        // Nothing that follows the line may be taken too.
        BufReader::with_capacity(1, stderr).read_line(&mut line).expect("text");
        line
    }

    /// Has it end with SIGTERM, and checks that nothing is left.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::SIGTERM);
        let directory = self.directory.clone();
        let ended = self.wait();
        assert!(!is_mounted(&directory), "{ended:?}");
        ended
    }

    /// Waits until it has ended.
    pub(crate) fn wait(mut self) -> Ended {
        self.end()
    }

    fn end(&mut self) -> Ended {
        let mut stderr = String::new();
        self.process.stderr.as_mut().expect("a pipe").read_to_string(&mut stderr).expect("text");
        let status = self.process.wait().expect("it is a child");
        Ended { code: status.code(), stderr }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // It unmounts; what it cannot is done by force.
        if !matches!(self.process.try_wait(), Ok(Some(_))) {
            self.signal(Signal::SIGTERM);
            let _ = self.process.wait();
        }
        while is_mounted(&self.directory) {
            let umount = Command::new("umount").arg("--lazy").arg(&self.directory).status();
            if !umount.is_ok_and(|status| status.success()) {
                let _ = Command::new("fusermount3").arg("-uz").arg(&self.directory).status();
            }
        }
    }
}

/// Whether something is mounted on a directory with a name without blanks.
pub(crate) fn is_mounted(directory: &Path) -> bool {
    // Other tests mount with names of all kinds.
    let mounts = fs::read("/proc/self/mountinfo").expect("it is there");
    String::from_utf8_lossy(&mounts).lines().any(|line| line.split(' ').nth(4) == directory.to_str())
}

/// Reads a block, which is what the image has, or an I/O error.
pub(crate) fn is_readable(image: &Image, file: &File, block: usize) -> bool {
    let mut bytes = [0; BLOCK];
    match file.read_exact_at(&mut bytes, (block * BLOCK) as u64) {
        Ok(()) => {
            assert!(bytes == image.data[block * BLOCK..][..BLOCK], "block {block}");
            true
        }
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(Errno::EIO as i32), "block {block}");
            false
        }
    }
}
