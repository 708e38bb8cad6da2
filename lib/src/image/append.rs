//! An image that is one file: data, then superblock and hash tree, then, if requested, parity. To make one, or to make
//! it again, only the file and its length are needed.
//!
//! ```text
//! data ... | zeros to a whole block | superblock | pad | hash tree | parity
//!                                   ^ hash offset                  ^ FEC offset
//! ```
//! While it is made, a [`Mark`] is in the superblock's place or, if there will be no superblock, after everything else.
//! It records how long the data are and how long the file is going to be. The next [`append()`] that finds one knows
//! that a tree is unfinished, and removes it, unless the file has another length than recorded: then it contains more
//! than the tree.
//!
//! A finished tree is known by its superblock, or, where it has none, by its digests of the data: see [`plain`].

mod data;
mod file_system;
mod plain;
mod staked;

use std::path::Path;

use super::devices::{Devices, identify_if_there};
use super::format::{Formatted, format_checked};
use super::handle::Image;
use super::scan::Scan;
use super::targets::{Targets, check_new_files};
use crate::error::{Area, Error, Result};
use crate::format::{AppendedFec, Hashing, Plan, SharedDevices};
use crate::io::Device;
use crate::tree;
use crate::work::Work;
pub(super) use data::Data;
use staked::Staked;

/// What [`append`] made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Appended {
    /// The image.
    pub formatted: Formatted,
    /// Where everything is.
    pub plan: Plan,
    /// Where the earlier or unfinished tree began that this one has replaced.
    pub replaced: Option<u64>,
}

/// Sizes and offsets of the image that [`append`] would make of this file, which is only read.
///
/// # Errors
/// Those of [`append`] that come before anything is written.
pub fn plan_append(image: impl AsRef<Path>, hashing: Hashing, fec: Option<&AppendedFec>) -> Result<Plan> {
    Image::one_file(image)?.plan_append(hashing, fec)
}

/// Computes what [`append`] would make of this file, which is only read.
///
/// # Errors
/// Those of [`append`] that come before anything is written, except for files that cannot be written to or are in use.
pub fn append_dry_run(
    image: impl AsRef<Path>,
    hashing: Hashing,
    fec: Option<&AppendedFec>,
    work: &Work<'_>,
) -> Result<Appended> {
    Image::one_file(image)?.append_dry_run(hashing, fec, work)
}

/// Pads the file `image` with zeros to whole data blocks and puts superblock and hash tree after them, and the parity
/// after those or into a device of its own, as `fec` says.
///
/// ```
/// use dmverity::{Devices, Hashing, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let image = directory.path().join("image");
/// # std::fs::write(&image, [7; 10_000])?;
/// let made = dmverity::append(&image, Hashing::default(), None, &Work::default())?;
/// assert_eq!((made.plan.padding_bytes, made.plan.total_bytes), (2288, 12_288 + 8192));
///
/// // The file and the root hash are all that is needed:
/// let params = dmverity::load(&image, dmverity::find_hash_offset(&image)?, None)?;
/// let devices = Devices::new(&image, &image);
/// assert!(dmverity::verify(&devices, &params, &made.formatted.root_hash, &Work::default())?.is_good());
/// # Ok(())
/// # }
/// ```
///
/// A tree that an earlier call has made, and its parity, are replaced. If the file ends with one, a few MiB are read to
/// find it; if not, the whole file is searched, except its holes. Any other bytes after a tree are refused. A tree
/// without superblock is recognized by its salt, algorithm and block sizes, if `hashing` has the same. One with others
/// is refused if the new tree has no superblock either and the file ends with what looks like a tree. After an error
/// the file is as it was before, except that an older tree is gone. A killed process leaves nothing that loads, and the
/// next call replaces what it left.
///
/// # Errors
/// Those of [`format()`](crate::format()) and [`Plan::one_image`]; [`Error::NotDevice`] and [`Error::NotFile`] for
/// anything but a regular file; [`Error::SeveralHashAreas`]; [`Error::BehindHashArea`] for bytes of unknown meaning
/// after a tree, [`Error::UnfinishedHashArea`] for an unfinished one in a file whose length has been changed since,
/// [`Error::FileSystemTooLarge`] for a file system that has been grown into the tree, [`Error::Changed`] for a file
/// that becomes longer or shorter meanwhile, [`Error::PlainTree`] for what looks like a tree without superblock, and
/// [`Error::DeviceTooSmall`] for a tree that is not all there.
pub fn append(
    image: impl AsRef<Path>,
    hashing: Hashing,
    fec: Option<&AppendedFec>,
    work: &Work<'_>,
) -> Result<Appended> {
    Image::one_file_to_write(image)?.append(hashing, fec, work)
}

/// Data and hash tree in one.
impl<'s> Image<'s> {
    /// Sizes and offsets of the image that [`append`](Self::append) would make; nothing is written.
    ///
    /// # Errors
    /// Those of [`append`](Self::append) that come before anything is written.
    pub fn plan_append(&mut self, hashing: Hashing, fec: Option<&AppendedFec>) -> Result<Plan> {
        Ok(self.plan(hashing, fec, &Work::default())?.1)
    }

    /// Computes what [`append`](Self::append) would make; nothing is written.
    ///
    /// # Errors
    /// Those of [`append`](Self::append) that come before anything is written.
    pub fn append_dry_run(&mut self, hashing: Hashing, fec: Option<&AppendedFec>, work: &Work<'_>) -> Result<Appended> {
        let (data, plan) = self.plan(hashing, fec, work)?;
        let new = self.new_files(fec);
        let targets = self.append_targets(fec, &new, false)?;
        targets.check(&plan.layout, Some(plan.hash_device_bytes))?;
        // As it would be: without an older tree, and with zeros to the next whole block.
        let mut device = self.data.clone();
        device.pad(data.bytes, plan.layout.params().data_bytes());
        let formatted = Formatted {
            layout: plan.layout.clone(),
            fec_area: plan.fec_area.clone(),
            root_hash: tree::compute(&plan.layout, &device, work)?,
            uncovered_bytes: 0,
            padding_bytes: plan.padding_bytes,
        };
        Ok(Appended { formatted, plan, replaced: data.replaced })
    }

    /// What [`append()`](crate::append()) does, on an open image, which is searched for an older tree only once.
    ///
    /// # Errors
    /// As for that function.
    pub fn append(&mut self, hashing: Hashing, fec: Option<&AppendedFec>, work: &Work<'_>) -> Result<Appended> {
        let (data, plan) = self.plan(hashing, fec, work)?;
        let new = self.new_files(fec);
        let mut targets = self.append_targets(fec, &new, true)?;
        targets.check(&plan.layout, Some(plan.hash_device_bytes))?;
        self.scan = None;
        let staked = Staked::new(self.data.clone(), &data, &plan)?;
        let mut device = self.data.clone();
        device.look_again()?;
        for target in [&mut targets.hash, &mut targets.fec].into_iter().flatten() {
            target.look_again()?;
        }
        let builder = plan.layout.params().to_builder();
        let checked = targets.check_format(fec.is_some(), &device, builder, Some(plan.hash_device_bytes))?;
        let formatted = format_checked(device, targets, Some(&new), checked, &mut self.claims, work)?;
        staked.keep(&plan)?;
        self.look_again()?;
        // The length before room was made.
        let formatted = Formatted { padding_bytes: plan.padding_bytes, ..formatted };
        Ok(Appended { formatted, plan, replaced: data.replaced })
    }

    fn plan(&mut self, hashing: Hashing, fec: Option<&AppendedFec>, work: &Work<'_>) -> Result<(Data, Plan)> {
        if !self.data.can_grow() || !self.shared().data_and_hash {
            return Err(Error::NotFile { path: self.data.path().to_owned() });
        }
        let scan = match self.scan.take() {
            Some(scan) => scan,
            None => Scan::of(&self.data, work)?,
        };
        let scan = self.scan.insert(scan);
        let data = Data::of(&self.data, scan, &hashing)?;
        // A storage of the parity's own is there already.
        let own = self.fec.as_ref().map(|own| own.path().to_owned());
        let fec = fec.map(|fec| AppendedFec { roots: fec.roots, device: own.or_else(|| fec.device.clone()) });
        let plan =
            Plan::one_image(hashing, data.bytes, fec.as_ref()).map_err(|error| error.on_device(self.data.path()))?;
        Ok((data, plan))
    }

    /// The paths of all three devices; those that do not exist yet are created there.
    pub(super) fn new_files(&self, fec: Option<&AppendedFec>) -> Devices {
        let image = self.data.path();
        let fec = fec.map(|fec| fec.device.as_deref().unwrap_or(image).to_owned());
        Devices { fec, ..Devices::new(image, image) }
    }

    /// What is written to.
    pub(super) fn append_targets(
        &mut self,
        fec: Option<&AppendedFec>,
        new: &Devices,
        write: bool,
    ) -> Result<Targets<'s>> {
        let fec = match (fec, &self.fec, fec.and_then(|fec| fec.device.as_deref())) {
            (None, ..) => None,
            (Some(_), Some(own), _) => Some(own.clone()),
            (Some(_), None, None) => Some(self.data.clone()),
            (Some(_), None, Some(path)) => {
                check_new_files(new)?;
                match identify_if_there(path)? {
                    None => None,
                    Some(identity) if self.data.is(identity) => Some(self.data.clone()),
                    Some(_) if write => Some(Device::open_target(path, Area::Fec, &mut self.claims)?),
                    Some(_) => Some(Device::open(path)?),
                }
            }
        };
        let in_image = fec.as_ref().is_some_and(|fec| fec.is_same(&self.data));
        let shared = SharedDevices { data_and_hash: true, hash_and_fec: in_image, data_and_fec: in_image };
        Ok(Targets { shared, hash: Some(self.data.clone()), fec })
    }
}

#[cfg(test)]
mod tests;
