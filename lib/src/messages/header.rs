//! What the reference tool prints of an image.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::Path;

use super::with_path;
use crate::format::{FecArea, Layout};
use crate::value::RootHash;

/// An image as the reference tool shows it when it formats or dumps one.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// The image's UUID, empty without superblock.
    pub uuid: &'a str,
    /// The name of the hash algorithm.
    pub algorithm: &'a str,
    /// The image's parameters, and what follows from them.
    pub layout: &'a Layout,
    /// The parity, if there is any.
    pub fec_area: Option<&'a FecArea>,
    /// The offset of the hash area as the reader knows it: the size of the hash device is shown if it is 0.
    pub hash_offset: u64,
    /// The root hash, if it is known.
    pub root_hash: Option<&'a RootHash>,
}

/// The line before those of an image on this hash device.
pub fn header_title(hash_device: &Path) -> OsString {
    with_path("VERITY header information for ", hash_device, ".")
}

/// A line for each field of the image, without newlines: the key up to column 17, a tab, the value.
pub fn of_header(header: &Header<'_>) -> Vec<String> {
    let Header { layout, .. } = header;
    let params = layout.params();
    let mut fields = vec![field("UUID", header.uuid)];
    fields.extend(of_geometry(layout, header.fec_area, header.algorithm));
    fields.push(field("Salt", params.salt()));
    fields.extend(header.root_hash.map(|root_hash| narrow_field("Root hash", root_hash)));
    if header.hash_offset == 0 {
        // As the reference tool: with the parity, if that is there too.
        let on_hash_device = header.fec_area.filter(|fec| fec.on_hash_device);
        let parity = on_hash_device.map_or(0, |fec| fec.bytes.end - fec.bytes.start);
        // In whole hash blocks, as the reference prints it, even if the file is shorter because there is no tree.
        let end = layout.hash_area().end.next_multiple_of(params.hash_block_size().bytes());
        fields.push(bytes_field("Hash device size", end + parity));
    }
    // On the hash device it has no size of its own.
    if let Some(fec) = header.fec_area.filter(|fec| fec.bytes.start == 0 && !fec.on_hash_device) {
        fields.push(bytes_field("FEC device size", fec.bytes.end));
    }
    fields
}

/// The lines about blocks, hash algorithm and parity among them.
pub fn of_geometry(layout: &Layout, fec_area: Option<&FecArea>, algorithm: &str) -> Vec<String> {
    let params = layout.params();
    let mut fields = vec![
        field("Hash type", params.hash_type().number()),
        field("Data blocks", params.data_blocks()),
        bytes_field("Data block size", params.data_block_size().bytes()),
        field("Hash blocks", layout.hash_blocks()),
        bytes_field("Hash block size", params.hash_block_size().bytes()),
        field("Hash algorithm", algorithm),
    ];
    if let Some((fec, area)) = params.fec().zip(fec_area) {
        fields.push(narrow_field("FEC RS roots", fec.roots));
        fields.push(narrow_field("FEC blocks", area.rounds * u64::from(fec.roots)));
    }
    fields
}

fn field(key: &str, value: impl Display) -> String {
    format!("{:<16} \t{value}", format!("{key}:"))
}

/// A key that the reference tool pads by one blank less.
fn narrow_field(key: &str, value: impl Display) -> String {
    format!("{:<16}\t{value}", format!("{key}:"))
}

fn bytes_field(key: &str, bytes: u64) -> String {
    field(key, format!("{bytes} [bytes]"))
}
