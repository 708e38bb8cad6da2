//! `veritysetup mount-file`: what is read from the mounted file, how the mount ends, and who can make it.

#[path = "../serve/changing.rs"]
mod changing;
mod ending;
#[path = "../serve/image.rs"]
mod image;
mod mounted;
mod reading;
mod storm;
mod users;

use std::path::PathBuf;

/// The command with FUSE.
fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_veritysetup-full").into()
}
