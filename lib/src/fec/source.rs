//! What FEC covers, as one row of bytes: the data blocks, then the hash device from its first hash block on.

use std::ops::Range;

use crate::error::Result;
use crate::fec::Areas;
use crate::io::{Device, Extents, Overlay, Reader};
use crate::memory;

/// The covered bytes. Positions count from the first data block.
#[derive(Debug)]
pub(crate) struct Covered<'a> {
    parts: [Part<'a>; 2],
    block: usize,
}

/// Which covered bytes are read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What<'a> {
    /// All of them.
    All,
    /// All of them, with repaired blocks.
    Repaired(&'a Overlay),
    /// Those on the data device.
    Data,
    /// Those on the hash device.
    Hash,
}

/// Covered bytes that are on one device.
#[derive(Debug)]
struct Part<'a> {
    device: &'a Device<'a>,
    /// Where on the device they start.
    start: u64,
    /// Where they are among the covered bytes.
    range: Range<u64>,
    extents: Extents,
    /// Whether reading it is faster when it bypasses the page cache.
    is_cold: bool,
}

impl<'a> Covered<'a> {
    /// What an image's FEC covers.
    pub(crate) fn new(image: &Areas<'a>) -> Self {
        let params = image.layout.params();
        let block = params.hash_block_size();
        let (data_end, end) = (params.data_bytes(), image.area.blocks * block.bytes());
        let tree = image.layout.first_hash_block() * block.bytes();
        let part = |device: &'a Device<'a>, start, range: Range<u64>| {
            let is_cold = device.is_cold(start, range.end - range.start);
            Part { device, start, range, extents: device.extents(), is_cold }
        };
        Self {
            parts: [part(image.data, 0, 0..data_end), part(image.hash, tree, data_end..end)],
            block: block.as_usize(),
        }
    }

    /// Whether reading the data is faster when it bypasses the page cache.
    pub(crate) fn is_cold(&self) -> bool {
        self.parts[0].is_cold
    }

    /// How many of them are data.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.parts[0].range.end
    }

    /// How many bytes of the data are not holes.
    pub(crate) fn bytes_of_data(&self) -> u64 {
        let data = &self.parts[0];
        data.extents.bytes_before(data.range.end)
    }

    /// The device that has a position, and the position on it.
    pub(crate) fn locate(&self, position: u64) -> (&'a Device<'a>, u64) {
        let [data, hash] = &self.parts;
        let part = if data.range.contains(&position) { data } else { hash };
        (part.device, part.start + (position - part.range.start))
    }

    /// The covered block of this number.
    pub(crate) fn read_block(&self, number: u64, what: What<'_>) -> Result<Vec<u8>> {
        let mut bytes = memory::zeroed(self.block)?;
        self.read(number * self.block as u64, &mut bytes, what, &mut Reader::default())?;
        Ok(bytes)
    }

    /// Fills `buffer` from a position on, with zeros past the end, and returns whether it did: if there are only zeros,
    /// it leaves the buffer alone.
    ///
    /// If `what` is only a part, the other part counts as zeros. Blocks in an overlay are taken from there.
    pub(crate) fn read(&self, position: u64, buffer: &mut [u8], what: What<'_>, reader: &mut Reader) -> Result<bool> {
        let wanted = position..position + buffer.len() as u64;
        let mut is_filled = false;
        let (parts, overlay) = match what {
            What::All => (&self.parts[..], None),
            What::Repaired(overlay) => (&self.parts[..], Some(overlay)),
            What::Data => (&self.parts[..1], None),
            What::Hash => (&self.parts[1..], None),
        };
        for part in parts {
            let there = wanted.start.max(part.range.start)..wanted.end.min(part.range.end);
            if there.is_empty() {
                continue;
            }
            let start = part.start + (there.start - part.range.start);
            let on_device = start..start + (there.end - there.start);
            if !part.extents.have_data(&on_device) {
                continue;
            }
            if !is_filled && there != wanted {
                buffer.fill(0);
            }
            is_filled = true;
            let buffer = &mut buffer[within(&wanted, &there)];
            if part.is_cold {
                buffer.copy_from_slice(reader.read(part.device, on_device.start, buffer.len(), true)?);
            } else {
                part.device.read_at(buffer, on_device.start)?;
            }
        }
        if let Some(overlay) = overlay {
            let block = self.block as u64;
            for number in overlay.blocks(wanted.start / block..wanted.end.div_ceil(block)) {
                if !is_filled {
                    buffer.fill(0);
                    is_filled = true;
                }
                let bytes = overlay.read(number)?;
                let repaired = number * block..(number + 1) * block;
                let there = wanted.start.max(repaired.start)..wanted.end.min(repaired.end);
                buffer[within(&wanted, &there)].copy_from_slice(&bytes[within(&repaired, &there)]);
            }
        }
        Ok(is_filled)
    }
}

/// Where in a buffer that holds `wanted` a part of it is.
fn within(wanted: &Range<u64>, part: &Range<u64>) -> Range<usize> {
    let index = |position: u64| usize::try_from(position - wanted.start).expect("buffers fit the memory they are in");
    index(part.start)..index(part.end)
}
