//! A GUID partition table, written.

use std::io;

use uuid::Uuid;

use super::header::{ENTRY_BYTES, ENTRY_SIZE, Entry, Header, checksum, protective_mbr};
use crate::io::WriteAt;

/// The number of entries that every tool makes.
pub(super) const ENTRIES: u32 = 128;

/// A table that is to be written.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) sector_size: u32,
    /// The size of the disk in sectors.
    pub(super) sectors: u64,
    pub(super) disk: Uuid,
    pub(super) entries: Vec<Entry>,
}

/// The sectors of the entries alone.
const fn table_sectors(sector_size: u32) -> u64 {
    (ENTRIES as usize * ENTRY_BYTES) as u64 / sector_size as u64
}

/// The sectors at the beginning that no partition can have: protective MBR, header, entries.
pub(super) const fn head_sectors(sector_size: u32) -> u64 {
    2 + table_sectors(sector_size)
}

/// The sectors at the end that no partition can have: entries, header.
pub(super) const fn tail_sectors(sector_size: u32) -> u64 {
    1 + table_sectors(sector_size)
}

impl Table {
    /// Writes both copies. Until the last write, of the primary header, the storage holds no table that can be read,
    /// if it held none before.
    pub(super) fn write(&self, storage: &dyn WriteAt) -> io::Result<()> {
        let size = u64::from(self.sector_size);
        let last = self.sectors - 1;
        let mut entries = vec![0; ENTRIES as usize * ENTRY_BYTES];
        for (entry, room) in self.entries.iter().zip(entries.chunks_exact_mut(ENTRY_BYTES)) {
            room.copy_from_slice(&entry.to_bytes());
        }
        let primary = Header {
            own: 1,
            other: last,
            first_usable: head_sectors(self.sector_size),
            last_usable: last - tail_sectors(self.sector_size),
            disk: self.disk,
            table: 2,
            entries: ENTRIES,
            entry_bytes: ENTRY_SIZE,
            table_checksum: checksum(&entries),
        };
        let backup = Header { own: last, other: 1, table: last - table_sectors(self.sector_size), ..primary.clone() };
        storage.write_all_at(&entries, backup.table * size)?;
        storage.write_all_at(&backup.to_sector(self.sector_size as usize), last * size)?;
        storage.write_all_at(&entries, primary.table * size)?;
        storage.write_all_at(&protective_mbr(self.sectors), 0)?;
        storage.sync()?;
        storage.write_all_at(&primary.to_sector(self.sector_size as usize), size)?;
        storage.sync()
    }
}
