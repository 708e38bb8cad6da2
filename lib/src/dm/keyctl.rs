//! Keys and keyrings by their serial numbers, of any type: the crate behind `keyring.rs` knows neither certificates nor
//! keyrings that are closed.
//!
//! Source: the manual pages `keyctl(2)`, `add_key(2)` and `proc_keys(5)`.
#![allow(unsafe_code)] // These system calls have no safe wrapper.

use std::ffi::{CStr, c_long};
use std::fs;
use std::io;

use nix::errno::Errno;
use nix::libc;

/// The operations of keyctl(2) that are used here.
const DESCRIBE: c_long = 6;
const LINK: c_long = 8;
const UNLINK: c_long = 9;
const READ: c_long = 11;
const RESTRICT_KEYRING: c_long = 29;

/// The serial number of a key or keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Serial(i32);

/// What the kernel says of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) kind: String,
    pub(super) name: String,
}

/// Where the keys are listed that this process may see.
const KEYS: &str = "/proc/keys";

/// The keyring of this name, if there is one that this process may see.
pub(super) fn find(name: &str) -> io::Result<Option<Serial>> {
    Ok(find_in(&fs::read_to_string(KEYS)?, name))
}

/// `SERIAL FLAGS USAGE TIMEOUT PERMISSIONS UID GID keyring NAME: COUNT`.
fn find_in(keys: &str, name: &str) -> Option<Serial> {
    keys.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let serial = words.next()?;
        let is_it = words.nth(6)? == "keyring" && words.next()?.strip_suffix(':')? == name;
        let serial = u32::from_str_radix(serial, 16).ok().filter(|_| is_it)?;
        Some(Serial(serial.cast_signed()))
    })
}

/// The keys and keyrings in a keyring.
pub(super) fn members(ring: Serial) -> io::Result<Vec<Serial>> {
    let bytes = filled(READ, ring)?;
    let serials = bytes.chunks_exact(size_of::<i32>());
    Ok(serials.map(|bytes| Serial(i32::from_ne_bytes(bytes.try_into().expect("as many bytes")))).collect())
}

/// A key's type and name.
pub(super) fn describe(key: Serial) -> io::Result<Description> {
    let bytes = filled(DESCRIBE, key)?;
    let text = CStr::from_bytes_until_nul(&bytes).map_err(io::Error::other)?.to_string_lossy().into_owned();
    description_of(&text).ok_or_else(|| io::Error::other(text))
}

/// `TYPE;UID;GID;PERMISSIONS;NAME`.
fn description_of(text: &str) -> Option<Description> {
    let mut fields = text.splitn(5, ';');
    let kind = fields.next()?.to_owned();
    Some(Description { kind, name: fields.nth(3)?.to_owned() })
}

/// The answer of an operation that fills memory, however long it is.
fn filled(operation: c_long, key: Serial) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0_u8; 4096];
    loop {
        // SAFETY: the kernel writes at most as many bytes as it is told that the buffer has.
        let answer = unsafe {
            libc::syscall(libc::SYS_keyctl, operation, c_long::from(key.0), buffer.as_mut_ptr(), buffer.len())
        };
        let needed = usize::try_from(answer).map_err(|_| io::Error::last_os_error())?;
        if needed <= buffer.len() {
            buffer.truncate(needed);
            return Ok(buffer);
        }
        buffer.resize(needed, 0);
    }
}

/// Adds a certificate to a keyring, under the name that the kernel gives it.
pub(super) fn add_certificate(ring: Serial, der: &[u8]) -> io::Result<Serial> {
    let (kind, name) = (c"asymmetric", c"");
    // SAFETY: the strings and the payload outlive the call, which only reads them.
    let answer = unsafe {
        libc::syscall(libc::SYS_add_key, kind.as_ptr(), name.as_ptr(), der.as_ptr(), der.len(), c_long::from(ring.0))
    };
    i32::try_from(Errno::result(answer)?).map(Serial).map_err(io::Error::other)
}

/// Closes a keyring: nothing can be added to it any more.
pub(super) fn restrict(ring: Serial) -> io::Result<()> {
    let none = std::ptr::null::<u8>();
    // SAFETY: without a type and a restriction there is nothing to be read.
    let answer = unsafe { libc::syscall(libc::SYS_keyctl, RESTRICT_KEYRING, c_long::from(ring.0), none, none) };
    Ok(Errno::result(answer).map(drop)?)
}

/// Whether a keyring takes keys, found out with one that it does not keep.
pub(super) fn takes(ring: Serial, key: Serial) -> io::Result<bool> {
    let call = |operation: c_long| {
        // SAFETY: both operations take two serial numbers, and touch no memory.
        let answer = unsafe { libc::syscall(libc::SYS_keyctl, operation, c_long::from(key.0), c_long::from(ring.0)) };
        Errno::result(answer)
    };
    match call(LINK) {
        Ok(_) => Ok(call(UNLINK).map(|_| true)?),
        Err(Errno::EPERM | Errno::EACCES | Errno::EOPNOTSUPP | Errno::ENOKEY) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

impl From<linux_keyutils::Key> for Serial {
    fn from(key: linux_keyutils::Key) -> Self {
        Self(key.get_id().as_raw_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyring_is_found_by_its_name_in_the_list() {
        let keys = "\
            0a1b2c3d I------     1 perm 1f0b0000     0     0 keyring   .platform: empty\n\
            1f2e3d4c I------     1 perm 1f0f0000     0     0 keyring   .dm-verity: 2\n\
            3b4c5d6e I--Q---     4 perm 3f030000     0     0 keyring   _ses: 1\n\
            2b4c5d6e I------     1 perm 1f010000     0     0 asymmetri .dm-verity: X509.rsa 01 []\n\
            short\n";
        assert_eq!(find_in(keys, ".dm-verity"), Some(Serial(0x1f2e_3d4c)));
        assert_eq!(find_in(keys, ".platform"), Some(Serial(0x0a1b_2c3d)));
        assert_eq!(find_in(keys, "_ses"), Some(Serial(0x3b4c_5d6e)));
        for name in [".machine", ".dm", "", "short"] {
            assert_eq!(find_in(keys, name), None, "{name}");
        }
    }

    #[test]
    fn a_name_may_have_semicolons() {
        let found = description_of("asymmetric;0;0;1f010000;CN; a: b").unwrap();
        assert_eq!((found.kind.as_str(), found.name.as_str()), ("asymmetric", "CN; a: b"));
        assert_eq!(description_of("keyring;0;0"), None);
    }
}
