//! `dump`: show what a superblock says.

use dmverity::{Layout, RootHash};
use serde::Serialize;

use super::image::{ImageFields, Spelling};
use super::{check_devices, load, shown};
use crate::arguments::Dump;
use crate::failure::Result;
use crate::report::Report;

#[derive(Serialize)]
struct DumpFields {
    hash_device: String,
    fec_device: Option<String>,
    #[serde(flatten)]
    image: ImageFields,
    /// What the tree says, with `--root-hash`.
    root_hash: Option<String>,
}

/// The warning about any root hash that comes from the hash device.
const NOT_VERIFIED: &str = "the root hash was computed from the hash tree alone; nothing was verified.";

pub(crate) fn run(dump: &Dump) -> Result<Report> {
    let Dump { hash, image: options, .. } = dump;
    check_devices([hash.as_path()])?;
    let params = load(options, None, hash)?;
    let layout = Layout::new(&params)?;
    let fec = &options.fec.device;
    let fec_area = match fec {
        None => None,
        Some(fec) => dmverity::fec_area(hash, fec, &layout)?,
    };
    let spelling = Spelling {
        uuid: params.uuid().map(|uuid| uuid.to_string()).unwrap_or_default(),
        algorithm: params.algorithm().to_string(),
    };
    let image = ImageFields::new(&layout, fec_area.as_ref(), &spelling);
    let root_hash = dump.root_hash.then(|| dmverity::unverified_root_hash(hash, &params)).transpose()?;
    let mut text = image.text(hash, &layout, fec_area.as_ref(), root_hash.as_ref());
    if options.hash_offset.is_auto() {
        text += &image.offsets(None);
    }
    if dump.tree {
        text += "\n";
        text += &image.tree();
    }
    let fields = DumpFields {
        hash_device: shown(hash),
        fec_device: fec.as_deref().map(shown),
        image,
        root_hash: root_hash.as_ref().map(RootHash::to_string),
    };
    let warnings = root_hash.map(|_| NOT_VERIFIED.to_owned()).into_iter().collect();
    Ok(Report { warnings, ..Report::new(text, fields) })
}
