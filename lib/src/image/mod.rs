//! Whole images: format, load, verify, update, repair, append, locate.

mod append;
mod devices;
mod expected;
mod format;
mod handle;
mod load;
mod locate;
mod mark;
mod places;
mod repair;
mod scan;
mod stream;
mod superblock;
mod targets;
mod update;
mod verify;
mod zeros;

pub use crate::io::is_same_device;
pub use append::{Appended, append, append_dry_run, plan_append};
pub use devices::{Devices, device_size, fec_area};
pub use expected::{Expected, uncovered_blocks};
pub use format::{Formatted, dry_run, format};
pub use handle::{Image, Parts};
pub use load::{load, unverified_root_hash};
pub use locate::{find_hash_offset, find_superblocks, find_tree_to_update};
pub use repair::{Diagnosis, diagnose, repair};
pub use stream::TreeBuilder;
pub use superblock::write_superblock;
pub use targets::check_new_files;
pub use update::{Changes, Updated, load_to_update, update};
pub use verify::verify;
pub use zeros::{ZerosWritten, must_be_zeros, write_zeros};
