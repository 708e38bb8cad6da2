//! `dump`: show what a superblock says.

use dmverity::{Devices, Layout, Params, RootHash};
use serde::Serialize;

use super::found::{self, Asked};
use super::image::{ImageFields, Spelling};
use super::source::Source;
use super::{check_devices, load, shown};
use crate::arguments::{Dump, HashOffset};
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
    let Dumped { source, params } = dumped(dump)?;
    let layout = Layout::new(&params)?;
    let fec_area = match source.fec() {
        None => None,
        Some(_) => source.open()?.fec_area(&layout),
    };
    let spelling = Spelling {
        uuid: params.uuid().map(|uuid| uuid.to_string()).unwrap_or_default(),
        algorithm: params.algorithm().to_string(),
    };
    let image = ImageFields::new(&layout, fec_area.as_ref(), &spelling);
    let root_hash = dump.root_hash.then(|| source.open()?.unverified_root_hash(&params)).transpose()?;
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
        fec_device: source.fec().map(shown),
        image,
        root_hash: root_hash.as_ref().map(RootHash::to_string),
    };
    let warnings = root_hash.map(|_| NOT_VERIFIED.to_owned()).into_iter().collect();
    Ok(Report { warnings, ..Report::new(text, fields) })
}

/// What is dumped, and where it is.
struct Dumped {
    source: Source,
    params: Params,
}

/// The superblock on the hash device, or that of the image which it is by itself.
fn dumped(dump: &Dump) -> Result<Dumped> {
    let Dump { hash, image: options, choice, .. } = dump;
    let on_device = || {
        let params = load(options, options.hash_offset.on(hash)?, None, hash)?;
        // Nothing is read of the data.
        let devices = Devices { data: hash.clone(), hash: hash.clone(), fec: options.fec.device.clone() };
        Ok(Dumped { source: Source::Devices(devices), params })
    };
    if !matches!(options.hash_offset, HashOffset::At(0)) || dmverity::load(hash, 0, None).is_ok() {
        return on_device();
    }
    let found = found::look(hash, &Asked { options, choice, root_hash: None })?;
    found.map_or_else(on_device, |found| Ok(Dumped { source: found.source, params: found.params }))
}
