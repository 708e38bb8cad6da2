//! fusermount3, which mounts and unmounts for users who may not do so themselves.
#![allow(unsafe_code)] // A descriptor that was received is only a number.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, IoSliceMut};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use crate::escape::text_of;

/// The helper, and its name before FUSE 3.
const NAMES: [&str; 2] = ["fusermount3", "fusermount"];

/// Has the helper mount with these options, and receives the connection to the kernel from it. It sends that through
/// the socket that it has as its standard input.
pub(super) fn mount(directory: &Path, options: &OsStr) -> io::Result<OwnedFd> {
    let (own, its) = UnixStream::pair()?;
    let its = OwnedFd::from(its);
    let mut child = None;
    for name in NAMES {
        let mut command = Command::new(name);
        command.arg("-o").arg(options).arg("--").arg(directory).env("_FUSE_COMMFD", "0");
        command.stdin(its.try_clone()?).stdout(Stdio::null()).stderr(Stdio::piped());
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            spawned => {
                child = Some(spawned?);
                break;
            }
        }
    }
    let child = child.ok_or(ErrorKind::NotFound)?;
    // If it ends, nothing more can come.
    drop(its);
    let received = receive(&own);
    checked(&child.wait_with_output()?)?;
    received
}

/// Has the helper unmount, and if `lazily` even if the directory is in use.
pub(super) fn unmount(directory: &Path, lazily: bool) -> io::Result<()> {
    for name in NAMES {
        let mut command = Command::new(name);
        command.args(lazily.then_some("-z")).args(["-u", "--"]).arg(directory).stdin(Stdio::null());
        match command.output() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            output => return checked(&output?),
        }
    }
    Err(ErrorKind::NotFound.into())
}

/// The helper's own words if it has failed.
fn checked(output: &Output) -> io::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let said = text_of(OsStr::from_bytes(&output.stderr));
    let said = said.lines().next().unwrap_or("it has failed");
    let said = said.split_once(": ").filter(|(name, _)| NAMES.contains(name)).map_or(said, |(_, rest)| rest);
    Err(io::Error::other(said.trim_end_matches('.').to_owned()))
}

/// The descriptor that comes through a socket.
fn receive(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut space = nix::cmsg_space!(RawFd);
    let messages: Vec<_> = loop {
        let mut parts = [IoSliceMut::new(&mut byte)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            received => break received?.cmsgs()?.collect(),
        }
    };
    let number = messages.into_iter().find_map(|message| match message {
        ControlMessageOwned::ScmRights(numbers) => numbers.first().copied(),
        _ => None,
    });
    let number = number.ok_or(ErrorKind::UnexpectedEof)?;
    // SAFETY: the kernel has just made it for this process, and nothing else has its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// An option's value, of which no byte ends it.
pub(super) fn escaped(bytes: &[u8]) -> OsString {
    let mut escaped = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if b",\\".contains(&byte) {
            escaped.push(b'\\');
        }
        escaped.push(byte);
    }
    OsString::from_vec(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_one_value() {
        assert_eq!(escaped(b"/a,suid\\\xff,dev").as_bytes(), b"/a\\,suid\\\\\xff\\,dev");
    }
}
