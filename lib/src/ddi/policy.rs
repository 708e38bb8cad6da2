//! systemd's image policies: which partitions an image may have, and how they have to be protected.
//!
//! ```text
//! POLICY = "*" | "-" | "~" | ITEM [":" ITEM]...
//! ITEM   = [PARTITION] "=" [FLAG ["+" FLAG]...]        without a partition: the default for all others
//! ```
//! What it means was measured with `systemd-analyze image-policy` and `systemd-dissect --validate`, versions 257 and
//! 262.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::error::Error;
use super::kind::{Designator, PartitionKind, Role};

/// A partition that a policy has a rule for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PolicyPartition {
    /// A partition of a verity image.
    Image(Designator, Role),
    /// `/home`
    Home,
    /// `/srv`
    Srv,
    /// The EFI system partition.
    Esp,
    /// The extended boot loader partition.
    Xbootldr,
    /// Swap space.
    Swap,
    /// `/var/tmp`
    Tmp,
    /// `/var`
    Var,
}

/// Every partition with its name in a policy.
const PARTITIONS: [(&str, PolicyPartition); 13] = [
    ("root", PolicyPartition::Image(Designator::Root, Role::Data)),
    ("usr", PolicyPartition::Image(Designator::Usr, Role::Data)),
    ("home", PolicyPartition::Home),
    ("srv", PolicyPartition::Srv),
    ("esp", PolicyPartition::Esp),
    ("xbootldr", PolicyPartition::Xbootldr),
    ("swap", PolicyPartition::Swap),
    ("root-verity", PolicyPartition::Image(Designator::Root, Role::Verity)),
    ("root-verity-sig", PolicyPartition::Image(Designator::Root, Role::Signature)),
    ("usr-verity", PolicyPartition::Image(Designator::Usr, Role::Verity)),
    ("usr-verity-sig", PolicyPartition::Image(Designator::Usr, Role::Signature)),
    ("tmp", PolicyPartition::Tmp),
    ("var", PolicyPartition::Var),
];

impl PolicyPartition {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        PARTITIONS.iter().map(|(_, partition)| *partition)
    }

    /// The rule that is for partitions of this kind.
    pub const fn of(kind: PartitionKind) -> Self {
        Self::Image(kind.designator, kind.role)
    }

    /// Its name in a policy.
    pub fn name(self) -> &'static str {
        PARTITIONS.iter().find(|(_, partition)| *partition == self).expect("the table has all of them").0
    }

    /// How it can be used at all.
    const fn possible(self) -> Uses {
        match self {
            Self::Image(_, Role::Data) => Uses::ALL,
            Self::Image(_, Role::Verity | Role::Signature) => Uses(Uses::UNPROTECTED.0 | Uses::IGNORE.0),
            _ => Uses(Uses::ALL.0 & !Uses::VERITY.0 & !Uses::SIGNED.0),
        }
    }
}

impl fmt::Display for PolicyPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a file system is protected by dm-verity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Not at all.
    None,
    /// By a root hash.
    Verity,
    /// By a root hash that has a trusted signature.
    Signed,
}

/// Ways to use a partition, or not to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Uses(u8);

impl Uses {
    pub(super) const VERITY: Self = Self(1);
    pub(super) const SIGNED: Self = Self(2);
    pub(super) const ENCRYPTED: Self = Self(4);
    pub(super) const ENCRYPTED_WITH_INTEGRITY: Self = Self(8);
    pub(super) const UNPROTECTED: Self = Self(16);
    pub(super) const UNUSED: Self = Self(32);
    pub(super) const ABSENT: Self = Self(64);
    const IGNORE: Self = Self(Self::UNUSED.0 | Self::ABSENT.0);
    const ALL: Self = Self(127);
    const NONE: Self = Self(0);

    pub(super) const fn has_any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a partition that is there is neither refused nor used.
    pub(super) const fn is_unused_only(self) -> bool {
        self.0 == Self::UNUSED.0 || self.0 == Self::IGNORE.0
    }
}

/// The flags for uses; the two that have several come after those they have.
const USES: [(&str, Uses); 9] = [
    ("verity", Uses::VERITY),
    ("signed", Uses::SIGNED),
    ("encrypted", Uses::ENCRYPTED),
    ("encryptedwithintegrity", Uses::ENCRYPTED_WITH_INTEGRITY),
    ("unprotected", Uses::UNPROTECTED),
    ("unused", Uses::UNUSED),
    ("absent", Uses::ABSENT),
    ("ignore", Uses::IGNORE),
    ("open", Uses::ALL),
];

impl fmt::Display for Uses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("nothing");
        }
        let names = USES[..7].iter().filter(|(_, uses)| self.has_any_of(*uses)).map(|(name, _)| *name);
        f.write_str(&names.collect::<Vec<_>>().join("+"))
    }
}

/// The file systems that a policy can ask for.
pub(super) const FILE_SYSTEMS: [&str; 7] = ["btrfs", "erofs", "ext4", "f2fs", "squashfs", "vfat", "xfs"];

/// What a policy demands of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) uses: Uses,
    /// `None` if both are accepted.
    pub(super) read_only: Option<bool>,
    pub(super) grow_file_system: Option<bool>,
    /// A bit for each of [`FILE_SYSTEMS`]; none of them means that any is accepted.
    pub(super) file_systems: u8,
}

impl Rule {
    const EMPTY: Self = Self { uses: Uses::NONE, read_only: None, grow_file_system: None, file_systems: 0 };
    const IGNORE: Self = Self { uses: Uses::IGNORE, ..Self::EMPTY };

    /// The same for a partition that can be used in these ways only.
    fn limited_to(self, possible: Uses) -> Self {
        Self { uses: Uses(self.open().uses.0 & possible.0), ..self }
    }

    /// If it says nothing of uses, all are accepted.
    fn open(self) -> Self {
        if self.uses == Uses::NONE { Self { uses: Uses::ALL, ..self } } else { self }
    }

    fn parse(flags: &str) -> Result<Self, String> {
        let mut rule = Self::EMPTY;
        if flags.trim() == "-" {
            return Ok(rule);
        }
        let (mut read_only, mut grow) = ([false; 2], [false; 2]);
        for flag in flags.split('+').map(str::trim).filter(|_| !flags.trim().is_empty()) {
            if let Some((_, uses)) = USES.iter().find(|(name, _)| *name == flag) {
                rule.uses = rule.uses.and(*uses);
                continue;
            }
            if let Some(bit) = FILE_SYSTEMS.iter().position(|name| *name == flag) {
                rule.file_systems |= 1 << bit;
                continue;
            }
            match flag {
                "read-only-off" => read_only[0] = true,
                "read-only-on" => read_only[1] = true,
                "growfs-off" => grow[0] = true,
                "growfs-on" => grow[1] = true,
                _ => return Err(format!("{flag:?} is no flag")),
            }
        }
        let wanted = |[off, on]: [bool; 2]| if off == on { None } else { Some(on) };
        (rule.read_only, rule.grow_file_system) = (wanted(read_only), wanted(grow));
        Ok(rule)
    }
}

/// A policy for disk images.
///
/// ```
/// use dmverity::ddi::Policy;
///
/// // A root file system that is signed, and nothing else is used.
/// let policy: Policy = "root=signed".parse()?;
/// assert_eq!(policy.to_string(), "root=signed");
/// assert!("root=signed:root=verity".parse::<Policy>().is_err());
/// # Ok::<(), dmverity::ddi::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    text: String,
    rules: BTreeMap<PolicyPartition, Rule>,
    default: Rule,
}

impl Policy {
    /// Reads a policy. An item for the same partition twice, names that are not known and empty items are refused.
    ///
    /// # Errors
    /// [`Error::PolicySyntax`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refused = |why: String| Error::PolicySyntax { text: text.to_owned(), why };
        let all = |default| Ok(Self { text: text.to_owned(), rules: BTreeMap::new(), default });
        match text {
            "*" => return all(Rule::EMPTY),
            "" | "-" => return all(Rule::IGNORE),
            "~" => return all(Rule { uses: Uses::ABSENT, ..Rule::EMPTY }),
            _ => {}
        }
        let (mut rules, mut default) = (BTreeMap::new(), None);
        for item in text.split(':') {
            let Some((name, flags)) = item.split_once('=') else {
                return Err(refused(format!("{item:?} has no \"=\"")));
            };
            let (name, rule) = (name.trim(), Rule::parse(flags).map_err(refused)?);
            let is_new = if name.is_empty() {
                default.replace(rule).is_none()
            } else {
                let known = PARTITIONS.iter().find(|(known, _)| *known == name);
                let (_, partition) = known.ok_or_else(|| refused(format!("{name:?} is no partition")))?;
                rules.insert(*partition, rule).is_none()
            };
            if !is_new {
                let name = if name.is_empty() { "the default" } else { name };
                return Err(refused(format!("{name} is there twice")));
            }
        }
        Ok(Self { text: text.to_owned(), rules, default: default.unwrap_or(Rule::IGNORE) })
    }

    /// Whether the file system for this may be mounted with no more protection than this.
    ///
    /// ```
    /// use dmverity::ddi::{Designator, Policy, Protection};
    ///
    /// let policy: Policy = "root=signed:=unprotected+absent".parse()?;
    /// assert!(policy.allows(Designator::Root, Protection::Signed));
    /// assert!(!policy.allows(Designator::Root, Protection::Verity));
    /// assert!(policy.allows(Designator::Usr, Protection::None));
    /// assert!(!"root=signed+absent".parse::<Policy>()?.allows(Designator::Root, Protection::None));
    /// # Ok::<(), dmverity::ddi::Error>(())
    /// ```
    pub fn allows(&self, designator: Designator, protection: Protection) -> bool {
        let uses = self.rule(PolicyPartition::Image(designator, Role::Data)).uses;
        let verity = Uses::VERITY.and(Uses::SIGNED);
        let enough = match protection {
            // That the partition may be missing says nothing of one that is there.
            Protection::None if uses.has_any_of(verity) => Uses(Uses::ALL.0 & !verity.0 & !Uses::IGNORE.0),
            Protection::None => Uses(Uses::ALL.0 & !verity.0),
            Protection::Verity => Uses::VERITY,
            Protection::Signed => verity,
        };
        uses.has_any_of(enough)
    }

    /// What it demands of a partition: its own rule; for hash tree and signature what follows from the rule for the
    /// data; or else the default.
    pub(super) fn rule(&self, partition: PolicyPartition) -> Rule {
        let possible = partition.possible();
        if let Some(own) = self.rules.get(&partition) {
            return own.limited_to(possible);
        }
        let derived = match partition {
            PolicyPartition::Image(designator, role @ (Role::Verity | Role::Signature)) => {
                let data = self.rules.get(&PolicyPartition::Image(designator, Role::Data)).map(|rule| rule.open());
                let needs = match role {
                    Role::Verity => Uses::VERITY.and(Uses::SIGNED),
                    _ => Uses::SIGNED,
                };
                data.filter(|data| data.uses.has_any_of(needs))
            }
            _ => None,
        };
        match derived {
            Some(data) => {
                let uses = Uses(Uses::UNPROTECTED.0 | data.uses.0 & Uses::IGNORE.0);
                Rule { uses, file_systems: 0, ..data }
            }
            None => self.default.limited_to(possible),
        }
    }
}

impl FromStr for Policy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// As it was given.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
