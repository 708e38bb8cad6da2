//! `status`: show what a mapping is and what it has seen.

use std::ffi::OsStr;
use std::fmt::Write;
use std::path::Path;

use dmverity::dm::{BackingDevice, MappingName, MappingStatus, VerityMapping, find, status};
use dmverity::{BlockSize, SECTOR_SIZE};
use serde::Serialize;

use super::shown;
use crate::arguments::Status;
use crate::escape::{escaped, text_of};
use crate::failure::{Exit, Failure, Result};
use crate::report::Report;

/// A mapping, whatever it is.
#[derive(Serialize)]
struct StatusFields {
    name: String,
    active: bool,
    /// These are of active mappings.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_use: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(flatten)]
    verity: Option<VerityFields>,
}

/// What both forms show about a verity mapping.
#[derive(Serialize)]
struct VerityFields {
    corrupted: bool,
    signed: bool,
    hash_type: u32,
    data_block_size: u64,
    hash_block_size: u64,
    hash_algorithm: String,
    salt: String,
    data_blocks: u64,
    data_device: DeviceFields,
    /// In bytes.
    size: u128,
    hash_device: DeviceFields,
    hash_offset: u128,
    fec: Option<FecFields>,
    root_hash: String,
    flags: Vec<String>,
}

#[derive(Serialize)]
struct DeviceFields {
    device: String,
    /// The file, if the device is a loop device.
    file: Option<String>,
}

#[derive(Serialize)]
struct FecFields {
    device: DeviceFields,
    offset: u128,
    roots: u32,
    /// If the kernel counts them.
    repaired: Option<u64>,
}

pub(crate) fn run(arguments: &Status) -> Result<Report> {
    let word = arguments.mapping.as_os_str();
    let name = find(word)?;
    let shown_name = subject(word, name.as_ref());
    let mapping = match &name {
        Some(name) => status(name)?.map(|mapping| (name, mapping)),
        None => None,
    };
    let Some((name, mapping)) = mapping else {
        let text = format!("{shown_name} is inactive.\n");
        let fields = StatusFields {
            name: name.as_ref().map_or_else(|| text_of(word), ToString::to_string),
            active: false,
            in_use: None,
            read_only: None,
            r#type: None,
            verity: None,
        };
        return Err(Report::new(text, fields).failed(Failure::said(Exit::Device, "mapping is inactive")));
    };
    let fields = StatusFields {
        name: name.to_string(),
        active: true,
        in_use: Some(mapping.open_count > 0),
        read_only: Some(mapping.read_only),
        r#type: Some(if mapping.verity.is_some() { "VERITY" } else { "n/a" }),
        verity: mapping.verity.as_ref().map(VerityFields::new),
    };
    let in_use = if mapping.open_count > 0 { " and is in use" } else { "" };
    let head = format!("{shown_name} is active{in_use}.\n");
    let Some(verity) = &fields.verity else {
        let report = Report::new(head + "  type:        n/a\n", fields);
        return Err(report.failed(Failure::said(Exit::Parameters, "mapping is not a verity mapping")));
    };
    Ok(Report::new(head + &verity.text(&mapping), fields))
}

/// The subject of the first line: a path as given, a name as the path of its node.
fn subject(word: &OsStr, name: Option<&MappingName>) -> String {
    let path = Path::new(word);
    let is_path = word.as_encoded_bytes().contains(&b'/') && (path.exists() || path.starts_with("/dev/mapper"));
    let given = text_of(word);
    // A name that is not text is printed as the kernel has it.
    let text = name.filter(|_| !is_path).map_or(given.as_str(), MappingName::as_str);
    let directory = if is_path { "" } else { "/dev/mapper/" };
    format!("{directory}{}", escaped(text))
}

/// The lines below the first, in the order and with the keys that callers know.
#[derive(Default)]
struct Details(String);

impl Details {
    fn add(&mut self, key: &str, value: impl std::fmt::Display) {
        let value = value.to_string();
        writeln!(self.0, "  {:<12} {}", format!("{key}:"), escaped(&value)).expect("a String takes everything");
    }

    fn add_device(&mut self, what: &str, device: &DeviceFields) {
        self.add(&format!("{what} device"), &device.device);
        if let Some(file) = &device.file {
            self.add(&format!("{what} loop"), file);
        }
    }

    fn add_sectors(&mut self, key: &str, bytes: u128) {
        self.add(key, format!("{} [512-byte units] ({bytes} [bytes])", bytes / u128::from(SECTOR_SIZE)));
    }
}

impl DeviceFields {
    fn new(device: &BackingDevice) -> Self {
        Self { device: shown(&device.device), file: device.file.as_deref().map(shown) }
    }
}

impl VerityFields {
    fn new(verity: &VerityMapping) -> Self {
        let table = &verity.table;
        let offset = |blocks: u64, block_size: BlockSize| u128::from(blocks) * u128::from(block_size.bytes());
        let unknown = table.options.unknown.iter().cloned();
        Self {
            corrupted: verity.status.corrupted,
            signed: table.options.signature_key.is_some(),
            hash_type: table.hash_type.number(),
            data_block_size: table.data_block_size.bytes(),
            hash_block_size: table.hash_block_size.bytes(),
            hash_algorithm: table.algorithm.clone(),
            salt: table.salt.clone(),
            data_blocks: table.data_blocks,
            data_device: DeviceFields::new(&verity.data),
            size: u128::from(verity.sectors) * u128::from(SECTOR_SIZE),
            hash_device: DeviceFields::new(&verity.hash),
            hash_offset: offset(table.hash_start, table.hash_block_size),
            fec: table.options.fec.as_ref().zip(verity.fec.as_ref()).map(|(fec, device)| FecFields {
                device: DeviceFields::new(device),
                offset: offset(fec.start, table.data_block_size),
                roots: fec.roots,
                repaired: verity.status.repaired,
            }),
            root_hash: table.root_hash.to_string(),
            flags: table.options.flags.iter().map(|flag| flag.word().to_owned()).chain(unknown).collect(),
        }
    }

    fn text(&self, mapping: &MappingStatus) -> String {
        let mut text = Details::default();
        text.add("type", "VERITY");
        let state = if self.corrupted { "corrupted" } else { "verified" };
        let signed = if self.signed { " (with signature)" } else { "" };
        text.add("status", format!("{state}{signed}"));
        text.add("hash type", self.hash_type);
        text.add("data block", format!("{} [bytes]", self.data_block_size));
        text.add("hash block", format!("{} [bytes]", self.hash_block_size));
        text.add("hash name", &self.hash_algorithm);
        text.add("salt", &self.salt);
        text.add_device("data", &self.data_device);
        text.add_sectors("size", self.size);
        text.add("mode", if mapping.read_only { "readonly" } else { "read/write" });
        text.add_device("hash", &self.hash_device);
        text.add_sectors("hash offset", self.hash_offset);
        if let Some(fec) = &self.fec {
            // Without its file, as the reference tool.
            text.add("FEC device", &fec.device.device);
            text.add_sectors("FEC offset", fec.offset);
            text.add("FEC roots", fec.roots);
            if let Some(repaired) = fec.repaired {
                text.add("FEC repaired", format!("{repaired} [events]"));
            }
        }
        text.add("root hash", &self.root_hash);
        if !self.flags.is_empty() {
            // With a blank after each.
            text.add("flags", self.flags.join(" ") + " ");
        }
        text.0
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_file_behind_a_loop_device_cannot_forge_lines() {
        let mut details = Details::default();
        let file = PathBuf::from("/tmp/d\x1b[2J\n  status:      verified\u{9b}");
        details
            .add_device("data", &DeviceFields::new(&BackingDevice { device: "/dev/loop1".into(), file: Some(file) }));
        assert_eq!(
            details.0,
            "  data device: /dev/loop1\n  data loop:   /tmp/d\\033[2J\\012  status:      verified\\302\\233\n"
        );
    }
}
