//! What the kernel says about a refused table. No ioctl returns the target's words, but they are in the kernel's log.
//!
//! Source: the kernel's `Documentation/ABI/testing/dev-kmsg`: each read returns one record, `EPIPE` means that records
//! were overwritten before they were read.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The log lags behind the ioctl by less than this.
const LIMIT: Duration = Duration::from_millis(200);

/// The kernel refuses to hand out a record to a buffer that is too small for it.
const RECORD_MAX: usize = 8192;

/// The kernel's log from the moment it was opened.
#[derive(Debug)]
pub(super) struct KernelLog {
    file: File,
}

impl KernelLog {
    /// `None` if this process may not read it.
    pub(super) fn open() -> Option<Self> {
        let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").ok()?;
        file.seek(SeekFrom::End(0)).ok()?;
        Some(Self { file })
    }

    /// What device-mapper has logged about a table for this device since the log was opened. Waits for it briefly.
    pub(super) fn words_about_table(&mut self, (major, minor): (u32, u32)) -> Option<String> {
        let prefix = format!("device-mapper: table: {major}:{minor}: ");
        let start = Instant::now();
        loop {
            let mut record = [0; RECORD_MAX];
            match self.file.read(&mut record) {
                // No log at all.
                Ok(0) => return None,
                Ok(length) => {
                    let record = String::from_utf8_lossy(&record[..length]);
                    if let Some(words) = message_of(&record).and_then(|message| message.strip_prefix(&prefix)) {
                        return Some(without_errno(words).to_owned());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let left = LIMIT.saturating_sub(start.elapsed());
                    let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
                    let mut ready = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
                    match poll(&mut ready, wait) {
                        Ok(0) => return None,
                        Ok(_) | Err(Errno::EINTR) => (),
                        Err(_) => return None,
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => (),
                Err(_) => return None,
            }
            if start.elapsed() > LIMIT {
                return None;
            }
        }
    }
}

/// The message of a record: between the semicolon after its numbers and the first newline, after which come its tags.
fn message_of(record: &str) -> Option<&str> {
    record.split_once(';')?.1.lines().next()
}

/// Newer kernels repeat the errno at the end, as ` (-EINVAL)`.
fn without_errno(words: &str) -> &str {
    let words = words.trim();
    match words.rsplit_once(" (-") {
        Some((before, errno)) if errno.ends_with(')') && !errno.contains(' ') => before,
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_stands_between_numbers_and_tags() {
        let record =
            "3,1234,567,-;device-mapper: table: 254:0: verity: Invalid; salt\n SUBSYSTEM=block\n DEVICE=b254:0\n";
        assert_eq!(message_of(record), Some("device-mapper: table: 254:0: verity: Invalid; salt"));
        assert_eq!(message_of("6,1,2,-;\n"), Some(""));
        assert_eq!(message_of("nothing"), None);
    }

    #[test]
    fn the_errno_is_no_part_of_the_words() {
        assert_eq!(without_errno("verity: Invalid salt (-EINVAL)"), "verity: Invalid salt");
        assert_eq!(without_errno("verity: Invalid salt "), "verity: Invalid salt");
        assert_eq!(without_errno("loop0 too small (start=0 (-1 len=2)"), "loop0 too small (start=0 (-1 len=2)");
    }
}
