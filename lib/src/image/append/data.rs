//! Which part of a file is data, and which part an earlier call made or began to make.

use std::ops::Range;

use super::{file_system, plain};
use crate::error::{Error, Result};
use crate::fec;
use crate::format::{Fec, Hashing, Layout, Params};
use crate::image::mark::Mark;
use crate::image::scan::Scan;
use crate::io::Device;
use crate::memory;

/// The part of an image that is data.
#[derive(Debug)]
pub(in crate::image) struct Data {
    pub(in crate::image) bytes: u64,
    /// Where the tree after them begins, if there is one.
    pub(in crate::image) replaced: Option<u64>,
}

impl Data {
    /// In an image that was searched. A tree without superblock is looked for by its hashing.
    pub(in crate::image) fn of(image: &Device<'_>, scan: &Scan, hashing: &Hashing) -> Result<Self> {
        let data = match (&scan.found[..], &scan.marks[..]) {
            ([], []) => match plain::find(image, hashing)? {
                Some(found) => Self { bytes: found.data_bytes, replaced: Some(found.hash_offset) },
                None => Self { bytes: image.bytes(), replaced: None },
            },
            ([], [mark]) => Self::before_mark(image, mark)?,
            ([params], []) => Self::before_tree(image, params)?,
            (found, marks) => {
                let offsets = found.iter().map(Params::hash_offset).chain(marks.iter().map(Mark::area)).collect();
                return Err(Error::SeveralHashAreas { path: image.path().to_owned(), offsets });
            }
        };
        data.check_file_system(image)?;
        Ok(data)
    }

    /// Everything after the data was written by an interrupted call.
    fn before_mark(image: &Device<'_>, mark: &Mark) -> Result<Self> {
        if mark.explains(image.bytes()) {
            return Ok(Self { bytes: mark.data_bytes(), replaced: Some(mark.area()) });
        }
        Err(Error::UnfinishedHashArea {
            path: image.path().to_owned(),
            data_end: mark.data_bytes(),
            offset: mark.area(),
            planned_end: mark.planned_end(),
            found: image.bytes(),
        })
    }

    fn before_tree(image: &Device<'_>, params: &Params) -> Result<Self> {
        let layout = Layout::new(params)?;
        let end = layout.hash_blocks_end();
        image.check_size(layout.hash_end())?;
        let is_known = image.bytes() == layout.hash_end()
            || (image.bytes() == end && is_zero(image, layout.hash_end()..end)?)
            || ends_with_parity(params, end, image)?;
        if !is_known {
            return Err(Error::BehindHashArea {
                path: image.path().to_owned(),
                offset: params.hash_offset(),
                end,
                found: image.bytes(),
            });
        }
        Ok(Self { bytes: params.data_bytes(), replaced: Some(params.hash_offset()) })
    }

    /// A file system that has been grown into the hash area would lose its end.
    fn check_file_system(&self, image: &Device<'_>) -> Result<()> {
        let Some(offset) = self.replaced else { return Ok(()) };
        let mut head = [0; file_system::HEAD_BYTES];
        let len = usize::try_from(self.bytes).map_or(head.len(), |bytes| bytes.min(head.len()));
        image.read_at(&mut head[..len], 0)?;
        match file_system::bytes(&head[..len]) {
            Some(found) if found > self.bytes => {
                Err(Error::FileSystemTooLarge { path: image.path().to_owned(), found, data_end: self.bytes, offset })
            }
            _ => Ok(()),
        }
    }
}

/// Whether these bytes, less than a hash block, are zeros.
fn is_zero(image: &Device<'_>, range: Range<u64>) -> Result<bool> {
    let mut bytes = memory::zeroed(usize::try_from(range.end - range.start).unwrap_or(usize::MAX))?;
    image.read_at(&mut bytes, range.start)?;
    Ok(bytes.iter().all(|&byte| byte == 0))
}

/// Whether the image ends with the parity that [`append`](crate::append()) writes after a tree, with some number of
/// roots. The length alone does not show it: an owner may have added as many bytes.
fn ends_with_parity(params: &Params, tree_end: u64, image: &Device<'_>) -> Result<bool> {
    for roots in Fec::MIN_ROOTS..=Fec::MAX_ROOTS {
        let with_fec = Fec::new(roots.into(), tree_end).and_then(|fec| params.clone().with_fec(fec));
        let Ok(layout) = with_fec.and_then(|params| Layout::new(&params)) else { continue };
        if let Some(area) = layout.fec_area_on(tree_end, true).filter(|area| area.bytes.end == image.bytes()) {
            let image = fec::Areas { layout: &layout, area: &area, data: image, hash: image, fec: image };
            return fec::holds_parity(&image, u64::MAX);
        }
    }
    Ok(false)
}
