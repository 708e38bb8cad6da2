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
//! What can be known in advance is told by [`features()`]:
//!
//! ```no_run
//! use dmverity::table::TableOption;
//!
//! # fn main() -> dmverity::Result<()> {
//! for feature in dmverity::dm::features()?.options {
//!     if let (TableOption::Fec, Some(refused)) = (feature.option, feature.refused) {
//!         eprintln!("no forward error correction: {:?}", refused.message);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod activate;
mod backing;
mod control;
mod deactivate;
mod diagnose;
mod explain;
mod features;
mod kmsg;
mod lock;
mod name;
mod node;
mod refusal;
mod scratch;
mod signals;
mod status;
mod udev;

pub use activate::{ActivateOptions, Activation, activate};
pub use deactivate::{Removal, Removed, cancel_deferred_removal, deactivate};
pub use features::{AlgorithmFeature, Features, OptionFeature, features};
pub use name::MappingName;
pub use refusal::{Cause, Refusal, Refused, RefusedOption, SignatureFault};
pub use status::{BackingDevice, MappingStatus, VerityMapping, status};
