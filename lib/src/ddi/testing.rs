//! Images for unit tests.

use std::io::{self, ErrorKind};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use uuid::Uuid;

use super::header::Entry;
use super::kind::PartitionKind;
use super::table::Table;
use crate::io::{Memory, ReadAt, WriteAt};

/// A partition of 100 sectors: its type, UUID, attributes and first bytes.
#[derive(Clone)]
pub(super) struct Content {
    pub(super) type_guid: Uuid,
    pub(super) uuid: Uuid,
    pub(super) attributes: u64,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

impl Content {
    pub(super) fn new(kind: &str, uuid: Uuid, bytes: Vec<u8>) -> Self {
        let kind: PartitionKind = kind.parse().unwrap();
        Self { type_guid: kind.type_guid(), uuid, attributes: 0, name: String::new(), bytes }
    }
}

/// An image with these partitions, one after the other.
pub(super) fn image(partitions: &[Content]) -> Vec<u8> {
    let sectors = 40 + 100 * partitions.len() as u64 + 33;
    let memory = Memory::from(vec![0; usize::try_from(sectors).unwrap() * 512]);
    let mut entries = Vec::new();
    for (first, Content { type_guid, uuid, attributes, name, bytes }) in (40..).step_by(100).zip(partitions) {
        let (type_guid, uuid, attributes, last) = (*type_guid, *uuid, *attributes, first + 99);
        entries.push(Entry { type_guid, uuid, first, last, attributes, name: name.clone() });
        assert!(bytes.len() <= 51_200);
        memory.write_all_at(bytes, first * 512).unwrap();
    }
    Table { sector_size: 512, sectors, disk: Uuid::nil(), entries }.write(&memory).unwrap();
    Vec::from(memory)
}

/// A storage that takes some writes, and fails from then on.
pub(super) struct Stops {
    memory: Memory,
    left: AtomicUsize,
}

impl Stops {
    pub(super) fn after(writes: usize, bytes: Vec<u8>) -> Self {
        Self { memory: bytes.into(), left: writes.into() }
    }

    /// How many more writes it takes.
    pub(super) fn left(&self) -> usize {
        self.left.load(Relaxed)
    }
}

impl ReadAt for Stops {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.memory.read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.memory.size()
    }
}

impl WriteAt for Stops {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let left = self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        left.map_err(|_| ErrorKind::StorageFull)?;
        self.memory.write_all_at(bytes, offset)
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        self.memory.set_size(bytes)
    }
}
