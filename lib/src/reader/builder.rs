//! How a reader is to work.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use super::check::{Checker, bits_for};
use super::corruption::{Corruption, Report};
use super::pool::Pool;
use super::verified::{VerifiedReader, Where};
use crate::error::Result;
use crate::format::{Layout, Params};
use crate::image::Image;
use crate::value::RootHash;

/// Says how a [`VerifiedReader`] is to work; [`Image::reader`] makes one.
#[must_use]
pub struct ReaderBuilder {
    image: Image<'static>,
    params: Params,
    root_hash: RootHash,
    cache_bytes: u64,
    at_most_once: bool,
    ignore_zero_blocks: bool,
    verify: Where,
    threads: Option<NonZero<usize>>,
    on_corruption: Option<Report>,
}

impl fmt::Debug for ReaderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReaderBuilder")
            .field("image", &self.image)
            .field("params", &self.params)
            .field("root_hash", &self.root_hash)
            .finish_non_exhaustive()
    }
}

impl Image<'static> {
    /// Reads the data of this image block by block, each proven by the root hash before it is handed out. Where the
    /// image has a FEC device and the parameters have FEC, bad blocks are recovered.
    pub fn reader(self, params: &Params, root_hash: &RootHash) -> ReaderBuilder {
        ReaderBuilder {
            image: self,
            params: params.clone(),
            root_hash: root_hash.clone(),
            cache_bytes: ReaderBuilder::CACHE_BYTES,
            at_most_once: false,
            ignore_zero_blocks: false,
            verify: Where::Auto,
            threads: None,
            on_corruption: None,
        }
    }
}

impl ReaderBuilder {
    /// How many bytes of hash blocks are kept if nothing else is said: enough for 8 GiB of data with the default
    /// parameters.
    pub const CACHE_BYTES: u64 = 64 << 20;

    /// Keeps at most this many bytes of proven hash blocks in memory, and one hash block at least.
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Does not hash a data block again that was proven once, as the kernel does with `check_at_most_once`: an attacker
    /// who changes it afterwards has the changed data handed out. It takes one bit of memory for each data block.
    pub fn at_most_once(mut self, at_most_once: bool) -> Self {
        self.at_most_once = at_most_once;
        self
    }

    /// Does not read data blocks whose digest is that of zeros, but hands out zeros, as the kernel does with
    /// `ignore_zero_blocks`.
    pub fn ignore_zero_blocks(mut self, ignore: bool) -> Self {
        self.ignore_zero_blocks = ignore;
        self
    }

    /// Where reads are verified; [`Where::Auto`] if nothing else is said.
    pub fn verify(mut self, place: Where) -> Self {
        self.verify = place;
        self
    }

    /// How many threads the pool has: as many as this process may use processors, if nothing else is said.
    pub fn threads(mut self, threads: NonZero<usize>) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Calls `report` for each bad block that a read meets, whether it is recovered or not, each time that a read meets
    /// it. It is called by the thread that verifies the block, which waits for it.
    pub fn on_corruption(mut self, report: impl Fn(&Corruption) + Send + Sync + 'static) -> Self {
        self.on_corruption = Some(Box::new(report));
        self
    }

    /// The reader. It reads no block yet: a wrong root hash shows with the first read.
    ///
    /// # Errors
    /// [`Error::DeviceTooSmall`](crate::Error::DeviceTooSmall) for a device that ends before its area; with FEC those
    /// of [`Image::repair`](crate::Image::repair) about its area; [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn build(self) -> Result<VerifiedReader> {
        let layout = Layout::new(&self.params)?;
        self.image.check_sizes(&layout)?;
        if self.params.fec().is_some() {
            self.image.fec_areas(&layout)?;
        }
        let seen = self.at_most_once.then(|| bits_for(self.params.data_blocks())).transpose()?;
        let checker = Checker {
            seen,
            ignore_zero_blocks: self.ignore_zero_blocks,
            report: self.on_corruption,
            ..Checker::new(self.image, layout, self.root_hash, self.cache_bytes)
        };
        let threads = self.threads.or_else(|| available_parallelism().ok()).map_or(1, NonZero::get);
        let pool = (self.verify != Where::Inline).then(|| Pool::new(threads)).filter(|pool| pool.threads() > 0);
        Ok(VerifiedReader { checker: Arc::new(checker), pool, verify: self.verify })
    }
}
