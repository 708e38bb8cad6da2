//! The mount: made by the kernel's own call where that is allowed, as for root and in a user namespace, or else by
//! fusermount3.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use fuser::{Config, Session, SessionACL};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{getegid, geteuid};

use super::directory::{Directory, cannot};
use super::helper;
use super::one_file::OneFile;
use crate::failure::{Exit, Failure, Result};
use crate::serving::Wake;

const DEVICE: &str = "/dev/fuse";

/// How many requests of the kernel are answered at a time: a slow block holds up one of them.
const THREADS: usize = 8;

/// A mounted file. It is not left behind.
pub(crate) struct Mount {
    directory: Directory,
    /// Whether it was unmounted, here or by another program.
    is_over: Arc<AtomicBool>,
}

/// How a mount has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unmounted {
    /// Nothing is left of it.
    Gone,
    /// It has no name any more, but programs still use it.
    Detached,
}

impl Mount {
    /// Mounts a file system. `name` is shown as what is mounted; `wake` learns if another program unmounts it.
    pub(crate) fn new(
        directory: Directory,
        name: &Path,
        allow_other: bool,
        system: OneFile,
        wake: Arc<Wake>,
    ) -> Result<Self> {
        let kernel = connect(&directory, name.as_os_str(), allow_other)?;
        let mounted = Self { directory, is_over: Arc::default() };
        let failed = |error: &io::Error| cannot(Exit::Device, mounted.directory.path()).because(error);
        let mut config = Config::default();
        config.n_threads = Some(THREADS);
        // The kernel decides who may read: it knows more about them than their number.
        let session = Session::from_fd(system, kernel, SessionACL::All, config).map_err(|error| failed(&error))?;
        let is_over = Arc::clone(&mounted.is_over);
        let run = move || {
            if let Err(error) = session.run() {
                log::debug!("the kernel's requests cannot be read: {error}");
            }
            is_over.store(true, Ordering::SeqCst);
            wake.stop();
        };
        thread::Builder::new().name("mount".to_owned()).spawn(run).map_err(|error| failed(&error))?;
        Ok(mounted)
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Unmounts it, if no other program has. While it is in use, only its name can be removed.
    pub(crate) fn unmount(&self) -> io::Result<Unmounted> {
        if self.is_over.swap(true, Ordering::SeqCst) {
            return Ok(Unmounted::Gone);
        }
        let path = self.directory.path();
        match umount2(path, MntFlags::UMOUNT_NOFOLLOW) {
            // It is not mounted any more.
            Ok(()) | Err(Errno::EINVAL) => Ok(Unmounted::Gone),
            Err(Errno::EBUSY) => {
                umount2(path, MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_DETACH)?;
                Ok(Unmounted::Detached)
            }
            Err(Errno::EPERM) if helper::unmount(path, false).is_ok() => Ok(Unmounted::Gone),
            Err(Errno::EPERM) => helper::unmount(path, true).map(|()| Unmounted::Detached),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = self.unmount();
    }
}

/// Mounts, and returns the connection to the kernel.
fn connect(directory: &Directory, name: &OsStr, allow_other: bool) -> Result<OwnedFd> {
    let device = match File::options().read(true).write(true).open(DEVICE) {
        Ok(device) => device,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return by_helper(directory, name, allow_other),
        Err(error) => return Err(without_device(directory, &error)),
    };
    let (user, group) = (geteuid(), getegid());
    let allow = if allow_other { ",allow_other" } else { "" };
    let data =
        format!("fd={},rootmode=40000,user_id={user},group_id={group},default_permissions{allow}", device.as_raw_fd());
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    match mount(Some(name), directory.path(), Some("fuse.verity"), flags, Some(data.as_str())) {
        Ok(()) => Ok(device.into()),
        Err(Errno::EPERM) => by_helper(directory, name, allow_other),
        Err(Errno::ENODEV) => Err(without_device(directory, &Errno::ENODEV.into())),
        Err(errno) => Err(cannot(Exit::Device, directory.path()).because(&errno.into())),
    }
}

fn by_helper(directory: &Directory, name: &OsStr, allow_other: bool) -> Result<OwnedFd> {
    let mut options = OsString::from("ro,nosuid,nodev,default_permissions,subtype=verity,fsname=");
    options.push(helper::escaped(name.as_bytes()));
    options.push(if allow_other { ",allow_other" } else { "" });
    helper::mount(directory.path(), &options).map_err(|error| {
        let failure = cannot(Exit::Permission, directory.path());
        if error.kind() == ErrorKind::NotFound {
            return failure
                .hint("this user may not mount, and there is no fusermount3: install it (Debian's package is fuse3).")
                .hint("in a user namespace it is not needed: unshare --user --map-root-user --mount");
        }
        failure.hint(format!("fusermount3: {error}."))
    })
}

/// There is no FUSE on this system, or not in this container.
fn without_device(directory: &Directory, error: &io::Error) -> Failure {
    cannot(Exit::Device, directory.path())
        .because(error)
        .hint(format!("{DEVICE} is needed: load the kernel's module fuse, or pass the device to the container."))
}
