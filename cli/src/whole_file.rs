//! Files that appear complete or not at all.

use std::fs::Permissions;
use std::io::{Result, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

/// Readable by its owner alone.
pub(crate) const PRIVATE: u32 = 0o600;
/// Readable by everybody.
pub(crate) const PUBLIC: u32 = 0o644;

/// Writes a file in place of what is at `path`, if anything is.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut temporary = NamedTempFile::new_in(directory_of(path))?;
    temporary.write_all(bytes)?;
    if mode != PRIVATE {
        temporary.as_file().set_permissions(Permissions::from_mode(mode))?;
    }
    temporary.persist(path)?;
    Ok(())
}

/// The directory that a path is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
