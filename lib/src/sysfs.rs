//! What the kernel says about block devices in sysfs. Everything here is for people to read: where sysfs is missing or
//! has nothing to say, there is no answer and no error.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

const BLOCK_DEVICES: &str = "/sys/dev/block";

/// The node of the block device `major:minor`; that of its name for a mapping.
pub(crate) fn block_device_path(numbers: &str) -> Option<PathBuf> {
    let directory = Path::new(BLOCK_DEVICES).join(numbers);
    if let Ok(name) = fs::read_to_string(directory.join("dm/name")) {
        return Some(Path::new("/dev/mapper").join(name.trim_end()));
    }
    let uevent = fs::read_to_string(directory.join("uevent")).ok()?;
    let name = uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
    Some(Path::new("/dev").join(name))
}

/// The image file behind the loop device `major:minor`.
pub(crate) fn loop_backing_file(numbers: &str) -> Option<PathBuf> {
    let path = Path::new(BLOCK_DEVICES).join(numbers).join("loop/backing_file");
    let mut name = fs::read(path).ok()?;
    if name.last() == Some(&b'\n') {
        name.pop();
    }
    Some(PathBuf::from(OsString::from_vec(name)))
}
