//! What commands print about the partitions of a disk image.

use dmverity::ddi::{Designator, Partition};
use serde::Serialize;

use crate::output::Fields;

/// A partition.
#[derive(Serialize)]
pub(super) struct PartitionFields {
    number: u32,
    /// systemd's name of its type, or else the GUID.
    #[serde(rename = "type")]
    type_name: String,
    type_guid: String,
    uuid: String,
    label: String,
    offset: u64,
    bytes: u64,
    read_only: bool,
    grow_file_system: bool,
    no_auto: bool,
}

impl PartitionFields {
    pub(super) fn of(partition: &Partition) -> Self {
        Self {
            number: partition.number,
            type_name: partition.type_name(),
            type_guid: partition.type_guid.to_string(),
            uuid: partition.uuid.to_string(),
            label: partition.name.clone(),
            offset: partition.offset,
            bytes: partition.bytes,
            read_only: partition.has(Partition::READ_ONLY),
            grow_file_system: partition.has(Partition::GROW_FILE_SYSTEM),
            no_auto: partition.has(Partition::NO_AUTO),
        }
    }

    pub(super) fn add_to(&self, fields: &mut Fields) {
        let flags = [(self.read_only, "read-only"), (self.grow_file_system, "growfs"), (self.no_auto, "no-auto")];
        let flags: Vec<&str> = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name).collect();
        let flags = if flags.is_empty() { String::new() } else { format!(" ({})", flags.join(", ")) };
        fields.add(
            &format!("Partition {}", self.number),
            format!(
                "{} {} {} [bytes] at byte {}{flags} \"{}\"",
                self.type_name, self.uuid, self.bytes, self.offset, self.label
            ),
        );
    }
}

/// What the root hash is called in text.
pub(super) fn root_hash_name(designator: Designator) -> &'static str {
    match designator {
        Designator::Root => "Root hash",
        Designator::Usr => "Usr hash",
    }
}
