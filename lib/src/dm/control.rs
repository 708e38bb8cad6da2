//! The ioctls, one function each, with errors that say what they mean for a mapping.

use std::fs::File;

use devicemapper::{DM, DevId, DmError, DmFlags, DmName, DmOptions, DmUdevFlags, DmUuid, errors};
use nix::errno::Errno;

use super::name::MappingName;
use crate::error::{Error, Result};

const CONTROL_NODE: &str = "/dev/mapper/control";

/// Verity's name as a device-mapper target.
const TARGET: &str = "verity";

/// One line of a mapping's table or status: target type and its text.
pub(super) struct TargetLine {
    pub(super) sectors: u64,
    pub(super) target: String,
    pub(super) text: String,
}

impl TargetLine {
    pub(super) fn is_verity(&self) -> bool {
        self.target == TARGET
    }
}

/// What device-mapper knows of a mapping whatever its target.
pub(super) struct Info {
    pub(super) device: (u32, u32),
    pub(super) open_count: i32,
    pub(super) read_only: bool,
}

/// An open control node.
pub(super) struct Control {
    dm: DM,
}

impl Control {
    /// # Errors
    /// [`Error::NoDeviceMapper`].
    pub(super) fn open() -> Result<Self> {
        // Opened here first because `DM::new` keeps no errno.
        File::open(CONTROL_NODE).map_err(|source| Error::NoDeviceMapper { source })?;
        let dm = DM::new().map_err(|error| failed("open", CONTROL_NODE, &error))?;
        Ok(Self { dm })
    }

    /// Creates an empty mapping.
    ///
    /// # Errors
    /// [`Error::MappingExists`] when the name or the uuid is taken.
    pub(super) fn create(&self, name: &MappingName, dm_uuid: &str) -> Result<(u32, u32)> {
        let dm_uuid = DmUuid::new(dm_uuid).map_err(|error| failed("create", name.as_str(), &error))?;
        match self.dm.device_create(dm_name(name)?, Some(dm_uuid), DmOptions::default()) {
            Ok(info) => Ok((info.device().major, info.device().minor)),
            Err(error) if errno_of(&error) == Some(Errno::EBUSY) => {
                Err(Error::MappingExists { name: name.to_string() })
            }
            Err(error) => Err(failed("create", name.as_str(), &error)),
        }
    }

    /// Loads a read-only table of one verity target into the mapping.
    ///
    /// # Errors
    /// [`Error::TableRefused`] with the kernel's errno.
    pub(super) fn load(&self, name: &MappingName, sectors: u64, table: &str) -> Result<()> {
        let targets = [(0, sectors, TARGET.to_owned(), table.to_owned())];
        let options = DmOptions::default().set_flags(DmFlags::DM_READONLY);
        match self.dm.table_load(&DevId::Name(dm_name(name)?), &targets, options) {
            Ok(_) => Ok(()),
            Err(error) => Err(match errno_of(&error) {
                Some(errno) => Error::TableRefused { table: table.to_owned(), errno },
                None => failed("load", name.as_str(), &error),
            }),
        }
    }

    /// Makes the loaded table the active one. With udev, returns when its rules have run.
    pub(super) fn resume(&self, name: &MappingName) -> Result<()> {
        self.dm
            .device_suspend(&DevId::Name(dm_name(name)?), udev_options())
            .map_err(|error| failed("resume", name.as_str(), &error))?;
        Ok(())
    }

    /// What there is under this name, if anything.
    pub(super) fn info(&self, name: &MappingName) -> Result<Option<Info>> {
        match self.dm.device_info(&DevId::Name(dm_name(name)?)) {
            Ok(info) => Ok(Some(Info {
                device: (info.device().major, info.device().minor),
                open_count: info.open_count(),
                read_only: info.flags().contains(DmFlags::DM_READONLY),
            })),
            Err(error) if errno_of(&error) == Some(Errno::ENXIO) => Ok(None),
            Err(error) => Err(failed("query", name.as_str(), &error)),
        }
    }

    /// The mapping's active table.
    pub(super) fn table(&self, name: &MappingName) -> Result<Vec<TargetLine>> {
        self.lines(name, DmFlags::DM_STATUS_TABLE)
    }

    /// The mapping's status.
    pub(super) fn status(&self, name: &MappingName) -> Result<Vec<TargetLine>> {
        self.lines(name, DmFlags::empty())
    }

    fn lines(&self, name: &MappingName, flags: DmFlags) -> Result<Vec<TargetLine>> {
        let options = DmOptions::default().set_flags(flags | DmFlags::DM_NOFLUSH);
        match self.dm.table_status(&DevId::Name(dm_name(name)?), options) {
            Ok((_, lines)) => {
                Ok(lines.into_iter().map(|(_, sectors, target, text)| TargetLine { sectors, target, text }).collect())
            }
            Err(error) if errno_of(&error) == Some(Errno::ENXIO) => {
                Err(Error::MappingInactive { name: name.to_string() })
            }
            Err(error) => Err(failed("query", name.as_str(), &error)),
        }
    }

    /// Removes the mapping, or, `deferred`, has the kernel do so when the last user closes it. Waits about a second for
    /// users to go away.
    ///
    /// # Errors
    /// [`Error::MappingBusy`], [`Error::MappingInactive`].
    pub(super) fn remove(&self, name: &MappingName, deferred: bool) -> Result<()> {
        let flags = if deferred { DmFlags::DM_DEFERRED_REMOVE } else { DmFlags::empty() };
        match self.dm.device_remove(&DevId::Name(dm_name(name)?), udev_options().set_flags(flags)) {
            Ok(_) => Ok(()),
            Err(error) => Err(match errno_of(&error) {
                Some(Errno::EBUSY) => Error::MappingBusy { name: name.to_string() },
                Some(Errno::ENXIO) => Error::MappingInactive { name: name.to_string() },
                _ => failed("remove", name.as_str(), &error),
            }),
        }
    }

    /// Sends a message to the mapping as a whole.
    pub(super) fn message(&self, name: &MappingName, message: &str) -> Result<()> {
        self.dm
            .target_msg(&DevId::Name(dm_name(name)?), None, message)
            .map_err(|error| failed("send a message to", name.as_str(), &error))?;
        Ok(())
    }
}

/// Device nodes are made by udev's own rules or by this library, never by another library's fallback.
fn udev_options() -> DmOptions {
    DmOptions::default().set_udev_flags(DmUdevFlags::DM_UDEV_DISABLE_LIBRARY_FALLBACK)
}

fn dm_name(name: &MappingName) -> Result<&DmName> {
    DmName::new(name.mangled()).map_err(|error| failed("name", name.as_str(), &error))
}

fn errno_of(error: &DmError) -> Option<Errno> {
    match error {
        DmError::Core(errors::Error::Ioctl(_, _, _, errno)) => Some(**errno),
        _ => None,
    }
}

fn failed(action: &'static str, name: &str, error: &DmError) -> Error {
    let errno = errno_of(error);
    let message = errno.map_or_else(|| error.to_string(), |errno| errno.to_string());
    Error::DeviceMapper { action, name: name.to_owned(), message, errno }
}
