//! Disk images that `systemd-repart` has made, each with what it said of it: root file systems by version 257, signed
//! and not, and one for `/usr` with sectors of 4096 bytes by version 262. The definitions they were made from are with
//! them. All have the same squashfs inside, for which reason the archive is small.

use std::path::Path;
use std::process::Command;

use crate::workspace;

/// The names of the images.
pub const IMAGES: [&str; 3] = ["root-signed-257", "root-unsigned-257", "usr-arm64-sector4096-p256-262"];

/// Unpacks them into `ddi` in a folder.
///
/// # Panics
/// If `tar` or `xz` is missing.
pub fn unpack(folder: &Path) {
    let archive = workspace().join("tests/vectors/chain/ddi.tar.xz");
    let status = Command::new("tar").arg("-xJf").arg(archive).arg("-C").arg(folder).status();
    let is_unpacked = status.as_ref().is_ok_and(std::process::ExitStatus::success);
    assert!(is_unpacked, "{status:?}: install Debian's packages tar and xz-utils");
}
