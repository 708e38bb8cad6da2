//! Making an image. This module decides the order of writes, and ensures that a refused call writes nothing.

use super::devices::Devices;
use super::handle::Image;
use super::targets::{Checked, Targets};
use crate::error::{Area, Result, WithCauses};
use crate::fec;
use crate::format::{FecArea, Layout, ParamsBuilder, SUPERBLOCK_SIZE, Superblock};
use crate::io::{Claims, Created, Device};
use crate::tree;
use crate::value::RootHash;
use crate::work::{Progress, Work};

/// What [`format()`](crate::format()) made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Formatted {
    /// The parameters with the number of data blocks settled, and where everything was put.
    pub layout: Layout,
    /// Where the parity was put, if there is any.
    pub fec_area: Option<FecArea>,
    /// The root hash.
    pub root_hash: RootHash,
    /// Bytes at the end of the data device that no whole block covers: nothing protects them. Zero when the number of
    /// data blocks was given.
    pub uncovered_bytes: u64,
    /// Zeros that fill a file up to its number of data blocks, if tree and data are one file and the data ended
    /// earlier.
    pub padding_bytes: u64,
}

/// Computes the hash tree over the data device and writes it, with its superblock, to the hash device, and the parity
/// of both to the FEC device, if there is one. A hash or FEC file that does not exist is created, one that is too short
/// is extended; bytes outside the hash and FEC areas stay as they are. Where data and tree are one file that ends
/// before the number of data blocks that was given, zeros fill it up to there.
///
/// No file is created among device nodes: a missing name there is a missing device.
/// [`is_among_device_nodes`](crate::is_among_device_nodes) tells which directories these are.
///
/// Everything is checked before anything is written. From the first write to the last, the hash device holds no valid
/// superblock: an interrupted format leaves nothing that loads. When it returns, all is on stable storage. Until then
/// no other process can format, [append](crate::append()) or [repair](crate::repair()) what is written to.
///
/// # Errors
/// Those of [`ParamsBuilder::build`], [`Layout::new`] and [`Layout::check_overlaps`];
/// [`Error::FecDevice`](crate::Error::FecDevice) for FEC without a device or the other way round;
/// [`Error::FecGap`](crate::Error::FecGap); [`Error::Open`](crate::Error::Open) and
/// [`Error::NotDevice`](crate::Error::NotDevice) for a device that cannot be used;
/// [`Error::NotWritable`](crate::Error::NotWritable) for one that cannot be created or written to,
/// [`Error::AmongDeviceNodes`](crate::Error::AmongDeviceNodes) for one that would be created there;
/// [`Error::DeviceLocked`](crate::Error::DeviceLocked) for a file that another process writes to, and
/// [`Error::DeviceBusy`](crate::Error::DeviceBusy) for a block device that a mount or mapping uses;
/// [`Error::DeviceTooSmall`](crate::Error::DeviceTooSmall) for a hash or FEC device that is too small;
/// [`Error::Io`](crate::Error::Io); [`Error::Cancelled`](crate::Error::Cancelled). After an error during writing, files
/// that were created are removed again, and files that were extended get their length back.
///
/// # Examples
/// ```
/// use dmverity::{BlockSize, Devices, Fec, HashAlgorithm, Params, Salt, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| directory.path().join(name);
/// # std::fs::write(path("data.img"), [7; 40960])?;
/// let (data, hash, fec) = (path("data.img"), path("hash.img"), path("fec.img"));
/// // Leave out what is to be as it is by default; without `fec` in both places there is no parity.
/// let devices = Devices { fec: Some(fec), ..Devices::new(data, hash) };
/// let builder = Params::builder()
///     .algorithm(HashAlgorithm::from_name("sha512")?)
///     .data_block_size(BlockSize::new(1024)?)
///     .hash_block_size(BlockSize::new(1024)?)
///     .salt(Salt::random()?)
///     .fec(Fec::new(2, 0)?);
/// let formatted = dmverity::format(&devices, builder, &Work::default())?;
///
/// // Keep it where an attacker cannot change it.
/// println!("root hash: {}", formatted.root_hash);
/// assert_eq!(formatted.layout.params().data_blocks(), 40);
/// assert_eq!(formatted.uncovered_bytes, 0);
/// # Ok(())
/// # }
/// ```
pub fn format(devices: &Devices, builder: ParamsBuilder, work: &Work<'_>) -> Result<Formatted> {
    let mut claims = Claims::default();
    let targets = Targets::open(devices, &mut claims)?;
    let data = Device::open(&devices.data)?;
    let checked = targets.check_format(devices.fec.is_some(), &data, builder, None)?;
    format_checked(data, targets, Some(devices), checked, &mut claims, work)
}

/// Writes an image that has been checked. A hash or FEC device that does not exist yet is created at its path in `new`.
pub(super) fn format_checked(
    mut data: Device<'_>,
    targets: Targets<'_>,
    new: Option<&Devices>,
    checked: Checked,
    claims: &mut Claims,
    work: &Work<'_>,
) -> Result<Formatted> {
    write_checked(targets, new, checked, claims, |areas| {
        // It may be the hash device, which is longer now.
        data.look_again()?;
        areas.write(&data, work)
    })
}

/// The areas of an image on devices that have room for them.
pub(super) struct Areas<'a, 's> {
    pub(super) layout: &'a Layout,
    pub(super) hash: &'a Device<'s>,
    pub(super) fec: Option<&'a (Device<'s>, FecArea)>,
}

/// The same, with what writes all but the superblock and puts it on stable storage.
pub(super) fn write_checked<'s>(
    targets: Targets<'s>,
    new: Option<&Devices>,
    checked: Checked,
    claims: &mut Claims,
    areas: impl FnOnce(&Areas<'_, 's>) -> Result<RootHash>,
) -> Result<Formatted> {
    let Checked { layout, fec_area, uncovered_bytes, padding_bytes } = checked;
    let mut created = Created::default();
    let hash = match (targets.hash, new) {
        (None, Some(new)) => created.create(&new.hash, Area::Hash, claims)?,
        (hash, _) => hash.expect("it is there, or has a path"),
    };
    let fec = match (targets.fec, new.and_then(|new| new.fec.as_deref().map(|fec| (fec, &new.hash)))) {
        // It may be the hash device, which has been created just now.
        (None, Some((fec, hash_path))) if fec == hash_path => Some(hash.clone()),
        (None, Some((fec, _))) => Some(created.create(fec, Area::Fec, claims)?),
        (fec, _) => fec,
    };
    // Even without tree and superblock, the data in the same file need room.
    let end = if padding_bytes > 0 { layout.hash_end().max(layout.params().data_bytes()) } else { layout.hash_end() };
    let root_hash = write((&layout, end), hash, fec.zip(fec_area.clone()), areas)?;
    created.keep();
    Ok(Formatted { layout, fec_area, root_hash, uncovered_bytes, padding_bytes })
}

/// Computes what [`format()`](crate::format()) would make, and writes nothing: the root hash, the layout and where the
/// parity would go. The hash and FEC device need not exist; an empty path means a hash device that has no name yet.
///
/// # Errors
/// Those of [`format()`](crate::format()) that come before anything is written, except for devices that cannot be
/// written to or are in use.
///
/// # Examples
/// ```
/// use dmverity::{Devices, Params, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let data = directory.path().join("data.img");
/// # std::fs::write(&data, [7; 40960])?;
/// let planned = dmverity::dry_run(&Devices::new(&data, ""), Params::builder(), &Work::default())?;
/// # let devices = Devices::new(&data, directory.path().join("hash.img"));
/// assert_eq!(planned.root_hash, dmverity::format(&devices, Params::builder(), &Work::default())?.root_hash);
/// # Ok(())
/// # }
/// ```
pub fn dry_run(devices: &Devices, builder: ParamsBuilder, work: &Work<'_>) -> Result<Formatted> {
    let targets = Targets::look(devices)?;
    dry_run_on(Device::open(&devices.data)?, &targets, devices.fec.is_some(), builder, work)
}

pub(super) fn dry_run_on(
    mut data: Device<'_>,
    targets: &Targets<'_>,
    has_fec_device: bool,
    builder: ParamsBuilder,
    work: &Work<'_>,
) -> Result<Formatted> {
    let Checked { layout, fec_area, uncovered_bytes, padding_bytes } =
        targets.check_format(has_fec_device, &data, builder, None)?;
    if padding_bytes > 0 {
        data.pad(data.bytes(), layout.params().data_bytes());
    }
    let root_hash = tree::compute(&layout, &data, work)?;
    Ok(Formatted { layout, fec_area, root_hash, uncovered_bytes, padding_bytes })
}

impl<'s> Image<'s> {
    /// What [`format()`](crate::format()) does, on existing storage: storage with room for an area keeps its length,
    /// storage without is extended.
    ///
    /// # Errors
    /// As for that function.
    pub fn format(&mut self, builder: ParamsBuilder, work: &Work<'_>) -> Result<Formatted> {
        let targets = self.targets();
        let checked = targets.check_format(self.fec.is_some(), &self.data, builder, None)?;
        let formatted = format_checked(self.data.clone(), targets, None, checked, &mut Claims::default(), work);
        self.look_again()?;
        formatted
    }

    /// Computes what [`format`](Self::format) would make, and writes nothing.
    ///
    /// # Errors
    /// Those of [`format`](Self::format) that come before anything is written.
    pub fn dry_run(&self, builder: ParamsBuilder, work: &Work<'_>) -> Result<Formatted> {
        dry_run_on(self.data.clone(), &self.targets(), self.fec.is_some(), builder, work)
    }

    fn targets(&self) -> Targets<'s> {
        Targets { shared: self.shared(), hash: Some(self.hash.clone()), fec: self.fec.clone() }
    }
}

fn write<'s>(
    (layout, end): (&Layout, u64),
    mut hash: Device<'s>,
    mut fec: Option<(Device<'s>, FecArea)>,
    areas: impl FnOnce(&Areas<'_, 's>) -> Result<RootHash>,
) -> Result<RootHash> {
    let former = (hash.bytes(), fec.as_ref().map(|(device, _)| device.bytes()));
    let written = make_room((layout, end), &mut hash, &mut fec)
        .and_then(|()| areas(&Areas { layout, hash: &hash, fec: fec.as_ref() }))
        .and_then(|root_hash| write_superblock(layout, &hash).map(|()| root_hash));
    if written.is_err() {
        // An image that may have been here is gone, if it was no longer than this and writing had begun.
        give_back(&mut hash, former.0);
        if let (Some((device, _)), Some(bytes)) = (&mut fec, former.1) {
            give_back(device, bytes);
        }
    }
    let root_hash = written?;
    if layout.params().superblock().is_some() {
        hash.sync()?;
    }
    Ok(root_hash)
}

fn write_superblock(layout: &Layout, hash: &Device<'_>) -> Result<()> {
    let Some(superblock) = layout.params().superblock() else { return Ok(()) };
    hash.write_at(&superblock.to_bytes(), layout.params().hash_offset())
}

impl Areas<'_, '_> {
    /// How much work they are.
    pub(super) fn total(&self) -> u64 {
        tree::total(self.layout) + self.fec.map_or(0, |(_, area)| fec::total(self.layout, area))
    }

    /// Writes all but the superblock over data that can be read at any position, to stable storage.
    fn write(&self, data: &Device<'_>, work: &Work<'_>) -> Result<RootHash> {
        let mut progress = Progress { done: 0, total: self.total() };
        let root_hash = match self.with_data(data) {
            None => tree::create(self.layout, (data, self.hash), None, &mut progress, work)?,
            Some(image) => fec::create(&image, &mut progress, work)?,
        };
        self.sync(work)?;
        Ok(root_hash)
    }

    /// What there is to be encoded, if there is parity.
    pub(super) fn with_data<'d>(&'d self, data: &'d Device<'d>) -> Option<fec::Areas<'d>> {
        let (fec, area) = self.fec?;
        Some(fec::Areas { layout: self.layout, area, data, hash: self.hash, fec })
    }

    /// Returns when all that was written is on stable storage.
    pub(super) fn sync(&self, work: &Work<'_>) -> Result<()> {
        self.fec.map_or(Ok(()), |(fec, _)| fec.sync())?;
        // From here on there is nothing to wait for but the device.
        work.check()?;
        self.hash.sync()
    }
}

/// Makes files as long as their areas need; the hash device ends at byte `end` at the earliest. From then on, no older
/// image exists.
fn make_room(
    (layout, end): (&Layout, u64),
    hash: &mut Device<'_>,
    fec: &mut Option<(Device<'_>, FecArea)>,
) -> Result<()> {
    hash.extend_to(end)?;
    if let Some((device, area)) = fec {
        device.extend_to(area.bytes.end)?;
    }
    invalidate_superblock(layout, hash)
}

/// Truncates an extended file to its former length.
fn give_back(device: &mut Device<'_>, former_bytes: u64) {
    if device.bytes() > former_bytes
        && let Err(left) = device.set_len("truncate", former_bytes)
    {
        log::warn!("cannot take back what was added: {}", WithCauses(&left));
    }
}

/// Wipes an older superblock at the same place, even if the new image has none: from here on its tree is no longer
/// intact.
pub(super) fn invalidate_superblock(layout: &Layout, hash: &Device<'_>) -> Result<()> {
    let offset = layout.params().hash_offset();
    let end = offset + SUPERBLOCK_SIZE as u64;
    if !layout.hash_area().contains(&offset) || hash.bytes() < end {
        return Ok(());
    }
    let mut bytes = [0; SUPERBLOCK_SIZE];
    hash.read_at(&mut bytes, offset)?;
    if Superblock::parse(&bytes).is_ok() {
        hash.write_at(&[0; SUPERBLOCK_SIZE], offset)?;
        hash.sync()?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
