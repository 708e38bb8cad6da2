//! The ioctls, one function each, with errors that say what they mean for a mapping.
#![allow(unsafe_code)] // Two of the ioctls are made here: the crate's wait for udev for ever.

use std::ffi::c_char;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use devicemapper::{DM, DevId, Device, DeviceInfo, DmError, DmFlags, DmName, DmOptions, DmUuid, errors};
use devicemapper_sys::{DM_DEV_REMOVE_CMD, DM_DEV_SUSPEND_CMD, DM_IOCTL, DM_UEVENT_GENERATED_FLAG, dm_ioctl};
use nix::errno::Errno;

use super::errno::Errno as Answer;
use super::error::{Error, Result};
use super::name::{self, MappingName};
use super::sysfs;
use super::udev::{Cookie, Waited};

const CONTROL_NODE: &str = "/dev/mapper/control";

/// Verity's name as a device-mapper target.
const TARGET: &str = "verity";

/// How long a removal waits for users of a mapping, and how often it checks for them.
pub(super) const REMOVE_LIMIT: Duration = Duration::from_secs(5);
const REMOVE_POLL: Duration = Duration::from_millis(100);

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
    /// It was made for verity, but has no table: the process that was loading one was interrupted.
    pub(super) unfinished: bool,
}

impl From<&DeviceInfo> for Info {
    fn from(info: &DeviceInfo) -> Self {
        let is_ours = info.uuid().is_some_and(|uuid| name::is_verity_uuid(&uuid.to_string()));
        Self {
            device: (info.device().major, info.device().minor),
            open_count: info.open_count(),
            read_only: info.flags().contains(DmFlags::DM_READONLY),
            unfinished: is_ours && !info.flags().contains(DmFlags::DM_ACTIVE_PRESENT),
        }
    }
}

nix::ioctl_readwrite!(dev_remove, DM_IOCTL, DM_DEV_REMOVE_CMD, dm_ioctl);
nix::ioctl_readwrite!(dev_suspend, DM_IOCTL, DM_DEV_SUSPEND_CMD, dm_ioctl);

/// An open control node.
pub(super) struct Control {
    dm: DM,
}

impl Control {
    /// # Errors
    /// [`Error::NoDeviceMapper`].
    pub(super) fn open() -> Result<Self> {
        // Opened here first because `DM::new` keeps no errno.
        open_node()?;
        let dm = DM::new().map_err(|error| failed("open", CONTROL_NODE, &error))?;
        Ok(Self { dm })
    }

    /// Creates an empty mapping.
    ///
    /// # Errors
    /// [`Error::MappingExists`] when the name is taken, [`Error::MappingUuidTaken`] when the uuid is.
    pub(super) fn create(&self, name: &MappingName, dm_uuid: &str) -> Result<(u32, u32)> {
        let uuid = DmUuid::new(dm_uuid).map_err(|error| failed("create", name.as_str(), &error))?;
        match self.dm.device_create(dm_name(name)?, Some(uuid), DmOptions::default()) {
            Ok(info) => Ok((info.device().major, info.device().minor)),
            Err(error) if errno_of(&error) == Some(Errno::EBUSY) => {
                Err(match self.dm.device_info(&DevId::Uuid(uuid)) {
                    Ok(holder) if holder.name().is_some_and(|holder| holder.to_string() != name.mangled()) => {
                        Error::MappingUuidTaken {
                            name: name.to_string(),
                            uuid: dm_uuid.to_owned(),
                            holder: holder.name().map(ToString::to_string).unwrap_or_default(),
                        }
                    }
                    _ => Error::MappingExists { name: name.to_string(), unfinished: false },
                })
            }
            Err(error) => Err(failed("create", name.as_str(), &error)),
        }
    }

    /// Loads a read-only table of one verity target into the mapping.
    ///
    /// # Errors
    /// The inner one is the kernel's answer, if it refused the table.
    pub(super) fn load(
        &self,
        name: &MappingName,
        sectors: u64,
        table: &str,
    ) -> Result<std::result::Result<(), Answer>> {
        let targets = [(0, sectors, TARGET.to_owned(), table.to_owned())];
        let options = DmOptions::default().set_flags(DmFlags::DM_READONLY);
        match self.dm.table_load(&DevId::Name(dm_name(name)?), &targets, options) {
            Ok(_) => Ok(Ok(())),
            Err(error) => match errno_of(&error) {
                // Another table would not help.
                None | Some(Errno::ENXIO | Errno::ENOMEM | Errno::EACCES | Errno::EPERM) => {
                    Err(failed("load a table into", name.as_str(), &error))
                }
                Some(errno) => Ok(Err(Answer::of(errno))),
            },
        }
    }

    /// Makes the loaded table the active one. With udev, returns when its rules have run, or have not in time.
    pub(super) fn resume(&self, name: &MappingName) -> Result<Waited> {
        // SAFETY: the descriptor is open, the request is a whole dm_ioctl and outlives the call.
        self.request(name, 0, Cookie::create(), |control, request| unsafe { dev_suspend(control, request) })
            .map_err(|errno| errno_failed("resume", name.as_str(), errno))
    }

    /// The mapping of this name, if there is one.
    pub(super) fn info(&self, name: &MappingName) -> Result<Option<Info>> {
        match self.dm.device_info(&DevId::Name(dm_name(name)?)) {
            Ok(info) => Ok(Some(Info::from(&info))),
            Err(error) if errno_of(&error) == Some(Errno::ENXIO) => Ok(None),
            Err(error) => Err(failed("query", name.as_str(), &error)),
        }
    }

    /// The names of all mappings, as the kernel has them.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let devices = self.dm.list_devices().map_err(|error| failed("list", "mappings", &error))?;
        Ok(devices.into_iter().map(|(name, ..)| name.to_string()).collect())
    }

    /// The name, as the kernel has it, of the mapping that is this device.
    pub(super) fn name_of(&self, (major, minor): (u64, u64)) -> Result<Option<String>> {
        let devices = self.dm.list_devices().map_err(|error| failed("list", "mappings", &error))?;
        let is_it = |device: &Device| (u64::from(device.major), u64::from(device.minor)) == (major, minor);
        Ok(devices.into_iter().find_map(|(name, device, ..)| is_it(&device).then(|| name.to_string())))
    }

    /// Whether the kernel has the verity target, now that it has had a reason to load its module.
    pub(super) fn has_verity(&self) -> Result<bool> {
        let targets = self.dm.list_versions().map_err(|error| failed("list", "targets", &error))?;
        Ok(targets.iter().any(|(target, ..)| target == TARGET))
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

    /// Removes the mapping, or, `deferred`, has the kernel do so when the last user closes it. Waits for users to go
    /// away, [`REMOVE_LIMIT`] at most, and for udev.
    ///
    /// # Errors
    /// [`Error::MappingBusy`], [`Error::MappingInactive`].
    pub(super) fn remove(&self, name: &MappingName, deferred: bool) -> Result<Waited> {
        let flags = if deferred { DmFlags::DM_DEFERRED_REMOVE } else { DmFlags::empty() };
        self.remove_with(name, flags, Cookie::create)
    }

    /// Removes a mapping that was never resumed: udev has nothing to remove for it.
    pub(super) fn discard(&self, name: &MappingName) -> Result<()> {
        self.remove_with(name, DmFlags::empty(), || None).map(drop)
    }

    fn remove_with(&self, name: &MappingName, flags: DmFlags, cookie: fn() -> Option<Cookie>) -> Result<Waited> {
        let start = Instant::now();
        loop {
            // SAFETY: as above.
            let remove = |control, request| unsafe { dev_remove(control, request) };
            match self.request(name, flags.bits(), cookie(), remove) {
                Ok(waited) => return Ok(waited),
                Err(Errno::EBUSY) if start.elapsed() < REMOVE_LIMIT => sleep(REMOVE_POLL),
                Err(Errno::EBUSY) => {
                    let device = self.info(name)?.map(|info| format!("{}:{}", info.device.0, info.device.1));
                    let holders = device.map(|device| sysfs::holders(&device)).unwrap_or_default();
                    return Err(Error::MappingBusy { name: name.to_string(), holders });
                }
                Err(Errno::ENXIO) => return Err(Error::MappingInactive { name: name.to_string() }),
                Err(errno) => return Err(errno_failed("remove", name.as_str(), errno)),
            }
        }
    }

    /// Makes a request, with a cookie for udev if there is one, and then waits for udev.
    fn request(
        &self,
        name: &MappingName,
        flags: u32,
        cookie: Option<Cookie>,
        ioctl: impl FnOnce(i32, *mut dm_ioctl) -> nix::Result<i32>,
    ) -> nix::Result<Waited> {
        let size = u32::try_from(size_of::<dm_ioctl>()).expect("it has a few hundred bytes");
        let mut request = dm_ioctl {
            // The interface's version that these requests came with.
            version: [4, 0, 0],
            data_size: size,
            data_start: size,
            flags,
            event_nr: cookie.as_ref().map_or(0, Cookie::event_number),
            ..dm_ioctl::default()
        };
        // A valid name is shorter than the field: the rest of it stays zero.
        for (field, byte) in request.name.iter_mut().zip(name.mangled().bytes()) {
            *field = c_char::try_from(byte).expect("mangled names are ASCII");
        }
        ioctl(self.dm.file().as_raw_fd(), &raw mut request)?;
        Ok(match cookie {
            Some(cookie) if request.flags & DM_UEVENT_GENERATED_FLAG != 0 => cookie.wait(),
            _ => Waited::Done,
        })
    }

    /// Sends a message to the mapping as a whole.
    pub(super) fn message(&self, name: &MappingName, message: &str) -> Result<()> {
        self.dm
            .target_msg(&DevId::Name(dm_name(name)?), None, message)
            .map_err(|error| failed("send a message to", name.as_str(), &error))?;
        Ok(())
    }
}

/// Opens the control node.
///
/// # Errors
/// [`Error::NoDeviceMapper`].
pub(super) fn open_node() -> Result<File> {
    OpenOptions::new().read(true).write(true).open(CONTROL_NODE).map_err(|source| Error::NoDeviceMapper { source })
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
    match errno_of(error) {
        Some(errno) => errno_failed(action, name, errno),
        None => Error::DeviceMapper { action, name: name.to_owned(), message: error.to_string(), errno: None },
    }
}

fn errno_failed(action: &'static str, name: &str, errno: Errno) -> Error {
    match errno {
        Errno::EACCES | Errno::EPERM => Error::NotPermitted { action, name: name.to_owned(), errno: Answer::of(errno) },
        _ => {
            let (name, message) = (name.to_owned(), errno.to_string());
            Error::DeviceMapper { action, name, message, errno: Some(Answer::of(errno)) }
        }
    }
}
