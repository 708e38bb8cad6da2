//! Where the superblock of an image can be that ends with its tree, or with the parity after that. The device need not
//! be read for that: superblock, tree and parity follow the data, and few parameters decide how long they are.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::iter::once;
use std::ops::Range;

use crate::error::Result;
use crate::format::{AppendedFec, Fec, Hashing, Params, Plan};
use crate::hash::HashAlgorithm;
use crate::io::{Device, Reader};
use crate::value::BlockSize;

/// How far from the end of a device an image can end, with nothing but zeros after it. Partitions are longer than what
/// is in them, because of their alignment.
const MOST_PADDING: u64 = 8 << 20;

/// How much is read at a time, from the end on.
const PIECE: u64 = 1 << 20;

/// No kernel has larger pages, and what it opens has hash blocks of a page at most.
const LARGEST_HASH_BLOCK: u32 = 64 << 10;

/// The algorithms that stand for all others: digests are stored in steps of 16, 32 or 64 bytes.
const DIGESTS: [&str; 3] = ["md5", "sha256", "sha512"];

/// Where an image on a device can end.
#[derive(Debug)]
pub(super) struct Ends {
    device: u64,
    /// The end of the last bytes that are not zeros, or of what was not looked at.
    content: u64,
}

impl Ends {
    pub(super) fn of(device: &Device<'_>) -> Result<Self> {
        let bytes = device.bytes();
        let first = bytes.saturating_sub(MOST_PADDING);
        let mut reader = Reader::default();
        let mut content = bytes;
        while content > first {
            let start = content.saturating_sub(PIECE).max(first);
            let len = usize::try_from(content - start).expect("no more than a piece");
            let last = reader.read(device, start, len, false)?.iter().rposition(|&byte| byte != 0);
            if let Some(last) = last {
                content = start + last as u64 + 1;
                break;
            }
            content = start;
        }
        Ok(Self { device: bytes, content })
    }

    /// With hash blocks of this size. The last one has a digest in it, and the last block of parity is hardly ever
    /// nothing but zeros.
    fn with(&self, block: BlockSize) -> impl Iterator<Item = u64> {
        let ends = BTreeSet::from([self.device, self.content.next_multiple_of(block.bytes())]);
        ends.into_iter().filter(move |&end| end <= self.device && end.is_multiple_of(block.bytes()))
    }

    /// Whether an image whose data end where its superblock is ends here, with parity or without.
    pub(super) fn fit(&self, params: &Params) -> bool {
        let shapes = all_fec().map(|fec| Shape { hashing: params.hashing().clone(), fec });
        let found: BTreeSet<u64> = shapes.filter_map(|shape| shape.end(params.data_blocks())).collect();
        self.with(params.hash_block_size()).any(|end| found.contains(&end))
    }

    /// Every place of a superblock whose image ends here.
    pub(super) fn superblock_places(&self) -> BTreeSet<u64> {
        let mut places = BTreeSet::new();
        for block in BlockSize::all().filter(|block| block.get() <= LARGEST_HASH_BLOCK) {
            let ends: Vec<u64> = self.with(block).collect();
            for shape in Shape::all(block) {
                places.extend(ends.iter().flat_map(|&end| shape.data_bytes_before(end)));
            }
        }
        places
    }
}

/// Everything that decides how long tree and parity are, but for the number of data blocks.
struct Shape {
    hashing: Hashing,
    fec: Option<AppendedFec>,
}

/// No parity, or that of each number of roots.
fn all_fec() -> impl Iterator<Item = Option<AppendedFec>> {
    let with = |roots: u32| Some(AppendedFec { roots: roots.into(), device: None });
    once(None).chain((Fec::MIN_ROOTS..=Fec::MAX_ROOTS).map(with))
}

impl Shape {
    /// Each that makes a difference.
    fn all(hash_block_size: BlockSize) -> impl Iterator<Item = Self> {
        let algorithms = DIGESTS.into_iter().filter_map(|name| HashAlgorithm::from_name(name).ok());
        let hashings = algorithms.flat_map(move |algorithm| {
            let sizes = BlockSize::all();
            sizes.map(move |data_block_size| Hashing {
                algorithm,
                data_block_size,
                hash_block_size,
                ..Hashing::default()
            })
        });
        hashings.flat_map(|hashing| {
            let is_equal = hashing.data_block_size == hashing.hash_block_size;
            let fecs = all_fec().filter(move |fec| fec.is_none() || is_equal);
            fecs.map(move |fec| Self { hashing: hashing.clone(), fec })
        })
    }

    /// Where an image with this many data blocks ends.
    fn end(&self, data_blocks: u64) -> Option<u64> {
        let data_bytes = self.hashing.data_block_size.checked_bytes_of(data_blocks)?;
        let plan = Plan::one_image(self.hashing.clone(), data_bytes, self.fec.as_ref()).ok()?;
        Some(plan.hash_device_bytes)
    }

    /// How long the data of an image can be that ends at `end`.
    fn data_bytes_before(&self, end: u64) -> impl Iterator<Item = u64> {
        let block = self.hashing.data_block_size;
        let blocks = self.some_data_blocks_before(end).map_or(0..0, |found| {
            // Data that end within the same hash block have trees that end together.
            let most = self.hashing.hash_block_size.bytes() / block.bytes();
            let ends_here = |blocks| self.end(blocks) == Some(end);
            let first = partition_point(found.saturating_sub(most).max(1)..found, |blocks| !ends_here(blocks));
            first..partition_point(found + 1..found + most, ends_here)
        });
        blocks.filter_map(move |blocks| block.checked_bytes_of(blocks))
    }

    /// One number of data blocks with which an image ends at `end`, if there is any.
    fn some_data_blocks_before(&self, end: u64) -> Option<u64> {
        let (mut least, mut most) = (1, self.hashing.data_block_size.whole_blocks_in(end));
        // Tree and parity grow with the data, nearly in proportion.
        let mut guess = most;
        while least <= most {
            let found = self.end(guess)?;
            match found.cmp(&end) {
                Ordering::Equal => return Some(guess),
                Ordering::Greater => most = guess - 1,
                Ordering::Less => least = guess + 1,
            }
            let next = u128::from(guess) * u128::from(end) / u128::from(found);
            guess = u64::try_from(next).ok()?.clamp(least, most.max(least));
        }
        None
    }
}

/// The first number of the range for which `is_before` is no longer true, or its end.
fn partition_point(mut range: Range<u64>, is_before: impl Fn(u64) -> bool) -> u64 {
    while !range.is_empty() {
        let middle = range.start.midpoint(range.end);
        if is_before(middle) {
            range.start = middle + 1;
        } else {
            range.end = middle;
        }
    }
    range.start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_every_image_is_among_few() {
        let mut random = fastrand::Rng::with_seed(4);
        let mut most = 0;
        for round in 0..60 {
            let sizes: Vec<BlockSize> = BlockSize::all().collect();
            let hashing = Hashing {
                algorithm: HashAlgorithm::all().nth(random.usize(..HashAlgorithm::all().count())).unwrap(),
                hash_block_size: random.choice(&sizes[..8]).copied().unwrap(),
                data_block_size: random.choice(&sizes).copied().unwrap(),
                ..Hashing::default()
            };
            let fec = AppendedFec { roots: random.u64(2..=24), device: None };
            let fec = Some(fec).filter(|_| random.bool());
            let hashing = match &fec {
                Some(_) => Hashing { data_block_size: hashing.hash_block_size, ..hashing },
                None => hashing,
            };
            let bits = random.u32(1..24);
            let blocks = random.u64(1..1 << bits);
            let data_bytes = blocks * hashing.data_block_size.bytes();
            let plan = Plan::one_image(hashing, data_bytes, fec.as_ref()).unwrap();
            let end = plan.hash_device_bytes;
            let padding = random.u64(..1 << 20) * 512;
            for ends in
                [Ends { device: end, content: end }, Ends { device: end + padding, content: end - random.u64(..8) }]
            {
                let places = ends.superblock_places();
                assert!(places.contains(&data_bytes), "round {round}: {ends:?} {plan:?}");
                most = most.max(places.iter().map(|place| place / 4096).collect::<BTreeSet<_>>().len());
                assert!(ends.fit(plan.layout.params()));
            }
        }
        assert!(most < 2000, "{most} pages are read");
    }
}
