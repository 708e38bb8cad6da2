//! Files for what is needed only for a while, and files that take the place of another one once they are complete.

use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, tempfile_in};

use super::place::directory_of;
use super::{Device, check_creatable, identify};
use crate::error::{Area, Error, Result};

impl Device<'static> {
    /// A file without a name, which is gone when nothing has it open.
    pub(crate) fn unnamed_in(directory: &Path) -> Result<Self> {
        let name = PathBuf::from(format!("temporary file in {}", directory.display()));
        let file = tempfile_in(directory).map_err(Error::io("create", &name))?;
        Self::of_file(file, &name, None)
    }
}

/// A file that appears at its path when it is complete. Until then it has another name in the same directory, from
/// which it is removed if it never is.
#[derive(Debug)]
pub(crate) struct Replacement {
    file: NamedTempFile,
    path: PathBuf,
}

impl Replacement {
    /// A file that will be at `path`, readable and writable by its owner alone, in place of any file there.
    ///
    /// # Errors
    /// [`Error::NotDevice`] if something else is there, [`Error::NotWritable`], [`Error::AmongDeviceNodes`],
    /// [`Error::Open`].
    pub(crate) fn of(path: &Path, area: Area) -> Result<(Self, Device<'static>)> {
        // What a link leads to is replaced, not the link.
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match identify(&place) {
            Ok(_) => {}
            Err(Error::NotDevice { .. }) => return Err(Error::NotDevice { path: path.to_owned() }),
            Err(_) => check_creatable(path, area)?,
        }
        let failed = |source| Error::NotWritable { area, path: path.to_owned(), source };
        let file = NamedTempFile::new_in(directory_of(&place)).map_err(failed)?;
        let device = Device::of_file(file.as_file().try_clone().map_err(failed)?, path, None)?;
        Ok((Self { file, path: place }, device))
    }

    /// Puts the file in its place. Its contents have to be on stable storage.
    pub(crate) fn put(self) -> Result<()> {
        self.file.persist(&self.path).map(drop).map_err(|error| Error::io("create", &self.path)(error.error))
    }
}
