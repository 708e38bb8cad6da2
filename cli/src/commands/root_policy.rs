//! What the owner of a machine demands of its root device: systemd's image policy, on the kernel command line and in a
//! file of the initramfs.

use std::io::ErrorKind;
use std::path::Path;

use dmverity::ddi::{Designator, Policy, Protection};

use super::read_bounded;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};

/// The file with a policy.
const FILE: &str = "/etc/dmverity/policy";

/// Longer than any policy.
const FILE_MAX: u64 = 64 << 10;

/// The policies that have to be met, all of them.
pub(super) struct RootPolicy(Vec<Policy>);

impl RootPolicy {
    /// Those on the command line, and the one in the file.
    pub(super) fn of(cmdline: &[String]) -> Result<Self> {
        let from_cmdline = cmdline.iter().map(|text| (text.clone(), "systemd.image_policy="));
        let from_file = file(Path::new(FILE))?.map(|text| (text, FILE));
        let policies = from_cmdline.chain(from_file).map(|(text, from)| {
            let unusable = |error| {
                let failure = Failure::new(Exit::Parameters, format!("the policy in {from} cannot be followed"));
                failure.hint(format!("{error}"))
            };
            text.parse().map_err(|error: dmverity::ddi::Error| unusable(error))
        });
        Ok(Self(policies.collect::<Result<_>>()?))
    }

    /// Whether a device may be used with this protection.
    pub(super) fn allows(&self, designator: Designator, protection: Protection) -> bool {
        self.0.iter().all(|policy| policy.allows(designator, protection))
    }

    /// Whether a device has to be a verity image.
    pub(super) fn wants_verity(&self, designator: Designator) -> bool {
        !self.allows(designator, Protection::None)
    }

    /// A failure of what the policies do not allow.
    pub(super) fn refused(&self, what: &str) -> Failure {
        let policies: Vec<String> = self.0.iter().map(Policy::to_string).collect();
        let failure = Failure::new(Exit::Permission, format!("the policy does not allow {what}"));
        failure.hint(format!("policy: {}", policies.join(" and ")))
    }
}

/// The policy in a file: its only line that is neither empty nor a comment.
fn file(path: &Path) -> Result<Option<String>> {
    // A link to nowhere was meant to lead to a policy.
    if path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Ok(None);
    }
    let unusable = |why: &str| Failure::new(Exit::Parameters, format!("{} {why}", text_of(path)));
    let bytes = read_bounded(path, FILE_MAX, "policy")?.ok_or_else(|| unusable("is too long for a policy"))?;
    let text = String::from_utf8(bytes).map_err(|_| unusable("is not UTF-8"))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    // A file without a policy is one that was meant to have one, and a second line was not meant to be ignored.
    match (lines.next(), lines.next()) {
        (Some(line), None) => Ok(Some(line.to_owned())),
        (None, _) => Err(unusable("has no policy")),
        (Some(_), Some(_)) => Err(unusable("has more than one line with a policy")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_policy_in_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy");
        assert_eq!(file(&path).unwrap(), None);
        for (text, expected) in [
            ("root=signed", Ok("root=signed")),
            ("# only ours\n\n  root=verity \n", Ok("root=verity")),
            ("", Err("has no policy")),
            ("# nothing\n", Err("has no policy")),
            ("usr=verity\nroot=signed\n", Err("has more than one line with a policy")),
            ("root=\u{0}", Ok("root=\u{0}")),
        ] {
            std::fs::write(&path, text).unwrap();
            let found = file(&path).map(Option::unwrap).map_err(|failure| failure.lines.join(""));
            let expected = expected.map(str::to_owned).map_err(|why| format!("{} {why}", text_of(&path)));
            assert_eq!(found, expected, "{text:?}");
        }
        std::fs::write(&path, [0xff]).unwrap();
        assert!(file(&path).is_err());
        // What cannot be read is not taken for none.
        for target in ["/no/where", ".", "/dev/null", "policy"] {
            std::fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink(target, &path).unwrap();
            assert!(file(&path).is_err(), "{target}");
        }
    }

    #[test]
    fn all_policies_have_to_allow_it() {
        let policies = |texts: &[&str]| RootPolicy(texts.iter().map(|text| text.parse().unwrap()).collect());
        let root = Designator::Root;
        assert!(!policies(&[]).wants_verity(root));
        assert!(!policies(&["root=verity+unprotected"]).wants_verity(root));
        let both = policies(&["root=verity+unprotected", "root=signed"]);
        assert!(both.wants_verity(root) && both.allows(root, Protection::Signed));
        assert!(!both.allows(root, Protection::Verity) && !both.wants_verity(Designator::Usr));
    }
}
