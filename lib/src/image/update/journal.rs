//! What an update is going to overwrite, kept after the end of the hash device while the update writes.
//!
//! ```text
//! hash device ... | numbers of hash blocks | numbers of rounds | hash blocks | parity of rounds | pad | trailer
//!                 ^ end                                                                              ^ whole sector
//! trailer:  0  "dm-verity undo\0\0"   signature
//!          16  u64                    end: the length of the hash device before
//!          24  u64                    how many hash blocks
//!          32  u64                    how many rounds
//!          40  [u8; 32]               SHA-256 of all before it but the pad: numbers, blocks, the trailer up to here
//! ```
//! Numbers are little-endian, in order, and count as FEC covers blocks. The trailer is written first, so that the
//! former length is known: a write within a sector is done or not. The digest shows whether all the rest has been
//! written. A journal need not be trusted: the old root hash proves its hash blocks before they are written back, and
//! whatever its parity recovers has to be proven in any case.

use sha2::{Digest, Sha256};
use zerocopy::byteorder::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::Result;
use crate::format::Layout;
use crate::io::{Device, Overlay};
use crate::memory;
use crate::value::SECTOR_SIZE;

const SIGNATURE: [u8; 16] = *b"dm-verity undo\0\0";

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Trailer {
    signature: [u8; 16],
    end: U64,
    blocks: U64,
    rounds: U64,
    digest: [u8; 32],
}

/// Sizes that bound what a journal can hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Bytes of a hash block.
    pub(super) block: usize,
    /// Bytes of a round's parity, 0 without FEC.
    pub(super) round: usize,
    /// Where the hash tree ends, in bytes.
    pub(super) tree_end: u64,
    /// How many blocks of data there are.
    pub(super) data_blocks: u64,
    /// How many blocks the tree has.
    pub(super) hash_blocks: u64,
}

impl Sizes {
    /// Those of an image.
    pub(super) fn of(layout: &Layout) -> Self {
        let params = layout.params();
        let block = params.hash_block_size().as_usize();
        let round = params.fec().map_or(0, |fec| block * fec.roots as usize);
        let (tree_end, data_blocks) = (layout.hash_end(), params.data_blocks());
        Self { block, round, tree_end, data_blocks, hash_blocks: layout.hash_blocks() }
    }
}

/// A journal that was found.
#[derive(Debug)]
pub(super) struct Journal {
    /// The length of the hash device before.
    pub(super) end: u64,
    /// The former hash blocks and parity; `None` if not all of it has been written.
    pub(super) kept: Option<(Overlay, Overlay)>,
}

impl Journal {
    /// The journal at the end of a hash device, if there is one.
    pub(super) fn read(hash: &Device<'_>, sizes: Sizes) -> Result<Option<Self>> {
        let Some(place) = hash.bytes().checked_sub(size_of::<Trailer>() as u64) else { return Ok(None) };
        let mut bytes = [0; size_of::<Trailer>()];
        hash.read_at(&mut bytes, place)?;
        let trailer = Trailer::read_from_bytes(&bytes).expect("as many bytes");
        let (end, blocks, rounds) = (trailer.end.get(), trailer.blocks.get(), trailer.rounds.get());
        let most_rounds = sizes.data_blocks.saturating_add(end / sizes.block as u64);
        let is_bounded = blocks <= sizes.hash_blocks && rounds <= most_rounds;
        let is_one = trailer.signature == SIGNATURE && end >= sizes.tree_end && is_bounded;
        if !is_one || place_of_trailer(end, (blocks, rounds), sizes) != Some(place) {
            return Ok(None);
        }
        let mut digest = Sha256::new();
        let mut position = end;
        let mut read = |len: usize| -> Result<Vec<u8>> {
            let mut bytes = memory::zeroed(len)?;
            hash.read_at(&mut bytes, position)?;
            position += len as u64;
            digest.update(&bytes);
            Ok(bytes)
        };
        let mut lists = Vec::new();
        for count in [blocks, rounds] {
            let bytes = read(usize::try_from(count * 8).unwrap_or(usize::MAX))?;
            let numbers = bytes.as_chunks().0.iter().map(|&number| u64::from_le_bytes(number));
            lists.push(numbers.collect::<Vec<_>>());
        }
        let mut kept = Vec::new();
        for (numbers, size) in lists.into_iter().zip([sizes.block, sizes.round]) {
            let mut overlay = Overlay::new(size);
            for number in numbers {
                overlay.add(number, &read(size)?)?;
            }
            kept.push(overlay);
        }
        digest.update(&bytes[..40]);
        let is_whole = digest.finalize()[..] == trailer.digest;
        let kept = kept.pop().zip(kept.pop()).map(|(rounds, blocks)| (blocks, rounds)).filter(|_| is_whole);
        Ok(Some(Self { end, kept }))
    }

    /// Writes the former contents of these blocks and rounds, which `old` reads, after the end of the hash device, and
    /// returns when they are on stable storage.
    pub(super) fn write(
        hash: &Device<'_>,
        sizes: Sizes,
        (blocks, rounds): (&Overlay, &Overlay),
        old: impl Fn(Former, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let end = hash.bytes();
        let mut trailer = Trailer {
            signature: SIGNATURE,
            end: end.into(),
            blocks: blocks.count().into(),
            rounds: rounds.count().into(),
            digest: [0; 32],
        };
        let counts = (blocks.count(), rounds.count());
        let place = place_of_trailer(end, counts, sizes).expect("all of it fits devices");
        hash.write_at(trailer.as_bytes(), place)?;
        hash.sync()?;
        let mut digest = Sha256::new();
        let mut position = end;
        let mut write = |bytes: &[u8]| {
            digest.update(bytes);
            position += bytes.len() as u64;
            hash.write_at(bytes, position - bytes.len() as u64)
        };
        let numbers: Vec<U64> = blocks.numbers().chain(rounds.numbers()).map(U64::new).collect();
        write(numbers.as_bytes())?;
        let former = blocks.numbers().map(Former::Block).map(|each| (each, sizes.block));
        for (each, size) in former.chain(rounds.numbers().map(Former::Round).map(|each| (each, sizes.round))) {
            let mut bytes = memory::zeroed(size)?;
            old(each, &mut bytes)?;
            write(&bytes)?;
        }
        digest.update(&trailer.as_bytes()[..40]);
        trailer.digest = digest.finalize().into();
        hash.write_at(trailer.as_bytes(), place)?;
        hash.sync()
    }
}

/// What is going to be overwritten, by its number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Former {
    Block(u64),
    Round(u64),
}

/// Where the trailer of a journal begins that has as many hash blocks and rounds.
fn place_of_trailer(end: u64, (blocks, rounds): (u64, u64), sizes: Sizes) -> Option<u64> {
    let blocks = blocks.checked_mul(8 + sizes.block as u64)?;
    let rounds = rounds.checked_mul(8 + sizes.round as u64)?;
    end.checked_add(blocks)?.checked_add(rounds)?.checked_next_multiple_of(SECTOR_SIZE)
}
