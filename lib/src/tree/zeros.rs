//! Data blocks that have to be zeros and are not. Tools that write an image without its holes leave such blocks where
//! the device held something else before. The digest of zeros in the tree says what such a block has to be: nothing
//! else is needed to repair it.

use super::slots::as_usize;
use crate::error::Result;
use crate::format::Layout;
use crate::io::Device;
use crate::memory;
use crate::value::RootHash;
use crate::work::Work;

/// What there was to be made zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Zeroed {
    /// Data blocks.
    pub(crate) blocks: u64,
    /// Bytes in them that are not zeros.
    pub(crate) bytes: u64,
}

/// Finds the data blocks that have to be zeros and are not, and, if `write`, makes them zeros. The tree has to be
/// verified up to the root hash; if there is none, `root_hash` is the block's digest.
pub(crate) fn zeros(
    layout: &Layout,
    root_hash: &RootHash,
    (data, hash): (&Device<'_>, &Device<'_>),
    write: bool,
    work: &Work<'_>,
) -> Result<Zeroed> {
    let params = layout.params();
    let hasher = params.hasher(params.data_block_size());
    let zero_digest = hasher.zero_digest();
    let mut found = Zeroed::default();
    let mut check = Zeros { data, content: memory::zeroed(params.data_block_size().as_usize())?, write };
    let Some(level) = layout.levels().first() else {
        if root_hash.as_bytes() == zero_digest {
            check.block(0, &mut found)?;
        }
        return Ok(found);
    };
    let size = params.hash_block_size();
    let mut digests = memory::zeroed(size.as_usize())?;
    for index in 0..level.blocks {
        work.check()?;
        hash.read_at(&mut digests, (level.first_block + index) * size.bytes())?;
        let first = index * layout.fan_out();
        let blocks = first..params.data_blocks().min(first + layout.fan_out());
        for (block, digest) in blocks.zip(digests.chunks_exact(layout.digest_stride())) {
            if digest[..zero_digest.len()] == *zero_digest {
                check.block(block, &mut found)?;
            }
        }
    }
    Ok(found)
}

/// Looks at blocks that have to be zeros.
struct Zeros<'a> {
    data: &'a Device<'a>,
    content: Vec<u8>,
    write: bool,
}

impl Zeros<'_> {
    fn block(&mut self, block: u64, found: &mut Zeroed) -> Result<()> {
        let position = block * self.content.len() as u64;
        self.data.read_at(&mut self.content, position)?;
        let wrong = self.content.iter().filter(|&&byte| byte != 0).count() as u64;
        if wrong > 0 {
            found.blocks += 1;
            found.bytes += wrong;
            if self.write {
                self.content.fill(0);
                self.data.write_at(&self.content, position)?;
            }
        }
        Ok(())
    }
}

/// Whether a data block is wrong and has to be zeros, as the path from the root hash to its digest proves.
pub(crate) fn must_be_zeros(
    layout: &Layout,
    root_hash: &RootHash,
    (data, hash): (&Device<'_>, &Device<'_>),
    block: u64,
) -> Result<bool> {
    let params = layout.params();
    let size = params.hash_block_size();
    let hasher = params.hasher(size);
    let mut expected = root_hash.as_bytes().to_vec();
    for (number, level) in layout.levels().iter().enumerate().rev() {
        let below = (0..number).fold(block, |below, _| below / layout.fan_out());
        let mut digests = memory::zeroed(size.as_usize())?;
        hash.read_at(&mut digests, (level.first_block + below / layout.fan_out()) * size.bytes())?;
        if hasher.digest(&digests) != expected {
            return Ok(false);
        }
        let start = as_usize(below % layout.fan_out()) * layout.digest_stride();
        expected.copy_from_slice(&digests[start..start + hasher.digest_size()]);
    }
    let hasher = params.hasher(params.data_block_size());
    if hasher.zero_digest() != expected {
        return Ok(false);
    }
    let mut content = memory::zeroed(params.data_block_size().as_usize())?;
    data.read_at(&mut content, block * params.data_block_size().bytes())?;
    Ok(content.iter().any(|&byte| byte != 0))
}
