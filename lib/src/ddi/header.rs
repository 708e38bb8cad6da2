//! The header of a GPT and the entries of its table, as bytes. Source: the UEFI specification, chapter 5.3.
//!
//! ```text
//! sector 0     protective MBR          last - n    the same table
//! sector 1     header                  last        the same header with its own place
//! sector 2...  table of partitions
//! ```

use crc::{CRC_32_ISO_HDLC, Crc};
use uuid::Uuid;

use super::error::GptFault;

/// What a header begins with.
pub(super) const MAGIC: &[u8; 8] = b"EFI PART";

/// Bytes of a header's fields.
pub(super) const HEADER_BYTES: usize = HEADER_SIZE as usize;

/// The same as the header itself has it.
const HEADER_SIZE: u32 = 92;

/// Bytes of an entry's fields.
pub(super) const ENTRY_BYTES: usize = ENTRY_SIZE as usize;

/// The same as a header has it.
pub(super) const ENTRY_SIZE: u32 = 128;

/// The largest entries that are read.
const MOST_ENTRY_BYTES: u32 = 4096;

/// The most entries that are read. Together this bounds a table to 4 MiB.
const MOST_ENTRIES: u32 = 1024;

/// The checksum of headers and tables.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    CRC.checksum(bytes)
}

const REVISION: u32 = 0x0001_0000;

/// The fields of a header; places are sectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) own: u64,
    pub(super) other: u64,
    pub(super) first_usable: u64,
    pub(super) last_usable: u64,
    pub(super) disk: Uuid,
    pub(super) table: u64,
    pub(super) entries: u32,
    pub(super) entry_bytes: u32,
    pub(super) table_checksum: u32,
}

/// The fields of an entry that is used; places are sectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) type_guid: Uuid,
    pub(super) uuid: Uuid,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) attributes: u64,
    pub(super) name: String,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn guid_at(bytes: &[u8], at: usize) -> Uuid {
    Uuid::from_bytes_le(bytes[at..at + 16].try_into().expect("sixteen bytes"))
}

impl Header {
    /// Reads the header in a sector and checks what does not depend on the rest of the disk.
    pub(super) fn parse(sector: &[u8]) -> Result<Self, GptFault> {
        if !sector.starts_with(MAGIC) {
            return Err(GptFault::Missing);
        }
        let revision = u32_at(sector, 8);
        if revision != REVISION {
            return Err(GptFault::Revision(revision));
        }
        let bytes = u32_at(sector, 12);
        let len = bytes as usize;
        if !(HEADER_BYTES..=sector.len()).contains(&len) {
            return Err(GptFault::HeaderSize(bytes));
        }
        let mut zeroed = sector[..len].to_vec();
        zeroed[16..20].fill(0);
        if checksum(&zeroed) != u32_at(sector, 16) {
            return Err(GptFault::HeaderChecksum);
        }
        let header = Self {
            own: u64_at(sector, 24),
            other: u64_at(sector, 32),
            first_usable: u64_at(sector, 40),
            last_usable: u64_at(sector, 48),
            disk: guid_at(sector, 56),
            table: u64_at(sector, 72),
            entries: u32_at(sector, 80),
            entry_bytes: u32_at(sector, 84),
            table_checksum: u32_at(sector, 88),
        };
        let size = header.entry_bytes;
        if !size.is_power_of_two() || !(ENTRY_SIZE..=MOST_ENTRY_BYTES).contains(&size) {
            return Err(GptFault::EntrySize(size));
        }
        if !(1..=MOST_ENTRIES).contains(&header.entries) {
            return Err(GptFault::EntryCount(header.entries));
        }
        if header.first_usable > header.last_usable {
            return Err(GptFault::Usable { first: header.first_usable, last: header.last_usable });
        }
        Ok(header)
    }

    /// The bytes of its table.
    pub(super) fn table_bytes(&self) -> u64 {
        u64::from(self.entries) * u64::from(self.entry_bytes)
    }

    /// A sector with this header.
    pub(super) fn to_sector(&self, sector_size: usize) -> Vec<u8> {
        let mut sector = vec![0; sector_size];
        sector[..8].copy_from_slice(MAGIC);
        sector[8..12].copy_from_slice(&REVISION.to_le_bytes());
        sector[12..16].copy_from_slice(&HEADER_SIZE.to_le_bytes());
        sector[24..32].copy_from_slice(&self.own.to_le_bytes());
        sector[32..40].copy_from_slice(&self.other.to_le_bytes());
        sector[40..48].copy_from_slice(&self.first_usable.to_le_bytes());
        sector[48..56].copy_from_slice(&self.last_usable.to_le_bytes());
        sector[56..72].copy_from_slice(&self.disk.to_bytes_le());
        sector[72..80].copy_from_slice(&self.table.to_le_bytes());
        sector[80..84].copy_from_slice(&self.entries.to_le_bytes());
        sector[84..88].copy_from_slice(&self.entry_bytes.to_le_bytes());
        sector[88..92].copy_from_slice(&self.table_checksum.to_le_bytes());
        let checksum = checksum(&sector[..HEADER_BYTES]);
        sector[16..20].copy_from_slice(&checksum.to_le_bytes());
        sector
    }
}

impl Entry {
    /// Reads an entry; `None` if it is not used.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let type_guid = guid_at(bytes, 0);
        if type_guid.is_nil() {
            return None;
        }
        let units = bytes[56..ENTRY_BYTES].chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let name: Vec<u16> = units.take_while(|&unit| unit != 0).collect();
        Some(Self {
            type_guid,
            uuid: guid_at(bytes, 16),
            first: u64_at(bytes, 32),
            last: u64_at(bytes, 40),
            attributes: u64_at(bytes, 48),
            name: String::from_utf16_lossy(&name),
        })
    }

    /// Its bytes. What is too long of the name is cut off.
    pub(super) fn to_bytes(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..16].copy_from_slice(&self.type_guid.to_bytes_le());
        bytes[16..32].copy_from_slice(&self.uuid.to_bytes_le());
        bytes[32..40].copy_from_slice(&self.first.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.last.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.attributes.to_le_bytes());
        for (unit, room) in self.name.encode_utf16().zip(bytes[56..].chunks_exact_mut(2)) {
            room.copy_from_slice(&unit.to_le_bytes());
        }
        bytes
    }
}

/// Whether the first sector is a protective MBR: one of its partitions has the type for that.
pub(super) fn is_protective_mbr(sector: &[u8]) -> bool {
    let types = [450, 466, 482, 498];
    sector.get(510..512) == Some(&[0x55, 0xAA]) && types.iter().any(|&at| sector[at] == 0xEE)
}

/// A protective MBR of a disk with this many sectors.
pub(super) fn protective_mbr(sectors: u64) -> [u8; 512] {
    let mut mbr = [0; 512];
    // Cylinder, head and sector of the first and the last sector, as the UEFI specification has them.
    mbr[446..454].copy_from_slice(&[0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF]);
    mbr[454..458].copy_from_slice(&1u32.to_le_bytes());
    mbr[458..462].copy_from_slice(&u32::try_from(sectors - 1).unwrap_or(u32::MAX).to_le_bytes());
    mbr[510..].copy_from_slice(&[0x55, 0xAA]);
    mbr
}
