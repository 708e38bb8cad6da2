//! Images for unit tests.

use uuid::Uuid;

use super::header::Entry;
use super::kind::PartitionKind;
use super::table::Table;
use crate::io::{Memory, WriteAt};

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
