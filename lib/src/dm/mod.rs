//! Device-mapper: activate an image as a mapping, take the mapping down again, ask for its status. Only this module
//! names the `devicemapper` crate.
//!
//! Which options a kernel takes is never derived from a version: the table is loaded and the kernel answers.

mod activate;
mod control;
mod deactivate;
mod name;
mod node;
mod status;

pub use activate::{ActivateOptions, Activation, activate};
pub use deactivate::{Removal, Removed, cancel_deferred_removal, deactivate};
pub use name::MappingName;
pub use status::{BackingDevice, MappingStatus, VerityMapping, status};
