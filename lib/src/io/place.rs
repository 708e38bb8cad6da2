//! Where a file or device lies: whether a file may be created there, and what is stored on what.

use std::io::{Error as SystemError, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::{Identity, device_numbers, identify};
use crate::error::{Area, Error, Result};
use crate::sysfs;

/// Where device nodes are.
const DEVICE_NODES: &str = "/dev";

/// How many devices one device is stored on at most, as far as that is followed.
const MOST_DEVICES: usize = 256;

/// Checks, without creating anything, that a file that is not there can be created for an area of an image.
///
/// # Errors
/// [`Error::AmongDeviceNodes`]; [`Error::Open`] for a link that leads nowhere; [`Error::NotWritable`].
pub(crate) fn check_creatable(path: &Path, area: Area) -> Result<()> {
    // A hash device that has no name yet.
    if path.as_os_str().is_empty() && area == Area::Hash {
        return Ok(());
    }
    let open_error = |source| Error::Open { path: path.to_owned(), source };
    let not_writable = |source| Error::NotWritable { area, path: path.to_owned(), source };
    match path.symlink_metadata() {
        // A link that leads nowhere, or what another process has created just now.
        Ok(_) => return path.metadata().map(drop).map_err(open_error),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(not_writable(error)),
        Err(_) => {}
    }
    let directory = directory_of(path);
    if is_among_device_nodes(directory) {
        return Err(Error::AmongDeviceNodes { path: path.to_owned() });
    }
    let metadata = directory.metadata().map_err(not_writable)?;
    if !metadata.is_dir() {
        return Err(not_writable(Errno::ENOTDIR.into()));
    }
    access(directory, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|errno| not_writable(SystemError::from(errno)))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether a new file in this directory, which need not be there, would lie among device nodes: on the file system that
/// `/dev` is on, if that is one of its own, else below `/dev` by whatever links. Other file systems that are mounted below
/// `/dev`, such as `/dev/shm`, are for files.
pub fn is_among_device_nodes(directory: &Path) -> bool {
    let mut existing =
        directory.ancestors().map(|each| if each.as_os_str().is_empty() { Path::new(".") } else { each });
    let found = existing.find_map(|each| Some((each, each.metadata().ok()?)));
    let (Some((existing, found)), Ok(nodes)) = (found, Path::new(DEVICE_NODES).metadata()) else { return false };
    let is_own_file_system = Path::new("/").metadata().is_ok_and(|root| root.dev() != nodes.dev());
    let is_below = || existing.canonicalize().is_ok_and(|path| path.starts_with(DEVICE_NODES));
    found.dev() == nodes.dev() && (is_own_file_system || is_below())
}

/// Whether what is written to one of two devices or files shows in the other: they are the same, or one is stored on the
/// other. A loop device is stored on the file behind it, a partition on its disk, a mapping on the devices that it is made
/// of. What is not there is stored nowhere.
pub fn is_stored_together(one: &Path, other: &Path) -> bool {
    let (Ok(one), Ok(other)) = (identify(one), identify(other)) else { return false };
    stored_on(one).contains(&other) || stored_on(other).contains(&one)
}

/// Something, and all that it is stored on.
fn stored_on(identity: Identity) -> Vec<Identity> {
    let mut found = vec![identity];
    let mut next = 0;
    while let Some(&identity) = found.get(next) {
        next += 1;
        let Identity::Block(number) = identity else { continue };
        let numbers = device_numbers(number);
        let below = sysfs::stored_on(&numbers).into_iter().filter_map(|numbers| {
            let (major, minor) = numbers.split_once(':')?;
            Some(Identity::Block(nix::sys::stat::makedev(major.parse().ok()?, minor.parse().ok()?)))
        });
        let file = sysfs::loop_backing_file(&numbers).and_then(|file| identify(&file).ok());
        let new: Vec<Identity> = below.chain(file).filter(|each| !found.contains(each)).collect();
        found.extend(new);
        found.truncate(MOST_DEVICES);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_nodes_are_below_dev_and_not_on_what_is_mounted_there() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/dev", &link).unwrap();
        for (path, expected) in [
            (Path::new("/dev"), true),
            (Path::new("/dev/nosuch/deeper"), true),
            (Path::new("/dev/../dev/."), true),
            (&link, true),
            (&link.join("nosuch"), true),
            (directory.path(), false),
            (&directory.path().join("nosuch"), false),
            (Path::new("/proc"), false),
            (Path::new("."), false),
            (Path::new(""), false),
            (Path::new("nosuch"), false),
        ] {
            assert_eq!(is_among_device_nodes(path), expected, "{}", path.display());
        }
        // It is a file system of its own on every system that has it.
        let shm = Path::new("/dev/shm").metadata().ok().zip(Path::new("/dev").metadata().ok());
        if let Some((shm, nodes)) = shm {
            assert_eq!(is_among_device_nodes(Path::new("/dev/shm/nosuch")), shm.dev() == nodes.dev());
        }
    }

    #[test]
    fn links_are_stored_with_what_they_lead_to() {
        let directory = tempfile::tempdir().unwrap();
        let [file, hard, soft, other] = ["file", "hard", "soft", "other"].map(|name| directory.path().join(name));
        std::fs::write(&file, "").unwrap();
        std::fs::write(&other, "").unwrap();
        std::fs::hard_link(&file, &hard).unwrap();
        std::os::unix::fs::symlink(&hard, &soft).unwrap();
        assert!(is_stored_together(&file, &hard) && is_stored_together(&soft, &file));
        assert!(!is_stored_together(&file, &other));
        assert!(!is_stored_together(&directory.path().join("none"), &directory.path().join("none")));
    }
}
