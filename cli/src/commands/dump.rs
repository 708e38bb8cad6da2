//! `dump`: show what a superblock says.

use dmverity::Layout;

use super::{Spelling, header};
use crate::arguments::Arguments;
use crate::failure::Result;
use crate::output;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let hash = arguments.path(0);
    let params = dmverity::load(hash, arguments.hash_offset()?, arguments.fec()?)?;
    let layout = Layout::new(&params)?;
    let fec_area = match arguments.path_option("fec-device") {
        None => None,
        Some(fec) => dmverity::fec_area(hash, &fec, &layout)?,
    };
    let spelling = Spelling {
        uuid: params.uuid().map(|uuid| uuid.to_string()).unwrap_or_default(),
        algorithm: params.algorithm().to_string(),
    };
    output::print(&header(hash, &spelling, &layout, fec_area.as_ref(), None))
}
