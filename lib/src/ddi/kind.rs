//! What a partition is for, by its type.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::architecture::Architecture;
use super::error::Error;
use super::types::{OTHERS, ROWS, Row};

/// What is mounted from a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Designator {
    /// The root file system.
    Root,
    /// `/usr`.
    Usr,
}

/// What a partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A file system.
    Data,
    /// Superblock and hash tree of a data partition.
    Verity,
    /// A signature of its root hash.
    Signature,
}

/// The type of a partition that belongs to a verity image.
///
/// ```
/// use dmverity::ddi::{Architecture, Designator, PartitionKind, Role};
///
/// let kind: PartitionKind = "root-x86-64-verity-sig".parse()?;
/// assert_eq!((kind.designator, kind.role), (Designator::Root, Role::Signature));
/// assert_eq!(kind.architecture, Architecture::X86_64);
/// assert_eq!(kind.type_guid().to_string(), "41092b05-9fc8-4523-994f-2def0408b176");
/// assert_eq!(PartitionKind::of_type(kind.type_guid()), Some(kind));
/// assert_eq!(kind.to_string(), "root-x86-64-verity-sig");
/// # Ok::<(), dmverity::ddi::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKind {
    /// What is mounted from it.
    pub designator: Designator,
    /// For which processors.
    pub architecture: Architecture,
    /// What it holds.
    pub role: Role,
}

impl Designator {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Root, Self::Usr];

    /// `root` or `usr`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Usr => "usr",
        }
    }
}

impl Role {
    /// All of them, in the order of their partitions.
    pub const ALL: [Self; 3] = [Self::Data, Self::Verity, Self::Signature];

    /// What the name of a partition type ends with.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Data => "",
            Self::Verity => "-verity",
            Self::Signature => "-verity-sig",
        }
    }
}

impl PartitionKind {
    /// The kind of partitions of this type.
    pub fn of_type(type_guid: Uuid) -> Option<Self> {
        Self::all().find(|kind| kind.type_guid() == type_guid)
    }

    /// Every kind there is.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().flat_map(|row| {
            let roles = |designator| Role::ALL.map(|role| Self { designator, architecture: row.architecture, role });
            Designator::ALL.into_iter().flat_map(roles)
        })
    }

    /// The GUID of the type.
    pub fn type_guid(self) -> Uuid {
        let row = row(self.architecture);
        let of_designator = match self.designator {
            Designator::Root => &row.root,
            Designator::Usr => &row.usr,
        };
        of_designator[self.role as usize]
    }

    /// The kind of what belongs to the same image and holds something else.
    #[must_use]
    pub const fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }
}

fn row(architecture: Architecture) -> &'static Row {
    ROWS.iter().find(|row| row.architecture == architecture).expect("every architecture has a row")
}

/// systemd's name for a partition type, if it is one of those that the specification has.
pub fn type_name(type_guid: Uuid) -> Option<String> {
    let other = || OTHERS.iter().find(|(guid, _)| *guid == type_guid).map(|(_, name)| (*name).to_owned());
    PartitionKind::of_type(type_guid).map(|kind| kind.to_string()).or_else(other)
}

impl Architecture {
    /// Every architecture that has partition types.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.architecture)
    }

    /// As in the names of partition types: `x86-64`.
    pub fn name(self) -> &'static str {
        row(self).name
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::UnknownArchitecture { text: text.to_owned() };
        Self::all().find(|each| each.name() == text).ok_or_else(unknown)
    }
}

impl fmt::Display for Designator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// systemd's name: `root-x86-64-verity`.
impl fmt::Display for PartitionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}{}", self.designator, self.architecture, self.role.suffix())
    }
}

/// systemd's name; without an architecture it is the local one.
impl FromStr for PartitionKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::UnknownType { text: text.to_owned() };
        let local = Architecture::local();
        Self::all()
            .find(|kind| {
                let without = || format!("{}{}", kind.designator, kind.role.suffix());
                kind.to_string() == text || (Some(kind.architecture) == local && without() == text)
            })
            .ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_126_types_that_all_differ() {
        let guids = PartitionKind::all().map(PartitionKind::type_guid).collect::<BTreeSet<_>>();
        assert_eq!((Architecture::all().count(), guids.len()), (21, 126));
        let names = PartitionKind::all().map(|kind| kind.to_string()).collect::<BTreeSet<_>>();
        assert_eq!(names.len(), 126);
        for kind in PartitionKind::all() {
            assert_eq!(PartitionKind::of_type(kind.type_guid()), Some(kind));
            assert_eq!(kind.to_string().parse::<PartitionKind>().unwrap(), kind);
            assert_eq!(kind.architecture.to_string().parse::<Architecture>().unwrap(), kind.architecture);
        }
        assert!(OTHERS.iter().all(|(guid, _)| !guids.contains(guid)));
    }

    #[test]
    fn types_are_those_of_the_specification() {
        for (name, guid) in [
            ("root-x86-64", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
            ("usr-arm64-verity", "6e11a4e7-fbca-4ded-b9e9-e1a512bb664e"),
            ("root-ppc64-le-verity-sig", "d4a236e7-e873-4c07-bf1d-bf6cf7f1c3c6"),
            ("usr-s390x-verity-sig", "3f324816-667b-46ae-86ee-9b0c0c6c11b4"),
            ("root-mips64-le", "700bda43-7a34-4507-b179-eeb93d7a7ca3"),
        ] {
            let kind: PartitionKind = name.parse().unwrap();
            assert_eq!(kind.type_guid().to_string(), guid, "{name}");
            assert_eq!(type_name(kind.type_guid()).as_deref(), Some(name));
        }
        assert_eq!(type_name(uuid::uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")).as_deref(), Some("esp"));
        assert_eq!(type_name(Uuid::nil()), None);
        for text in ["", "root-", "root-x86_64", "root-x86-64-", "home", "root-x86-64-verity-sig-"] {
            assert!(matches!(text.parse::<PartitionKind>(), Err(Error::UnknownType { .. })), "{text}");
        }
        let local = Architecture::local().unwrap();
        assert_eq!("usr-verity".parse::<PartitionKind>().unwrap().architecture, local);
    }
}
