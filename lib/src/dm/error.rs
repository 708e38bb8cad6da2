//! What can go wrong with a mapping.

use std::io;
use std::path::PathBuf;

use super::device::holders;
use super::errno::Errno;

use super::refused::RefusedTable;
use super::sysfs::Holder;

/// The result type of everything that has to do with a mapping.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong with a mapping. Needs root, or `CAP_SYS_ADMIN`: without it most operations fail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The image cannot be used.
    #[error(transparent)]
    Image(#[from] crate::Error),
    /// A block device that something else uses.
    #[error("{path} is in use (already mapped or mounted)")]
    DeviceBusy {
        /// The device.
        path: PathBuf,
        /// What holds it, as far as is known.
        holders: Vec<Holder>,
    },
    /// A mapping's name that device-mapper cannot hold.
    #[error("mapping name {name:?}: {what}")]
    MappingName {
        /// The name.
        name: String,
        /// What is wrong with it.
        what: NameFault,
    },
    /// A mapping of that name exists already.
    #[error("mapping {name} already exists")]
    MappingExists {
        /// The name asked for.
        name: String,
        /// It has no table: the process that was making it was interrupted.
        unfinished: bool,
    },
    /// Another mapping has the device-mapper uuid that this one would have.
    #[error("mapping {name}: mapping {holder} has the same uuid {uuid}")]
    MappingUuidTaken {
        /// The name asked for.
        name: String,
        /// The uuid.
        uuid: String,
        /// The mapping that has it.
        holder: String,
    },
    /// Another process has worked on a mapping of that name for a minute.
    #[error("mapping {name} is being worked on by another process")]
    MappingLocked {
        /// The name.
        name: String,
    },
    /// There is no mapping of that name.
    #[error("there is no mapping {name}")]
    MappingInactive {
        /// The name.
        name: String,
    },
    /// The mapping is open elsewhere and cannot be removed.
    #[error("mapping {name} is in use")]
    MappingBusy {
        /// The name.
        name: String,
        /// What holds it, as far as is known; processes that have it open are not listed.
        holders: Vec<Holder>,
    },
    /// The mapping is of another target type.
    #[error("mapping {name} is not a verity mapping")]
    MappingNotVerity {
        /// The name.
        name: String,
    },
    /// Device-mapper itself cannot be reached.
    #[error("cannot open /dev/mapper/control")]
    NoDeviceMapper {
        /// What the system said.
        source: io::Error,
    },
    /// This process may not use device-mapper; it needs `CAP_SYS_ADMIN`.
    #[error("device-mapper: cannot {action} {name}: {errno}")]
    NotPermitted {
        /// What was tried.
        action: &'static str,
        /// The mapping.
        name: String,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The kernel's device-mapper has no verity target.
    #[error("the kernel has no device-mapper target verity")]
    NoVerityTarget,
    /// The kernel refused the table, and what was found out about it.
    #[error("the kernel refused the table \"{}\": {}", .0.table, .0.answer.errno)]
    TableRefused(Box<RefusedTable>),
    /// Another device-mapper operation failed.
    #[error("device-mapper: cannot {action} {name}: {message}")]
    DeviceMapper {
        /// What was tried.
        action: &'static str,
        /// The mapping.
        name: String,
        /// What the kernel or the wrapper said.
        message: String,
        /// The kernel's answer, where it was one.
        errno: Option<Errno>,
    },
    /// An image file could not be attached to a loop device.
    #[error("cannot attach {path} to a loop device")]
    LoopDevice {
        /// The image file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel has a free loop device, but there is no node of it in `/dev`.
    #[error("cannot attach {image} to a loop device: there is no {node}")]
    NoLoopNode {
        /// The image file.
        image: PathBuf,
        /// The node that is missing.
        node: PathBuf,
    },
    /// A keyring cannot be read or changed.
    #[error("keyring {name}")]
    Keyring {
        /// The kernel's name of it.
        name: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel has no such keyring.
    #[error("there is no keyring {name}")]
    NoKeyring {
        /// The kernel's name of it.
        name: &'static str,
    },
    /// Nothing can be added to a keyring any more.
    #[error("keyring {name} is sealed")]
    KeyringSealed {
        /// The kernel's name of it.
        name: &'static str,
    },
    /// The kernel did not accept the root hash's signature as a key.
    #[error("cannot put the root hash signature into the thread keyring: {message}")]
    SignatureKey {
        /// What the kernel said.
        message: String,
    },
}

/// What is wrong with a mapping's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    /// It is empty, or `.` or `..`.
    Unusable,
    /// It contains a slash.
    Slash,
    /// It has 128 bytes or more once mangled.
    TooLong,
}

impl std::fmt::Display for NameFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unusable => "not usable as a file name",
            Self::Slash => "contains a slash",
            Self::TooLong => "longer than 127 bytes",
        })
    }
}

impl Error {
    /// The same error, with the holders of a device that is in use.
    pub(super) fn with_holders(error: crate::Error) -> Self {
        match error {
            crate::Error::DeviceBusy { path } => Self::DeviceBusy { holders: holders(&path), path },
            error => Self::Image(error),
        }
    }

    /// The system's error number (`errno`) of this error, if the system reported one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Image(error) => error.errno(),
            Self::NoDeviceMapper { source } | Self::LoopDevice { source, .. } | Self::Keyring { source, .. } => {
                source.raw_os_error()
            }
            Self::TableRefused(refused) => Some(refused.answer.errno.raw()),
            Self::NotPermitted { errno, .. } => Some(errno.raw()),
            Self::DeviceMapper { errno, .. } => errno.map(Errno::raw),
            _ => None,
        }
    }
}
