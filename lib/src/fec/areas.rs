//! The areas of an image with FEC, and how much work they are.

use crate::format::{FecArea, Layout};
use crate::io::Device;

/// An image with FEC, on open devices that are large enough.
#[derive(Debug)]
pub(crate) struct Areas<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) area: &'a FecArea,
    pub(crate) data: &'a Device<'a>,
    pub(crate) hash: &'a Device<'a>,
    pub(crate) fec: &'a Device<'a>,
}

/// How many bytes there are to be encoded: all rows, with the zeros past the last block.
pub(crate) fn total(layout: &Layout, area: &FecArea) -> u64 {
    let params = layout.params();
    let rows = params.fec().map_or(0, |fec| 255 - u64::from(fec.roots));
    area.rounds * params.hash_block_size().bytes() * rows
}
