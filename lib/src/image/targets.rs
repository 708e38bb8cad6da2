//! The targets of a format, and all checks before it writes to them.

use std::path::Path;

use super::devices::{Devices, identify_if_there};
use crate::error::{Area, Error, Result};
use crate::format::{FecArea, Layout, ParamsBuilder, SharedDevices};
use crate::io::{Claims, Device, check_creatable};

/// The targets of a format that exist already.
pub(crate) struct Targets<'a> {
    pub(super) shared: SharedDevices,
    pub(super) hash: Option<Device<'a>>,
    pub(super) fec: Option<Device<'a>>,
}

/// What is going to be made, once all of it is checked.
pub(super) struct Checked {
    pub(super) layout: Layout,
    pub(super) fec_area: Option<FecArea>,
    pub(super) uncovered_bytes: u64,
    pub(super) padding_bytes: u64,
}

impl Targets<'static> {
    /// Opens and claims them.
    pub(crate) fn open(devices: &Devices, claims: &mut Claims) -> Result<Self> {
        Self::with(devices, Devices::shared, |path, area| Device::open_target(path, area, claims))
    }

    /// Opens them for reading.
    pub(crate) fn look(devices: &Devices) -> Result<Self> {
        Self::with(devices, Devices::shared, |path, _| Device::open(path))
    }

    /// Opens and claims them, for data that are on no device.
    pub(super) fn open_without_data(devices: &Devices, claims: &mut Claims) -> Result<Self> {
        Self::with(devices, Devices::shared_without_data, |path, area| Device::open_target(path, area, claims))
    }

    /// Opens them for reading, for data that are on no device.
    pub(super) fn look_without_data(devices: &Devices) -> Result<Self> {
        Self::with(devices, Devices::shared_without_data, |path, _| Device::open(path))
    }

    /// In the order in which the reference tool reports errors: what cannot be created first, the data device last.
    fn with(
        devices: &Devices,
        shared: fn(&Devices) -> Result<SharedDevices>,
        mut open: impl FnMut(&Path, Area) -> Result<Device<'static>>,
    ) -> Result<Self> {
        check_new_files(devices)?;
        let mut open = |path: &Path, area| match identify_if_there(path)? {
            Some(_) => open(path, area).map(Some),
            None => Ok(None),
        };
        let hash = open(&devices.hash, Area::Hash)?;
        let fec = devices.fec.as_deref().map_or(Ok(None), |path| open(path, Area::Fec))?;
        Ok(Self { shared: shared(devices)?, hash, fec })
    }
}

impl Targets<'_> {
    /// Checks all that can be checked before anything is written.
    pub(super) fn check_format(
        &self,
        has_fec_device: bool,
        data: &Device<'_>,
        builder: ParamsBuilder,
        hash_bytes: Option<u64>,
    ) -> Result<Checked> {
        let found = data.bytes();
        let is_one_file = self.shared.data_and_hash && data.can_grow() && found > 0;
        // The tree is after the data: a file with room for the tree has room for the data.
        let room = if is_one_file { builder.given_data_bytes().max(found) } else { found };
        self.check_bytes(has_fec_device, (found, room), builder, hash_bytes)
            .map_err(|error| error.on_device(data.path()))
    }

    /// The same for this many bytes of data, and of room for data.
    pub(super) fn check_bytes(
        &self,
        has_fec_device: bool,
        (found, room): (u64, u64),
        builder: ParamsBuilder,
        hash_bytes: Option<u64>,
    ) -> Result<Checked> {
        let whole_device = builder.covers_whole_device();
        let params = builder.build(room)?;
        let layout = Layout::new(&params)?;
        if params.fec().is_some() != has_fec_device {
            return Err(Error::FecDevice);
        }
        let fec_area = self.check(&layout, hash_bytes)?;
        let uncovered_bytes = if whole_device { found - params.data_bytes() } else { 0 };
        let padding_bytes = params.data_bytes().saturating_sub(found);
        Ok(Checked { layout, fec_area, uncovered_bytes, padding_bytes })
    }

    /// Checks that the areas of an image do not overlap and that these devices are large enough; the hash device will
    /// have `hash_bytes` bytes, if that is not what it has now, or needs.
    pub(crate) fn check(&self, layout: &Layout, hash_bytes: Option<u64>) -> Result<Option<FecArea>> {
        let found = self.hash.as_ref().map_or(0, Device::bytes).max(layout.hash_end());
        let fec_area = layout.fec_area_on(hash_bytes.unwrap_or(found), self.shared.hash_and_fec);
        layout.check_overlaps(self.shared, fec_area.as_ref())?;
        if let Some(area) = fec_area.as_ref().filter(|area| area.on_hash_device) {
            check_fec_gap(area, found)?;
        }
        let fec_end = fec_area.as_ref().map_or(0, |area| area.bytes.end);
        for (device, needed) in [(&self.hash, layout.hash_end()), (&self.fec, fec_end)] {
            device.as_ref().map_or(Ok(()), |device| device.check_extensible_to(needed))?;
        }
        Ok(fec_area)
    }
}

/// Checks that a hash or FEC device that is not there can be created as a file; that it can, only creating it shows for
/// sure. [`format()`](crate::format()) does that too, and what it complains of first.
///
/// # Errors
/// [`Error::NotWritable`]; [`Error::AmongDeviceNodes`]; [`Error::Open`] for a link that leads nowhere.
pub fn check_new_files(devices: &Devices) -> Result<()> {
    let targets = [(devices.fec.as_deref(), Area::Fec), (Some(devices.hash.as_path()), Area::Hash)];
    for (path, area) in targets.into_iter().filter_map(|(path, area)| Some((path?, area))) {
        // What is there and no device is looked at in its turn.
        if matches!(identify_if_there(path), Ok(None) | Err(Error::Open { .. })) {
            check_creatable(path, area)?;
        }
    }
    Ok(())
}

/// Parity on the hash device covers what is before it, including zeros after the end of a file, up to this number.
fn check_fec_gap(area: &FecArea, hash_bytes: u64) -> Result<()> {
    const MOST: u64 = 64 << 30;
    let (found, most) = (area.bytes.start, hash_bytes.saturating_add(MOST));
    if found > most { Err(Error::FecGap { found, hash_bytes, most }) } else { Ok(()) }
}
