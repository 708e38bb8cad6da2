//! What went wrong with a mapping, in the words that callers know.

use std::io::ErrorKind;

use dmverity::dm::{Error, Holder};
use dmverity::messages;
use nix::errno::Errno;

use super::{Exit, Failure, system_words};
use crate::escape::text_of;
use crate::refused;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { errno: error.errno().map(Errno::from_raw), ..in_words(&error) }
    }
}

fn in_words(error: &Error) -> Failure {
    let failure = Failure::of_lines(exit_of(error), messages::of_mapping(error).iter().map(text_of).collect());
    match error {
        Error::Image(error) => Failure::from(error),
        Error::DeviceBusy { holders, .. } | Error::MappingBusy { holders, .. } => {
            failure.hints(holders.iter().map(held_by))
        }
        Error::MappingExists { name, unfinished } => {
            let hint = format!("it was never finished and holds no data: remove it with `veritysetup close {name}`.");
            failure.hints(unfinished.then_some(hint))
        }
        Error::MappingUuidTaken { uuid, .. } => failure
            .hint(format!("the UUID is {uuid}: mappings whose names begin alike need images with different UUIDs.")),
        Error::NoDeviceMapper { source } if source.kind() != ErrorKind::PermissionDenied => failure
            .hint(format!("/dev/mapper/control: {}", system_words(source)))
            .hint("load it with `modprobe dm-mod`; it is the kernel's build option CONFIG_BLK_DEV_DM."),
        Error::NotPermitted { errno, .. } => {
            failure.hint(format!("the kernel says {errno:?}: device-mapper needs the capability CAP_SYS_ADMIN."))
        }
        Error::NoVerityTarget => {
            failure.hint("load it with `modprobe dm-verity`; it is the kernel's build option CONFIG_DM_VERITY.")
        }
        Error::TableRefused(table) => refused::failure(table),
        Error::LoopDevice { source, .. } => {
            let failure = failure.because(source);
            // The control node is missing, or no driver serves it.
            if matches!(source.raw_os_error().map(Errno::from_raw), Some(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO))
            {
                failure.hint("load the module with `modprobe loop`, or name block devices instead of files.")
            } else {
                failure
            }
        }
        Error::NoLoopNode { node, .. } => {
            failure.hint(format!("there is no {}: is devtmpfs mounted on /dev?", text_of(node)))
        }
        Error::SignatureKey { message } => failure.hint(format!("{message}.")),
        Error::Keyring { source, .. } => failure.because(source).hints(about_certificate(source)),
        Error::NoKeyring { .. } => failure.hint(
            "Linux has it since 7.0; load it with `modprobe dm-verity`, and add certificates before it is sealed.",
        ),
        Error::KeyringSealed { .. } => failure.hint(
            "certificates can be added before it is sealed, if the kernel was started with \
             dm_verity.keyring_unsealed=1.",
        ),
        _ => failure,
    }
}

fn exit_of(error: &Error) -> Exit {
    match error {
        Error::DeviceBusy { .. }
        | Error::MappingExists { .. }
        | Error::MappingUuidTaken { .. }
        | Error::MappingLocked { .. }
        | Error::MappingBusy { .. } => Exit::Busy,
        Error::NoDeviceMapper { source } | Error::LoopDevice { source, .. }
            if source.kind() == ErrorKind::PermissionDenied =>
        {
            Exit::Permission
        }
        Error::Keyring { source, .. } if source.kind() == ErrorKind::PermissionDenied => Exit::Permission,
        Error::NotPermitted { .. } => Exit::Permission,
        Error::MappingInactive { .. }
        | Error::MappingNotVerity { .. }
        | Error::LoopDevice { .. }
        | Error::NoLoopNode { .. } => Exit::Device,
        _ => Exit::Parameters,
    }
}

/// What the kernel's answer to a certificate means.
fn about_certificate(source: &std::io::Error) -> Option<String> {
    let meaning = match source.raw_os_error().map(Errno::from_raw)? {
        Errno::EBADMSG => "the kernel cannot read the certificate.",
        Errno::ENOPKG => "the kernel does not support the algorithm of the certificate.",
        Errno::EKEYREJECTED => "the certificate is on the kernel's blacklist, or its signature is wrong.",
        _ => return None,
    };
    Some(meaning.to_owned())
}

/// A block device that something else uses.
pub(super) fn busy(error: &dmverity::Error, holders: &[Holder]) -> Failure {
    let lines = messages::of_image(error).iter().map(text_of).collect();
    Failure::of_lines(Exit::Busy, lines).hints(holders.iter().map(held_by))
}

/// Why a device cannot be used.
fn held_by(holder: &Holder) -> String {
    match holder {
        Holder::Mapping(name) => format!("it is held by device-mapper device {name}."),
        Holder::Device(path) => format!("it is held by {}.", text_of(path)),
        Holder::Mount(path) => format!("it is mounted on {}.", text_of(path)),
        Holder::Swap => "it is in use as swap space.".to_owned(),
        // Holders that a later library knows.
        _ => "it is in use.".to_owned(),
    }
}
