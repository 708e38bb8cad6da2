//! Keeping other processes away from what is written to: a lock on a regular file, and on a block device the exclusive
//! open that mounts and mappings use too.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use super::{Identity, identify, system};
use crate::error::{Error, Result};

/// The targets that one operation writes to. No other process can claim them until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Claims(Vec<(Identity, File)>);

impl Claims {
    /// Whether it is claimed here.
    pub(super) fn have(&self, identity: Identity) -> bool {
        self.0.iter().any(|(claimed, _)| *claimed == identity)
    }

    /// Claims the target of `file`, which was opened for writing at `path`. A target that is claimed already stays
    /// claimed: several paths may lead to one device.
    pub(super) fn take(&mut self, file: &File, path: &Path, identity: Identity) -> Result<()> {
        if self.have(identity) {
            return Ok(());
        }
        let claim = match identity {
            Identity::File(..) => lock(file, path, identity)?,
            Identity::Block(_) => open_exclusively(path, identity)?,
            // Its owner decides about sharing it.
            Identity::Storage(_) => return Ok(()),
        };
        self.0.push((identity, claim));
        Ok(())
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        // Unlocked explicitly: a child that another thread is just starting may keep the descriptor a moment longer.
        for (_, claim) in &self.0 {
            let _ = claim.unlock();
        }
    }
}

/// Locks a file; the lock ends with the last descriptor that comes from this opening of it.
fn lock(file: &File, path: &Path, identity: Identity) -> Result<File> {
    let claim = file.try_clone().map_err(Error::io("lock", path))?;
    let locked = loop {
        match claim.try_lock() {
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            locked => break locked,
        }
    };
    match locked {
        Ok(()) => (),
        Err(TryLockError::WouldBlock) => return Err(Error::DeviceLocked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) if system::has_no_locks(&error) => {
            log::debug!("{} cannot be locked: {error}", path.display());
            return Ok(claim);
        }
        Err(TryLockError::Error(error)) => return Err(Error::io("lock", path)(error)),
    }
    // Before the lock, another process may have removed the file, with what it made there.
    match identify(path) {
        Ok(now) if now == identity => Ok(claim),
        // This says nothing about other processes.
        Err(Error::Open { path, source }) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::Open { path, source })
        }
        _ => Err(Error::DeviceLocked { path: path.to_owned() }),
    }
}

/// Opens a block device exclusively.
///
/// # Errors
/// [`Error::DeviceBusy`] if a mount, a mapping or another exclusive opener holds it; [`Error::Open`].
fn open_exclusively(path: &Path, identity: Identity) -> Result<File> {
    let open_error = |source| Error::Open { path: path.to_owned(), source };
    let busy = || Error::DeviceBusy { path: path.to_owned() };
    let device = system::open_exclusively(path).map_err(open_error)?.ok_or_else(busy)?;
    // The path may have come to mean something else.
    let metadata = device.metadata().map_err(open_error)?;
    if system::identity_of(path, &metadata) == Some(identity) { Ok(device) } else { Err(busy()) }
}

/// Fails with [`Error::DeviceBusy`] if a mount, a mapping or another exclusive opener holds the block device. Files are
/// never held.
#[cfg(feature = "dm")]
pub(crate) fn check_unused(path: &Path, identity: Identity) -> Result<()> {
    match identity {
        Identity::Block(_) => open_exclusively(path, identity).map(drop),
        Identity::File(..) | Identity::Storage(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::super::Device;
    use super::*;

    #[test]
    fn a_file_is_claimed_once_by_whatever_name() {
        let directory = tempfile::tempdir().unwrap();
        let [file, hard, soft] = ["file", "hard", "soft"].map(|name| directory.path().join(name));
        std::fs::write(&file, "data").unwrap();
        std::fs::hard_link(&file, &hard).unwrap();
        std::os::unix::fs::symlink(&hard, &soft).unwrap();
        let mut claims = Claims::default();
        let device = Device::open_to_write(&file, &mut claims).unwrap();
        for path in [&file, &hard, &soft] {
            Device::open_to_write(path, &mut claims).unwrap();
            let refused = Device::open_to_write(path, &mut Claims::default()).unwrap_err();
            assert!(matches!(refused, Error::DeviceLocked { path: named } if named == *path));
            Device::open(path).unwrap();
        }
        assert_eq!(claims.0.len(), 1);
        // It is not the device that keeps it, nor that it was opened.
        drop(device);
        assert!(Device::open_to_write(&file, &mut Claims::default()).is_err());
        drop(claims);
        Device::open_to_write(&hard, &mut Claims::default()).unwrap();
    }

    #[test]
    fn a_file_that_is_not_there_any_more_is_not_claimed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "ours").unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let identity = identify(&path).unwrap();
        let other = directory.path().join("other");
        std::fs::write(&other, "theirs").unwrap();
        std::fs::rename(&other, &path).unwrap();
        for _ in 0..2 {
            let refused = Claims::default().take(&file, &path, identity).unwrap_err();
            assert!(matches!(refused, Error::DeviceLocked { .. }));
            std::fs::remove_file(&path).ok();
        }
    }
}
