//! Which devices and files are stored on which others.

use std::path::Path;

use super::device::device_numbers;
use super::sysfs;
use crate::io::{Identity, identify};

/// How many underlying devices are followed at most.
const MOST_DEVICES: usize = 256;

/// Whether what is written to one of two devices or files shows in the other: they are the same, or one is stored on
/// the other. A loop device is stored on its file, a partition on its disk, a mapping on the devices that it is made
/// of. A path that does not exist is stored on nothing.
pub fn is_stored_together(one: &Path, other: &Path) -> bool {
    let (Ok(one), Ok(other)) = (identify(one), identify(other)) else { return false };
    stored_on(one).contains(&other) || stored_on(other).contains(&one)
}

/// A device or file, and everything that it is stored on.
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
