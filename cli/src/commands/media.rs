//! What the devices of an existing image are read from: paths, and files on web servers, each of which is opened once.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dmverity::{Devices, Fec, Image, Params, Parts, ReadAt, Storage};

use super::cannot_read;
use super::web::{self, FetchedFields, Remote};
use crate::arguments::{HashOffset, WebOptions};
use crate::failure::Result;
use crate::url::is_url;

/// The files on web servers that are open, by the names that messages have. Every other name is a path.
#[derive(Clone, Default)]
pub(super) struct Media(Arc<Vec<(PathBuf, Arc<Remote>)>>);

impl Media {
    /// Opens those of these names that are URLs, in this order.
    pub(super) fn open<'a>(options: &WebOptions, names: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let mut opened: Vec<(PathBuf, Arc<Remote>)> = Vec::new();
        let mut cache = None;
        for name in names.into_iter().filter(|name| is_url(name)) {
            if opened.iter().any(|(known, _)| known == name) {
                continue;
            }
            let cache = match &mut cache {
                Some(cache) => cache,
                none => none.insert(web::cache(options)?),
            };
            opened.push((name.to_owned(), Arc::new(web::open(options, name, cache.as_ref())?)));
        }
        Ok(Self(Arc::new(opened)))
    }

    /// The file on a web server that has this name.
    fn remote(&self, name: &Path) -> Option<&Arc<Remote>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, remote)| remote)
    }

    fn storage(&self, name: &Path) -> Option<Storage<'static>> {
        Some(Storage::Shared(Arc::clone(self.remote(name)?) as Arc<dyn ReadAt>))
    }

    /// Whether this is on a web server.
    pub(super) fn is_remote(&self, name: &Path) -> bool {
        self.remote(name).is_some()
    }

    /// What can be read at this name.
    pub(super) fn reader(&self, name: &Path) -> Result<Arc<dyn ReadAt>> {
        if let Some(remote) = self.remote(name) {
            return Ok(Arc::clone(remote) as Arc<dyn ReadAt>);
        }
        Ok(Arc::new(File::open(name).map_err(|error| cannot_read(name, &error))?))
    }

    /// The size in bytes.
    pub(super) fn size(&self, name: &Path) -> dmverity::Result<u64> {
        match self.remote(name).map(ReadAt::size) {
            Some(Ok(bytes)) => Ok(bytes),
            _ => dmverity::device_size(name),
        }
    }

    /// Whether the devices exist, can be read, and are devices.
    pub(super) fn check<'a>(&self, names: impl IntoIterator<Item = &'a Path>) -> Result<()> {
        names.into_iter().try_for_each(|name| Ok(self.size(name).map(drop)?))
    }

    /// The parameters in a superblock, see [`dmverity::load`].
    pub(super) fn load(&self, hash: &Path, offset: u64, fec: Option<Fec>) -> dmverity::Result<Params> {
        self.image(&Devices::new(hash, hash))?.load(offset, fec)
    }

    /// Where the hash area begins, which is looked for if that is requested.
    pub(super) fn hash_offset(&self, offset: HashOffset, hash: &Path) -> Result<u64> {
        match offset {
            HashOffset::At(offset) => Ok(offset),
            HashOffset::Auto => Ok(self.image(&Devices::new(hash, hash))?.locate()?),
        }
    }

    /// Opens an image for reading.
    pub(super) fn image(&self, devices: &Devices) -> dmverity::Result<Image<'static>> {
        Image::at_storages(devices, |name| self.storage(name))
    }

    /// Opens parts of a disk image for reading.
    pub(super) fn parts(&self, disk: &Path, parts: &Parts) -> dmverity::Result<Image<'static>> {
        match self.storage(disk) {
            Some(storage) => Image::in_parts(storage, parts),
            None => Image::of_parts(disk, parts),
        }
    }

    /// What was fetched until now; `None` if nothing is on a web server.
    pub(super) fn fetched(&self) -> Option<FetchedFields> {
        FetchedFields::of(self.0.iter().map(|(_, remote)| &**remote))
    }
}
