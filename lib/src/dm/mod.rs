//! Device-mapper: activate an image as a mapping, take the mapping down again, ask for its status. Only this module
//! names the `devicemapper` crate.
//!
//! Which options a kernel takes is never derived from a version: the table is loaded and the kernel answers. When it
//! refuses, trial tables in a scratch mapping find out what it refuses:
//!
//! ```text
//! activate -> control (ioctls) -> the kernel
//!    | refused
//!    v
//! diagnose -> scratch (a mapping that is never resumed) -> control, kmsg (the kernel's own words)
//!    |
//!    +-> a hint: load again without it        +-> explain: the error that says what to do
//! ```
//!
//! [`features()`] tells in advance what the kernel accepts. Everything here needs root, or `CAP_SYS_ADMIN`.
//!
//! From opening to closing:
//!
//! ```no_run
//! use std::fs::File;
//! use std::io::Read as _;
//!
//! use dmverity::dm::{ActivateOptions, MappingName, Removal, activate, deactivate};
//! use dmverity::{Devices, RootHash};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let trusted = String::new();
//! let devices = Devices::new("/dev/vda1", "/dev/vda2");
//! let params = dmverity::load(&devices.hash, 0, None)?;
//! let root_hash = RootHash::from_hex(&trusted, params.algorithm())?;
//! let name = MappingName::new("image")?;
//! activate(&name, &devices, &params, &root_hash, &ActivateOptions::default())?;
//! // A wrong root hash shows here, as corrupted data do.
//! File::open(name.node())?.read_exact(&mut [0; 4096])?;
//! deactivate(&name, Removal::Now)?;
//! # Ok(())
//! # }
//! ```

mod activate;
mod backing;
mod control;
mod deactivate;
mod device;
mod diagnose;
mod errno;
mod error;
mod explain;
mod features;
mod find;
mod keyctl;
mod keyring;
mod kmsg;
mod lock;
mod loop_device;
mod name;
mod node;
mod refused;
mod scratch;
mod status;
mod stored;
mod sysfs;
mod trusted;
mod udev;

pub use activate::{ActivateOptions, Activation, activate};
pub use deactivate::{Removal, Removed, cancel_deferred_removal, deactivate};
pub use device::{holders, partition_node};
pub use errno::Errno;
pub use error::{Error, NameFault, Result};
pub use features::{AlgorithmFeature, Features, OptionFeature, features};
pub use find::find;
pub use name::MappingName;
pub use refused::{Cause, KernelAnswer, RefusedOption, RefusedTable, SignatureFault};
pub use status::{BackingDevice, MappingStatus, VerityMapping, status};
pub use stored::is_stored_together;
pub use sysfs::Holder;
pub use trusted::{KeyringState, TrustedKeyring, add_trusted_certificate, seal_keyring, trusted_keyrings};
