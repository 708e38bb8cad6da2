//! An image some of whose data have changed: its tree and parity are made to fit again, and only what the changes touch
//! is read, hashed and written.
//!
//! The data device has the new data already, and the caller says where they differ. Everything else is as the old tree
//! says, which the old root hash has to prove: the hash blocks above a changed block are read from the root downwards,
//! each compared with its digest before its other digests are used again. Data blocks that are neither changed nor
//! needed for the parity are not read: a change that the caller does not name stays unnoticed, and
//! [`verify`](crate::verify) with the new root hash finds it.
//!
//! All of this is done before anything is written. [`write`] has the order of writes, and [`recover`] goes back to
//! where an interrupted update began. What an interrupted update leaves depends on where the tree is:
//!
//! | tree | after an interruption |
//! |---|---|
//! | in a file with a superblock | nothing loads; the next update undoes what was written, and does it again |
//! | in a file without superblock | the old root hash is refused; the next update does the same |
//! | on a block device or partition | nothing loads or verifies; the next update does it again, or refuses to |
//!
//! Without a journal there is no way back from a tree that is half written: the old digests of the changed blocks are
//! gone, and without them the old root hash proves nothing.

mod changes;
mod journal;
mod recover;
mod write;

use std::ops::Range;

use super::devices::Devices;
use super::handle::Image;
use crate::error::{Error, Result};
use crate::fec;
use crate::format::{Fec, Layout, Params, ParamsBuilder, SUPERBLOCK_SIZE};
use crate::image::load::load;
use crate::io::{Device, Overlay};
use crate::tree::{self, ProvenTree, UpdatedTree};
use crate::value::RootHash;
use crate::work::{Progress, Work};
pub use changes::Changes;
use recover::Left;

/// What [`update()`](crate::update()) did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Updated {
    /// The root hash of the image as it is now.
    pub root_hash: RootHash,
    /// How many data blocks were hashed: those that have a byte of a range.
    pub hashed_blocks: u64,
    /// How many of them are others than before.
    pub data_blocks: u64,
    /// How many hash blocks were written.
    pub hash_blocks: u64,
    /// How many bytes of parity were written.
    pub parity_bytes: u64,
    /// Whether an interrupted update was undone before.
    pub undone: bool,
}

/// Makes hash tree and parity fit data that have changed in some places. The result is what a
/// [`format()`](crate::format()) of the new data makes with the same salt and UUID, provided that nothing else was
/// wrong with the image.
///
/// Only the changed blocks and the hash blocks above them are read and hashed, and nothing is written before the old
/// root hash has proven all that is used again. Parity is changed by the difference between old and new data, if the
/// caller has the old data, see [`Changes::with_old_data`]; parity that was damaged before then stays damaged. Without
/// the old data the parity concerned is made anew from all of its blocks, each of which has to be right.
///
/// An interrupted update leaves nothing that loads, and can be done again where the hash device is a file: it extends
/// the file while it writes, by what it is going to overwrite. [`load_to_update`] loads what it has left. Elsewhere
/// updating again is refused with [`Error::UnfinishedUpdate`] once a hash block has been written.
///
/// # Errors
/// [`Error::OutsideData`](crate::Error::OutsideData) for a range beyond the data;
/// [`Error::WrongRoot`](crate::Error::WrongRoot) if the tree is not that of the old root hash;
/// [`Error::Unproven`](crate::Error::Unproven) for a block that is needed and is not what the old tree says;
/// [`Error::DeviceTooSmall`](crate::Error::DeviceTooSmall), and for devices that cannot be written to or are in use the
/// errors of [`format()`](crate::format()). After these the image is as it was.
///
/// # Examples
/// ```
/// use dmverity::{Changes, Devices, Params, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| directory.path().join(name);
/// # std::fs::write(path("data.img"), [7; 409_600])?;
/// let devices = Devices::new(path("data.img"), path("hash.img"));
/// let old = dmverity::format(&devices, Params::builder(), &Work::default())?.root_hash;
///
/// // A builder changes a file in the image.
/// let mut data = std::fs::read(&devices.data)?;
/// data[50_000..50_100].fill(8);
/// std::fs::write(&devices.data, data)?;
/// let params = dmverity::load_to_update(&devices.hash, 0, None)?;
/// let changes = Changes::default().with_range(50_000..50_100);
/// let updated = dmverity::update(&devices, &params, &old, &changes, &Work::default())?;
/// assert_eq!((updated.data_blocks, updated.hash_blocks), (1, 1));
/// assert!(dmverity::verify(&devices, &params, &updated.root_hash, &Work::default())?.is_good());
/// # Ok(())
/// # }
/// ```
pub fn update(
    devices: &Devices,
    params: &Params,
    old_root_hash: &RootHash,
    changes: &Changes<'_>,
    work: &Work<'_>,
) -> Result<Updated> {
    Image::at_to_update(devices)?.update(params, old_root_hash, changes, work)
}

/// What [`load`](crate::load) does, and if an update was interrupted, what the image's superblock was.
///
/// # Errors
/// As for that function.
pub fn load_to_update(hash: impl AsRef<std::path::Path>, hash_offset: u64, fec: Option<Fec>) -> Result<Params> {
    let hash = hash.as_ref();
    load(hash, hash_offset, fec).or_else(|error| {
        if !matches!(&error, Error::Superblock { source, .. } if matches!(**source, Error::NotVerity)) {
            return Err(error);
        }
        kept_by_update(&Device::open(hash)?, hash_offset, fec)?.ok_or(error)
    })
}

/// The parameters that the mark of an interrupted update keeps, if there is one.
fn kept_by_update(hash: &Device<'_>, hash_offset: u64, fec: Option<Fec>) -> Result<Option<Params>> {
    let mut bytes = [0; SUPERBLOCK_SIZE];
    if hash.bytes().saturating_sub(hash_offset) < bytes.len() as u64 {
        return Ok(None);
    }
    hash.read_at(&mut bytes, hash_offset)?;
    let Some((superblock, _)) = super::mark::Mark::read_update(hash_offset, &bytes) else { return Ok(None) };
    let params = ParamsBuilder::from_superblock(&superblock, hash_offset, fec)?;
    Layout::new(&params)?;
    Ok(Some(params))
}

/// What an update begins with.
struct Looked {
    layout: Layout,
    /// The data blocks in which something has changed, in order and apart.
    blocks: Vec<Range<u64>>,
    left: Option<Left>,
}

/// What an update is going to write.
struct Computed {
    updated: tree::Updated,
    parity: Overlay,
    hashed_blocks: u64,
}

impl Computed {
    fn report(&self, undone: bool) -> Updated {
        Updated {
            root_hash: self.updated.root_hash.clone(),
            hashed_blocks: self.hashed_blocks,
            data_blocks: self.updated.data.iter().map(|range| range.end - range.start).sum(),
            hash_blocks: self.updated.blocks.count(),
            parity_bytes: self.parity.bytes(),
            undone,
        }
    }
}

/// An image whose data have changed.
impl Image<'_> {
    /// What [`update()`](crate::update()) does, on an image that is open.
    ///
    /// # Errors
    /// As for that function.
    pub fn update(
        &mut self,
        params: &Params,
        old_root_hash: &RootHash,
        changes: &Changes<'_>,
        work: &Work<'_>,
    ) -> Result<Updated> {
        let Looked { layout, blocks, left } = self.look(params, changes)?;
        let undone = left.is_some();
        if let Some(left) = left {
            left.undo(self, &layout, old_root_hash)?;
        }
        let computed = self.computed(&layout, old_root_hash, &blocks, changes, work)?;
        write::write(self, (&layout, old_root_hash), &computed.updated, &computed.parity)?;
        Ok(computed.report(undone))
    }

    /// Computes what [`update`](Self::update) would do, and writes nothing.
    ///
    /// # Errors
    /// Those of [`update`](Self::update) that come before anything is written; [`Error::UnfinishedUpdate`] if an
    /// interrupted update would have to be undone.
    pub fn update_dry_run(
        &self,
        params: &Params,
        old_root_hash: &RootHash,
        changes: &Changes<'_>,
        work: &Work<'_>,
    ) -> Result<Updated> {
        let Looked { layout, blocks, left } = self.look(params, changes)?;
        if left.is_some() {
            return Err(Error::UnfinishedUpdate { path: self.hash.path().to_owned() });
        }
        Ok(self.computed(&layout, old_root_hash, &blocks, changes, work)?.report(false))
    }

    /// Refuses what can be refused without a look at the tree, before an interrupted update is undone.
    fn look(&self, params: &Params, changes: &Changes<'_>) -> Result<Looked> {
        let layout = Layout::new(params)?;
        self.check_sizes(&layout)?;
        let blocks = changes.blocks(params)?;
        let left = Left::find(self, &layout)?;
        Ok(Looked { layout, blocks, left })
    }

    fn computed(
        &self,
        layout: &Layout,
        old_root_hash: &RootHash,
        blocks: &[Range<u64>],
        changes: &Changes<'_>,
        work: &Work<'_>,
    ) -> Result<Computed> {
        let old_data = changes.old_device()?;
        // What there is to be encoded is known when it is known what has changed.
        let place = layout.params().fec().map(|_| self.fec_areas(layout)).transpose()?;
        let hashed_blocks: u64 = blocks.iter().map(|range| range.end - range.start).sum();
        let total = hashed_blocks * layout.params().data_block_size().bytes();
        let mut progress = Progress { done: 0, total };
        let old = ProvenTree::new(layout, &self.hash, old_root_hash, None);
        let updated = tree::update(&old, &self.data, blocks, &mut progress, work)?;
        let parity = match &place {
            None => Overlay::new(0),
            Some(place) => {
                let areas = place.on(self, layout);
                let tree = UpdatedTree { old: &old, updated: &updated };
                fec::update(&areas, tree, old_data.as_ref(), &mut progress, work)?
            }
        };
        Ok(Computed { updated, parity, hashed_blocks })
    }
}

#[cfg(test)]
mod tests;
