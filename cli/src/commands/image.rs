//! What commands print about an image: its parameters and the places of its areas.

use std::fmt::Write;
use std::path::Path;

use dmverity::messages::{self, Header};
use dmverity::{FecArea, Layout, Params, RootHash, SUPERBLOCK_SIZE};
use serde::Serialize;

use crate::escape::text_of;
use crate::output::Fields;

/// Parameters of an existing image.
#[derive(Serialize)]
pub(super) struct ImageFields {
    /// `None` if there is no superblock.
    uuid: Option<String>,
    salt: String,
    #[serde(flatten)]
    geometry: Geometry,
}

/// Everything that does not depend on salt and UUID.
#[derive(Serialize)]
pub(super) struct Geometry {
    hash_type: u32,
    hash_algorithm: String,
    data_block_size: u64,
    data_blocks: u64,
    hash_block_size: u64,
    hash_blocks: u64,
    hash_offset: u64,
    hash_area: Area,
    /// The highest, which is stored first, comes first.
    levels: Vec<Level>,
    fec: Option<FecFields>,
}

#[derive(Serialize)]
struct Area {
    offset: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Level {
    /// Level 0 has the digests of the data blocks.
    #[serde(rename = "level")]
    number: usize,
    blocks: u64,
    offset: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct FecFields {
    roots: u32,
    /// Blocks of parity.
    blocks: u64,
    /// Blocks that it covers.
    covered_blocks: u64,
    offset: u64,
    bytes: u64,
    on_hash_device: bool,
}

/// Partition UUIDs derived from a root hash.
#[derive(Serialize)]
pub(super) struct PartitionUuids {
    data: String,
    hash: String,
}

impl PartitionUuids {
    pub(super) fn of(root_hash: &RootHash) -> Option<Self> {
        let uuids = root_hash.partition_uuids()?;
        Some(Self { data: uuids.data.to_string(), hash: uuids.hash.to_string() })
    }

    pub(super) fn text(&self) -> String {
        format!("Data partition UUID: {}\nHash partition UUID: {}\n", self.data, self.hash)
    }
}

/// Texts that format repeats as given, and dump reads from the superblock.
pub(super) struct Spelling {
    pub(super) uuid: String,
    pub(super) algorithm: String,
}

impl Spelling {
    /// As the parameters have them.
    pub(super) fn of(params: &Params) -> Self {
        let uuid = params.uuid().map(|uuid| uuid.to_string()).unwrap_or_default();
        Self { uuid, algorithm: params.algorithm().to_string() }
    }
}

impl ImageFields {
    pub(super) fn new(layout: &Layout, fec_area: Option<&FecArea>, spelling: &Spelling) -> Self {
        let params = layout.params();
        Self {
            uuid: params.uuid().map(|_| spelling.uuid.clone()),
            salt: params.salt().to_string(),
            geometry: Geometry { hash_algorithm: spelling.algorithm.clone(), ..Geometry::new(layout, fec_area) },
        }
    }

    /// What format and dump print of an image.
    pub(super) fn text(
        &self,
        hash: &Path,
        layout: &Layout,
        fec_area: Option<&FecArea>,
        root_hash: Option<&RootHash>,
    ) -> String {
        let lines = messages::of_header(&Header {
            uuid: self.uuid.as_deref().unwrap_or_default(),
            algorithm: &self.geometry.hash_algorithm,
            layout,
            fec_area,
            hash_offset: self.geometry.hash_offset,
            root_hash,
        });
        let mut fields = Fields::titled(&text_of(messages::header_title(hash)));
        fields.add_lines(&lines);
        fields.into_text()
    }

    /// The lines about offsets that the reference tool does not print: for those who did not choose them.
    pub(super) fn offsets(&self, image_bytes: Option<u64>) -> String {
        let mut fields = Fields::default();
        self.geometry.add_offsets_to(&mut fields);
        if let Some(bytes) = image_bytes {
            fields.add_bytes("Image size", bytes);
        }
        fields.into_text()
    }

    /// The levels as a drawing, from the root down to the data.
    pub(super) fn tree(&self) -> String {
        self.geometry.tree()
    }
}

impl Geometry {
    pub(super) fn new(layout: &Layout, fec_area: Option<&FecArea>) -> Self {
        let params = layout.params();
        let block = params.hash_block_size().bytes();
        let area = layout.hash_area();
        let level = |(number, each): (usize, &dmverity::Level)| Level {
            number,
            blocks: each.blocks,
            offset: each.first_block * block,
            bytes: each.blocks * block,
        };
        Self {
            hash_type: params.hash_type().number(),
            hash_algorithm: params.algorithm().to_string(),
            data_block_size: params.data_block_size().bytes(),
            data_blocks: params.data_blocks(),
            hash_block_size: block,
            hash_blocks: layout.hash_blocks(),
            hash_offset: params.hash_offset(),
            hash_area: Area { offset: area.start, bytes: area.end - area.start },
            levels: layout.levels().iter().enumerate().map(level).rev().collect(),
            fec: params.fec().zip(fec_area).map(|(fec, area)| FecFields {
                roots: fec.roots,
                blocks: area.rounds * u64::from(fec.roots),
                covered_blocks: area.blocks,
                offset: area.bytes.start,
                bytes: area.bytes.end - area.bytes.start,
                on_hash_device: area.on_hash_device,
            }),
        }
    }

    pub(super) fn add_offsets_to(&self, fields: &mut Fields) {
        fields.add_bytes("Hash offset", self.hash_offset);
        if let Some(fec) = &self.fec {
            fields.add_bytes("FEC offset", fec.offset);
        }
    }

    fn tree(&self) -> String {
        let mut text = format!("{:<20}{:>14}{:>20}{:>20}\n", "", "blocks", "offset", "bytes");
        let mut row = |name: &str, blocks: &str, offset: u64, bytes: u64| {
            writeln!(text, "{name:<20}{blocks:>14}{offset:>20}{bytes:>20}").expect("a String takes everything");
        };
        row("superblock", "", self.hash_offset, SUPERBLOCK_SIZE as u64);
        let levels = self
            .levels
            .iter()
            .map(|level| (format!("level {}", level.number), level.blocks, level.offset, level.bytes));
        let data = ("data".to_owned(), self.data_blocks, 0, self.data_blocks * self.data_block_size);
        for (depth, (name, blocks, offset, bytes)) in levels.chain([data]).enumerate() {
            let branch = depth.checked_sub(1).map_or_else(String::new, |above| "  ".repeat(above) + "`-");
            row(&(branch + &name), &blocks.to_string(), offset, bytes);
        }
        text
    }
}
