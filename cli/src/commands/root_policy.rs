//! What the owner of a machine demands of its root device: systemd's image policy, on the kernel command line and in a
//! file of the initramfs.

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
    /// The policy on the command line, if there is one, and that in the file.
    pub(super) fn of(cmdline: Option<&str>) -> Result<Self> {
        let from_cmdline = cmdline.map(|text| (text.to_owned(), "systemd.image_policy="));
        let from_file = file(Path::new(FILE))?.map(|text| (text, FILE));
        let policies = from_cmdline.into_iter().chain(from_file).map(|(text, from)| {
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

/// The policy in a file: its first line that is neither empty nor a comment.
fn file(path: &Path) -> Result<Option<String>> {
    if !path.exists() {
        return Ok(None);
    }
    let unusable = |why: &str| Failure::new(Exit::Parameters, format!("{} {why}", text_of(path)));
    let bytes = read_bounded(path, FILE_MAX, "policy")?.ok_or_else(|| unusable("is too long for a policy"))?;
    let text = String::from_utf8(bytes).map_err(|_| unusable("is not UTF-8"))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    // A file without a policy is one that was meant to have one.
    lines.next().map(|line| Some(line.to_owned())).ok_or_else(|| unusable("has no policy"))
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
            ("root=signed", Some("root=signed")),
            ("# only ours\n\n  root=verity \nroot=unprotected\n", Some("root=verity")),
            ("", None),
            ("# nothing\n", None),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(file(&path).ok().flatten().as_deref(), expected, "{text:?}");
        }
        std::fs::write(&path, [0xff]).unwrap();
        assert!(file(&path).is_err());
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
