//! Repairing an image that has FEC.

use super::devices::Devices;
use super::handle::Image;
use crate::error::{Error, Result};
use crate::fec::{self, Checked, Repair, RepairMode};
use crate::format::{Fec, FecArea, Layout, Params};
use crate::io::Device;
use crate::memory;
use crate::tree::{self, Verification};
use crate::value::RootHash;
use crate::work::{Progress, Work};

/// Finds the damage in an image that has FEC and, with [`RepairMode::Write`], repairs it.
///
/// The hash tree says which blocks are wrong, and FEC computes their correct contents, which count only after the tree
/// and the root hash have proven them. If that fails for any block of data or tree, nothing is written at all. Wrong
/// parity is written anew. Bytes that FEC covers after the tree are never written: nothing proves them. If most of the
/// image is wrong, the search is given up early.
///
/// Each block that is written is correct on its own. A repair that was interrupted can be started again. Until it
/// returns no other process can [`format()`](crate::format()), [append](crate::append()) or repair what it may write
/// to.
///
/// # Errors
/// Those of [`verify`](crate::verify); [`Error::FecDevice`](crate::Error::FecDevice) without FEC;
/// [`Error::Overlap`](crate::Error::Overlap) if the FEC area is where something else is. With [`RepairMode::Write`]
/// also [`Error::Open`](crate::Error::Open) for devices that cannot be written to,
/// [`Error::DeviceLocked`](crate::Error::DeviceLocked) for a file that another process writes to, and
/// [`Error::DeviceBusy`](crate::Error::DeviceBusy) for a block device that a mount or mapping uses.
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
/// // The superblock does not say whether there is FEC, nor how much of it.
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
    if devices.fec.is_none() {
        return Err(Error::FecDevice);
    }
    let image = match mode {
        RepairMode::Write => Image::at_to_write(devices)?,
        RepairMode::DryRun => Image::at(devices)?,
    };
    image.repair(params, root_hash, mode, work)
}

/// How many codewords of a round are recomputed to recognize parity.
const CODEWORDS: u64 = 4096;

/// The result of a verification and, if it found damage, of FEC.
#[derive(Debug)]
#[non_exhaustive]
pub struct Diagnosis {
    /// What the hash tree says.
    pub verification: Verification,
    /// What FEC says, unless nothing is wrong or there is no FEC: what could be repaired, or why the parity is
    /// unusable.
    pub repair: Option<Result<Repair>>,
}

impl Diagnosis {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.verification.is_good()
    }

    /// Whether something is wrong, and FEC can correct all of it: the kernel reads such an image without an error.
    pub fn is_repairable(&self) -> bool {
        self.repair.as_ref().is_some_and(|repair| repair.as_ref().is_ok_and(Repair::is_complete))
    }
}

/// Verifies an image, and only if it is damaged finds out what FEC can repair, if there is FEC. Nothing is written.
///
/// # Errors
/// Those of [`verify()`](crate::verify()). Unusable parity is not an error: it is in the [`Diagnosis`].
///
/// # Examples
/// ```
/// use dmverity::{Devices, Fec, Params, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| directory.path().join(name);
/// # std::fs::write(path("data.img"), [7; 40960])?;
/// let devices = Devices { fec: Some(path("fec.img")), ..Devices::new(path("data.img"), path("hash.img")) };
/// let formatted = dmverity::format(&devices, Params::builder().fec(Fec::new(2, 0)?), &Work::default())?;
/// # let mut data = std::fs::read(&devices.data)?;
/// # data[5000..5003].fill(8);
/// # std::fs::write(&devices.data, data)?;
/// let found = dmverity::diagnose(&devices, formatted.layout.params(), &formatted.root_hash, &Work::default())?;
/// assert!(!found.is_good() && found.is_repairable());
/// # Ok(())
/// # }
/// ```
pub fn diagnose(devices: &Devices, params: &Params, root_hash: &RootHash, work: &Work<'_>) -> Result<Diagnosis> {
    let image = if params.fec().is_some() { Image::at(devices)? } else { Image::at(&devices.without_fec())? };
    image.diagnose(params, root_hash, work)
}

/// An image with FEC.
impl Image<'_> {
    /// What [`repair()`](crate::repair()) does, on an image that is open.
    ///
    /// # Errors
    /// As for that function.
    pub fn repair(&self, params: &Params, root_hash: &RootHash, mode: RepairMode, work: &Work<'_>) -> Result<Repair> {
        let layout = Layout::new(params)?;
        self.check_sizes(&layout)?;
        let parity = self.fec_areas(&layout)?;
        let areas = parity.on(self, &layout);
        let mut progress = Progress { done: 0, total: tree::total(&layout) + fec::total(&layout, areas.area) };
        let checked = if let Some(checked) = fec::check(&areas, root_hash, &mut progress, work)? {
            checked
        } else {
            // What was done is done again.
            progress.total += progress.done;
            let found = self.verify_keeping_all(&layout, root_hash, &mut progress, work)?;
            Checked::of_tree(found, &layout, areas.area)
        };
        fec::repair(&areas, root_hash, checked, mode, &mut progress, work)
    }

    /// Verifies an image, and only if it is damaged finds out what FEC can repair. Nothing is written. The data are
    /// read once to be verified, and once more if something is wrong; `work` is told of both as one operation.
    ///
    /// # Errors
    /// Those of [`verify()`](crate::verify()).
    pub fn diagnose(&self, params: &Params, root_hash: &RootHash, work: &Work<'_>) -> Result<Diagnosis> {
        let layout = Layout::new(params)?;
        self.check_sizes(&layout)?;
        let total = tree::total(&layout);
        let mut progress = Progress { done: 0, total };
        // Whether more work follows is known only at the end.
        let but_the_end = |progress: Progress| {
            if progress.done < total {
                work.report(progress);
            }
        };
        let verification = self.verify_keeping_all(&layout, root_hash, &mut progress, &work.progress(&but_the_end))?;
        if verification.is_good() {
            work.report(progress);
            return Ok(Diagnosis { verification, repair: None });
        }
        if params.fec().is_none() {
            return Ok(Diagnosis { verification, repair: None });
        }
        let repair = self.fec_areas(&layout).and_then(|areas| {
            progress.total += fec::total(&layout, &areas.area);
            let found = Checked::of_tree(verification.clone(), &layout, &areas.area);
            fec::repair(&areas.on(self, &layout), root_hash, found, RepairMode::DryRun, &mut progress, work)
        });
        match repair {
            Err(Error::Cancelled) => Err(Error::Cancelled),
            repair => Ok(Diagnosis { verification, repair: Some(repair) }),
        }
    }

    /// Finds out with how many roots the parity on the hash device, after the tree, was made: the superblock does not
    /// say. `None` if there is none. It is recomputed in three places, and recognized even if some of the image there
    /// is damaged.
    ///
    /// # Errors
    /// Those of [`verify()`](crate::verify()).
    pub fn find_fec(&self, params: &Params) -> Result<Option<Fec>> {
        let layout = Layout::new(params)?;
        self.check_sizes(&layout)?;
        let offset = layout.fec_offset_after_tree();
        let mut block = memory::zeroed(usize::try_from(params.hash_block_size().bytes()).unwrap_or(usize::MAX))?;
        if self.hash.check_size(offset.saturating_add(block.len() as u64)).is_err() {
            return Ok(None);
        }
        self.hash.read_at(&mut block, offset)?;
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        for roots in Fec::MIN_ROOTS..=Fec::MAX_ROOTS {
            let fec = Fec::new(roots.into(), offset)?;
            let Ok(layout) = params.clone().with_fec(fec).and_then(|params| Layout::new(&params)) else { continue };
            let Some(area) = layout.fec_area_on(self.hash.bytes(), true) else { continue };
            if self.hash.check_size(area.bytes.end).is_ok() {
                let hash = &self.hash;
                let areas = fec::Areas { layout: &layout, area: &area, data: &self.data, hash, fec: hash };
                // However large the blocks are, this reads no more than 24 MiB.
                if fec::holds_parity(&areas, CODEWORDS)? {
                    return Ok(Some(fec));
                }
            }
        }
        Ok(None)
    }

    fn verify_keeping_all(
        &self,
        layout: &Layout,
        root_hash: &RootHash,
        progress: &mut Progress,
        work: &Work<'_>,
    ) -> Result<Verification> {
        tree::verify(layout, root_hash, (&self.data, &self.hash), fec::MOST_FAILURES, progress, work)
    }

    /// Where the parity is, once it is known that there is one.
    pub(crate) fn fec_areas(&self, layout: &Layout) -> Result<ParityPlace<'_>> {
        self.fec_areas_before(layout, self.hash.bytes())
    }

    /// The same if only the hash device's bytes before `end` belong to the image.
    pub(super) fn fec_areas_before(&self, layout: &Layout, end: u64) -> Result<ParityPlace<'_>> {
        let device = self.fec.as_ref().ok_or(Error::FecDevice)?;
        let shared = self.shared();
        let area = layout.fec_area_on(end, shared.hash_and_fec).ok_or(Error::FecDevice)?;
        layout.check_overlaps(shared, Some(&area))?;
        device.check_size(area.bytes.end)?;
        Ok(ParityPlace { device, area })
    }
}

/// An area of parity, and the device that it is on.
pub(crate) struct ParityPlace<'a> {
    device: &'a Device<'a>,
    area: FecArea,
}

impl ParityPlace<'_> {
    /// The areas of the image that it belongs to.
    pub(crate) fn on<'a>(&'a self, image: &'a Image<'_>, layout: &'a Layout) -> fec::Areas<'a> {
        fec::Areas { layout, area: &self.area, data: &image.data, hash: &image.hash, fec: self.device }
    }
}
