//! An image that is one file: data, then superblock and hash tree, then, if asked for, parity. Nothing but the file and its
//! length is needed to make one, and to make it again.
//!
//! ```text
//! data ... | zeros to a whole block | superblock | pad | hash tree | parity
//!                                   ^ hash offset                  ^ FEC offset
//! ```
//! While it is made a mark lies where the superblock will be, which says how long the file was. Whoever finds one knows
//! that what follows is an unfinished tree, and takes it away.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use zerocopy::byteorder::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{Error, Result};
use crate::find;
use crate::image::{self, Devices, Formatted};
use crate::io::{Device, Identity};
use crate::layout::Layout;
use crate::params::{Fec, Params, ParamsBuilder};
use crate::plan::{AppendedFec, Plan};
use crate::superblock::SUPERBLOCK_SIZE;
use crate::units::BlockSize;
use crate::work::Work;

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
    let data = Data::of(&open(image)?, &Work::default())?;
    Plan::one_image(builder, image, data.bytes, fec)
}

/// Pads the file `image` with zeros to whole data blocks and puts superblock and hash tree behind them, and the parity
/// behind those or into a device of its own, as `fec` says. What else the builder says of the number of data blocks, of
/// offsets, of FEC and of leaving out the superblock does not count.
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
/// // Whoever has nothing but the file and the root hash:
/// let params = dmverity::load(&image, dmverity::find_hash_offset(&image)?, None)?;
/// let devices = Devices::new(&image, &image);
/// assert!(dmverity::verify(&devices, &params, &made.formatted.root_hash, &Work::default())?.is_good());
/// # Ok(())
/// # }
/// ```
///
/// A tree that an earlier call has made, and its parity, are replaced. Any other bytes behind a tree are refused. After an
/// error the file is what it was, but for an older tree, which is gone; a process that is killed leaves nothing that
/// loads, and that the next call replaces.
///
/// # Errors
/// Those of [`format()`](crate::format()) and [`Plan::one_image`]; [`Error::NotDevice`] and [`Error::NotFile`] for anything
/// but a regular file; [`Error::SeveralHashAreas`]; [`Error::BehindHashArea`] for bytes of unknown meaning behind a tree, and
/// [`Error::DeviceTooSmall`] for a tree that is not all there.
pub fn append(image: &Path, builder: ParamsBuilder, fec: Option<&AppendedFec>, work: &Work<'_>) -> Result<Appended> {
    let data = Data::of(&open(image)?, work)?;
    let plan = Plan::one_image(builder, image, data.bytes, fec)?;
    let params = plan.layout.params();
    let builder = params.to_builder();
    let fec_device = fec.map(|fec| fec.device.as_deref().unwrap_or(image).to_owned());
    let devices = Devices { fec: fec_device, ..Devices::new(image, image) };
    image::check(&devices, &plan.layout, Some(plan.hash_device_bytes))?;
    let staked = Staked::new(image, &data, params.hash_offset())?;
    let formatted = image::format(&devices, builder, work)?;
    staked.keep();
    Ok(Appended { formatted, plan, replaced: data.replaced })
}

fn open(image: &Path) -> Result<Device> {
    let device = Device::open(image)?;
    if matches!(device.identity(), Identity::File(..)) {
        Ok(device)
    } else {
        Err(Error::NotFile { path: image.to_owned() })
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
    fn of(image: &Device, work: &Work<'_>) -> Result<Self> {
        let (mut found, mut marks) = (Vec::new(), Vec::new());
        find::each_sector(image, work, |offset, bytes| {
            if found.len() + marks.len() < find::MOST {
                found.extend(find::image_whose_data_end_at(offset, bytes));
                marks.extend(Mark::read(offset, bytes));
            }
        })?;
        let path = || image.path().to_owned();
        match (&found[..], &marks[..]) {
            ([], []) => Ok(Self { bytes: image.bytes(), replaced: None }),
            // All that follows was written by whoever has left it.
            ([], [mark]) => Ok(Self { bytes: mark.data_bytes.get(), replaced: Some(mark.offset.get()) }),
            ([params], []) => {
                let layout = Layout::new(params)?;
                let end = layout.hash_end();
                image.check_size(end)?;
                if image.bytes() != end && !ends_with_parity(params, end, image.bytes()) {
                    return Err(Error::BehindHashArea {
                        path: path(),
                        offset: params.hash_offset(),
                        end,
                        found: image.bytes(),
                    });
                }
                Ok(Self { bytes: params.data_bytes(), replaced: Some(params.hash_offset()) })
            }
            _ => {
                let offsets = found.iter().map(Params::hash_offset);
                let offsets = offsets.chain(marks.iter().map(|mark| mark.offset.get())).collect();
                Err(Error::SeveralHashAreas { path: path(), offsets })
            }
        }
    }
}

/// Whether the image ends where the parity does that [`append`] puts behind a tree, with some number of roots.
fn ends_with_parity(params: &Params, tree_end: u64, image_bytes: u64) -> bool {
    (Fec::MIN_ROOTS..=Fec::MAX_ROOTS).any(|roots| {
        let with_fec = Fec::new(roots.into(), tree_end).and_then(|fec| params.clone().with_fec(fec));
        let area = with_fec.and_then(|params| Ok(Layout::new(&params)?.fec_area_on(tree_end, true)));
        area.is_ok_and(|area| area.is_some_and(|area| area.bytes.end == image_bytes))
    })
}

/// What lies in the superblock's place until there is one.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Mark {
    signature: [u8; 24],
    /// Where it lies.
    offset: U64,
    /// How long the file was.
    data_bytes: U64,
    zeros: [u8; SUPERBLOCK_SIZE - 40],
}

const _: () = assert!(size_of::<Mark>() == SUPERBLOCK_SIZE);

impl Mark {
    /// Not to be taken for a superblock by anybody.
    const SIGNATURE: [u8; 24] = *b"unfinished dm-verity\0\0\0\0";

    fn new(offset: u64, data_bytes: u64) -> Self {
        let zeros = [0; SUPERBLOCK_SIZE - 40];
        Self { signature: Self::SIGNATURE, offset: offset.into(), data_bytes: data_bytes.into(), zeros }
    }

    /// The mark in these bytes from byte `offset` of an image, if it is one and lies where it says: in or behind the last
    /// block of data.
    fn read(offset: u64, bytes: &[u8]) -> Option<Self> {
        let (mark, _) = Self::read_from_prefix(bytes).ok()?;
        let data = mark.data_bytes.get();
        let expected = Self::new(offset, data);
        let padding = offset.checked_sub(data)?;
        (mark.as_bytes() == expected.as_bytes() && padding < u64::from(BlockSize::MAX)).then_some(mark)
    }
}

/// A file that is being made an image; unless it is kept it gets its former length back.
#[derive(Debug)]
struct Staked {
    path: PathBuf,
    data_bytes: u64,
    kept: bool,
}

impl Staked {
    fn new(image: &Path, data: &Data, hash_offset: u64) -> Result<Self> {
        let staked = Self { path: image.to_owned(), data_bytes: data.bytes, kept: false };
        // First, so that no older superblock lies among the data for a moment.
        if data.replaced.is_some() {
            staked.cut()?;
        }
        // In one step with the zeros before it.
        Device::open_writable(image)?.write_at(Mark::new(hash_offset, data.bytes).as_bytes(), hash_offset)?;
        Ok(staked)
    }

    fn cut(&self) -> Result<()> {
        OpenOptions::new()
            .write(true)
            .open(&self.path)
            .and_then(|file| file.set_len(self.data_bytes))
            .map_err(Error::io("truncate", &self.path))
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Staked {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(left) = self.cut() {
            log::warn!("cannot take back what was appended: {left}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::{Progress, RootHash, find_hash_offset, load, verify};

    const BYTES: usize = 3_000_001;

    fn image() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        let data: Vec<u8> = (0..=250).cycle().take(BYTES).collect();
        std::fs::write(&path, &data).unwrap();
        (directory, path, data)
    }

    fn is_good(image: &Path, root_hash: &RootHash) -> bool {
        let params = load(image, find_hash_offset(image).unwrap(), None).unwrap();
        verify(&Devices::new(image, image), &params, root_hash, &Work::default()).unwrap().is_good()
    }

    #[test]
    fn appending_again_makes_the_same_image_whatever_was_there() {
        let (_directory, path, data) = image();
        let all = [None, Some(2), Some(24)].map(|roots| roots.map(|roots| AppendedFec { roots, device: None }));
        let fresh: Vec<Vec<u8>> = all
            .iter()
            .map(|fec| {
                std::fs::write(&path, &data).unwrap();
                let made = append(&path, Params::builder(), fec.as_ref(), &Work::default()).unwrap();
                assert_eq!(made.replaced, None);
                assert!(is_good(&path, &made.formatted.root_hash));
                let bytes = std::fs::read(&path).unwrap();
                assert_eq!(bytes.len() as u64, made.plan.total_bytes);
                bytes
            })
            .collect();
        for (fec, expected) in all.iter().zip(&fresh) {
            for before in &fresh {
                std::fs::write(&path, before).unwrap();
                let planned = plan_append(&path, Params::builder(), fec.as_ref()).unwrap();
                assert_eq!(std::fs::read(&path).unwrap(), *before, "a plan writes nothing");
                let made = append(&path, Params::builder(), fec.as_ref(), &Work::default()).unwrap();
                assert_eq!(made.replaced, Some(BYTES.next_multiple_of(4096) as u64));
                assert_eq!(planned.total_bytes, made.plan.total_bytes);
                assert!(std::fs::read(&path).unwrap() == *expected);
            }
        }
    }

    #[test]
    fn other_block_sizes_leave_nothing_of_the_older_tree() {
        let (_directory, path, data) = image();
        let first = append(&path, Params::builder(), None, &Work::default()).unwrap();
        let large = Params::builder().data_block_size(BlockSize::new(1 << 19).unwrap());
        let second = append(&path, large, None, &Work::default()).unwrap();
        assert_ne!(first.formatted.root_hash, second.formatted.root_hash);
        assert!(is_good(&path, &second.formatted.root_hash));
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.starts_with(&data));
        assert!(bytes[BYTES..BYTES.next_multiple_of(1 << 19)].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn an_image_is_what_it_was_when_it_is_cancelled() {
        let (_directory, path, data) = image();
        let cancel = AtomicBool::new(false);
        let report = |progress: Progress| cancel.store(progress.done > 1 << 20, Ordering::SeqCst);
        let work = Work::default().progress(&report).cancel(&cancel);
        assert!(matches!(append(&path, Params::builder(), None, &work), Err(Error::Cancelled)));
        assert!(std::fs::read(&path).unwrap() == data);
    }

    #[test]
    fn a_mark_counts_only_where_it_says_that_it_lies() {
        let mark = Mark::new(8192, 5000);
        assert!(Mark::read(8192, mark.as_bytes()).is_some());
        assert!(Mark::read(4096, mark.as_bytes()).is_none());
        for (offset, data) in [(8192, 8193), (1 << 20, 0), (0, u64::MAX)] {
            assert!(Mark::read(offset, Mark::new(offset, data).as_bytes()).is_none(), "{offset} {data}");
        }
        let mut damaged = mark;
        damaged.zeros[400] = 1;
        assert!(Mark::read(8192, damaged.as_bytes()).is_none());
    }

    #[test]
    fn bytes_behind_a_tree_that_are_not_its_parity_are_kept() {
        let (_directory, path, _) = image();
        append(&path, Params::builder(), None, &Work::default()).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([7; 4096]);
        std::fs::write(&path, &bytes).unwrap();
        let refused = append(&path, Params::builder(), None, &Work::default()).unwrap_err();
        assert!(matches!(refused, Error::BehindHashArea { .. }), "{refused}");
        assert!(std::fs::read(&path).unwrap() == bytes);
    }
}
