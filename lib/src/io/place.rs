//! Whether a file may be created in a place.

use std::io::ErrorKind;
use std::path::Path;

use super::system::{self, file_system_of};
use crate::error::{Area, Error, Result};

/// Where device nodes are.
const DEVICE_NODES: &str = "/dev";

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
    if is_named_directory(path) {
        return Err(not_writable(system::is_a_directory()));
    }
    system::check_directory(directory).map_err(not_writable)
}

/// Whether a path ends with a slash: the system takes it for a directory's, but [`Path`] does not see the slash.
fn is_named_directory(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().last() == Some(&b'/')
}

pub(super) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether a new file in this directory, which need not exist, would be among device nodes: on the file system that
/// `/dev` is on, if that is one of its own, else below `/dev` by whatever links. Other file systems that are mounted
/// below `/dev`, such as `/dev/shm`, are for files.
pub fn is_among_device_nodes(directory: &Path) -> bool {
    let mut existing =
        directory.ancestors().map(|each| if each.as_os_str().is_empty() { Path::new(".") } else { each });
    let found = existing.find_map(|each| Some((each, each.metadata().ok()?)));
    let (Some((existing, found)), Ok(nodes)) = (found, Path::new(DEVICE_NODES).metadata()) else { return false };
    let is_own_file_system =
        Path::new("/").metadata().is_ok_and(|root| file_system_of(&root) != file_system_of(&nodes));
    let is_below = || existing.canonicalize().is_ok_and(|path| path.starts_with(DEVICE_NODES));
    file_system_of(&found) == file_system_of(&nodes) && (is_own_file_system || is_below())
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
            assert_eq!(
                is_among_device_nodes(Path::new("/dev/shm/nosuch")),
                file_system_of(&shm) == file_system_of(&nodes)
            );
        }
    }
}
