//! A search for the trees in an image.

use super::mark::Mark;
use super::places::Ends;
use crate::error::Result;
use crate::format::{Layout, Params, ParamsBuilder, SUPERBLOCK_SIZE, Superblock};
use crate::io::{Device, Reader};
use crate::value::SECTOR_SIZE;
use crate::work::Work;

/// How much is read at a time.
const PIECE: u64 = 1 << 20;

/// How many finds are kept. More than one is an error already, and an image can be made to hold any number.
pub(super) const MOST: usize = 8;

/// What a search has found: superblocks right after the data they describe, and marks.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) found: Vec<Params>,
    pub(super) marks: Vec<Mark>,
}

impl Scan {
    /// Looks where the superblock or mark is of what ends where the image does, or where the data of that end. Only if
    /// there is none is all of the image read, except its holes.
    pub(super) fn of(image: &Device<'_>, work: &Work<'_>) -> Result<Self> {
        let Self { found, marks } = Self::at_its_end(image)?;
        let data = found.iter().map(Params::data_bytes).chain(marks.iter().map(Mark::data_bytes)).min();
        if let Some(data) = data {
            // An image of an image has two trees, and either may be the one to be replaced.
            let inner = Self::at_its_end(&image.part(&(0..data), &image.path().to_string_lossy())?)?;
            return Ok(Self { found: [inner.found, found].concat(), marks: [inner.marks, marks].concat() });
        }
        let mut search = Search::default();
        each_sector(image, work, |offset, bytes| {
            let len = usize::try_from(image.bytes() - offset).map_or(bytes.len(), |left| left.min(bytes.len()));
            search.look(offset, &bytes[..len]);
        })?;
        search.end(image)
    }

    /// The trees that end where the device does, finished or not.
    pub(super) fn at_its_end(device: &Device<'_>) -> Result<Self> {
        let ends = Ends::of(device)?;
        let (mut found, mut marks) = (Vec::new(), Vec::new());
        let mut places = ends.superblock_places();
        // Where a mark is after everything else.
        places.extend(device.bytes().checked_sub(SUPERBLOCK_SIZE as u64));
        for place in places {
            let mut bytes = [0; SUPERBLOCK_SIZE];
            if place.checked_add(SUPERBLOCK_SIZE as u64).is_some_and(|end| end <= device.bytes()) {
                device.read_at(&mut bytes, place)?;
                found.extend(image_whose_data_end_at(place, &bytes).filter(|params| ends.fit(params)));
                marks.extend(Mark::read(place, &bytes).filter(|mark| mark.explains(device.bytes())));
            }
        }
        Ok(Self { found, marks })
    }
}

/// A search that is going on. The sectors of an image may be looked at in any order.
#[derive(Debug, Default)]
pub(super) struct Search {
    found: Vec<Params>,
    marks: Vec<Mark>,
    /// Where the image ends within something that begins like a superblock or mark.
    cut: Option<u64>,
}

impl Search {
    /// Whether a sector has to be looked at: it may be of interest, or is the last one and not whole.
    pub(super) fn is_wanted(sector: &[u8]) -> bool {
        sector.len() < SUPERBLOCK_SIZE || Superblock::begins(sector) || Mark::begins(sector)
    }

    /// Looks at a sector, from its byte `offset` on.
    pub(super) fn look(&mut self, offset: u64, sector: &[u8]) {
        let mut padded = [0; SUPERBLOCK_SIZE];
        padded[..sector.len()].copy_from_slice(sector);
        if !Superblock::begins(&padded) && !Mark::begins(&padded) {
            return;
        }
        let already = self.found.len() + self.marks.len();
        if already < MOST {
            self.found.extend(image_whose_data_end_at(offset, &padded));
            self.marks.extend(Mark::read(offset, &padded));
        }
        if sector.len() < SUPERBLOCK_SIZE && already == self.found.len() + self.marks.len() {
            self.cut = Some(offset);
        }
    }

    /// What was found in all of the image.
    pub(super) fn end(mut self, image: &Device<'_>) -> Result<Scan> {
        if let Some(offset) = self.cut {
            // With zeros after it, what is left of it could become a superblock again.
            image.check_size(offset + SUPERBLOCK_SIZE as u64)?;
        }
        self.found.sort_by_key(Params::hash_offset);
        self.marks.sort_by_key(Mark::area);
        Ok(Scan { found: self.found, marks: self.marks })
    }

    /// Where the first tree begins that was found, or something that looks like it.
    pub(super) fn first(&self) -> Option<u64> {
        let trees = self.found.iter().map(Params::hash_offset);
        trees.chain(self.marks.iter().map(Mark::area)).chain(self.cut).min()
    }
}

/// The image whose superblock is in these bytes from byte `offset` on, if there is one and its data end right there.
pub(super) fn image_whose_data_end_at(offset: u64, bytes: &[u8]) -> Option<Params> {
    let superblock = Superblock::parse(bytes).ok()?;
    if superblock.data_block_size().checked_bytes_of(superblock.data_blocks()) != Some(offset) {
        return None;
    }
    let params = ParamsBuilder::from_superblock(&superblock, offset, None).ok()?;
    // A tree that no device can hold is not a tree.
    Layout::new(&params).ok().map(|_| params)
}

/// Calls `look` for each place of a device where a superblock can be, or the beginning of one: its offset, and as many
/// bytes as a superblock has. After the end of the device they are zeros, as they are once it is padded.
pub(super) fn each_sector(device: &Device<'_>, work: &Work<'_>, look: impl FnMut(u64, &[u8])) -> Result<()> {
    each_sector_before(device, u64::MAX, work, look)
}

pub(super) fn each_sector_before(
    device: &Device<'_>,
    end: u64,
    work: &Work<'_>,
    mut look: impl FnMut(u64, &[u8]),
) -> Result<()> {
    let end = end.min(device.bytes());
    let mut reader = Reader::default();
    let mut holes = device.holes();
    device.will_be_read_in_order();
    let mut position = 0;
    while position < end {
        work.check()?;
        let data = holes.end_of_hole_at(position);
        if data > position {
            // A hole may end within a sector, and within what can be read around the page cache.
            position = (data / PIECE * PIECE).max(position);
            if data >= end {
                break;
            }
        }
        let len = PIECE.min(end - position);
        let direct = device.is_cold(position, len);
        let bytes = reader.read(device, position, usize::try_from(len).expect("no more than a piece"), direct)?;
        for (index, sector) in bytes.chunks(SUPERBLOCK_SIZE).enumerate() {
            let offset = position + index as u64 * SECTOR_SIZE;
            if sector.len() == SUPERBLOCK_SIZE {
                look(offset, sector);
            } else {
                let mut padded = [0; SUPERBLOCK_SIZE];
                padded[..sector.len()].copy_from_slice(sector);
                look(offset, &padded);
            }
        }
        position += len;
    }
    Ok(())
}
