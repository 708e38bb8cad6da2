//! The certificates that a system trusts for images, in systemd's folders.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use dmverity::signature::{Certificate, Reader};

use super::trust;
use crate::failure::Result;

/// What the names of certificates end with.
const EXTENSION: &str = "crt";

/// The certificates in systemd's folders: of each file the first one. A file in one folder hides those of its name in
/// the later ones, and a link to `/dev/null` is a file without a certificate.
pub(super) fn certificates() -> Result<Vec<Certificate>> {
    let folders: Vec<&Path> = Reader::Systemd.keyrings().iter().map(Path::new).collect();
    certificates_in(&folders)
}

/// The same for other folders.
fn certificates_in(folders: &[&Path]) -> Result<Vec<Certificate>> {
    files(folders).into_values().filter(|path| !is_masked(path)).map(|path| trust::certificate(&path)).collect()
}

/// The files that are not hidden, by name.
fn files(folders: &[&Path]) -> BTreeMap<OsString, PathBuf> {
    let mut found = BTreeMap::new();
    for entry in folders.iter().rev().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten()) {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            found.insert(entry.file_name(), path);
        }
    }
    found
}

fn is_masked(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|target| target == Path::new("/dev/null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_folders_hide_files_of_later_ones() {
        let directory = tempfile::tempdir().unwrap();
        let folders = ["a", "b", "missing"].map(|name| directory.path().join(name));
        for folder in &folders[..2] {
            fs::create_dir(folder).unwrap();
        }
        for file in ["a/one.crt", "b/one.crt", "b/two.crt", "b/three.pem", "b/masked.crt"] {
            fs::write(directory.path().join(file), file).unwrap();
        }
        std::os::unix::fs::symlink("/dev/null", folders[0].join("masked.crt")).unwrap();
        let found = files(&folders.each_ref().map(PathBuf::as_path));
        let found = found.into_values().filter(|path| !is_masked(path));
        let names: Vec<String> = found.map(|path| fs::read_to_string(path).unwrap()).collect();
        assert_eq!(names, ["a/one.crt", "b/two.crt"]);
        let refused = certificates_in(&[&folders[0]]).unwrap_err();
        assert!(refused.lines[0].starts_with("Invalid certificate file "));
        assert!(certificates_in(&[]).unwrap().is_empty());
    }
}
