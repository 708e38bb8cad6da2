//! Waiting for udev. When a mapping appears or disappears, the kernel tells udev, whose rules make or remove
//! `/dev/mapper/NAME`. The event carries a cookie: the number of a System V semaphore that the rules count down when
//! they are done.
//!
//! The wait has a limit, and no semaphore is left behind. Source: device-mapper's rules (`95-dm-notify.rules` runs
//! `dmsetup udevcomplete`), and the names in the kernel's `dm-ioctl.h` and libdevmapper's header.
#![allow(unsafe_code)] // System V semaphores have no safe wrapper.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use devicemapper_sys::{
    DM_COOKIE_MAGIC, DM_UDEV_DISABLE_LIBRARY_FALLBACK, DM_UDEV_FLAGS_SHIFT, DM_UDEV_PRIMARY_SOURCE_FLAG,
};
use nix::errno::Errno;
use nix::libc;

/// Where udev listens while it runs.
const CONTROL_SOCKET: &str = "/run/udev/control";

/// How long its rules may take for one event. Nothing is lost if they take longer: the mapping exists.
const LIMIT: Duration = Duration::from_secs(30);

/// How often the wait checks whether the rules are done, and whether udev is still running.
const POLL: Duration = Duration::from_millis(1);
const LOOK: Duration = Duration::from_secs(1);

/// How many numbers are tried for a semaphore that does not exist yet.
const ATTEMPTS: usize = 64;

/// How the wait for udev ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// Its rules have run, or there is no udev that could run any.
    Done,
    /// It died, or took too long.
    GaveUp,
}

/// One event that udev is to confirm. The semaphore is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Cookie {
    number: u32,
    /// `None` if the kernel has no semaphores (left): the rules run, but cannot be waited for.
    semaphore: Option<libc::c_int>,
}

impl Cookie {
    /// A cookie for an event to come, or `None` if there is no udev.
    pub(super) fn create() -> Option<Self> {
        is_alive().then(|| {
            Self::with_semaphore().unwrap_or_else(|errno| {
                log::warn!("cannot wait for udev: {errno}");
                Self { number: 0, semaphore: None }
            })
        })
    }

    fn with_semaphore() -> nix::Result<Self> {
        for _ in 0..ATTEMPTS {
            let mut random = [0; 2];
            // Without random numbers any value will do: a number that is taken is not used.
            let _ = getrandom::fill(&mut random);
            let number = u32::from(u16::from_ne_bytes(random).max(1));
            let key = (DM_COOKIE_MAGIC << DM_UDEV_FLAGS_SHIFT | number).cast_signed();
            // SAFETY: plain numbers, no memory is shared.
            let semaphore = unsafe { libc::semget(key, 1, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
            match Errno::result(semaphore) {
                Ok(semaphore) => {
                    let cookie = Self { number, semaphore: Some(semaphore) };
                    // New semaphores are zero; the rules count one down.
                    let mut one_up = libc::sembuf { sem_num: 0, sem_op: 1, sem_flg: 0 };
                    // SAFETY: one operation, which outlives the call.
                    Errno::result(unsafe { libc::semop(semaphore, &raw mut one_up, 1) })?;
                    return Ok(cookie);
                }
                Err(Errno::EEXIST) => (),
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::EEXIST)
    }

    /// What an ioctl passes to the kernel in `event_nr`: the cookie's number, and flags for the rules. The nodes are
    /// made by the rules or by this library, never by libdevmapper.
    pub(super) fn event_number(&self) -> u32 {
        (DM_UDEV_PRIMARY_SOURCE_FLAG | DM_UDEV_DISABLE_LIBRARY_FALLBACK) << DM_UDEV_FLAGS_SHIFT | self.number
    }

    /// Returns when the rules are done, when udev has died, or at the limit.
    pub(super) fn wait(self) -> Waited {
        let Some(semaphore) = self.semaphore else { return Waited::GaveUp };
        let start = Instant::now();
        let mut next_look = LOOK;
        loop {
            // SAFETY: plain numbers, no memory is shared.
            match Errno::result(unsafe { libc::semctl(semaphore, 0, libc::GETVAL) }) {
                // The second: another process has removed it, as `dmsetup udevcomplete_all` does.
                Ok(0) | Err(Errno::EIDRM | Errno::EINVAL) => return Waited::Done,
                Ok(_) => (),
                Err(errno) => {
                    log::warn!("cannot wait for udev: {errno}");
                    return Waited::GaveUp;
                }
            }
            let waited = start.elapsed();
            if waited >= LIMIT {
                log::warn!("udev has not answered within {} seconds", LIMIT.as_secs());
                return Waited::GaveUp;
            }
            if waited >= next_look {
                if !is_alive() {
                    log::warn!("udev ended while it was waited for");
                    return Waited::GaveUp;
                }
                next_look += LOOK;
            }
            sleep(POLL);
        }
    }
}

impl Drop for Cookie {
    fn drop(&mut self) {
        let Some(semaphore) = self.semaphore else { return };
        // SAFETY: plain numbers, no memory is shared.
        match Errno::result(unsafe { libc::semctl(semaphore, 0, libc::IPC_RMID) }) {
            Ok(_) | Err(Errno::EIDRM | Errno::EINVAL) => (),
            Err(errno) => log::warn!("cannot remove a semaphore: {errno}"),
        }
    }
}

/// Whether a process listens on udev's socket; the socket file outlives a udev that was killed.
fn is_alive() -> bool {
    // The type differs from udev's, so the connection is refused without udev noticing; the errno is another one if no
    // process listens.
    match UnixStream::connect(CONTROL_SOCKET) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused),
    }
}
