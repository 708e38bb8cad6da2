//! What is known of an active mapping.

use std::path::PathBuf;

use super::control::Control;
use super::error::{Error, Result};
use super::name::MappingName;
use super::sysfs;
use crate::line::table::{VerityStatus, VerityTable};

/// A block device under a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackingDevice {
    /// The device's node.
    pub device: PathBuf,
    /// Its image file, if it is a loop device.
    pub file: Option<PathBuf>,
}

impl BackingDevice {
    /// Looks up what a table calls `major:minor`.
    fn of_table(numbers: &str) -> Self {
        let device = sysfs::block_device_path(numbers).unwrap_or_else(|| PathBuf::from(numbers));
        Self { device, file: sysfs::loop_backing_file(numbers) }
    }
}

/// An active mapping.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MappingStatus {
    /// Its name.
    pub name: MappingName,
    /// How many times it is open.
    pub open_count: u32,
    /// Whether it refuses writes; a verity mapping always does.
    pub read_only: bool,
    /// What verity says; `None` for a mapping of another target type.
    pub verity: Option<VerityMapping>,
}

/// The verity side of an active mapping.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VerityMapping {
    /// The active table, as the kernel reports it.
    pub table: VerityTable,
    /// What the target has seen so far.
    pub status: VerityStatus,
    /// The mapping's length in 512-byte sectors.
    pub sectors: u64,
    /// The data device.
    pub data: BackingDevice,
    /// The hash device.
    pub hash: BackingDevice,
    /// The FEC device, when the table has one.
    pub fec: Option<BackingDevice>,
}

/// Asks for a mapping's status; `None` when there is no mapping of that name, or one that is not finished yet.
///
/// # Errors
/// [`Error::NoDeviceMapper`], [`Error::DeviceMapper`], and [`Error::TableSyntax`](crate::Error::TableSyntax) for a
/// table that is not verity's.
///
/// # Examples
/// ```no_run
/// use dmverity::dm::{MappingName, status};
///
/// # fn main() -> dmverity::dm::Result<()> {
/// match status(&MappingName::new("image")?)?.map(|mapping| mapping.verity) {
///     Some(Some(verity)) if verity.status.corrupted => println!("a block was corrupted"),
///     Some(Some(verity)) => println!("verified so far, root hash {}", verity.table.root_hash),
///     Some(None) => println!("another kind of mapping"),
///     None => println!("not open"),
/// }
/// # Ok(())
/// # }
/// ```
pub fn status(name: &MappingName) -> Result<Option<MappingStatus>> {
    let control = Control::open()?;
    let Some(info) = control.info(name)?.filter(|info| !info.unfinished) else { return Ok(None) };
    let verity = match (control.table(name), control.status(name)) {
        // Removed since it was found.
        (Err(Error::MappingInactive { .. }), _) | (_, Err(Error::MappingInactive { .. })) => return Ok(None),
        (table, status) => match (&table?[..], &status?[..]) {
            ([table], [status]) if table.is_verity() && status.is_verity() => {
                let sectors = table.sectors;
                let table = VerityTable::parse(&table.text)?;
                Some(VerityMapping {
                    status: VerityStatus::parse(&status.text)?,
                    sectors,
                    data: BackingDevice::of_table(&table.data_device),
                    hash: BackingDevice::of_table(&table.hash_device),
                    fec: table.options.fec.as_ref().map(|fec| BackingDevice::of_table(&fec.device)),
                    table,
                })
            }
            _ => None,
        },
    };
    Ok(Some(MappingStatus {
        name: name.clone(),
        open_count: info.open_count.max(0).unsigned_abs(),
        read_only: info.read_only,
        verity,
    }))
}
