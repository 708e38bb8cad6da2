//! Parity that follows a hash tree.

use crate::error::Result;
use crate::fec::{Areas, holds_parity};
use crate::format::{Fec, Layout, Params};
use crate::image::Image;
use crate::io::{ReadAt, Storage};
use crate::memory;

/// How many bytes after a tree are looked at: where all of them are zeros, there is no parity.
const LOOKED_AT: u64 = 1 << 20;

/// Finds the parity of an image after the tree on its hash device.
pub(super) fn find(params: &Params, data: &dyn ReadAt, verity: &dyn ReadAt) -> Result<Option<Fec>> {
    let image = Image::new(Storage::Read(data), Storage::Read(verity))?;
    let offset = Layout::new(params)?.fec_offset_after_tree();
    let is_whole = image.data.bytes() >= params.data_bytes() && image.hash.bytes() > offset;
    if params.data_block_size() != params.hash_block_size() || !is_whole {
        return Ok(None);
    }
    let len = (image.hash.bytes() - offset).min(LOOKED_AT);
    let mut bytes = memory::zeroed(usize::try_from(len).expect("it is bounded"))?;
    image.hash.read_at(&mut bytes, offset)?;
    if bytes.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    for roots in Fec::MIN_ROOTS..=Fec::MAX_ROOTS {
        let fec = Fec::new(roots.into(), offset)?;
        let layout = Layout::new(&params.to_builder().fec(fec).build(params.data_bytes())?)?;
        let Some(area) = layout.fec_area_on(offset, true).filter(|area| area.bytes.end <= image.hash.bytes()) else {
            continue;
        };
        let areas = Areas { layout: &layout, area: &area, data: &image.data, hash: &image.hash, fec: &image.hash };
        if holds_parity(&areas)? {
            return Ok(Some(fec));
        }
    }
    Ok(None)
}
