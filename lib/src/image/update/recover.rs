//! What an interrupted update has left, and the way back from there.

use super::journal::{Journal, Sizes};
use super::write::write_parity;
use crate::error::{Error, Result};
use crate::format::{Layout, SUPERBLOCK_SIZE, Superblock};
use crate::image::handle::Image;
use crate::image::mark::Mark;
use crate::io::Overlay;
use crate::tree::ProvenTree;
use crate::value::RootHash;

/// What an interrupted update has left on the hash device.
#[derive(Debug)]
pub(super) struct Left {
    /// The superblock that the mark keeps.
    superblock: Option<Superblock>,
    /// The length that the device had.
    end: u64,
    /// What has been overwritten, or was going to be.
    kept: Option<(Overlay, Overlay)>,
}

impl Left {
    /// Looks for it; `None` if the hash device is as a finished update leaves it.
    pub(super) fn find(image: &Image<'_>, layout: &Layout) -> Result<Option<Self>> {
        let offset = layout.params().hash_offset();
        let mut bytes = [0; SUPERBLOCK_SIZE];
        let has_place = layout.params().uuid().is_some() && image.hash.bytes() >= offset + SUPERBLOCK_SIZE as u64;
        if has_place {
            image.hash.read_at(&mut bytes, offset)?;
        }
        let mark = Mark::read_update(offset, &bytes);
        let journal = if image.hash.can_grow() { Journal::read(&image.hash, Sizes::of(layout))? } else { None };
        let end = match (&journal, &mark) {
            (Some(journal), _) => journal.end,
            (None, Some((_, end))) if image.hash.can_grow() && *end >= layout.hash_end() => *end,
            (None, _) => image.hash.bytes(),
        };
        let is_left = mark.is_some() || journal.is_some();
        let superblock = mark.map(|(superblock, _)| superblock);
        Ok(is_left.then(|| Self { superblock, end, kept: journal.and_then(|journal| journal.kept) }))
    }

    /// Makes the image again what it was before the update: everything that is written back is proven before.
    ///
    /// # Errors
    /// [`Error::UnfinishedUpdate`] if that is not known any more.
    pub(super) fn undo(self, image: &mut Image<'_>, layout: &Layout, root_hash: &RootHash) -> Result<()> {
        let Self { superblock, end, kept } = self;
        let tree = ProvenTree::new(layout, &image.hash, root_hash, kept.as_ref().map(|(blocks, _)| blocks));
        let top = tree.nodes().top();
        let has_tree = !layout.levels().is_empty();
        if has_tree && let Err(error) = tree.block(top) {
            return Err(match error {
                Error::WrongRoot { path } => Error::UnfinishedUpdate { path },
                error => error,
            });
        }
        // One of an update that was complete, of which this is the new root hash, is of no use any more.
        let hasher = layout.params().hasher(layout.params().hash_block_size());
        let is_of_this = |blocks: &Overlay| -> Result<bool> {
            Ok(!blocks.has(top) || !has_tree || hasher.digest(&blocks.read(top)?) == root_hash.as_bytes())
        };
        if let Some((blocks, rounds)) = &kept
            && is_of_this(blocks)?
        {
            put_back(image, &tree, end, (blocks, rounds))?;
        }
        drop(tree);
        if image.hash.bytes() > end {
            image.hash.set_len("truncate", end)?;
        }
        if let Some(superblock) = superblock {
            image.hash.write_at(&superblock.to_bytes(), layout.params().hash_offset())?;
        }
        image.hash.sync()?;
        image.look_again()
    }
}

/// Writes former blocks and parity, and returns when they are on stable storage.
fn put_back(image: &Image<'_>, tree: &ProvenTree<'_>, end: u64, (blocks, rounds): (&Overlay, &Overlay)) -> Result<()> {
    let layout = tree.layout();
    let in_tree = layout.params().data_blocks()..tree.nodes().end();
    let unfinished = || Error::UnfinishedUpdate { path: image.hash.path().to_owned() };
    let mut proven = Vec::new();
    for number in blocks.numbers() {
        proven.push((number, in_tree.contains(&number).then(|| tree.block(number)).ok_or_else(unfinished)??));
    }
    if rounds.count() > 0 {
        let place = image.fec_areas_before(layout, end)?;
        let areas = place.on(image, layout);
        if rounds.numbers().any(|round| round >= areas.area.rounds) {
            return Err(unfinished());
        }
        write_parity(&areas, rounds)?;
    }
    for (number, block) in proven {
        image.hash.write_at(&block, tree.position(number))?;
    }
    image.hash.sync()
}
