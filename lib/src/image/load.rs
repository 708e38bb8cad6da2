//! The parameters that an image itself has.

use std::path::Path;

use super::handle::Image;
use crate::error::{Area, Error, Result};
use crate::format::{Fec, FecArea, Layout, Params, ParamsBuilder, SUPERBLOCK_SIZE, Superblock, check_offset};
use crate::io::Device;
use crate::tree;
use crate::value::RootHash;

/// Reads the superblock at byte `hash_offset` of the hash device. `fec` is not on disk and is taken over as it is.
///
/// No root hash covers the superblock. An attacker who can write to the hash device can change it so that the image
/// still verifies with the root hash that is trusted: it can say that there are fewer blocks, or that hash blocks of
/// the tree are the data. If that matters, compare the parameters with what is known from elsewhere:
/// [`Expected`](crate::Expected).
///
/// # Errors
/// [`Error::Superblock`] with the reason, when there is none or none that can be used; [`Error::Open`],
/// [`Error::NotDevice`] and [`Error::Io`].
///
/// # Examples
/// ```
/// use dmverity::{Devices, Error, Params, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| directory.path().join(name);
/// # std::fs::write(path("data.img"), [7; 40960])?;
/// # let devices = Devices::new(path("data.img"), path("hash.img"));
/// # dmverity::format(&devices, Params::builder(), &Work::default())?;
/// let params = dmverity::load(&path("hash.img"), 0, None)?;
/// assert_eq!((params.data_blocks(), params.algorithm().name()), (10, "sha256"));
///
/// // There is no superblock on the data device.
/// match dmverity::load(&path("data.img"), 0, None) {
///     Err(Error::Superblock { source, .. }) => assert!(matches!(*source, Error::NotVerity)),
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
pub fn load(hash: impl AsRef<Path>, hash_offset: u64, fec: Option<Fec>) -> Result<Params> {
    let hash = hash.as_ref();
    load_from(&Device::open(hash)?, hash_offset, fec)
}

fn load_from(hash: &Device<'_>, hash_offset: u64, fec: Option<Fec>) -> Result<Params> {
    let unusable = |source| Error::Superblock { path: hash.path().to_owned(), source: Box::new(source) };
    check_offset(Area::Hash, hash_offset).map_err(unusable)?;
    if hash.bytes().saturating_sub(hash_offset) < SUPERBLOCK_SIZE as u64 {
        return Err(unusable(Error::NotVerity));
    }
    let mut bytes = [0; SUPERBLOCK_SIZE];
    hash.read_at(&mut bytes, hash_offset)?;
    let superblock = Superblock::parse(&bytes).map_err(unusable)?;
    let params = ParamsBuilder::from_superblock(&superblock, hash_offset, fec)?;
    // A tree that no device can hold is as hostile as any other field.
    Layout::new(&params).map_err(unusable)?;
    Ok(params)
}

impl Image<'_> {
    /// What [`load()`](crate::load()) does, on an image that is open.
    ///
    /// # Errors
    /// As for that function.
    pub fn load(&self, hash_offset: u64, fec: Option<Fec>) -> Result<Params> {
        load_from(&self.hash, hash_offset, fec)
    }

    /// What [`unverified_root_hash()`](crate::unverified_root_hash()) does, on an image that is open.
    ///
    /// # Errors
    /// As for that function.
    pub fn unverified_root_hash(&self, params: &Params) -> Result<RootHash> {
        top_digest(&self.hash, params)
    }

    /// Where the FEC area is, and what it covers, as [`fec_area()`](crate::fec_area()) says it of paths; `None` without
    /// FEC.
    pub fn fec_area(&self, layout: &Layout) -> Option<FecArea> {
        layout.fec_area_on(self.hash.bytes(), self.shared().hash_and_fec)
    }
}

/// The digest of the top hash block as it is on the hash device: the root hash of an image whose tree is intact.
/// Nothing is verified, neither data nor tree.
///
/// # Errors
/// [`Error::NoTree`] for an image of one data block; [`Error::DeviceTooSmall`], [`Error::Open`], [`Error::NotDevice`]
/// and [`Error::Io`].
pub fn unverified_root_hash(hash: impl AsRef<Path>, params: &Params) -> Result<RootHash> {
    top_digest(&Device::open(hash.as_ref())?, params)
}

fn top_digest(hash: &Device<'_>, params: &Params) -> Result<RootHash> {
    let layout = Layout::new(params)?;
    if layout.levels().is_empty() {
        return Err(Error::NoTree { path: hash.path().to_owned() });
    }
    hash.check_size(layout.hash_end())?;
    tree::top_digest(&layout, hash)
}
