//! `dump`: show what a superblock says.

use dmverity::Layout;
use serde::Serialize;

use super::image::{ImageFields, Spelling};
use super::{check_devices, shown};
use crate::arguments::Arguments;
use crate::failure::Result;
use crate::report::Report;

#[derive(Serialize)]
struct DumpFields {
    hash_device: String,
    fec_device: Option<String>,
    #[serde(flatten)]
    image: ImageFields,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Report> {
    let hash = arguments.path(0);
    check_devices([hash])?;
    let params = dmverity::load(hash, arguments.hash_offset_on(hash)?, arguments.fec()?)?;
    let layout = Layout::new(&params)?;
    let fec = arguments.path_option("fec-device");
    let fec_area = match &fec {
        None => None,
        Some(fec) => dmverity::fec_area(hash, fec, &layout)?,
    };
    let spelling = Spelling {
        uuid: params.uuid().map(|uuid| uuid.to_string()).unwrap_or_default(),
        algorithm: params.algorithm().to_string(),
    };
    let image = ImageFields::new(&layout, fec_area.as_ref(), &spelling);
    let mut text = image.text(hash, None);
    if arguments.is_auto("hash-offset") {
        text += &image.offsets(None);
    }
    if arguments.flag("tree") {
        text += "\n";
        text += &image.tree();
    }
    let fields = DumpFields { hash_device: shown(hash), fec_device: fec.as_deref().map(shown), image };
    Ok(Report::new(text, fields))
}
