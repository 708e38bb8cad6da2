//! A GUID partition table, read and checked.

use uuid::Uuid;

use super::error::{Error, GptCopy, GptFault};
use super::header::{Entry, Header, MAGIC, checksum, is_protective_mbr};
use super::kind::{PartitionKind, type_name};
use super::part::Part;
use crate::io::ReadAt;
use crate::memory;

/// The sizes of sectors that a GPT is looked for with.
pub(super) const SECTOR_SIZES: [u32; 2] = [512, 4096];

/// A GUID partition table whose two copies are intact and agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpt {
    sector_size: u32,
    disk_uuid: Uuid,
    bytes: u64,
    partitions: Vec<Partition>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partition {
    /// Its number, counted from 1: the place of its entry.
    pub number: u32,
    /// Its type.
    pub type_guid: Uuid,
    /// What it is for, if it belongs to a verity image.
    pub kind: Option<PartitionKind>,
    /// Its own UUID: for data and verity partitions a part of the root hash.
    pub uuid: Uuid,
    /// Its label. What is no text is replaced by U+FFFD.
    pub name: String,
    /// The attribute bits.
    pub attributes: u64,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Partition {
    /// The attribute that systems ignore a partition with.
    pub const NO_AUTO: u64 = 1 << 63;
    /// The attribute of a partition that is only read.
    pub const READ_ONLY: u64 = 1 << 60;
    /// The attribute of a partition whose file system is to grow when it is mounted.
    pub const GROW_FILE_SYSTEM: u64 = 1 << 59;

    /// Whether it has an attribute.
    pub const fn has(&self, attribute: u64) -> bool {
        self.attributes & attribute != 0
    }

    /// systemd's name of its type, or else the GUID.
    pub fn type_name(&self) -> String {
        type_name(self.type_guid).unwrap_or_else(|| self.type_guid.to_string())
    }

    /// Its bytes in `storage`, which is the whole image.
    pub const fn part<S>(&self, storage: S) -> Part<S> {
        Part::new(storage, self.offset..self.end())
    }

    /// The byte after its last one.
    pub const fn end(&self) -> u64 {
        self.offset + self.bytes
    }
}

impl Gpt {
    /// Reads the table of an image with sectors of 512 or 4096 bytes. It takes memory for two tables, of at most 1024
    /// entries of 4096 bytes.
    ///
    /// Both copies are read, and the backup has to be at the end. An image that one copy could make readable is refused
    /// too: its other copy is what another system may read.
    ///
    /// # Errors
    /// [`Error::NoGpt`] if nothing shows that there ever was one: neither a header at the beginning or the end nor a
    /// protective MBR. Otherwise [`Error::SeveralSectorSizes`], [`Error::Damaged`], [`Error::Truncated`],
    /// [`Error::Grown`], [`Error::CopiesDiffer`], [`Error::PartitionRange`], [`Error::Overlap`] and [`Error::Io`].
    ///
    /// # Examples
    /// ```
    /// use dmverity::ddi::{Error, Gpt};
    ///
    /// // A file system without partitions.
    /// assert!(matches!(Gpt::read(&vec![0; 40960]), Err(Error::NoGpt)));
    /// ```
    pub fn read(storage: &dyn ReadAt) -> Result<Self, Error> {
        let gpt = Self::read_from_larger(storage)?;
        let found = storage.size().map_err(Error::io("read"))?;
        // Less than a sector belongs to no sector.
        if found - gpt.bytes >= u64::from(gpt.sector_size) {
            return Err(Error::Grown { expected: gpt.bytes, found });
        }
        Ok(Self { bytes: found, ..gpt })
    }

    /// Reads the table of an image that may have been written to a larger block device: its backup is where the primary
    /// says, and need not be at the end. The kernel and systemd accept such a device too.
    ///
    /// # Errors
    /// Those of [`read`](Self::read) but [`Error::Grown`].
    pub fn read_from_larger(storage: &dyn ReadAt) -> Result<Self, Error> {
        let bytes = storage.size().map_err(Error::io("read"))?;
        let sector_size = find(storage, bytes)?;
        let size = u64::from(sector_size);
        let last = bytes / size - 1;
        let primary = Copy { which: GptCopy::Primary, storage, sector_size };
        let (header, table) = primary.read(1, last)?;
        let end = header.other.saturating_add(1).saturating_mul(size);
        if header.other > last {
            return Err(Error::Truncated { needed: end, found: bytes });
        }
        let backup = Copy { which: GptCopy::Backup, ..primary };
        let (backup_header, backup_table) = backup.read(header.other, header.other)?;
        compare(&header, &backup_header)?;
        if table != backup_table {
            return Err(Error::CopiesDiffer { what: "the table of partitions" });
        }
        let partitions = partitions(&header, &table, size)?;
        Ok(Self { sector_size, disk_uuid: header.disk, bytes: end, partitions })
    }

    /// The size of a sector in bytes, 512 or 4096.
    pub fn sector_size(&self) -> u32 {
        self.sector_size
    }

    /// The disk's own UUID.
    pub fn disk_uuid(&self) -> Uuid {
        self.disk_uuid
    }

    /// The size of the image in bytes, whatever follows it on a larger device.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The partitions, in the order of their numbers.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }
}

/// Finds the header, and returns the size of the sectors it is made for.
fn find(storage: &dyn ReadAt, bytes: u64) -> Result<u32, Error> {
    let begins_with_header = |offset: u64| -> Result<bool, Error> {
        let mut found = [0; MAGIC.len()];
        if offset.checked_add(MAGIC.len() as u64).is_none_or(|end| end > bytes) {
            return Ok(false);
        }
        storage.read_exact_at(&mut found, offset).map_err(Error::io("read"))?;
        Ok(found == *MAGIC)
    };
    match SECTOR_SIZES.map(|size| begins_with_header(size.into())) {
        [Ok(true), Ok(true)] => return Err(Error::SeveralSectorSizes),
        [Ok(true), Ok(false)] => return Ok(SECTOR_SIZES[0]),
        [Ok(false), Ok(true)] => return Ok(SECTOR_SIZES[1]),
        [Ok(false), Ok(false)] => {}
        [Err(error), _] | [_, Err(error)] => return Err(error),
    }
    let mut first = [0; 512];
    if bytes >= first.len() as u64 {
        storage.read_exact_at(&mut first, 0).map_err(Error::io("read"))?;
    }
    let mut is_meant = is_protective_mbr(&first);
    for size in SECTOR_SIZES.map(u64::from).into_iter().filter(|size| bytes >= 2 * size) {
        is_meant |= begins_with_header((bytes / size - 1) * size)?;
    }
    Err(if is_meant { Error::Damaged { copy: GptCopy::Primary, fault: GptFault::Missing } } else { Error::NoGpt })
}

/// One of the two copies.
struct Copy<'s> {
    which: GptCopy,
    storage: &'s dyn ReadAt,
    sector_size: u32,
}

impl Copy<'_> {
    /// The header in sector `own` of a storage that ends with sector `last`, and the bytes of its table.
    fn read(&self, own: u64, last: u64) -> Result<(Header, Vec<u8>), Error> {
        let damaged = |fault| Error::Damaged { copy: self.which, fault };
        let size = u64::from(self.sector_size);
        let mut sector = vec![0; self.sector_size as usize];
        // The first sectors may be all that is left.
        if own > last {
            return Err(damaged(GptFault::Missing));
        }
        self.storage.read_exact_at(&mut sector, own * size).map_err(Error::io("read"))?;
        let header = Header::parse(&sector).map_err(damaged)?;
        if header.own != own {
            return Err(damaged(GptFault::OwnPlace { found: header.own, expected: own }));
        }
        let sectors = header.table_bytes().div_ceil(size);
        let end = header.table.checked_add(sectors);
        let is_placed = match self.which {
            GptCopy::Primary => header.table > own && end.is_some_and(|end| end <= header.first_usable),
            GptCopy::Backup => header.table > header.last_usable && end.is_some_and(|end| end <= own),
        };
        if !is_placed {
            let last = header.table.saturating_add(sectors - 1);
            return Err(damaged(GptFault::TablePlace { first: header.table, last }));
        }
        // The backup's place is known to be the end only afterwards: until then this bounds the read.
        if end.is_none_or(|end| end > last + 1) {
            return Err(Error::Truncated {
                needed: end.unwrap_or(u64::MAX).saturating_mul(size),
                found: (last + 1) * size,
            });
        }
        let len = usize::try_from(header.table_bytes()).expect("it is bounded");
        let mut table = memory::zeroed(len)?;
        self.storage.read_exact_at(&mut table, header.table * size).map_err(Error::io("read"))?;
        if checksum(&table) != header.table_checksum {
            return Err(damaged(GptFault::TableChecksum));
        }
        Ok((header, table))
    }
}

fn compare(primary: &Header, backup: &Header) -> Result<(), Error> {
    if backup.other != primary.own {
        return Err(Error::Damaged { copy: GptCopy::Backup, fault: GptFault::OtherPlace(backup.other) });
    }
    let differ = [
        (primary.disk != backup.disk, "the disk's UUID"),
        (primary.first_usable != backup.first_usable, "the first usable sector"),
        (primary.last_usable != backup.last_usable, "the last usable sector"),
        (primary.entries != backup.entries, "the number of entries"),
        (primary.entry_bytes != backup.entry_bytes, "the size of entries"),
    ];
    match differ.into_iter().find(|(differ, _)| *differ) {
        Some((_, what)) => Err(Error::CopiesDiffer { what }),
        None => Ok(()),
    }
}

fn partitions(header: &Header, table: &[u8], sector_size: u64) -> Result<Vec<Partition>, Error> {
    let mut partitions = Vec::new();
    for (number, entry) in (1..).zip(table.chunks_exact(header.entry_bytes as usize)) {
        let Some(entry) = Entry::parse(entry) else { continue };
        let Entry { type_guid, uuid, first, last, attributes, name } = entry;
        if first > last || first < header.first_usable || last > header.last_usable {
            let (usable_first, usable_last) = (header.first_usable, header.last_usable);
            return Err(Error::PartitionRange { number, first, last, usable_first, usable_last });
        }
        // No product is larger than the storage: the usable sectors are before the backup's table.
        let (offset, bytes) = (first * sector_size, (last - first + 1) * sector_size);
        let kind = PartitionKind::of_type(type_guid);
        partitions.push(Partition { number, type_guid, kind, uuid, name, attributes, offset, bytes });
    }
    let mut by_place: Vec<&Partition> = partitions.iter().collect();
    by_place.sort_by_key(|partition| partition.offset);
    match by_place.windows(2).find(|pair| pair[0].end() > pair[1].offset) {
        Some(pair) => Err(Error::Overlap { first: pair[0].number, second: pair[1].number }),
        None => Ok(partitions),
    }
}

#[cfg(test)]
mod tests;
