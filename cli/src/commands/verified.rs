//! An image that is read without the kernel: each block is verified as it is read, and the bytes that were verified are
//! those that are handed out.

use std::fmt;

use dmverity::{Corruption, Counters, Params, RootHash, VerifiedReader};
use serde::Serialize;

use super::existing::{Image, image_to_check};
use super::shown;
use super::sign::CertificateFields;
use super::source::Source;
use crate::arguments::{ImageToCheck, ReaderOptions};
use crate::failure::Result;

/// An image that can be read.
pub(super) struct Verified {
    pub(super) reader: VerifiedReader,
    pub(super) params: Params,
    pub(super) fields: VerifiedFields,
    pub(super) warnings: Vec<String>,
    /// What the image is read from.
    pub(super) source: Source,
}

/// Which image it is.
#[derive(Clone, Serialize)]
pub(super) struct VerifiedFields {
    data_device: String,
    hash_device: String,
    fec_device: Option<String>,
    hash_offset: u64,
    root_hash: String,
    /// The signer of the root hash, or of the manifest that has it; `None` without `--trusted` or `--ca`.
    signer: Option<CertificateFields>,
}

/// What a reader has done.
#[derive(Clone, Copy, Serialize)]
pub(super) struct CounterFields {
    blocks_read: u64,
    blocks_verified: u64,
    zero_blocks: u64,
    hash_blocks_read: u64,
    cache_hits: u64,
    inline_reads: u64,
    pooled_reads: u64,
    corrupted: u64,
    recovered: u64,
}

impl VerifiedFields {
    fn new(source: &Source, params: &Params, root_hash: &RootHash, signer: Option<CertificateFields>) -> Self {
        Self {
            data_device: shown(source.data()),
            hash_device: shown(source.hash()),
            fec_device: source.fec().map(shown),
            hash_offset: params.hash_offset(),
            root_hash: root_hash.to_string(),
            signer,
        }
    }
}

impl From<Counters> for CounterFields {
    fn from(counters: Counters) -> Self {
        Self {
            blocks_read: counters.blocks_read,
            blocks_verified: counters.blocks_verified,
            zero_blocks: counters.zero_blocks,
            hash_blocks_read: counters.hash_blocks_read,
            cache_hits: counters.cache_hits,
            inline_reads: counters.inline_reads,
            pooled_reads: counters.pooled_reads,
            corrupted: counters.corrupted,
            recovered: counters.recovered,
        }
    }
}

impl fmt::Display for CounterFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            blocks_read,
            blocks_verified,
            zero_blocks,
            hash_blocks_read,
            cache_hits,
            inline_reads,
            pooled_reads,
            corrupted,
            recovered,
        } = self;
        write!(
            f,
            "blocks_read={blocks_read} blocks_verified={blocks_verified} zero_blocks={zero_blocks} \
             hash_blocks_read={hash_blocks_read} cache_hits={cache_hits} inline_reads={inline_reads} \
             pooled_reads={pooled_reads} corrupted={corrupted} recovered={recovered}"
        )
    }
}

/// Finds an image with its parameters and its root hash, as `open` does, and makes a reader of it, which calls `report`
/// with each bad block that it meets. What reports is made when the image has been found.
pub(super) fn open<R: Fn(&Corruption) + Send + Sync + 'static>(
    image: &ImageToCheck,
    options: &ReaderOptions,
    report: impl FnOnce() -> Result<R>,
) -> Result<Verified> {
    let Image { source, params, root_hash, signer, warnings, .. } = image_to_check(image)?;
    let builder = source.open()?.reader(&params, &root_hash);
    let reader = options.apply(builder)?.on_corruption(report()?).build()?;
    let fields = VerifiedFields::new(&source, &params, &root_hash, signer);
    Ok(Verified { reader, params, fields, warnings, source })
}
