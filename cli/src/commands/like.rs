//! `--like`: a new image with the parameters of an existing one.

use std::path::Path;

use dmverity::{Error, Hashing, Layout, Params};

use crate::arguments::Format;
use crate::failure::Result;

/// The image whose parameters are used unless an option says otherwise.
pub(super) struct Like {
    pub(super) params: Params,
    takes_blocks: bool,
}

impl Like {
    /// Reads its superblock: from the start of the device or, in one image, from the end of the data.
    pub(super) fn of(format: &Format) -> Result<Option<Self>> {
        let Some(path) = &format.like else { return Ok(None) };
        let params = match dmverity::load(path, 0, None) {
            Err(Error::Superblock { path, source }) if matches!(*source, Error::NotVerity) => {
                match dmverity::find_hash_offset(&path) {
                    Err(Error::NoHashArea { .. }) => return Err(Error::Superblock { path, source }.into()),
                    offset => dmverity::load(&path, offset?, None)?,
                }
            }
            loaded => loaded?,
        };
        // With another size they are other blocks, and one image covers all of its data.
        let takes_blocks = format.image.data_blocks_given.is_none() && format.image.data_block_size.is_none();
        Ok(Some(Self { params, takes_blocks: takes_blocks && !format.append }))
    }

    /// How it is hashed; the new image has a superblock in any case.
    pub(super) fn hashing(&self) -> Hashing {
        Hashing { uuid: Hashing::default().uuid, ..self.params.hashing().clone() }
    }

    /// The number of its data blocks, if the new image has as many.
    pub(super) fn data_blocks(&self) -> Option<u64> {
        self.takes_blocks.then(|| self.params.data_blocks())
    }

    /// A note that the data have grown since the other image was made.
    pub(super) fn uncovered(&self, data: &Path, made: &Layout) -> Result<Option<String>> {
        if !self.takes_blocks || made.params().hash_offset() > 0 {
            return Ok(None);
        }
        let there = made.params().data_block_size().whole_blocks_in(dmverity::device_size(data)?);
        let blocks = there.saturating_sub(made.params().data_blocks());
        Ok((blocks > 0)
            .then(|| format!("{blocks} whole blocks at the end of the data are not covered by the hash tree.")))
    }
}
