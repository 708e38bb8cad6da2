//! `status`: show what a mapping is and what it has seen.

use std::fmt::{Display, Write};

use dmverity::BlockSize;
use dmverity::dm::{BackingDevice, MappingName, MappingStatus, VerityMapping, status};
use dmverity::units::SECTOR_SIZE;

use crate::arguments::Arguments;
use crate::failure::{Exit, Failure, Result};
use crate::output;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let name = MappingName::from_name_or_path(&arguments.text(0).unwrap_or_default())?;
    let Some(mapping) = status(&name)? else {
        output::print(&format!("/dev/mapper/{name} is inactive.\n"))?;
        return Err(Failure::silent(Exit::Device));
    };
    let in_use = if mapping.open_count > 0 { " and is in use" } else { "" };
    let head = format!("/dev/mapper/{name} is active{in_use}.\n");
    let Some(verity) = &mapping.verity else {
        output::print(&(head + "  type:        n/a\n"))?;
        return Err(Failure::silent(Exit::Parameters));
    };
    output::print(&(head + &details(&mapping, verity)))
}

/// The lines below the first, in the order and with the keys that callers know.
#[derive(Default)]
struct Details(String);

impl Details {
    fn add(&mut self, key: &str, value: impl Display) {
        writeln!(self.0, "  {:<12} {value}", format!("{key}:")).expect("a String takes everything");
    }

    fn add_device(&mut self, what: &str, device: &BackingDevice) {
        self.add(&format!("{what} device"), device.device.display());
        if let Some(file) = &device.file {
            self.add(&format!("{what} loop"), file.display());
        }
    }

    fn add_sectors(&mut self, key: &str, sectors: u64) {
        let bytes = u128::from(sectors) * u128::from(SECTOR_SIZE);
        self.add(key, format!("{sectors} [512-byte units] ({bytes} [bytes])"));
    }
}

fn details(mapping: &MappingStatus, verity: &VerityMapping) -> String {
    let table = &verity.table;
    let offset = |blocks: u64, block_size: BlockSize| blocks.saturating_mul(block_size.bytes() / SECTOR_SIZE);
    let mut text = Details::default();

    text.add("type", "VERITY");
    let state = if verity.status.corrupted { "corrupted" } else { "verified" };
    let signed = if table.options.signature_key.is_some() { " (with signature)" } else { "" };
    text.add("status", format!("{state}{signed}"));
    text.add("hash type", table.hash_type.number());
    text.add("data block", format!("{} [bytes]", table.data_block_size));
    text.add("hash block", format!("{} [bytes]", table.hash_block_size));
    text.add("hash name", &table.algorithm);
    text.add("salt", &table.salt);
    text.add_device("data", &verity.data);
    text.add_sectors("size", verity.sectors);
    text.add("mode", if mapping.read_only { "readonly" } else { "read/write" });
    text.add_device("hash", &verity.hash);
    text.add_sectors("hash offset", offset(table.hash_start, table.hash_block_size));
    if let (Some(fec), Some(device)) = (&table.options.fec, &verity.fec) {
        // Without its file, as the reference tool.
        text.add("FEC device", device.device.display());
        text.add_sectors("FEC offset", offset(fec.start, table.data_block_size));
        text.add("FEC roots", fec.roots);
        if let Some(repaired) = verity.status.repaired {
            text.add("FEC repaired", format!("{repaired} [events]"));
        }
    }
    text.add("root hash", &table.root_hash);
    let known = table.options.flags().map(|flag| format!("{flag} "));
    let flags: String = known.chain(table.options.unknown.iter().map(|flag| format!("{flag} "))).collect();
    if !flags.is_empty() {
        text.add("flags", flags);
    }
    text.0
}
