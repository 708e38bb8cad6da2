//! What can be wrong with a disk image, its signature partition or a sidecar file.

use std::{fmt, io};

/// What can go wrong. The messages leave out the cause, which [`source`](std::error::Error::source) returns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing says that this is meant to be a GPT: no header at any of its places, and no protective MBR.
    #[error("there is no GPT")]
    NoGpt,
    /// There are headers for both sector sizes.
    #[error("there are GPT headers for sectors of 512 and of 4096 bytes")]
    SeveralSectorSizes,
    /// A header or its table of partitions is damaged.
    #[error("the {copy} GPT is damaged: {fault}")]
    Damaged {
        /// Which of the two copies.
        copy: GptCopy,
        /// What is wrong.
        fault: GptFault,
    },
    /// The storage ends before the backup GPT.
    #[error("the image is truncated: its GPT ends at byte {needed}, the image at byte {found}")]
    Truncated {
        /// Where the backup GPT ends, in bytes.
        needed: u64,
        /// The size of the storage in bytes.
        found: u64,
    },
    /// The backup GPT is not at the end of the storage.
    #[error("the backup GPT ends at byte {expected}, and the image at byte {found}")]
    Grown {
        /// Where the backup GPT ends, in bytes.
        expected: u64,
        /// The size of the storage in bytes.
        found: u64,
    },
    /// The two copies of the GPT say different things.
    #[error("the primary and the backup GPT differ: {what}")]
    CopiesDiffer {
        /// In which field.
        what: &'static str,
    },
    /// A partition is not in the area that the header has for partitions, or ends before it begins.
    #[error("partition {number} has sectors {first} to {last}, but sectors {usable_first} to {usable_last} are usable")]
    PartitionRange {
        /// Its number, counted from 1.
        number: u32,
        /// Its first sector.
        first: u64,
        /// Its last sector.
        last: u64,
        /// The first sector that a partition may have.
        usable_first: u64,
        /// The last one.
        usable_last: u64,
    },
    /// Two partitions have bytes in common.
    #[error("partitions {first} and {second} overlap")]
    Overlap {
        /// The number of the one that begins first.
        first: u32,
        /// The number of the other.
        second: u32,
    },
    /// A signature partition that cannot be used.
    #[error("the signature partition cannot be used: {why}")]
    SignaturePartition {
        /// Why not.
        why: String,
    },
    /// More images than are looked for.
    #[error("there are more than {most} verity images")]
    TooManyImages {
        /// How many are found.
        most: usize,
    },
    /// More bytes of signatures than are read.
    #[error("the signature partitions hold more than {most} bytes")]
    TooManySignatures {
        /// How many are read.
        most: u64,
    },
    /// A sidecar file of containerd that cannot be used.
    #[error("the layer's dm-verity file cannot be used: {why}")]
    LayerSidecar {
        /// Why not.
        why: String,
    },
    /// No partitions belong together as was asked for.
    #[error("no partitions of {wanted} were found{}", Among(.there))]
    NoSuchImage {
        /// What was asked for.
        wanted: String,
        /// What there is instead.
        there: Vec<String>,
    },
    /// More than one image is what was asked for.
    #[error("there are several verity images: {}", .there.join(", "))]
    Ambiguous {
        /// All of them.
        there: Vec<String>,
    },
    /// The name of an architecture that has no partition types.
    #[error("{text:?} is no architecture with partition types")]
    UnknownArchitecture {
        /// The text.
        text: String,
    },
    /// The name of a partition type that is not known.
    #[error("{text:?} is no partition type of a verity image")]
    UnknownType {
        /// The text.
        text: String,
    },
    /// An image policy that is not one.
    #[error("cannot read the image policy {text:?}: {why}")]
    PolicySyntax {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A disk image that cannot be made.
    #[error("the image cannot be made: {why}")]
    Build {
        /// Why not.
        why: String,
    },
    /// The root hash could not be signed.
    #[error("cannot sign the root hash")]
    Signer {
        /// What the signer said.
        source: SignerError,
    },
    /// The storage cannot be read or written.
    #[error("cannot {action} the image")]
    Io {
        /// What was tried: `read`, `write`, ...
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Making or reading the verity image inside failed.
    #[error(transparent)]
    Verity(#[from] crate::error::Error),
}

/// Why something could not be signed.
pub type SignerError = Box<dyn std::error::Error + Send + Sync>;

/// One of the two copies of a GPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GptCopy {
    /// At the beginning.
    Primary,
    /// At the end.
    Backup,
}

/// What is wrong with a header of a GPT, or its table of partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GptFault {
    /// There is no signature where a header has to be.
    #[error("there is no header")]
    Missing,
    /// Another revision than 1.0.
    #[error("revision {0:#x} is not known")]
    Revision(u32),
    /// A header that is shorter than its fields, or longer than a sector.
    #[error("a header of {0} bytes")]
    HeaderSize(u32),
    /// The header's checksum is wrong.
    #[error("wrong checksum of the header")]
    HeaderChecksum,
    /// A header that says it is somewhere else.
    #[error("the header says that it is in sector {found}, it is in sector {expected}")]
    OwnPlace {
        /// What it says.
        found: u64,
        /// Where it is.
        expected: u64,
    },
    /// A backup header that says the primary one is somewhere else.
    #[error("the header says that the primary one is in sector {0}")]
    OtherPlace(u64),
    /// Entries of a size that the format does not have, or that are longer than this library reads.
    #[error("entries of {0} bytes")]
    EntrySize(u32),
    /// No entries, or more than this library reads.
    #[error("{0} entries")]
    EntryCount(u32),
    /// A table of partitions that is not between a header and the partitions.
    #[error("the table of partitions is in sectors {first} to {last}")]
    TablePlace {
        /// Its first sector.
        first: u64,
        /// Its last sector.
        last: u64,
    },
    /// Partitions can be nowhere.
    #[error("the usable sectors are {first} to {last}")]
    Usable {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// The checksum of the table is wrong.
    #[error("wrong checksum of the table of partitions")]
    TableChecksum,
}

impl Error {
    /// An [`Error::Io`] for `map_err`.
    pub(super) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}

impl fmt::Display for GptCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        })
    }
}

/// What there is instead.
struct Among<'a>(&'a [String]);

impl fmt::Display for Among<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " among {}", self.0.join(", ")) }
    }
}
