//! The node `/dev/mapper/NAME`. With udev its rules make a symlink there; without, this module makes a block node, as
//! device-mapper's own library does, and takes it away again.

use std::fs;
use std::io::ErrorKind;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, major, makedev, minor, mknod};

use super::error::Result;
use super::sysfs;

/// How many bytes of `/etc/group` are read at most.
const GROUPS_MAX: u64 = 1 << 20;

/// The group `disk` where `/etc/group` does not say otherwise: device-mapper's own default.
const DISK_GID: u32 = 6;

/// Makes sure that `node` leads to the block device `device`.
pub(super) fn ensure(node: &Path, (major, minor): (u32, u32)) -> Result<()> {
    let device = makedev(major.into(), minor.into());
    if fs::metadata(node).is_ok_and(|found| found.file_type().is_block_device() && found.rdev() == device) {
        return Ok(());
    }
    // It is missing, left over from another mapping, or a dangling link.
    log::debug!("making the node {}", node.display());
    // Made under another name and then renamed, so that it never has the wrong owner or mode under its own.
    let directory = node.parent().unwrap_or(Path::new("/dev/mapper"));
    let temporary = directory.join(format!(".{major}:{minor}.{}", std::process::id()));
    let made = mknod(&temporary, SFlag::S_IFBLK, Mode::from_bits_truncate(0o660), device)
        .map_err(std::io::Error::from)
        .and_then(|()| fs::set_permissions(&temporary, fs::Permissions::from_mode(0o660)))
        .and_then(|()| chown(&temporary, Some(0), Some(disk_gid())))
        .and_then(|()| fs::rename(&temporary, node));
    made.map_err(|source| {
        let _ = fs::remove_file(&temporary);
        crate::Error::io("make", node)(source).into()
    })
}

/// Removes whatever is there, including udev's link to a removed mapping, if udev does not do so in time.
pub(super) fn remove_any(node: &Path) -> Result<()> {
    match fs::remove_file(node) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(crate::Error::io("remove", node)(error).into()),
        _ => Ok(()),
    }
}

/// Removes a block node that [`ensure`] may have made. A link belongs to udev and is left alone.
pub(super) fn remove(node: &Path) -> Result<()> {
    match fs::symlink_metadata(node) {
        Ok(metadata) if metadata.file_type().is_block_device() => remove_any(node),
        _ => Ok(()),
    }
}

/// Removes the block node of a mapping that does not exist. Its number may belong to another mapping by now. The node
/// of a device of another kind was made by its owner.
pub(super) fn remove_stale(node: &Path) -> Result<()> {
    let Ok(metadata) = fs::symlink_metadata(node) else { return Ok(()) };
    let numbers = format!("{}:{}", major(metadata.rdev()), minor(metadata.rdev()));
    if metadata.file_type().is_block_device() && !sysfs::is_of_another_kind(&numbers) {
        log::debug!("removing the node {} of a mapping that is gone", node.display());
        return remove_any(node);
    }
    Ok(())
}

/// Read from the file itself: the C library's look-up loads shared objects, which a static program in an initramfs does
/// not have.
fn disk_gid() -> u32 {
    let mut groups = String::new();
    let read = fs::File::open("/etc/group").and_then(|file| file.take(GROUPS_MAX).read_to_string(&mut groups));
    read.ok().and_then(|_| gid_of("disk", &groups)).unwrap_or(DISK_GID)
}

fn gid_of(name: &str, groups: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\ndiskette:x:9:\ndisk:x:994:user\nbroken\n";
        assert_eq!(gid_of("disk", groups), Some(994));
        assert_eq!(gid_of("tape", groups), None);
    }
}
