//! What went wrong with a mapping, in the words that callers know.

use std::io::ErrorKind;
use std::path::Path;

use dmverity::dm::{Error, Holder, NameFault};
use nix::errno::Errno;

use super::{Exit, Failure, system_words, with_causes};
use crate::escape::text_of;
use crate::refused;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { errno: error.errno().map(Errno::from_raw), ..in_words(&error) }
    }
}

fn in_words(error: &Error) -> Failure {
    let parameters = |line: &str| Failure::new(Exit::Parameters, line);
    match error {
        Error::Image(error) => Failure::from(error),
        Error::DeviceBusy { path, holders } => busy(path, holders),
        Error::MappingName { name, what } => parameters(&match what {
            NameFault::Slash => "Name must not contain '/' character.".to_owned(),
            NameFault::TooLong => "Name is too long.".to_owned(),
            NameFault::Unusable => format!("Cannot use device {name}, name is invalid or still in use."),
        }),
        Error::MappingExists { name, unfinished } => {
            let failure = Failure::new(Exit::Busy, format!("Device {name} already exists."));
            let hint = format!("it was never finished and holds no data: remove it with `veritysetup close {name}`.");
            failure.hints(unfinished.then_some(hint))
        }
        Error::MappingUuidTaken { name, uuid, holder } => {
            Failure::new(Exit::Busy, format!("Cannot create device {name}, device {holder} has the same UUID."))
                .hint(format!("the UUID is {uuid}: mappings whose names begin alike need images with different UUIDs."))
        }
        Error::MappingLocked { name } => {
            Failure::new(Exit::Busy, format!("Device {name} is being opened or closed by another process."))
        }
        Error::MappingInactive { name } => Failure::new(Exit::Device, format!("Device {name} is not active.")),
        Error::MappingBusy { name, holders } => {
            Failure::new(Exit::Busy, format!("Device {name} is still in use.")).hints(holders.iter().map(held_by))
        }
        Error::MappingNotVerity { name } => {
            Failure::new(Exit::Device, format!("Device {name} is not a VERITY device."))
        }
        Error::NoDeviceMapper { source } if source.kind() == ErrorKind::PermissionDenied => {
            Failure::new(Exit::Permission, "Cannot initialize device-mapper, running as non-root user.")
        }
        Error::NoDeviceMapper { source } => {
            parameters("Cannot initialize device-mapper. Is dm_mod kernel module loaded?")
                .hint(format!("/dev/mapper/control: {}", system_words(source)))
                .hint("load it with `modprobe dm-mod`; it is the kernel's build option CONFIG_BLK_DEV_DM.")
        }
        Error::NotPermitted { errno, .. } => {
            Failure::new(Exit::Permission, "Cannot initialize device-mapper, permission denied.")
                .hint(format!("the kernel says {errno:?}: device-mapper needs the capability CAP_SYS_ADMIN."))
        }
        Error::NoVerityTarget => parameters("Kernel has no dm-verity target. Is dm_verity kernel module loaded?")
            .hint("load it with `modprobe dm-verity`; it is the kernel's build option CONFIG_DM_VERITY."),
        Error::TableRefused(table) => refused::failure(table),
        Error::LoopDevice { path, source } => {
            let exit = if source.kind() == ErrorKind::PermissionDenied { Exit::Permission } else { Exit::Device };
            let failure =
                Failure::new(exit, format!("Cannot attach {} to a loop device.", text_of(path))).because(source);
            // The control node is missing, or no driver serves it.
            if matches!(source.raw_os_error().map(Errno::from_raw), Some(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO))
            {
                failure.hint("load the module with `modprobe loop`, or name block devices instead of files.")
            } else {
                failure
            }
        }
        Error::NoLoopNode { image, node } => {
            Failure::new(Exit::Device, format!("Cannot attach {} to a loop device.", text_of(image)))
                .hint(format!("there is no {}: is devtmpfs mounted on /dev?", text_of(node)))
        }
        Error::SignatureKey { message } => {
            parameters("Failed to load key in kernel keyring.").hint(format!("{message}."))
        }
        // Errors without words of their own, now or in a later library.
        other => parameters(&with_causes(other)),
    }
}

/// A block device that something else uses.
pub(super) fn busy(path: &Path, holders: &[Holder]) -> Failure {
    let line = format!("Cannot use device {} which is in use (already mapped or mounted).", text_of(path));
    Failure::new(Exit::Busy, line).hints(holders.iter().map(held_by))
}

/// Why a device cannot be used.
fn held_by(holder: &Holder) -> String {
    match holder {
        Holder::Mapping(name) => format!("it is held by device-mapper device {name}."),
        Holder::Device(path) => format!("it is held by {}.", text_of(path)),
        Holder::Mount(path) => format!("it is mounted on {}.", text_of(path)),
        Holder::Swap => "it is in use as swap space.".to_owned(),
        // What a later library knows.
        _ => "it is in use.".to_owned(),
    }
}
