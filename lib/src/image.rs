//! Whole images on files or block devices: format, load, verify. What order things are written in, and that a refused
//! call writes nothing, is decided here.

mod targets;
mod zeros;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Area, Error, Result};
use crate::fec::{self, Repair, RepairMode};
use crate::io::{Claims, Created, Device, Identity, identify};
use crate::layout::{FecArea, Layout, SharedDevices};
use crate::params::{Fec, Params, ParamsBuilder, RootHash};
use crate::superblock::{SUPERBLOCK_SIZE, Superblock};
use crate::tree::{self, Verification};
use crate::work::{Progress, Work};
use targets::Checked;
pub(crate) use targets::Targets;
pub use targets::check_new_files;
pub use zeros::{ZerosWritten, must_be_zeros, write_zeros};

/// What [`format()`] made.
#[derive(Clone, Debug)]
pub struct Formatted {
    /// The parameters with the number of data blocks settled, and where everything was put.
    pub layout: Layout,
    /// Where the parity was put, if there is any.
    pub fec_area: Option<FecArea>,
    /// The root hash.
    pub root_hash: RootHash,
    /// Bytes at the end of the data device that no whole block covers: nothing protects them. Zero when the number of
    /// data blocks was given.
    pub uncovered_bytes: u64,
    /// Zeros after the data that fill a file up to its number of data blocks: tree and data are one file, and the data
    /// ended before.
    pub padding_bytes: u64,
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

/// Computes the hash tree over the data device and writes it, with its superblock, to the hash device, and the parity of
/// both to the FEC device, if there is one. A hash or FEC file that does not exist is created, one that is too short is
/// extended; what lies outside the hash and FEC areas stays as it is. Where data and tree are one file that ends before the
/// number of data blocks that was given, zeros fill it up to there.
///
/// No file is created among device nodes: there a name that is missing is a device that is missing. That is where
/// [`is_among_device_nodes`](crate::is_among_device_nodes) says so.
///
/// Everything is checked before anything is written. From the first write to the last, the hash device holds no valid
/// superblock: an interrupted format leaves nothing that loads. When it returns, all is on stable storage. Until then no
/// other process can format, [append](crate::append()) or [repair] what is written to.
///
/// # Errors
/// Those of [`ParamsBuilder::build`], [`Layout::new`] and [`Layout::check_overlaps`]; [`Error::FecDevice`] for FEC without
/// a device or the other way round; [`Error::FecGap`]; [`Error::Open`] and [`Error::NotDevice`] for a device that cannot be
/// used; [`Error::NotWritable`] for one that cannot be created or written to, [`Error::AmongDeviceNodes`] for one that is
/// not to be created; [`Error::DeviceLocked`] for a file that another process writes to, and [`Error::DeviceBusy`] for a
/// block device that a mount or mapping uses; [`Error::DeviceTooSmall`] for a hash or FEC device that is too small;
/// [`Error::Io`]; [`Error::Cancelled`]. After an error during writing, files that were created are removed again, and files that were
/// extended get their length back.
///
/// # Examples
/// ```
/// use dmverity::{BlockSize, Devices, Fec, HashAlgorithm, Params, Salt, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| directory.path().join(name);
/// # std::fs::write(path("data.img"), [7; 40960])?;
/// let (data, hash, fec) = (path("data.img"), path("hash.img"), path("fec.img"));
/// // Leave out what is to be as it is by default; without `fec` in both places there is no parity.
/// let devices = Devices { fec: Some(fec), ..Devices::new(data, hash) };
/// let builder = Params::builder()
///     .algorithm(HashAlgorithm::from_name("sha512")?)
///     .data_block_size(BlockSize::new(1024)?)
///     .hash_block_size(BlockSize::new(1024)?)
///     .salt(Salt::random()?)
///     .fec(Fec::new(2, 0)?);
/// let formatted = dmverity::format(&devices, builder, &Work::default())?;
///
/// // Keep it where nobody can change it.
/// println!("root hash: {}", formatted.root_hash);
/// assert_eq!(formatted.layout.params().data_blocks(), 40);
/// assert_eq!(formatted.uncovered_bytes, 0);
/// # Ok(())
/// # }
/// ```
pub fn format(devices: &Devices, builder: ParamsBuilder, work: &Work<'_>) -> Result<Formatted> {
    format_claimed(devices, builder, None, &mut Claims::default(), work)
}

/// The same, where some of what is written to may be claimed already, and the hash device counts as `hash_bytes` bytes long,
/// where those are given.
pub(crate) fn format_claimed(
    devices: &Devices,
    builder: ParamsBuilder,
    hash_bytes: Option<u64>,
    claims: &mut Claims,
    work: &Work<'_>,
) -> Result<Formatted> {
    let targets = Targets::open(devices, claims)?;
    let data = Device::open(&devices.data)?;
    let Checked { layout, fec_area, uncovered_bytes, padding_bytes } =
        targets.check_format(devices, &data, builder, hash_bytes)?;

    let mut created = Created::default();
    let hash = targets.hash.map_or_else(|| created.create(&devices.hash, Area::Hash, claims), Ok)?;
    let fec = match (&devices.fec, targets.fec) {
        (_, Some(device)) => Some(device),
        // It may be the hash device, which has been created just now.
        (Some(path), None) if path == &devices.hash => Some(Device::open_to_write(path, claims)?),
        (Some(path), None) => Some(created.create(path, Area::Fec, claims)?),
        (None, None) => None,
    };
    let root_hash = write(&layout, data, hash, fec.zip(fec_area.clone()), work)?;
    created.keep();
    Ok(Formatted { layout, fec_area, root_hash, uncovered_bytes, padding_bytes })
}

/// Computes what [`format()`] would make, and writes nothing: the root hash, the layout and where the parity would go. The
/// hash and FEC device need not be there; an empty path stands for a hash device that has no name yet.
///
/// # Errors
/// Those of [`format()`] that come before anything is written, but for devices that cannot be written to or are in use.
///
/// # Examples
/// ```
/// use dmverity::{Devices, Params, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let data = directory.path().join("data.img");
/// # std::fs::write(&data, [7; 40960])?;
/// let planned = dmverity::dry_run(&Devices::new(&data, ""), Params::builder(), &Work::default())?;
/// # let devices = Devices::new(&data, directory.path().join("hash.img"));
/// assert_eq!(planned.root_hash, dmverity::format(&devices, Params::builder(), &Work::default())?.root_hash);
/// # Ok(())
/// # }
/// ```
pub fn dry_run(devices: &Devices, builder: ParamsBuilder, work: &Work<'_>) -> Result<Formatted> {
    let targets = Targets::look(devices)?;
    let mut data = Device::open(&devices.data)?;
    let Checked { layout, fec_area, uncovered_bytes, padding_bytes } =
        targets.check_format(devices, &data, builder, None)?;
    if padding_bytes > 0 {
        data.pad(data.bytes(), layout.params().data_bytes());
    }
    let root_hash = tree::compute(&layout, &data, work)?;
    Ok(Formatted { layout, fec_area, root_hash, uncovered_bytes, padding_bytes })
}

/// The digest of the top hash block as it is on the hash device: the root hash of an image whose tree is intact. Nothing is
/// verified, neither data nor tree.
///
/// # Errors
/// [`Error::NoTree`] for an image of one data block; [`Error::DeviceTooSmall`], [`Error::Open`], [`Error::NotDevice`] and
/// [`Error::Io`].
pub fn unverified_root_hash(hash: &Path, params: &Params) -> Result<RootHash> {
    let layout = Layout::new(params)?;
    let device = Device::open(hash)?;
    if layout.levels().is_empty() {
        return Err(Error::NoTree { path: hash.to_owned() });
    }
    device.check_size(layout.hash_end())?;
    tree::top_digest(&layout, &device)
}

fn write(
    layout: &Layout,
    mut data: Device,
    mut hash: Device,
    mut fec: Option<(Device, FecArea)>,
    work: &Work<'_>,
) -> Result<RootHash> {
    let former = (hash.bytes(), fec.as_ref().map(|(device, _)| device.bytes()));
    let written = make_room(layout, &mut data, &mut hash, &mut fec)
        .and_then(|()| write_areas(layout, &data, &hash, fec.as_ref(), work))
        .and_then(|root_hash| write_superblock(layout, &hash).map(|()| root_hash));
    if written.is_err() {
        // An image that may have been here is gone, if it was no longer than this and writing had begun.
        give_back(&mut hash, former.0);
        if let (Some((device, _)), Some(bytes)) = (&mut fec, former.1) {
            give_back(device, bytes);
        }
    }
    let root_hash = written?;
    if layout.params().superblock().is_some() {
        hash.sync()?;
    }
    Ok(root_hash)
}

fn write_superblock(layout: &Layout, hash: &Device) -> Result<()> {
    let Some(superblock) = layout.params().superblock() else { return Ok(()) };
    hash.write_at(&superblock.to_bytes(), layout.params().hash_offset())
}

/// All but the superblock, on stable storage.
fn write_areas(
    layout: &Layout,
    data: &Device,
    hash: &Device,
    fec: Option<&(Device, FecArea)>,
    work: &Work<'_>,
) -> Result<RootHash> {
    let fec_total = fec.map_or(0, |(_, area)| fec::total(layout, area));
    let mut progress = Progress { done: 0, total: tree::total(layout) + fec_total };
    let root_hash = match fec {
        None => tree::create(layout, (data, hash), None, &mut progress, work)?,
        Some((device, area)) => {
            let image = fec::Image { layout, area, data, hash, fec: device };
            let root_hash = fec::create(&image, &mut progress, work)?;
            device.sync()?;
            root_hash
        }
    };
    // From here on there is nothing to wait for but the device.
    work.check()?;
    hash.sync()?;
    Ok(root_hash)
}

/// Makes files as long as their areas need, and from then on no older image is there.
fn make_room(layout: &Layout, data: &mut Device, hash: &mut Device, fec: &mut Option<(Device, FecArea)>) -> Result<()> {
    // Where there is neither tree nor superblock, the data in the same file need room all the same.
    let data_end = if data.bytes() < layout.params().data_bytes() { layout.params().data_bytes() } else { 0 };
    hash.extend_to(layout.hash_end().max(data_end))?;
    if let Some((device, area)) = fec {
        device.extend_to(area.bytes.end)?;
    }
    data.look_again()?;
    invalidate_superblock(layout, hash)
}

/// Takes away what a file has been extended by.
fn give_back(device: &mut Device, former_bytes: u64) {
    if device.bytes() > former_bytes
        && let Err(left) = device.set_len("truncate", former_bytes)
    {
        log::warn!("cannot take back what was added: {left}");
    }
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
/// No root hash covers the superblock. An attacker who can write to the hash device can change it so that the image still
/// verifies with the root hash that is trusted: it can say that there are fewer blocks, or that hash blocks of the tree
/// are the data. If that matters, compare the parameters with what is known from elsewhere: [`Expected`](crate::Expected).
///
/// # Errors
/// [`Error::Superblock`] with the reason, when there is none or none that can be used; [`Error::Open`],
/// [`Error::NotDevice`] and [`Error::Io`].
///
/// # Examples
/// ```
/// use dmverity::{Devices, Error, Params, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| directory.path().join(name);
/// # std::fs::write(path("data.img"), [7; 40960])?;
/// # let devices = Devices::new(path("data.img"), path("hash.img"));
/// # dmverity::format(&devices, Params::builder(), &Work::default())?;
/// let params = dmverity::load(&path("hash.img"), 0, None)?;
/// assert_eq!((params.data_blocks(), params.algorithm().name()), (10, "sha256"));
///
/// // There is no superblock on the data device.
/// match dmverity::load(&path("data.img"), 0, None) {
///     Err(Error::Superblock { source, .. }) => assert!(matches!(*source, Error::NotVerity)),
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
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

/// Checks all data and hash blocks of an image against its root hash; FEC is not looked at. What is wrong with the image
/// is in the [`Verification`]; an error means that it could not be checked.
///
/// The root hash proves the blocks of an image of these parameters. That the parameters are the right ones it does not
/// prove where they come from a superblock: see [`load`]. [`uncovered_blocks`](crate::uncovered_blocks) tells how many
/// blocks of the data device the tree leaves out.
///
/// # Errors
/// [`Error::DeviceTooSmall`] for a device that ends before its area; [`Error::Open`], [`Error::NotDevice`] and
/// [`Error::Io`]; [`Error::Cancelled`].
///
/// # Examples
/// ```
/// use dmverity::{Devices, Failure, Params, RootHash, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| directory.path().join(name);
/// # std::fs::write(path("data.img"), [7; 40960])?;
/// # let devices = Devices::new(path("data.img"), path("hash.img"));
/// # let trusted = dmverity::format(&devices, Params::builder(), &Work::default())?.root_hash.to_string();
/// let params = dmverity::load(&devices.hash, 0, None)?;
/// let root_hash = RootHash::from_hex(&trusted, params.algorithm())?;
/// assert!(dmverity::verify(&devices, &params, &root_hash, &Work::default())?.is_good());
///
/// // Somebody changes the second block.
/// # let mut data = std::fs::read(&devices.data)?;
/// # data[5000] = 8;
/// # std::fs::write(&devices.data, data)?;
/// let found = dmverity::verify(&devices, &params, &root_hash, &Work::default())?;
/// assert_eq!(found.first_failures(), [Failure::DataBlock { position: 4096 }]);
/// # Ok(())
/// # }
/// ```
pub fn verify(devices: &Devices, params: &Params, root_hash: &RootHash, work: &Work<'_>) -> Result<Verification> {
    let layout = Layout::new(params)?;
    let data = Device::open(&devices.data)?;
    let hash = Device::open(&devices.hash)?;
    check_image_sizes(&layout, &data, &hash)?;
    let mut progress = Progress { done: 0, total: tree::total(&layout) };
    tree::verify(&layout, root_hash, (&data, &hash), Verification::KEPT, &mut progress, work)
}

/// Finds out what is wrong with an image that has FEC, and, with [`RepairMode::Write`], puts it right.
///
/// The hash tree says which blocks are wrong, and FEC what they have to be. What it says is proven by the tree and the root
/// hash before it counts. If that cannot be done for all blocks of data and tree, nothing is written at all. Parity is
/// written anew where it is wrong. Bytes that FEC covers behind the tree are never written: nothing proves them.
///
/// Each block that is written is right by itself. A repair that was interrupted can be done again. Until it returns no
/// other process can [`format()`], [append](crate::append()) or repair what it may write to.
///
/// # Errors
/// Those of [`verify`]; [`Error::FecDevice`] without FEC; [`Error::Overlap`] if the FEC area lies where something else
/// is. With [`RepairMode::Write`] also [`Error::Open`] for devices that cannot be written to, [`Error::DeviceLocked`] for a
/// file that another process writes to, and [`Error::DeviceBusy`] for a block device that a mount or mapping uses.
///
/// # Examples
/// ```
/// use dmverity::{Devices, Fec, Params, RepairMode, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| directory.path().join(name);
/// # std::fs::write(path("data.img"), [7; 40960])?;
/// let (data, hash, fec) = (path("data.img"), path("hash.img"), path("fec.img"));
/// let devices = Devices { fec: Some(fec), ..Devices::new(data, hash) };
/// # let root_hash = dmverity::format(&devices, Params::builder().fec(Fec::new(2, 0)?), &Work::default())?.root_hash;
/// # let mut data = std::fs::read(&devices.data)?;
/// # data[5000..5100].fill(8);
/// # std::fs::write(&devices.data, data)?;
/// // That there is FEC does not stand in the superblock, nor how much of it.
/// let params = dmverity::load(&devices.hash, 0, Some(Fec::new(2, 0)?))?;
/// let repair = dmverity::repair(&devices, &params, &root_hash, RepairMode::Write, &Work::default())?;
/// for block in repair.blocks() {
///     println!("{} block {}: {} bytes were wrong", block.area, block.block, block.wrong_bytes);
/// }
/// assert!(repair.is_complete());
/// assert!(dmverity::verify(&devices, &params, &root_hash, &Work::default())?.is_good());
/// # Ok(())
/// # }
/// ```
pub fn repair(
    devices: &Devices,
    params: &Params,
    root_hash: &RootHash,
    mode: RepairMode,
    work: &Work<'_>,
) -> Result<Repair> {
    let layout = Layout::new(params)?;
    let path = devices.fec.as_deref().ok_or(Error::FecDevice)?;
    let mut claims = Claims::default();
    let mut open = |path: &Path| open_to_repair(path, mode, &mut claims);
    let (data, hash, fec) = (open(&devices.data)?, open(&devices.hash)?, open(path)?);
    check_image_sizes(&layout, &data, &hash)?;
    let shared = devices.shared()?;
    let area = layout.fec_area_on(hash.bytes(), shared.hash_and_fec).ok_or(Error::FecDevice)?;
    layout.check_overlaps(shared, Some(&area))?;
    fec.check_size(area.bytes.end)?;
    let mut progress = Progress { done: 0, total: tree::total(&layout) + fec::total(&layout, &area) };
    let found = tree::verify(&layout, root_hash, (&data, &hash), fec::MOST_FAILURES, &mut progress, work)?;
    let image = fec::Image { layout: &layout, area: &area, data: &data, hash: &hash, fec: &fec };
    fec::repair(&image, root_hash, found, mode, &mut progress, work)
}

/// Opens what a repair may write to.
fn open_to_repair(path: &Path, mode: RepairMode, claims: &mut Claims) -> Result<Device> {
    match mode {
        RepairMode::Write => Device::open_to_write(path, claims),
        RepairMode::DryRun => Device::open(path),
    }
}

fn check_image_sizes(layout: &Layout, data: &Device, hash: &Device) -> Result<()> {
    data.check_size(layout.params().data_bytes())?;
    // Where there is no tree, nothing behind the superblock is read, and some tools leave nothing there.
    if layout.hash_blocks() > 0 {
        hash.check_size(layout.hash_end())?;
    }
    Ok(())
}

/// Where the FEC area of an existing image lies, and what it covers; `None` without FEC.
///
/// # Errors
/// [`Error::Open`] and [`Error::NotDevice`].
pub fn fec_area(hash: &Path, fec: &Path, layout: &Layout) -> Result<Option<FecArea>> {
    let device = Device::open(hash)?;
    let on_hash_device = identify(hash)? == identify(fec)?;
    Ok(layout.fec_area_on(device.bytes(), on_hash_device))
}

/// Whether two paths lead to the same device or file; where nothing is, whether they are the same path.
pub fn is_same_device(one: &Path, other: &Path) -> bool {
    match (identify(one), identify(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// The size of a device or file in bytes.
///
/// # Errors
/// [`Error::Open`] and [`Error::NotDevice`].
pub fn device_size(path: &Path) -> Result<u64> {
    Ok(Device::open(path)?.bytes())
}

#[cfg(test)]
mod tests;
