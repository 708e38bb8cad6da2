//! Finding a hash tree without superblock at the end of a file. Nothing in the file says that there is one, nor what
//! salt it was made with. But the length of the file says how many data blocks there can be before a tree that ends
//! there, and the first and the last digest have to be those of the first and the last data block.

use crate::error::{Error, Result};
use crate::format::{AppendedFec, Fec, Hashing, Layout, Plan};
use crate::io::Device;
use crate::memory;

/// A tree, and what it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) data_bytes: u64,
    pub(super) hash_offset: u64,
}

/// The tree that the file ends with, or its parity, if it has this salt, algorithm and block sizes.
///
/// # Errors
/// [`Error::PlainTree`] for what looks like a tree with another salt, where no superblock is wanted;
/// [`Error::Io`].
pub(super) fn find(image: &Device<'_>, hashing: &Hashing) -> Result<Option<Found>> {
    let mut similar = None;
    for roots in std::iter::once(None).chain((Fec::MIN_ROOTS..=Fec::MAX_ROOTS).map(Some)) {
        for layout in layouts(hashing, roots, image) {
            let params = layout.params();
            let found = Found { data_bytes: params.data_bytes(), hash_offset: params.hash_offset() };
            if is_tree(&layout, image)? {
                return Ok(Some(found));
            }
            if similar.is_none() && hashing.uuid.is_none() && looks_like_a_tree(&layout, image)? {
                similar = Some(found);
            }
        }
    }
    match similar {
        None => Ok(None),
        Some(Found { data_bytes, hash_offset }) => {
            Err(Error::PlainTree { path: image.path().to_owned(), data_end: data_bytes, offset: hash_offset })
        }
    }
}

/// Every layout with a tree whose image is as long as this one.
fn layouts(hashing: &Hashing, roots: Option<u32>, image: &Device<'_>) -> Vec<Layout> {
    let hashing = Hashing { uuid: None, ..hashing.clone() };
    let block = hashing.data_block_size;
    let fec = roots.map(|roots| AppendedFec { roots: roots.into(), device: None });
    let plan = |blocks: u64| {
        let bytes = block.checked_bytes_of(blocks)?;
        Plan::one_image(hashing.clone(), bytes, fec.as_ref()).ok()
    };
    let is_short = |blocks: &u64| plan(*blocks).is_some_and(|plan| plan.hash_device_bytes <= image.bytes());
    // The more blocks, the longer.
    let (mut least, mut most) = (1, block.whole_blocks_in(image.bytes()));
    while least < most {
        let middle = least + (most - least).div_ceil(2);
        if is_short(&middle) { least = middle } else { most = middle - 1 }
    }
    // Before larger hash blocks there is room for some more data.
    let plans = (2..=least).rev().map_while(plan).take_while(|plan| plan.hash_device_bytes == image.bytes());
    plans.map(|plan| plan.layout).collect()
}

/// Whether the first and the last digest over the data are those of the blocks that are there.
fn is_tree(layout: &Layout, image: &Device<'_>) -> Result<bool> {
    let params = layout.params();
    let size = params.data_block_size();
    let hasher = params.hasher(size);
    let mut block = memory::zeroed(size.as_usize())?;
    let mut digest = vec![0; hasher.digest_size()];
    for index in [0, params.data_blocks() - 1] {
        image.read_at(&mut block, index * size.bytes())?;
        image.read_at(&mut digest, digest_position(layout, 0, index))?;
        if digest != hasher.digest(&block) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Where a digest of a level is, in bytes.
fn digest_position(layout: &Layout, level: usize, index: u64) -> u64 {
    let block = layout.levels()[level].first_block + index / layout.fan_out();
    block * layout.params().hash_block_size().bytes() + index % layout.fan_out() * layout.digest_stride() as u64
}

/// Whether the last hash block of each level holds as many digests as a tree would, and zeros after them. If no level
/// has such zeros, any data could look like this, and are taken for data.
fn looks_like_a_tree(layout: &Layout, image: &Device<'_>) -> Result<bool> {
    let params = layout.params();
    let (size, stride) = (params.hash_block_size(), layout.digest_stride());
    let digest_size = params.algorithm().digest_size();
    let mut has_zeros = false;
    let mut below = params.data_blocks();
    let mut block = memory::zeroed(size.as_usize())?;
    for level in layout.levels() {
        let digests = usize::try_from((below - 1) % layout.fan_out() + 1).expect("they fit a block");
        image.read_at(&mut block, (level.first_block + level.blocks - 1) * size.bytes())?;
        let (filled, spare) = block.split_at(digests * stride);
        let look_like_digests = filled.chunks(stride).all(|slot| {
            let (digest, rest) = slot.split_at(digest_size.min(slot.len()));
            looks_random(digest) && is_zero(rest)
        });
        if !look_like_digests || !is_zero(spare) {
            return Ok(false);
        }
        has_zeros |= !spare.is_empty();
        below = level.blocks;
    }
    Ok(has_zeros)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// Whether few of the bytes are zeros and most differ from each other; one digest in a million fails this.
fn looks_random(digest: &[u8]) -> bool {
    let mut seen = [false; 256];
    let mut zeros = 0;
    for &byte in digest {
        seen[usize::from(byte)] = true;
        zeros += usize::from(byte == 0);
    }
    let different = seen.iter().filter(|&&seen| seen).count();
    zeros <= digest.len() / 8 + 1 && different >= digest.len().min(64) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Work;
    use crate::append_dry_run;
    use crate::image::append;
    use crate::plan_append;
    use crate::value::{BlockSize, Salt};

    fn hashing(salt: u8, data_block_size: BlockSize, hash_block_size: BlockSize) -> Hashing {
        let salt = Salt::new(&[salt; 32]).unwrap();
        Hashing { salt, data_block_size, hash_block_size, uuid: None, ..Hashing::default() }
    }

    #[test]
    fn a_tree_is_known_by_its_salt_and_else_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        let work = Work::default();
        let mut rng = fastrand::Rng::with_seed(4);
        for round in 0..40_u32 {
            let data: Vec<u8> = (0..rng.usize(9000..700_000)).map(|_| rng.u8(..)).collect();
            let size = |log: u64| BlockSize::new(512 << log).unwrap();
            let with_fec = round % 3 > 0;
            let (block, hash_block) = (rng.u64(..5), rng.u64(..5));
            let hash_block = if with_fec { block } else { hash_block };
            let sizes = |salt| hashing(salt, size(block), size(hash_block));
            let fec = with_fec.then(|| AppendedFec { roots: rng.u64(2..=24), device: None });
            std::fs::write(path, &data).unwrap();
            let planned = append_dry_run(path, sizes(1), fec.as_ref(), &work).unwrap();
            assert!(std::fs::read(path).unwrap() == data);
            let made = append(path, sizes(1), fec.as_ref(), &work).unwrap();
            assert_eq!(made.replaced, None, "{round}");
            assert_eq!(planned.formatted.root_hash, made.formatted.root_hash);
            let image = std::fs::read(path).unwrap();
            assert_eq!(image.len() as u64, made.plan.total_bytes);
            let params = made.plan.layout.params();
            let again = append(path, sizes(1), fec.as_ref(), &work).unwrap();
            assert_eq!(again.replaced, Some(params.hash_offset()), "{round}");
            assert_eq!(again.formatted.root_hash, made.formatted.root_hash);
            assert!(std::fs::read(path).unwrap() == image);
            let is_full = params.data_blocks().is_multiple_of(made.plan.layout.fan_out());
            let other = plan_append(path, sizes(2), None);
            let refused = matches!(&other, Err(Error::PlainTree { data_end, offset, .. })
                if (*data_end, *offset) == (params.data_bytes(), params.hash_offset()));
            assert!(refused || is_full, "{round}: {other:?}");
            // With a superblock the file is data, whatever it ends with, unless it is known.
            assert!(plan_append(path, Hashing::default(), None).is_ok());
        }
    }

    #[test]
    fn a_digest_has_few_zeros_and_many_values() {
        let digest = |zeros: u8, values: u8| (0..32).map(|at| if at < zeros { 0 } else { at % values + 1 }).collect();
        let looks = |bytes: Vec<u8>| looks_random(&bytes);
        assert_eq!([5, 6].map(|zeros| looks(digest(zeros, 32))), [true, false]);
        assert_eq!([16, 15].map(|values| looks(digest(0, values))), [true, false]);
    }

    #[test]
    fn data_are_not_taken_for_a_tree() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..300 {
            let mut data: Vec<u8> = (0..rng.usize(1..200) * 512).map(|_| rng.u8(..)).collect();
            let end = data.len() - rng.usize(..512).min(data.len());
            data[end..].fill(0);
            if rng.bool() {
                data.iter_mut().step_by(3).for_each(|byte| *byte = 0);
            }
            std::fs::write(file.path(), &data).unwrap();
            for size in [512, 4096] {
                let size = BlockSize::new(size).unwrap();
                let device = Device::open(file.path()).unwrap();
                assert_eq!(find(&device, &hashing(1, size, size)).unwrap(), None, "{} bytes", data.len());
            }
        }
    }
}
