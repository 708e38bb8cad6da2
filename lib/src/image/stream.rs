//! Making an image of data that come as a stream, once and in their order.
//!
//! ```text
//! stream -> chunks, hashed as they come -> level over the data -> levels above it -> superblock
//!                `-> a copy: the output of append(), or a temporary file for the parity
//! ```
//! Where the level over the data goes depends on how many levels are above it. If the length of the stream is not known
//! before, that level is in a temporary file until the stream has ended.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::append::{Appended, Data};
use super::devices::Devices;
use super::format::{Areas, Formatted, invalidate_superblock, write_checked};
use super::handle::Image;
use super::scan::Search;
use super::targets::{Checked, Targets, check_new_files};
use crate::error::{Area, Error, Result};
use crate::fec;
use crate::format::{AppendedFec, Fec, Hashing, Layout, ParamsBuilder, Plan, SUPERBLOCK_SIZE, SharedDevices};
use crate::io::{Claims, Device, Identity, Replacement, Storage, Stream, identify};
use crate::memory;
use crate::tree::{self, Passed, Passing};
use crate::value::RootHash;
use crate::work::{Progress, Work};

/// Makes hash tree, root hash and, if requested, parity of data that come as a stream: from a pipe, a decompressor, a
/// connection. The results are those that [`format()`](crate::format()) and [`append`](crate::append()) have for a file
/// with the same bytes. Memory does not grow with their number.
///
/// What does not fit memory is in temporary files without a name. While the length of the stream is not known, that is
/// the lowest level of the tree, less than a hundredth of the data with the default parameters. With parity and no copy
/// of the data to read again, it is all of the data.
///
/// A stream that ends early or goes on is an error if its length was given. After any error nothing is left that loads:
/// files that were created are removed, and files that were extended get their length back. A read that fails with
/// [`ErrorKind::Interrupted`](std::io::ErrorKind::Interrupted) is tried again unless the work has been cancelled, so
/// that a reader which waits for a stream can give notice of it.
///
/// # Examples
/// ```
/// use dmverity::{Hashing, Params, TreeBuilder, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let (hash, image) = (directory.path().join("hash.img"), directory.path().join("image"));
/// let data = [7; 40960];
/// // Any `Read` will do.
/// let made = TreeBuilder::new(&data[..]).format(&hash, None, Params::builder(), &Work::default())?;
/// assert_eq!(made.layout.params().data_blocks(), 10);
///
/// // Data and hash tree in one file.
/// let made = TreeBuilder::new(&data[..]).append(&image, Hashing::default(), None, &Work::default())?;
/// assert_eq!(std::fs::metadata(&image)?.len(), made.plan.total_bytes);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct TreeBuilder<'r> {
    reader: Box<dyn Read + Send + 'r>,
    name: PathBuf,
    bytes: Option<u64>,
    /// Where temporary files are, if it was said.
    directory: Option<PathBuf>,
    parity_after_tree: bool,
}

impl fmt::Debug for TreeBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeBuilder").field("name", &self.name).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl<'r> TreeBuilder<'r> {
    /// For this stream, from where it is to its end.
    pub fn new(stream: impl Read + Send + 'r) -> Self {
        Self {
            reader: Box::new(stream),
            name: PathBuf::from("the stream"),
            bytes: None,
            directory: None,
            parity_after_tree: false,
        }
    }

    /// What errors call the stream.
    pub fn name(mut self, name: impl Into<PathBuf>) -> Self {
        self.name = name.into();
        self
    }

    /// The length of the stream in bytes. A number of data blocks that the parameters have says it too.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// Where temporary files are; by default in the system's directory for them.
    pub fn temporary_files_in(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Parity that is on the hash device has its place after the hash tree, whatever the offset in its parameters.
    pub fn parity_after_tree(mut self) -> Self {
        self.parity_after_tree = true;
        self
    }

    /// What [`format()`](crate::format()) does, with the stream as data device: puts superblock and hash tree on the
    /// hash device, and the parity on the FEC device.
    ///
    /// # Errors
    /// Those of that function; [`Error::StreamTooShort`], [`Error::StreamTooLong`]; [`Error::Io`] for a stream that
    /// cannot be read, and for temporary files.
    pub fn format(
        self,
        hash: impl AsRef<Path>,
        fec: Option<&Path>,
        builder: ParamsBuilder,
        work: &Work<'_>,
    ) -> Result<Formatted> {
        let devices = Devices { fec: fec.map(Path::to_owned), ..Devices::new(&self.name, hash.as_ref()) };
        let mut claims = Claims::default();
        let targets = Targets::open_without_data(&devices, &mut claims)?;
        self.format_targets(targets, (Some(&devices), fec.is_some()), builder, &mut claims, work)
    }

    /// The same on existing storage.
    ///
    /// # Errors
    /// As for [`Image::format`] and [`format`](Self::format).
    pub fn format_on(
        self,
        hash: Storage<'_>,
        fec: Option<Storage<'_>>,
        builder: ParamsBuilder,
        work: &Work<'_>,
    ) -> Result<Formatted> {
        let has_fec = fec.is_some();
        let hash = Device::of_storage(hash, "the hash storage")?;
        let fec = fec.map(|fec| Device::of_storage(fec, "the FEC storage")).transpose()?;
        let hash_and_fec = fec.as_ref().is_some_and(|fec| fec.is_same(&hash));
        let shared = SharedDevices { hash_and_fec, ..SharedDevices::default() };
        let targets = Targets { shared, hash: Some(hash), fec };
        self.format_targets(targets, (None, has_fec), builder, &mut Claims::default(), work)
    }

    /// Computes what [`format`](Self::format) would make, and writes nothing, not even a temporary file. The hash and
    /// FEC device need not exist; an empty path means a hash device that has no name yet.
    ///
    /// # Errors
    /// Those of [`format`](Self::format) that come before anything is written.
    pub fn dry_run(
        mut self,
        hash: impl AsRef<Path>,
        fec: Option<&Path>,
        builder: ParamsBuilder,
        work: &Work<'_>,
    ) -> Result<Formatted> {
        let devices = Devices { fec: fec.map(Path::to_owned), ..Devices::new(&self.name, hash.as_ref()) };
        let targets = Targets::look_without_data(&devices)?;
        let (known, has_fec) = (self.known(&builder)?, fec.is_some());
        let first = self.check(&targets, has_fec, builder.clone(), known)?;
        let mut progress = progress_of(known.map(|_| tree::total(&first.layout)));
        let passing = Passing { layout: &first.layout, pads: false, copy: None, look: None };
        let (bytes, root_hash) = passing.reduce(self.stream(known), &mut progress, work)?;
        let checked = self.check(&targets, has_fec, builder, Some(bytes))?;
        finish_progress(&checked.layout, work);
        let Checked { layout, fec_area, uncovered_bytes, padding_bytes } = checked;
        let root_hash = root_hash.expect("the checks have found a whole block");
        Ok(Formatted { layout, fec_area, root_hash, uncovered_bytes, padding_bytes })
    }

    /// What [`append`](crate::append()) makes of a file with the bytes of the stream: the output has them, padded with
    /// zeros to whole data blocks, then superblock, hash tree and, as `fec` says, parity. The data are written once, as
    /// they come.
    ///
    /// A regular file appears at its path, in place of one that is there, when it is complete; until then it has
    /// another name in the same directory. A block device is written to from its start; what is on it after the image
    /// stays there.
    ///
    /// # Errors
    /// Those of [`append`](crate::append()) and [`format`](Self::format); [`Error::TreeInStream`] if the stream ends
    /// with a hash tree, which only a regular file can lose.
    pub fn append(
        self,
        output: impl AsRef<Path>,
        hashing: Hashing,
        fec: Option<&AppendedFec>,
        work: &Work<'_>,
    ) -> Result<Appended> {
        let output = output.as_ref();
        let mut claims = Claims::default();
        if let Ok(Identity::Block(_)) = identify(output) {
            let device = Device::open_target(output, Area::Hash, &mut claims)?;
            return self.append_to(Image::of(device.clone(), device, None, claims), hashing, fec, work);
        }
        let (file, device) = Replacement::of(output, Area::Hash)?;
        let appended = self.append_to(Image::of(device.clone(), device, None, claims), hashing, fec, work)?;
        file.put()?;
        Ok(appended)
    }

    /// Computes what [`append`](Self::append) would make, and writes nothing, not even a temporary file.
    ///
    /// # Errors
    /// Those of [`append`](Self::append) that come before anything is written; [`Error::TreeInStream`] for every stream
    /// in which a tree with a superblock is found.
    pub fn append_dry_run(mut self, hashing: Hashing, fec: Option<&AppendedFec>, work: &Work<'_>) -> Result<Appended> {
        if let Some(device) = fec.and_then(|fec| fec.device.clone()) {
            check_new_files(&Devices { fec: Some(device), ..Devices::new("", "") })?;
        }
        let first = self.plan(hashing.clone(), self.bytes, fec)?;
        let mut progress = progress_of(self.bytes.map(|_| tree::total(&first.layout)));
        let search = SharedSearch::default();
        let look = |position, bytes: &[u8]| search.look(position, bytes);
        let passing = Passing { layout: &first.layout, pads: true, copy: None, look: Some(&look) };
        let (bytes, root_hash) = passing.reduce(self.stream(self.bytes), &mut progress, work)?;
        if let Some(offset) = search.into_inner().first() {
            return Err(Error::TreeInStream { path: self.name, offset });
        }
        let plan = self.plan(hashing, Some(bytes), fec)?;
        finish_progress(&plan.layout, work);
        let formatted = Formatted {
            layout: plan.layout.clone(),
            fec_area: plan.fec_area.clone(),
            root_hash: root_hash.expect("there is data for the plan"),
            uncovered_bytes: 0,
            padding_bytes: plan.padding_bytes,
        };
        Ok(Appended { formatted, plan, replaced: None })
    }

    fn format_targets(
        mut self,
        targets: Targets<'_>,
        (new, has_fec): (Option<&Devices>, bool),
        builder: ParamsBuilder,
        claims: &mut Claims,
        work: &Work<'_>,
    ) -> Result<Formatted> {
        let known = self.known(&builder)?;
        let first = self.check(&targets, has_fec, builder.clone(), known)?;
        // What the parity is made of has to be read again.
        let copy = if has_fec { Some(self.temporary_file()?) } else { None };
        if let Some(bytes) = known {
            return write_checked(targets, new, first, claims, |areas| {
                let mut progress = progress_of(Some(areas.total()));
                let passing = Passing { layout: areas.layout, pads: false, copy: copy.as_ref(), look: None };
                let stream = self.stream(Some(bytes));
                let root_hash = match areas.layout.levels().first() {
                    None => passing.reduce(stream, &mut progress, work)?.1.expect("one block was expected"),
                    Some(level) => {
                        let start = level.first_block * areas.layout.params().hash_block_size().bytes();
                        passing.store(stream, (areas.hash, start), &mut progress, work)?;
                        tree::create_above(areas.layout, areas.hash, &mut progress, work)?
                    }
                };
                finish(areas, copy, root_hash, &mut progress, work)
            });
        }
        let level = self.temporary_file()?;
        let passing = Passing { layout: &first.layout, pads: false, copy: copy.as_ref(), look: None };
        let mut progress = progress_of(None);
        let passed = passing.store(self.stream(None), (&level, 0), &mut progress, work)?;
        let checked = self.check(&targets, has_fec, builder, Some(passed.bytes))?;
        write_checked(targets, new, checked, claims, |areas| {
            progress.total = areas.total();
            let root_hash = above(areas, passed, &level, &mut progress, work)?;
            finish(areas, copy, root_hash, &mut progress, work)
        })
    }

    /// `image` is the output, which has nothing in it that is needed.
    fn append_to(
        mut self,
        mut image: Image<'static>,
        hashing: Hashing,
        fec: Option<&AppendedFec>,
        work: &Work<'_>,
    ) -> Result<Appended> {
        let first = self.plan(hashing.clone(), self.bytes, fec)?;
        let new = image.new_files(fec);
        let mut targets = image.append_targets(fec, &new, true)?;
        targets.check(&first.layout, Some(first.hash_device_bytes))?;
        if self.bytes.is_some() {
            invalidate_superblock(&first.layout, &image.data)?;
        }
        let level = self.temporary_file()?;
        let search = SharedSearch::default();
        let look = |position, bytes: &[u8]| search.look(position, bytes);
        let passing = Passing { layout: &first.layout, pads: true, copy: Some(&image.data), look: Some(&look) };
        let mut progress = progress_of(None);
        let passed = passing.store(self.stream(self.bytes), (&level, 0), &mut progress, work)?;
        // Zeros at the end of a file have not been written.
        image.data.look_again()?;
        image.data.extend_to(passed.bytes)?;
        let plan = self.plan(hashing.clone(), Some(passed.bytes), fec)?;
        let data = if image.data.can_grow() {
            image.data.clone()
        } else {
            image.data.part(&(0..passed.bytes), &image.data.path().to_string_lossy())?
        };
        let scan = search.into_inner().end(&data)?;
        if let Some(offset) = Data::of(&data, &scan, &hashing)?.replaced {
            if !image.data.can_grow() {
                return Err(Error::TreeInStream { path: self.name, offset });
            }
            image.scan = Some(scan);
            return image.append(hashing, fec, work);
        }
        let mut output = image.data.clone();
        output.extend_to(plan.hash_device_bytes)?;
        for target in [&mut targets.hash, &mut targets.fec].into_iter().flatten() {
            target.look_again()?;
        }
        let builder = plan.layout.params().to_builder();
        let checked = targets.check_format(fec.is_some(), &output, builder, Some(plan.hash_device_bytes))?;
        let bytes = passed.bytes;
        let formatted = write_checked(targets, Some(&new), checked, &mut image.claims, |areas| {
            progress.total = areas.total();
            clear_between(areas, bytes)?;
            let root_hash = above(areas, passed, &level, &mut progress, work)?;
            finish(areas, Some(output), root_hash, &mut progress, work)
        })?;
        let formatted = Formatted { padding_bytes: plan.padding_bytes, ..formatted };
        Ok(Appended { formatted, plan, replaced: None })
    }

    fn temporary_file(&self) -> Result<Device<'static>> {
        // Not every system has such a directory, and not every stream needs one.
        Device::unnamed_in(&self.directory.clone().unwrap_or_else(std::env::temp_dir))
    }

    fn stream(&mut self, expected: Option<u64>) -> Stream<'_> {
        Stream::new(&mut *self.reader, &self.name, expected)
    }

    /// How long the stream has to be, if that is known.
    fn known(&self, builder: &ParamsBuilder) -> Result<Option<u64>> {
        let given = builder.given_data_bytes();
        match self.bytes {
            None if builder.covers_whole_device() => Ok(None),
            None => Ok(Some(given)),
            // Nothing can be done with the rest.
            Some(bytes) if !builder.covers_whole_device() && bytes > given => {
                Err(Error::StreamTooLong { path: self.name.clone(), needed: given })
            }
            Some(bytes) => Ok(Some(bytes)),
        }
    }

    /// Checks an image of this many bytes. If that is not known, it is one of two blocks, or of a single one, which has
    /// no tree: with all other numbers of blocks there would be no room either.
    fn check(
        &self,
        targets: &Targets<'_>,
        has_fec: bool,
        builder: ParamsBuilder,
        bytes: Option<u64>,
    ) -> Result<Checked> {
        let check = |builder: ParamsBuilder, bytes| self.check_bytes(targets, has_fec, builder, bytes);
        let blocks = |blocks| Ok(builder.clone().data_blocks(blocks).build(u64::MAX)?.data_bytes());
        let checked = match bytes {
            Some(bytes) => check(builder, bytes),
            None => blocks(2)
                .and_then(|bytes| check(builder.clone(), bytes))
                .or_else(|_| check(builder.clone(), blocks(1)?)),
        };
        checked.map_err(|error| error.on_device(&self.name))
    }

    fn check_bytes(
        &self,
        targets: &Targets<'_>,
        has_fec: bool,
        mut builder: ParamsBuilder,
        bytes: u64,
    ) -> Result<Checked> {
        let params = builder.clone().build(bytes)?;
        if let Some(fec) = params.fec().filter(|_| self.parity_after_tree && targets.shared.hash_and_fec) {
            let offset = Layout::new(&params)?.fec_offset_after_tree();
            builder = builder.fec(Fec::new(fec.roots.into(), offset)?.with_scope(fec.scope));
        }
        targets.check_bytes(has_fec, (bytes, bytes), builder, None)
    }

    /// The same for an image in one.
    fn plan(&self, hashing: Hashing, bytes: Option<u64>, fec: Option<&AppendedFec>) -> Result<Plan> {
        let plan = Plan::one_image(hashing, bytes.unwrap_or(1), fec);
        plan.map_err(|error| error.on_device(&self.name))
    }
}

/// The levels above the one over the data, which is in a file of its own; returns the root hash.
fn above(
    areas: &Areas<'_, '_>,
    passed: Passed,
    level: &Device<'_>,
    progress: &mut Progress,
    work: &Work<'_>,
) -> Result<RootHash> {
    let Some(lowest) = areas.layout.levels().first() else { return Ok(passed.root_hash_of_one()) };
    let block = areas.layout.params().hash_block_size().bytes();
    tree::copy(level, lowest.blocks * block, (areas.hash, lowest.first_block * block), work)?;
    tree::create_above(areas.layout, areas.hash, progress, work)
}

/// The parity, if there is to be any, of the tree and of data that are in `data` too. Then everything is on stable
/// storage.
fn finish(
    areas: &Areas<'_, '_>,
    data: Option<Device<'_>>,
    root_hash: RootHash,
    progress: &mut Progress,
    work: &Work<'_>,
) -> Result<RootHash> {
    if let Some(mut data) = data {
        data.look_again()?;
        // Zeros at the end of a file have not been written.
        data.extend_to(areas.layout.params().data_bytes())?;
        if let Some(image) = areas.with_data(&data) {
            fec::encode(&image, progress, work)?;
        }
    }
    areas.sync(work)?;
    Ok(root_hash)
}

/// Writes zeros between the data and the tree, where an image in one has nothing else but its superblock.
fn clear_between(areas: &Areas<'_, '_>, data_bytes: u64) -> Result<()> {
    let params = areas.layout.params();
    let tree = areas.layout.first_hash_block() * params.hash_block_size().bytes();
    let end = tree.max(params.hash_offset() + if params.uuid().is_some() { SUPERBLOCK_SIZE as u64 } else { 0 });
    let zeros = memory::zeroed(usize::try_from(end.saturating_sub(data_bytes)).expect("less than a few blocks"))?;
    areas.hash.write_at(&zeros, data_bytes)
}

/// Nothing done yet of so much.
fn progress_of(total: Option<u64>) -> Progress {
    Progress { done: 0, total: total.unwrap_or(Progress::UNKNOWN) }
}

/// All is done, of a tree that was not stored.
fn finish_progress(layout: &Layout, work: &Work<'_>) {
    let total = tree::total(layout);
    work.report(Progress { done: total, total });
}

/// A search of all that passes, by several threads.
#[derive(Debug, Default)]
struct SharedSearch(Mutex<Search>);

impl SharedSearch {
    fn look(&self, position: u64, bytes: &[u8]) {
        for (sector, offset) in bytes.chunks(SUPERBLOCK_SIZE).zip((position..).step_by(SUPERBLOCK_SIZE)) {
            if Search::is_wanted(sector) {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).look(offset, sector);
            }
        }
    }

    fn into_inner(self) -> Search {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
