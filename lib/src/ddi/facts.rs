//! What a policy looks at in an image, and what it decides.

use std::collections::BTreeMap;

use super::architecture::Architecture;
use super::error::Error;
use super::gpt::{Gpt, Partition};
use super::kind::{Designator, Role};
use super::policy::{FILE_SYSTEMS, Policy, PolicyPartition, Uses};
use crate::io::ReadAt;

/// The partitions of an image that systemd would look at: of several for the same purpose the one for the local
/// architecture, or the last by its label.
///
/// A policy looks at partition types, flags and the kind of file systems alone. That an image agrees with `root=signed`
/// says that it has a signature partition, and nothing of what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFacts(BTreeMap<PolicyPartition, Found>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    partition: Partition,
    content: Content,
}

/// What a partition begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// The file system with this place in [`FILE_SYSTEMS`].
    FileSystem(usize),
    Luks,
    Unknown,
}

/// Why an image does not agree with a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A partition is there that must not be.
    #[error("partition {partition} must be absent")]
    Present {
        /// Which one.
        partition: PolicyPartition,
    },
    /// A partition is missing.
    #[error("partition {partition} must not be absent")]
    Missing {
        /// Which one.
        partition: PolicyPartition,
    },
    /// A partition is not protected as it must be.
    #[error("partition {partition} is {found}, but must be {wanted}")]
    Protection {
        /// Which one.
        partition: PolicyPartition,
        /// How it is protected, in the words of a policy.
        found: String,
        /// How it has to be.
        wanted: String,
    },
    /// A partition's flag is not as it must be.
    #[error("partition {partition} must have its flag {flag} {}", if *.wanted { "on" } else { "off" })]
    Flag {
        /// Which one.
        partition: PolicyPartition,
        /// `read-only` or `growfs`.
        flag: &'static str,
        /// How it has to be.
        wanted: bool,
    },
    /// A partition has another file system.
    #[error("partition {partition} must not have the file system {found}")]
    FileSystem {
        /// Which one.
        partition: PolicyPartition,
        /// What it has.
        found: String,
    },
    /// The policy leaves nothing to use.
    #[error("no root or usr partition is left to use")]
    Nothing,
}

impl ImageFacts {
    /// Looks at an image. Of each partition that has a file system, the beginning is read.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn of(gpt: &Gpt, storage: &dyn ReadAt) -> Result<Self, Error> {
        let mut found: BTreeMap<PolicyPartition, Found> = BTreeMap::new();
        for partition in gpt.partitions().iter().filter(|partition| !partition.has(Partition::NO_AUTO)) {
            let Some(purpose) = purpose(partition) else { continue };
            let is_better = found.get(&purpose).is_none_or(|other| rank(partition) > rank(&other.partition));
            if is_better {
                let content = content(partition, storage)?;
                found.insert(purpose, Found { partition: partition.clone(), content });
            }
        }
        Ok(Self(found))
    }

    /// The partition that is used for a purpose.
    pub fn partition(&self, purpose: PolicyPartition) -> Option<&Partition> {
        self.0.get(&purpose).map(|found| &found.partition)
    }
}

impl Policy {
    /// Whether systemd would use an image under this policy.
    ///
    /// Where its versions differ, an image is refused if one of them would use it with less protection than it has, or
    /// without any partition that the policy names. A signed image satisfies `root=verity` even where the signature
    /// partition is not ignored, as with systemd 262; 257 refuses that.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn check(&self, facts: &ImageFacts) -> Result<(), Refusal> {
        let mut used = BTreeMap::new();
        for partition in PolicyPartition::all() {
            let rule = self.rule(partition);
            let Some(found) = facts.0.get(&partition) else { continue };
            if rule.uses == Uses::ABSENT {
                return Err(Refusal::Present { partition });
            }
            if rule.uses.is_unused_only() {
                continue;
            }
            let flags = [
                ("read-only", rule.read_only, Partition::READ_ONLY),
                ("growfs", rule.grow_file_system, Partition::GROW_FILE_SYSTEM),
            ];
            for (flag, wanted, attribute) in flags {
                if let Some(wanted) = wanted.filter(|&wanted| wanted != found.partition.has(attribute)) {
                    return Err(Refusal::Flag { partition, flag, wanted });
                }
            }
            used.insert(partition, found);
        }
        let must_be_there = |partition: &PolicyPartition| !self.rule(*partition).uses.has_any_of(Uses::ABSENT);
        let mut missing = PolicyPartition::all().filter(|partition| !facts.0.contains_key(partition));
        if let Some(partition) = missing.find(must_be_there) {
            return Err(Refusal::Missing { partition });
        }
        check_signed(&used)?;
        for (&partition, found) in &used {
            let rule = self.rule(partition);
            let protection = protection(partition, found, |partition| used.contains_key(&partition));
            if !rule.uses.has_any_of(protection) {
                let (found, wanted) = (protection.to_string(), rule.uses.to_string());
                return Err(Refusal::Protection { partition, found, wanted });
            }
            if let Content::FileSystem(place) = found.content
                && rule.file_systems != 0
                && rule.file_systems & (1 << place) == 0
            {
                return Err(Refusal::FileSystem { partition, found: FILE_SYSTEMS[place].to_owned() });
            }
        }
        let is_data = |designator| used.contains_key(&PolicyPartition::Image(designator, Role::Data));
        if Designator::ALL.into_iter().any(is_data) { Ok(()) } else { Err(Refusal::Nothing) }
    }
}

/// A signature that is used says which data and hash tree are.
fn check_signed(used: &BTreeMap<PolicyPartition, &Found>) -> Result<(), Refusal> {
    for designator in Designator::ALL {
        let of = |role| PolicyPartition::Image(designator, role);
        if used.contains_key(&of(Role::Signature))
            && let Some(partition) =
                [Role::Data, Role::Verity].map(of).into_iter().find(|each| !used.contains_key(each))
        {
            return Err(Refusal::Missing { partition });
        }
    }
    Ok(())
}

/// How a partition is protected, given which others are used.
fn protection(partition: PolicyPartition, found: &Found, is_used: impl Fn(PolicyPartition) -> bool) -> Uses {
    if let PolicyPartition::Image(designator, Role::Data) = partition
        && is_used(PolicyPartition::Image(designator, Role::Verity))
    {
        let is_signed = is_used(PolicyPartition::Image(designator, Role::Signature));
        return if is_signed { Uses::VERITY.and(Uses::SIGNED) } else { Uses::VERITY };
    }
    match found.content {
        Content::Luks => Uses::ENCRYPTED.and(Uses::ENCRYPTED_WITH_INTEGRITY),
        Content::FileSystem(_) | Content::Unknown => Uses::UNPROTECTED,
    }
}

/// The rule that a partition falls under.
fn purpose(partition: &Partition) -> Option<PolicyPartition> {
    let other = || PolicyPartition::all().find(|purpose| partition.type_name() == purpose.name());
    partition.kind.map(PolicyPartition::of).or_else(other)
}

/// Which of several partitions is taken: the greatest.
fn rank(partition: &Partition) -> (bool, &str) {
    let is_local = partition.kind.is_none_or(|kind| Some(kind.architecture) == Architecture::local());
    (is_local, &partition.name)
}

/// The bytes that tell what a partition holds: where they are, and what they are.
const MAGICS: [(&str, u64, &[u8]); 8] = [
    ("squashfs", 0, b"hsqs"),
    ("erofs", 1024, &[0xE2, 0xE1, 0xF5, 0xE0]),
    ("ext4", 1080, &[0x53, 0xEF]),
    ("btrfs", 65600, b"_BHRfS_M"),
    ("xfs", 0, b"XFSB"),
    ("f2fs", 1024, &[0x10, 0x20, 0xF5, 0xF2]),
    ("vfat", 54, b"FAT1"),
    ("vfat", 82, b"FAT32"),
];

fn content(partition: &Partition, storage: &dyn ReadAt) -> Result<Content, Error> {
    let part = partition.part(storage);
    let begins = |offset: u64, magic: &[u8]| -> Result<bool, Error> {
        let mut found = vec![0; magic.len()];
        if offset + magic.len() as u64 > partition.bytes {
            return Ok(false);
        }
        part.read_exact_at(&mut found, offset).map_err(Error::io("read"))?;
        Ok(found == magic)
    };
    if begins(0, b"LUKS\xBA\xBE")? {
        return Ok(Content::Luks);
    }
    for (name, offset, magic) in MAGICS {
        if begins(offset, magic)? {
            let place = FILE_SYSTEMS.iter().position(|known| *known == name);
            return Ok(Content::FileSystem(place.expect("the table names file systems of policies")));
        }
    }
    Ok(Content::Unknown)
}

#[cfg(test)]
mod tests;
