//! Files that appear complete or not at all.

use std::fs::Permissions;
use std::io::{Result, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::Builder;

/// Readable by its owner alone.
pub(crate) const PRIVATE: u32 = 0o600;
/// Readable by everybody.
pub(crate) const PUBLIC: u32 = 0o644;

/// Writes a file in place of what is at `path`, if anything is; the mode is limited by the umask.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let permissions = Permissions::from_mode(mode);
    let mut temporary = Builder::new().permissions(permissions).tempfile_in(directory_of(path))?;
    temporary.write_all(bytes)?;
    temporary.persist(path)?;
    Ok(())
}

/// The directory that a path is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
