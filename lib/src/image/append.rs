//! An image that is one file: data, then superblock and hash tree, then, if asked for, parity. Nothing but the file and its
//! length is needed to make one, and to make it again.
//!
//! ```text
//! data ... | zeros to a whole block | superblock | pad | hash tree | parity
//!                                   ^ hash offset                  ^ FEC offset
//! ```
//! While it is made a [`Mark`] lies where the superblock will be, or, where there will be none, after all the rest. It says
//! how long the data are and how long the file is going to be. The next [`append()`] that finds one knows that a tree is
//! unfinished, and takes it away, unless the file has another length than that: then there is more in it than the tree.
//!
//! A finished tree is known by its superblock, or, where it has none, by its digests of the data: see [`plain`].

mod file_system;
mod mark;
mod plain;

use std::ops::Range;
use std::path::Path;

use zerocopy::IntoBytes;

use super::devices::Devices;
use super::format::{Formatted, format_claimed};
use super::locate;
use super::targets::Targets;
use crate::error::{Area, Error, Result, WithCauses};
use crate::fec;
use crate::format::{AppendedFec, Fec, Layout, Params, ParamsBuilder, Plan, SUPERBLOCK_SIZE, Superblock};
use crate::io::{Claims, Device, Identity, identify};
use crate::memory;
use crate::tree;
use crate::work::Work;
use mark::Mark;

/// What [`append`] made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Appended {
    /// The image.
    pub formatted: Formatted,
    /// Where everything lies.
    pub plan: Plan,
    /// Where an earlier tree began, or an unfinished one, which this one has replaced.
    pub replaced: Option<u64>,
}

/// Sizes and offsets of the image that [`append`] would make of this file, which is only read.
///
/// # Errors
/// Those of [`append`] that come before anything is written.
pub fn plan_append(image: &Path, builder: ParamsBuilder, fec: Option<&AppendedFec>) -> Result<Plan> {
    check_file(image)?;
    let data = Data::of(&Device::open(image)?, &builder, &Work::default())?;
    Plan::one_image(builder, image, data.bytes, fec)
}

/// Computes what [`append`] would make of this file, which is only read.
///
/// # Errors
/// Those of [`append`] that come before anything is written, but for files that cannot be written to or are in use.
pub fn append_dry_run(
    image: &Path,
    builder: ParamsBuilder,
    fec: Option<&AppendedFec>,
    work: &Work<'_>,
) -> Result<Appended> {
    check_file(image)?;
    let mut device = Device::open(image)?;
    let data = Data::of(&device, &builder, work)?;
    let plan = Plan::one_image(builder, image, data.bytes, fec)?;
    Targets::look(&devices(image, fec))?.check(&plan.layout, Some(plan.hash_device_bytes))?;
    // As it would be: without an older tree, and with zeros to the next whole block.
    device.pad(data.bytes, plan.layout.params().data_bytes());
    let formatted = Formatted {
        layout: plan.layout.clone(),
        fec_area: plan.fec_area.clone(),
        root_hash: tree::compute(&plan.layout, &device, work)?,
        uncovered_bytes: 0,
        padding_bytes: plan.padding_bytes,
    };
    Ok(Appended { formatted, plan, replaced: data.replaced })
}

/// The devices of one file that is an image.
fn devices(image: &Path, fec: Option<&AppendedFec>) -> Devices {
    let fec = fec.map(|fec| fec.device.as_deref().unwrap_or(image).to_owned());
    Devices { fec, ..Devices::new(image, image) }
}

/// Pads the file `image` with zeros to whole data blocks and puts superblock and hash tree after them, and the parity
/// after those or into a device of its own, as `fec` says. What else the builder says of the number of data blocks, of
/// offsets and of FEC does not count.
///
/// ```
/// use dmverity::{Devices, Params, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let image = directory.path().join("image");
/// # std::fs::write(&image, [7; 10_000])?;
/// let made = dmverity::append(&image, Params::builder(), None, &Work::default())?;
/// assert_eq!((made.plan.padding_bytes, made.plan.total_bytes), (2288, 12_288 + 8192));
///
/// // The file and the root hash are all that is needed:
/// let params = dmverity::load(&image, dmverity::find_hash_offset(&image)?, None)?;
/// let devices = Devices::new(&image, &image);
/// assert!(dmverity::verify(&devices, &params, &made.formatted.root_hash, &Work::default())?.is_good());
/// # Ok(())
/// # }
/// ```
///
/// A tree that an earlier call has made, and its parity, are replaced. Any other bytes after a tree are refused. A tree
/// without superblock is known by the salt, algorithm and block sizes that the builder has. With others it is refused, if
/// there is to be no superblock again and the file ends with what looks like one. After an error the file is what it was,
/// but for an older tree, which is gone; a process that is killed leaves nothing that loads, and that the next call
/// replaces.
///
/// # Errors
/// Those of [`format()`](crate::format()) and [`Plan::one_image`]; [`Error::NotDevice`] and [`Error::NotFile`] for anything
/// but a regular file; [`Error::SeveralHashAreas`]; [`Error::BehindHashArea`] for bytes of unknown meaning behind a tree,
/// [`Error::UnfinishedHashArea`] for an unfinished one in a file whose length has been changed since,
/// [`Error::FileSystemTooLarge`] for a file system that has been grown into the tree, [`Error::Changed`] for a file that
/// becomes longer or shorter meanwhile, [`Error::PlainTree`] for what looks like a tree without superblock, and
/// [`Error::DeviceTooSmall`] for a tree that is not all there.
pub fn append(image: &Path, builder: ParamsBuilder, fec: Option<&AppendedFec>, work: &Work<'_>) -> Result<Appended> {
    check_file(image)?;
    // From the first look at it to the last write.
    let mut claims = Claims::default();
    let device = Device::open_target(image, Area::Hash, &mut claims)?;
    let data = Data::of(&device, &builder, work)?;
    let plan = Plan::one_image(builder, image, data.bytes, fec)?;
    let builder = plan.layout.params().to_builder();
    let devices = devices(image, fec);
    Targets::open(&devices, &mut claims)?.check(&plan.layout, Some(plan.hash_device_bytes))?;
    let staked = Staked::new(device, &data, &plan)?;
    let formatted = format_claimed(&devices, builder, Some(plan.hash_device_bytes), &mut claims, work)?;
    staked.keep(&plan)?;
    // What was there before it was staked.
    let formatted = Formatted { padding_bytes: plan.padding_bytes, ..formatted };
    Ok(Appended { formatted, plan, replaced: data.replaced })
}

fn check_file(image: &Path) -> Result<()> {
    match identify(image)? {
        Identity::File(..) => Ok(()),
        Identity::Block(_) | Identity::Storage(_) => Err(Error::NotFile { path: image.to_owned() }),
    }
}

/// What of an image is data.
#[derive(Debug)]
struct Data {
    bytes: u64,
    /// Where the tree behind them begins, if there is one.
    replaced: Option<u64>,
}

impl Data {
    fn of(image: &Device<'_>, builder: &ParamsBuilder, work: &Work<'_>) -> Result<Self> {
        let (mut found, mut marks, mut cut) = (Vec::new(), Vec::new(), None);
        locate::each_sector(image, work, |offset, bytes| {
            let already = found.len() + marks.len();
            if already < locate::MOST {
                found.extend(locate::image_whose_data_end_at(offset, bytes));
                marks.extend(Mark::read(offset, bytes));
            }
            let is_whole = image.bytes() - offset >= SUPERBLOCK_SIZE as u64;
            if !is_whole && already == found.len() + marks.len() && (Superblock::begins(bytes) || Mark::begins(bytes)) {
                cut = Some(offset);
            }
        })?;
        if let Some(offset) = cut {
            // With zeros after it, what is left of it could become a superblock again.
            image.check_size(offset + SUPERBLOCK_SIZE as u64)?;
        }
        let data = match (&found[..], &marks[..]) {
            ([], []) => match plain::find(image, builder)? {
                Some(found) => Self { bytes: found.data_bytes, replaced: Some(found.hash_offset) },
                None => Self { bytes: image.bytes(), replaced: None },
            },
            ([], [mark]) => Self::before_mark(image, mark)?,
            ([params], []) => Self::before_tree(image, params)?,
            _ => {
                let offsets = found.iter().map(Params::hash_offset).chain(marks.iter().map(Mark::area)).collect();
                return Err(Error::SeveralHashAreas { path: image.path().to_owned(), offsets });
            }
        };
        data.check_file_system(image)?;
        Ok(data)
    }

    /// All that follows them was written by a call that was interrupted.
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

/// Whether there is nothing but zeros in less than a hash block.
fn is_zero(image: &Device<'_>, range: Range<u64>) -> Result<bool> {
    let mut bytes = memory::zeroed(usize::try_from(range.end - range.start).unwrap_or(usize::MAX))?;
    image.read_at(&mut bytes, range.start)?;
    Ok(bytes.iter().all(|&byte| byte == 0))
}

/// Whether the image ends where the parity does that [`append`] puts behind a tree, with some number of roots, and that is
/// the parity: an owner may have added as many bytes.
fn ends_with_parity(params: &Params, tree_end: u64, image: &Device<'_>) -> Result<bool> {
    for roots in Fec::MIN_ROOTS..=Fec::MAX_ROOTS {
        let with_fec = Fec::new(roots.into(), tree_end).and_then(|fec| params.clone().with_fec(fec));
        let Ok(layout) = with_fec.and_then(|params| Layout::new(&params)) else { continue };
        if let Some(area) = layout.fec_area_on(tree_end, true).filter(|area| area.bytes.end == image.bytes()) {
            let image = fec::Areas { layout: &layout, area: &area, data: image, hash: image, fec: image };
            return fec::holds_parity(&image);
        }
    }
    Ok(false)
}

/// A file that is being made an image; unless it is kept it gets its former length back.
#[derive(Debug)]
struct Staked<'a> {
    device: Device<'a>,
    data_bytes: u64,
    kept: bool,
}

impl<'a> Staked<'a> {
    /// Puts the mark where the superblock will be, or, if there will be none, after the rest, and gives the file the length
    /// that it will have. The mark is on stable storage before the file is any longer than it needs to be.
    fn new(mut device: Device<'a>, data: &Data, plan: &Plan) -> Result<Self> {
        let (offset, end) = (plan.layout.params().hash_offset(), plan.hash_device_bytes);
        // What was added since it was read would be written over.
        device.check_unchanged()?;
        // First, so that no older superblock lies among the data for a moment. If it fails all is as it was.
        if data.replaced.is_some() {
            device.set_len("truncate", data.bytes)?;
        }
        let mut staked = Self { device, data_bytes: data.bytes, kept: false };
        // In one step with the zeros before it.
        if plan.layout.params().uuid().is_none() {
            staked.device.write_at(Mark::at_end(end, data.bytes, offset).as_bytes(), end)?;
            staked.device.sync()?;
            return Ok(staked);
        }
        staked.device.write_at(Mark::new(offset, data.bytes, end).as_bytes(), offset)?;
        staked.device.sync()?;
        staked.device.set_len("extend", end)?;
        Ok(staked)
    }

    fn cut(&mut self) -> Result<()> {
        self.device.set_len("truncate", self.data_bytes)
    }

    /// All is on stable storage; what may be left is the mark at the end, and the file is whole once that is gone.
    fn keep(mut self, plan: &Plan) -> Result<()> {
        if plan.layout.params().uuid().is_none() {
            self.device.set_len("truncate", plan.hash_device_bytes)?;
            self.kept = true;
            return self.device.sync();
        }
        self.kept = true;
        Ok(())
    }
}

impl Drop for Staked<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(left) = self.cut() {
            log::warn!("cannot take back what was appended: {}", WithCauses(&left));
        }
    }
}

#[cfg(test)]
mod tests;
