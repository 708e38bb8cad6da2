//! The order of writes. From the first to the last, an image with a superblock does not load, and one without has a top
//! block that the old root hash does not prove. What is overwritten is kept in a journal if there is room for one: the
//! next update can go back and do it again.
//!
//! 1. The mark goes into the superblock's place, the journal after the end of the hash device.
//! 2. The top block of the tree is written: from here on the old root hash proves nothing but the journal.
//! 3. The other hash blocks, and the parity.
//! 4. The superblock comes back, the journal goes.
//!
//! Each step is on stable storage before the next one begins.

use std::io::ErrorKind;

use zerocopy::IntoBytes;

use super::journal::{Former, Journal, Sizes};
use crate::error::{Error, Result, WithCauses};
use crate::fec;
use crate::format::{Layout, SUPERBLOCK_SIZE};
use crate::image::handle::Image;
use crate::image::mark::Mark;
use crate::io::Overlay;
use crate::tree::{ProvenTree, Updated};
use crate::value::RootHash;

/// Writes new hash blocks and new parity, in whole rounds.
pub(super) fn write(
    image: &mut Image<'_>,
    (layout, root_hash): (&Layout, &RootHash),
    updated: &Updated,
    parity: &Overlay,
) -> Result<()> {
    if updated.blocks.count() == 0 && parity.count() == 0 {
        return Ok(());
    }
    let before = image.hash.bytes();
    if let Err(error) = prepare(image, (layout, root_hash), &updated.blocks, parity) {
        // Nothing else has been written: without a mark and at its former length the image is what it was.
        if let Err(left) = finish(image, layout, before) {
            log::warn!("cannot take back what was added: {}", WithCauses(&left));
        }
        return Err(error);
    }
    let tree = ProvenTree::new(layout, &image.hash, root_hash, None);
    let top = tree.nodes().top();
    let blocks = &updated.blocks;
    let put = |number| image.hash.write_at(&blocks.read(number)?, tree.position(number));
    if blocks.has(top) {
        put(top)?;
        image.hash.sync()?;
    }
    blocks.numbers().filter(|&number| number != top).try_for_each(put)?;
    if parity.count() > 0 {
        let place = image.fec_areas_before(layout, before)?;
        write_parity(&place.on(image, layout), parity)?;
    }
    image.hash.sync()?;
    finish(image, layout, before)
}

/// Writes the parity of whole rounds, and returns when it is on stable storage.
pub(super) fn write_parity(areas: &fec::Areas<'_>, rounds: &Overlay) -> Result<()> {
    let start = |round| areas.area.bytes.start + round * fec::round_bytes(areas) as u64;
    rounds.numbers().try_for_each(|round| areas.fec.write_at(&rounds.read(round)?, start(round)))?;
    areas.fec.sync()
}

/// Writes mark and journal.
fn prepare(
    image: &Image<'_>,
    (layout, root_hash): (&Layout, &RootHash),
    blocks: &Overlay,
    parity: &Overlay,
) -> Result<()> {
    let (hash, params) = (&image.hash, layout.params());
    if let Some(superblock) = params.superblock() {
        let offset = params.hash_offset();
        let mark = Mark::of_update(&superblock.to_bytes(), offset, params.data_bytes(), hash.bytes());
        hash.write_at(mark.as_bytes(), offset)?;
        hash.sync()?;
    }
    if !hash.can_grow() {
        return Ok(());
    }
    let end = hash.bytes();
    let tree = ProvenTree::new(layout, hash, root_hash, None);
    let place = if parity.count() > 0 { Some(image.fec_areas_before(layout, end)?) } else { None };
    let areas = place.as_ref().map(|place| place.on(image, layout));
    let old = |each: Former, bytes: &mut [u8]| match (each, &areas) {
        (Former::Block(number), _) => hash.read_at(bytes, tree.position(number)),
        (Former::Round(round), Some(areas)) => {
            areas.fec.read_at(bytes, areas.area.bytes.start + round * bytes.len() as u64)
        }
        (Former::Round(_), None) => Err(Error::FecDevice),
    };
    match Journal::write(hash, Sizes::of(layout), (blocks, parity), old) {
        // The caller's storage does not grow.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::Unsupported => Ok(()),
        written => written,
    }
}

/// Writes the superblock, and removes what is after byte `end`.
fn finish(image: &mut Image<'_>, layout: &Layout, end: u64) -> Result<()> {
    let params = layout.params();
    if let Some(superblock) = params.superblock() {
        let bytes: [u8; SUPERBLOCK_SIZE] = superblock.to_bytes();
        image.hash.write_at(&bytes, params.hash_offset())?;
        image.hash.sync()?;
    }
    image.look_again()?;
    if image.hash.can_grow() && image.hash.bytes() > end {
        image.hash.set_len("truncate", end)?;
        image.hash.sync()?;
    }
    image.look_again()
}
