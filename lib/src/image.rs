//! Whole images on files or block devices: format, load, verify. What order things are written in, and that a refused
//! call writes nothing, is decided here.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::io::{Device, Identity, identify};
use crate::layout::{Layout, SharedDevices};
use crate::params::{Fec, Params, ParamsBuilder, RootHash};
use crate::superblock::{SUPERBLOCK_SIZE, Superblock};
use crate::tree::{self, Verification};
use crate::work::Work;

/// What [`format()`] made.
#[derive(Clone, Debug)]
pub struct Formatted {
    /// The parameters with the number of data blocks settled, and where everything was put.
    pub layout: Layout,
    /// The root hash.
    pub root_hash: RootHash,
    /// Bytes at the end of the data device that no whole block covers: nothing protects them. Zero when the number of
    /// data blocks was given.
    pub uncovered_bytes: u64,
}

/// The devices of an image. Each may be a regular file or a block device, and they may be the same.
#[derive(Clone, Debug)]
pub struct Devices {
    /// Holds the data blocks from its start.
    pub data: PathBuf,
    /// Holds the superblock and the hash tree.
    pub hash: PathBuf,
    /// Holds the FEC parity, if any.
    pub fec: Option<PathBuf>,
}

impl Devices {
    /// A data device and a hash device, no FEC.
    pub fn new(data: impl Into<PathBuf>, hash: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), hash: hash.into(), fec: None }
    }

    /// Which of them are the same. One that does not exist is none of the others.
    pub(crate) fn shared(&self) -> Result<SharedDevices> {
        let data = identify(&self.data)?;
        let hash = identify_if_there(&self.hash)?;
        let fec = self.fec.as_deref().map_or(Ok(None), identify_if_there)?;
        Ok(SharedDevices {
            data_and_hash: hash == Some(data),
            hash_and_fec: self.fec.as_ref() == Some(&self.hash) || (fec.is_some() && fec == hash),
            data_and_fec: fec == Some(data),
        })
    }
}

fn identify_if_there(path: &Path) -> Result<Option<Identity>> {
    match identify(path) {
        Ok(identity) => Ok(Some(identity)),
        Err(Error::Open { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Computes the hash tree over the data device and writes it, with its superblock, to the hash device. A hash file that
/// does not exist is created, one that is too short is extended; what lies outside the hash area stays as it is.
///
/// Everything is checked before anything is written. From the first write to the last, the hash device holds no valid
/// superblock: an interrupted format leaves nothing that loads. When it returns, all is on stable storage.
///
/// # Errors
/// Those of [`ParamsBuilder::build`], [`Layout::new`] and [`Layout::check_overlaps`]; [`Error::Open`] and
/// [`Error::NotDevice`] for a device that cannot be used; [`Error::DeviceTooSmall`] for a hash device that is too small;
/// [`Error::Io`]; [`Error::Cancelled`]. After an error during writing, a file that was created is removed again.
pub fn format(devices: &Devices, builder: ParamsBuilder, work: &Work<'_>) -> Result<Formatted> {
    let data = Device::open(&devices.data)?;
    let whole_device = builder.covers_whole_device();
    let params = builder.build(data.path(), data.bytes())?;
    let layout = Layout::new(&params)?;
    layout.check_overlaps(devices.shared()?)?;
    if params.fec().is_some() {
        return Err(Error::FecUnsupported);
    }
    let created = identify_if_there(&devices.hash)?.is_none();
    let hash = if created { Device::create(&devices.hash)? } else { Device::open_writable(&devices.hash)? };
    let root_hash = match write(&layout, &data, hash, work) {
        Ok(root_hash) => root_hash,
        Err(error) => {
            if created && let Err(left) = std::fs::remove_file(&devices.hash) {
                log::warn!("cannot remove the unfinished {}: {left}", devices.hash.display());
            }
            return Err(error);
        }
    };
    let uncovered_bytes = if whole_device { data.bytes() - params.data_bytes() } else { 0 };
    Ok(Formatted { layout, root_hash, uncovered_bytes })
}

fn write(layout: &Layout, data: &Device, mut hash: Device, work: &Work<'_>) -> Result<RootHash> {
    let params = layout.params();
    hash.extend_to(layout.hash_end())?;
    invalidate_superblock(layout, &hash)?;
    let root_hash = tree::create(layout, data, &hash, work)?;
    // From here on there is nothing to wait for but the device.
    work.check()?;
    hash.sync()?;
    if let Some(superblock) = params.superblock() {
        hash.write_at(&superblock.to_bytes(), params.hash_offset())?;
        hash.sync()?;
    }
    Ok(root_hash)
}

/// Wipes an older superblock that stands in the way, also when the new image has none: from here on its tree is not
/// whole any more.
fn invalidate_superblock(layout: &Layout, hash: &Device) -> Result<()> {
    let offset = layout.params().hash_offset();
    let end = offset + SUPERBLOCK_SIZE as u64;
    if !layout.hash_area().contains(&offset) || hash.bytes() < end {
        return Ok(());
    }
    let mut bytes = [0; SUPERBLOCK_SIZE];
    hash.read_at(&mut bytes, offset)?;
    if Superblock::parse(&bytes).is_ok() {
        hash.write_at(&[0; SUPERBLOCK_SIZE], offset)?;
        hash.sync()?;
    }
    Ok(())
}

/// Reads the superblock at byte `hash_offset` of the hash device. `fec` is not on disk and is taken over as it is.
///
/// # Errors
/// [`Error::Superblock`] with the reason, when there is none or none that can be used; [`Error::Open`],
/// [`Error::NotDevice`] and [`Error::Io`].
pub fn load(hash: &Path, hash_offset: u64, fec: Option<Fec>) -> Result<Params> {
    let device = Device::open(hash)?;
    let unusable = |source| Error::Superblock { path: hash.to_owned(), source: Box::new(source) };
    crate::params::check_offset(crate::error::Area::Hash, hash_offset).map_err(unusable)?;
    if device.bytes().saturating_sub(hash_offset) < SUPERBLOCK_SIZE as u64 {
        return Err(unusable(Error::NotVerity));
    }
    let mut bytes = [0; SUPERBLOCK_SIZE];
    device.read_at(&mut bytes, hash_offset)?;
    let superblock = Superblock::parse(&bytes).map_err(unusable)?;
    let params = ParamsBuilder::from_superblock(superblock, hash_offset, fec)?;
    // A tree that no device can hold is as hostile as any other field.
    Layout::new(&params).map_err(unusable)?;
    Ok(params)
}

/// Checks all data and hash blocks of an image against its root hash. What is wrong with the image is in the
/// [`Verification`]; an error means that it could not be checked.
///
/// # Errors
/// [`Error::DeviceTooSmall`] for a device that ends before its area; [`Error::FecUnsupported`]; [`Error::Open`],
/// [`Error::NotDevice`] and [`Error::Io`]; [`Error::Cancelled`].
pub fn verify(devices: &Devices, params: &Params, root_hash: &RootHash, work: &Work<'_>) -> Result<Verification> {
    let layout = Layout::new(params)?;
    let data = Device::open(&devices.data)?;
    let hash = Device::open(&devices.hash)?;
    if params.fec().is_some() {
        return Err(Error::FecUnsupported);
    }
    data.check_size(params.data_bytes())?;
    // Where there is no tree, nothing behind the superblock is read, and some tools leave nothing there.
    if layout.hash_blocks() > 0 {
        hash.check_size(layout.hash_end())?;
    }
    tree::verify(&layout, root_hash, &data, &hash, work)
}

/// The size of a device or file in bytes.
///
/// # Errors
/// [`Error::Open`] and [`Error::NotDevice`].
pub fn device_size(path: &Path) -> Result<u64> {
    Ok(Device::open(path)?.bytes())
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::work::Progress;

    const BYTES: usize = 9 << 20;

    /// Devices in a directory that goes away with it, with some data.
    fn devices() -> (tempfile::TempDir, Devices) {
        let directory = tempfile::tempdir().unwrap();
        let devices = Devices::new(directory.path().join("data"), directory.path().join("hash"));
        let data: Vec<u8> = (0..=250).cycle().take(BYTES).collect();
        std::fs::write(&devices.data, data).unwrap();
        (directory, devices)
    }

    #[test]
    fn progress_grows_up_to_the_total() {
        let (_directory, devices) = devices();
        for threads in [1, 3] {
            let seen = Mutex::new(Vec::new());
            let report = |progress: Progress| seen.lock().unwrap().push(progress);
            let work = Work::default().threads(NonZero::new(threads).unwrap()).progress(&report);
            let formatted = format(&devices, Params::builder(), &work).unwrap();
            let total = (BYTES / 4096 + 18 + 1) as u64 * 4096;
            let check = |seen: &mut Vec<Progress>| {
                assert!(seen.len() > 4, "{seen:?}");
                assert!(seen.is_sorted_by(|one, next| one.done < next.done), "{seen:?}");
                assert!(seen.iter().all(|progress| progress.total == total));
                assert_eq!(seen.last().unwrap().done, total);
                seen.clear();
            };
            check(&mut seen.lock().unwrap());
            let params = formatted.layout.params();
            assert!(verify(&devices, params, &formatted.root_hash, &work).unwrap().is_good());
            check(&mut seen.lock().unwrap());
        }
    }

    #[test]
    fn cancelled_work_ends_and_leaves_no_new_file() {
        let (_directory, devices) = devices();
        for threads in [1, 3] {
            let threads = NonZero::new(threads).unwrap();
            let cancel = AtomicBool::new(false);
            let report = |progress: Progress| cancel.store(progress.done > 2 << 20, Ordering::SeqCst);
            let work = Work::default().threads(threads).progress(&report).cancel(&cancel);
            assert!(matches!(format(&devices, Params::builder(), &work), Err(Error::Cancelled)));
            assert!(!devices.hash.exists());

            let good = format(&devices, Params::builder(), &Work::default()).unwrap();
            let (params, root_hash) = (good.layout.params(), &good.root_hash);
            cancel.store(false, Ordering::SeqCst);
            assert!(matches!(verify(&devices, params, root_hash, &work), Err(Error::Cancelled)));
            assert!(verify(&devices, params, root_hash, &Work::default()).unwrap().is_good());

            // Over an older image: nothing is left that loads.
            cancel.store(false, Ordering::SeqCst);
            assert!(matches!(format(&devices, Params::builder(), &work), Err(Error::Cancelled)));
            assert!(matches!(load(&devices.hash, 0, None), Err(Error::Superblock { .. })));
            std::fs::remove_file(&devices.hash).unwrap();
        }
    }
}
