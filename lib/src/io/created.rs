//! Files that were created, and are removed again unless they are kept.

use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Claims, Device, file, identify, system};
use crate::error::{Area, Error, Result};

/// Files that this process has created. Those that are not kept are removed, unless something else has their names by
/// then.
#[derive(Debug, Default)]
pub(crate) struct Created(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    path: PathBuf,
    /// Keeps the inode's number from being given to another file.
    file: File,
}

impl Created {
    /// Creates a file that must not exist yet, readable and writable by its owner alone as the reference tool does, and
    /// claims it.
    pub(crate) fn create(&mut self, path: &Path, area: Area, claims: &mut Claims) -> Result<Device<'static>> {
        let file = file::create(path).map_err(|source| {
            let path = path.to_owned();
            // Another process has created it since the check.
            let is_theirs = || identify(&path).is_ok_and(|now| !claims.have(now));
            if source.kind() == ErrorKind::AlreadyExists && is_theirs() {
                Error::DeviceLocked { path }
            } else {
                Error::NotWritable { area, path, source }
            }
        })?;
        let descriptor = match file.try_clone() {
            Ok(descriptor) => descriptor,
            Err(source) => {
                self.0.push(Entry { path: path.to_owned(), file });
                return Err(Error::Open { path: path.to_owned(), source });
            }
        };
        self.0.push(Entry { path: path.to_owned(), file: descriptor });
        let device = Device::of_file(file, path, Some(claims));
        if let Err(Error::DeviceLocked { .. }) = device {
            // Another process has found the file and claimed it first: it belongs to that process now.
            self.0.pop();
        }
        device
    }

    pub(crate) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        for Entry { path, file } in &self.0 {
            if let Err(left) = remove(path, file) {
                log::warn!("cannot remove the unfinished {}: {left}", path.display());
            }
        }
    }
}

fn remove(path: &Path, file: &File) -> std::io::Result<()> {
    let there = path.symlink_metadata()?;
    // Where the system does not tell what was created, nothing was written to it.
    let is_the_same =
        file.metadata().map_or_else(|_| is_as_created(&there), |created| system::is_same(&created, &there));
    if is_the_same {
        return std::fs::remove_file(path);
    }
    log::debug!("{} is another file than the one that was created, and stays", path.display());
    Ok(())
}

fn is_as_created(there: &Metadata) -> bool {
    there.is_file() && there.len() == 0 && system::has_one_name(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_created_goes_and_what_took_its_place_stays() {
        let directory = tempfile::tempdir().unwrap();
        let [path, other] = ["file", "other"].map(|name| directory.path().join(name));
        let create = || {
            let mut created = Created::default();
            let device = created.create(&path, Area::Hash, &mut Claims::default()).unwrap();
            (created, device)
        };
        drop(create());
        assert!(!path.exists());

        let (created, _device) = create();
        std::fs::write(&other, "theirs").unwrap();
        std::fs::rename(&other, &path).unwrap();
        drop(created);
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
        std::fs::remove_file(&path).unwrap();

        // Empty like ours, and made right after ours was removed, so its inode could be reused.
        let (created, device) = create();
        drop(device);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        drop(created);
        assert!(path.exists());
        std::fs::remove_file(&path).unwrap();

        let (created, _device) = create();
        std::os::unix::fs::symlink("nowhere", &other).unwrap();
        std::fs::rename(&other, &path).unwrap();
        drop(created);
        assert!(path.is_symlink());
        std::fs::remove_file(&path).unwrap();

        let (created, _device) = create();
        created.keep();
        assert!(path.exists());
    }

    #[test]
    fn a_file_that_another_process_was_faster_with_is_neither_created_nor_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut theirs = Created::default();
        let mut claims = Claims::default();
        theirs.create(&path, Area::Hash, &mut claims).unwrap();
        let mut created = Created::default();
        let refused = created.create(&path, Area::Hash, &mut Claims::default()).unwrap_err();
        assert!(matches!(refused, Error::DeviceLocked { .. }), "{refused}");
        drop(created);
        assert!(path.exists());
    }
}
