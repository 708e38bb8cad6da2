//! Finds the mapping that the user means, by its name or by any path that leads to its device.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use nix::sys::stat::{major, minor};

use super::control::Control;
use super::error::{Error, NameFault, Result};
use super::name::MappingName;

/// The mapping of this name or, for a text with a `/` in it, the mapping that the path leads to: its node, a link to
/// the node, `/dev/dm-0`, or a node of that number anywhere. `None` for a path that leads to no mapping, and for `.`,
/// `..`, `control` and the empty text.
///
/// `/dev/mapper/NAME` is the mapping of that name even if the node is missing, as after a boot that made the mapping
/// without udev. Every other path is resolved by its device number. A name without `/` is not looked up: there may be
/// no mapping of that name.
///
/// # Errors
/// [`Error::MappingName`](crate::dm::Error::MappingName) for a name that is too long;
/// [`Error::NoDeviceMapper`](crate::dm::Error::NoDeviceMapper),
/// [`Error::NotPermitted`](crate::dm::Error::NotPermitted) and [`Error::DeviceMapper`](crate::dm::Error::DeviceMapper)
/// for a path that exists.
///
/// # Examples
/// ```no_run
/// use dmverity::dm::find;
///
/// # fn main() -> dmverity::dm::Result<()> {
/// // What `findmnt -no SOURCE /` prints.
/// if let Some(name) = find("/dev/dm-0")? {
///     println!("the root file system's mapping is {name}");
/// }
/// # Ok(())
/// # }
/// ```
pub fn find(name_or_path: impl AsRef<OsStr>) -> Result<Option<MappingName>> {
    let text = name_or_path.as_ref();
    let path = Path::new(text);
    if !text.as_encoded_bytes().contains(&b'/') {
        return match MappingName::new(text) {
            // No mapping can have this name.
            Err(Error::MappingName { what: NameFault::Unusable, .. }) => Control::open().map(|_| None),
            name => name.map(Some),
        };
    }
    // A path such as `/dev/mapper/..` has no mapping's name at its end.
    let of_node = MappingName::from_name_or_path(text).ok();
    let found = fs::metadata(path).ok();
    if of_node.is_none() && found.is_none() {
        return Ok(None);
    }
    let control = match Control::open() {
        // Without device-mapper, what does not exist is no mapping's node.
        Err(_) if found.is_none() => return Ok(None),
        control => control?,
    };
    if let Some(name) = of_node
        && control.info(&name)?.is_some()
    {
        return Ok(Some(name));
    }
    let Some(found) = found.filter(|found| found.file_type().is_block_device()) else { return Ok(None) };
    let number = found.rdev();
    let name = control.name_of((major(number), minor(number)))?;
    Ok(name.and_then(|name| MappingName::new(name).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_not_looked_for() {
        assert_eq!(find("v0").unwrap(), Some(MappingName::new("v0").unwrap()));
        assert!(matches!(find("a".repeat(128)), Err(Error::MappingName { what: NameFault::TooLong, .. })));
    }

    #[test]
    fn a_path_that_leads_nowhere_is_no_mapping() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::os::unix::fs::symlink("nowhere", path("link")).unwrap();
        for nothing in [path("nosuch"), path("link"), path("file/x"), "/dev/mapper/dmverity-nosuch".into()] {
            assert_eq!(find(&nothing).unwrap(), None, "{nothing:?}");
        }
        assert_eq!(find("../dmverity-nosuch").unwrap(), None);
    }

    /// Without device-mapper some of these cannot be looked up, which is an error.
    #[test]
    fn what_cannot_be_a_mapping_is_none() {
        for other in ["/dev/null", "/", "/dev/mapper/..", "./", "", "..", "control"] {
            match find(other) {
                Ok(found) => assert_eq!(found, None, "{other}"),
                Err(error) => assert!(
                    matches!(error, Error::NoDeviceMapper { .. } | Error::NotPermitted { .. }),
                    "{other}: {error:?}"
                ),
            }
        }
    }
}
