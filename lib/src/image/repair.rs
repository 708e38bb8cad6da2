//! Putting right what is wrong with an image that has FEC.

use std::path::Path;

use super::devices::Devices;
use super::verify::check_image_sizes;
use crate::error::{Error, Result};
use crate::fec::{self, Repair, RepairMode};
use crate::format::{Layout, Params};
use crate::io::{Claims, Device};
use crate::tree;
use crate::value::RootHash;
use crate::work::{Progress, Work};

/// Finds out what is wrong with an image that has FEC, and, with [`RepairMode::Write`], puts it right.
///
/// The hash tree says which blocks are wrong, and FEC what they have to be. What it says is proven by the tree and the root
/// hash before it counts. If that cannot be done for all blocks of data and tree, nothing is written at all. Parity is
/// written anew where it is wrong. Bytes that FEC covers behind the tree are never written: nothing proves them.
///
/// Each block that is written is right by itself. A repair that was interrupted can be done again. Until it returns no
/// other process can [`format()`](crate::format()), [append](crate::append()) or repair what it may write to.
///
/// # Errors
/// Those of [`verify`](crate::verify); [`Error::FecDevice`](crate::Error::FecDevice) without FEC; [`Error::Overlap`](crate::Error::Overlap) if the FEC area lies where something else
/// is. With [`RepairMode::Write`] also [`Error::Open`](crate::Error::Open) for devices that cannot be written to, [`Error::DeviceLocked`](crate::Error::DeviceLocked) for a
/// file that another process writes to, and [`Error::DeviceBusy`](crate::Error::DeviceBusy) for a block device that a mount or mapping uses.
///
/// # Examples
/// ```
/// use dmverity::{Devices, Fec, Params, RepairMode, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| directory.path().join(name);
/// # std::fs::write(path("data.img"), [7; 40960])?;
/// let (data, hash, fec) = (path("data.img"), path("hash.img"), path("fec.img"));
/// let devices = Devices { fec: Some(fec), ..Devices::new(data, hash) };
/// # let root_hash = dmverity::format(&devices, Params::builder().fec(Fec::new(2, 0)?), &Work::default())?.root_hash;
/// # let mut data = std::fs::read(&devices.data)?;
/// # data[5000..5100].fill(8);
/// # std::fs::write(&devices.data, data)?;
/// // That there is FEC does not stand in the superblock, nor how much of it.
/// let params = dmverity::load(&devices.hash, 0, Some(Fec::new(2, 0)?))?;
/// let repair = dmverity::repair(&devices, &params, &root_hash, RepairMode::Write, &Work::default())?;
/// for block in repair.blocks() {
///     println!("{} block {}: {} bytes were wrong", block.area, block.block, block.wrong_bytes);
/// }
/// assert!(repair.is_complete());
/// assert!(dmverity::verify(&devices, &params, &root_hash, &Work::default())?.is_good());
/// # Ok(())
/// # }
/// ```
pub fn repair(
    devices: &Devices,
    params: &Params,
    root_hash: &RootHash,
    mode: RepairMode,
    work: &Work<'_>,
) -> Result<Repair> {
    let layout = Layout::new(params)?;
    let path = devices.fec.as_deref().ok_or(Error::FecDevice)?;
    let mut claims = Claims::default();
    let mut open = |path: &Path| open_to_repair(path, mode, &mut claims);
    let (data, hash, fec) = (open(&devices.data)?, open(&devices.hash)?, open(path)?);
    check_image_sizes(&layout, &data, &hash)?;
    let shared = devices.shared()?;
    let area = layout.fec_area_on(hash.bytes(), shared.hash_and_fec).ok_or(Error::FecDevice)?;
    layout.check_overlaps(shared, Some(&area))?;
    fec.check_size(area.bytes.end)?;
    let mut progress = Progress { done: 0, total: tree::total(&layout) + fec::total(&layout, &area) };
    let found = tree::verify(&layout, root_hash, (&data, &hash), fec::MOST_FAILURES, &mut progress, work)?;
    let image = fec::Areas { layout: &layout, area: &area, data: &data, hash: &hash, fec: &fec };
    fec::repair(&image, root_hash, found, mode, &mut progress, work)
}

/// Opens what a repair may write to.
pub(super) fn open_to_repair(path: &Path, mode: RepairMode, claims: &mut Claims) -> Result<Device<'static>> {
    match mode {
        RepairMode::Write => Device::open_to_write(path, claims),
        RepairMode::DryRun => Device::open(path),
    }
}
