//! A disk image that is to be made: what is in it, and where everything goes.

use std::ops::Range;

use uuid::Uuid;

use super::architecture::Architecture;
use super::error::Error;
use super::gpt::SECTOR_SIZES;
use super::kind::{Designator, PartitionKind, Role};
use super::signature_partition::SignaturePartition;
use super::table::{ENTRIES, head_sectors, tail_sectors};
use crate::format::{Fec, FecArea, Hashing, Layout, Params, ParamsBuilder, Seed};
use crate::value::MAX_DEVICE_BYTES;

/// Partitions begin and end at multiples of this many bytes at least, as those of systemd-repart do.
const GRAIN: u64 = 4096;

/// A disk image with one or several verity images, each of them in partitions of its own.
///
/// ```
/// use dmverity::ddi::{Architecture, Designator, DiskImage, FileSystem, Gpt, SignatureSource};
/// use dmverity::{Memory, Seed, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let data = vec![7; 300_000];
/// let mut disk = DiskImage::new(&Seed::new("my-image 1.0")?);
/// disk.add(FileSystem::new(Designator::Root, Architecture::X86_64, 300_000), Some(2), SignatureSource::None);
/// let plan = disk.plan()?;
///
/// let image = Memory::default();
/// let built = plan.build(&[&data], &image, &mut dmverity::ddi::Unsigned, &Work::default())?;
/// println!("root hash: {}", built[0].root_hash);
/// assert_eq!(Gpt::read(&image)?.partitions().len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DiskImage {
    /// The size of a sector in bytes, 512 or 4096; 512 by default.
    pub sector_size: u32,
    /// Partitions begin at multiples of this many bytes, a power of two from [`MIN_ALIGNMENT`](Self::MIN_ALIGNMENT)
    /// on; 1 MiB by default.
    pub alignment: u64,
    /// The disk's own UUID.
    pub disk_uuid: Uuid,
    seed: Seed,
    contents: Vec<Content>,
}

/// A file system that becomes a verity image.
#[derive(Clone, Debug)]
pub struct FileSystem {
    /// What is mounted from it.
    pub designator: Designator,
    /// For which processors it is.
    pub architecture: Architecture,
    /// Its size in bytes; zeros fill it up to whole blocks.
    pub bytes: u64,
    /// How it is hashed; without a UUID here there is no image, because systems look for a superblock. `None` for
    /// [`DiskImage::hashing`].
    pub hashing: Option<Hashing>,
}

/// Where the content of a signature partition comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureSource {
    /// There is no signature partition.
    None,
    /// It is filled with zeros, and is to be filled later.
    Deferred,
    /// The root hash is signed while the image is built.
    Signer,
}

#[derive(Clone, Debug)]
struct Content {
    file_system: FileSystem,
    fec_roots: Option<u64>,
    signature: SignatureSource,
}

/// Where everything in a disk image goes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DiskPlan {
    /// The size of a sector in bytes.
    pub sector_size: u32,
    /// The disk's own UUID.
    pub disk_uuid: Uuid,
    /// The size of the image in bytes.
    pub bytes: u64,
    /// The verity images.
    pub images: Vec<ImagePlan>,
}

/// Where one verity image goes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImagePlan {
    /// The kind of its data partition.
    pub kind: PartitionKind,
    /// The size of the file system in bytes, without the zeros that fill it up.
    pub file_system_bytes: u64,
    /// Its parameters, and where the hash tree is in the verity partition.
    pub layout: Layout,
    /// Where the parity is in the verity partition, if there is any.
    pub fec_area: Option<FecArea>,
    /// The bytes of the data partition.
    pub data: Range<u64>,
    /// The bytes of the verity partition.
    pub verity: Range<u64>,
    /// The bytes of the signature partition, if there is one.
    pub signature: Option<Range<u64>>,
    /// Where its content comes from.
    pub signature_source: SignatureSource,
    /// The UUID of the signature partition.
    pub signature_uuid: Uuid,
}

impl FileSystem {
    /// A file system of this size, hashed in the usual way.
    pub fn new(designator: Designator, architecture: Architecture, bytes: u64) -> Self {
        Self { designator, architecture, bytes, hashing: None }
    }

    fn kind(&self) -> PartitionKind {
        PartitionKind { designator: self.designator, architecture: self.architecture, role: Role::Data }
    }
}

impl DiskImage {
    /// The alignment with which an image is as small as it can be. It is systemd-repart's.
    pub const MIN_ALIGNMENT: u64 = GRAIN;

    /// The usual alignment.
    pub const ALIGNMENT: u64 = 1 << 20;

    /// An empty image. What is not given follows from the text of the seed:
    ///
    /// ```text
    /// the root file system's salt and UUID: those of the seed itself; for /usr, of "TEXT usr"
    /// the disk's UUID:                      that of "TEXT disk"
    /// the signature partitions' UUIDs:      those of "TEXT root-verity-sig" and "TEXT usr-verity-sig"
    /// ```
    pub fn new(seed: &Seed) -> Self {
        let disk_uuid = derived(seed, "disk").uuid();
        let (sector_size, alignment) = (SECTOR_SIZES[0], Self::ALIGNMENT);
        Self { sector_size, alignment, disk_uuid, seed: seed.clone(), contents: Vec::new() }
    }

    /// Adds a file system, with parity of this many bytes per codeword after its hash tree, and a signature partition.
    pub fn add(&mut self, file_system: FileSystem, fec_roots: Option<u64>, signature: SignatureSource) {
        self.contents.push(Content { file_system, fec_roots, signature });
    }

    /// How a file system is hashed unless it says otherwise: sha256, blocks of 4096 bytes, and salt and UUID that
    /// follow from the seed.
    pub fn hashing(&self, designator: Designator) -> Hashing {
        let seed = match designator {
            Designator::Root => self.seed.clone(),
            Designator::Usr => derived(&self.seed, "usr"),
        };
        Hashing { salt: seed.salt(), uuid: Some(seed.uuid()), ..Hashing::default() }
    }

    /// Computes where everything goes. All sizes are known before anything is read.
    ///
    /// # Errors
    /// [`Error::Build`] for what no disk image can have, and the errors of [`ParamsBuilder::build`], [`Layout::new`]
    /// and [`Fec::new`].
    pub fn plan(&self) -> Result<DiskPlan, Error> {
        self.check()?;
        let sector = u64::from(self.sector_size);
        let mut end = head_sectors(self.sector_size) * sector;
        let mut images = Vec::new();
        for Content { file_system, fec_roots, signature } in &self.contents {
            let (layout, fec_area) = self.layout(file_system, *fec_roots)?;
            let mut place = |bytes: u64| {
                let start = end.checked_next_multiple_of(self.alignment).ok_or_else(too_large)?;
                end = bytes
                    .checked_next_multiple_of(GRAIN)
                    .and_then(|bytes| start.checked_add(bytes))
                    .ok_or_else(too_large)?;
                Ok::<_, Error>(start..end)
            };
            let verity_bytes = fec_area.as_ref().map_or(layout.hash_end(), |area| area.bytes.end);
            let (data, verity) = (place(layout.params().data_bytes())?, place(verity_bytes)?);
            let has_signature = *signature != SignatureSource::None;
            let signature_bytes = has_signature.then(|| place(SignaturePartition::BYTES as u64)).transpose()?;
            let name = format!("{}{}", file_system.designator, Role::Signature.suffix());
            images.push(ImagePlan {
                kind: file_system.kind(),
                file_system_bytes: file_system.bytes,
                layout,
                fec_area,
                data,
                verity,
                signature: signature_bytes,
                signature_source: *signature,
                signature_uuid: derived(&self.seed, &name).uuid(),
            });
        }
        let tail = (tail_sectors(self.sector_size) * sector).next_multiple_of(GRAIN);
        let bytes = end.checked_add(tail).filter(|&bytes| bytes <= MAX_DEVICE_BYTES).ok_or_else(too_large)?;
        Ok(DiskPlan { sector_size: self.sector_size, disk_uuid: self.disk_uuid, bytes, images })
    }

    fn check(&self) -> Result<(), Error> {
        let refused = |why: &str| Err(Error::Build { why: why.to_owned() });
        if !SECTOR_SIZES.contains(&self.sector_size) {
            return refused("sectors have 512 or 4096 bytes");
        }
        if !self.alignment.is_power_of_two() || self.alignment < GRAIN {
            return refused("the alignment is a power of two, and 4096 bytes at least");
        }
        if self.contents.is_empty() {
            return refused("there is no file system for it");
        }
        let kinds: Vec<PartitionKind> = self.contents.iter().map(|content| content.file_system.kind()).collect();
        if (1..kinds.len()).any(|index| kinds[..index].contains(&kinds[index])) {
            return refused("two file systems are for the same purpose");
        }
        if kinds.len() * Role::ALL.len() > ENTRIES as usize {
            return refused("there are more partitions than a table has room for");
        }
        Ok(())
    }

    /// The layout of a verity partition.
    fn layout(&self, file_system: &FileSystem, fec_roots: Option<u64>) -> Result<(Layout, Option<FecArea>), Error> {
        let hashing = file_system.hashing.clone().unwrap_or_else(|| self.hashing(file_system.designator));
        if hashing.uuid.is_none() {
            return Err(Error::Build { why: "a verity partition has a superblock".to_owned() });
        }
        if hashing.algorithm.digest_size() <= size_of::<Uuid>() {
            return Err(crate::Error::NoPartitionUuids.into());
        }
        let block = hashing.data_block_size;
        let blocks = file_system.bytes.div_ceil(block.bytes());
        let bytes = block.checked_bytes_of(blocks).ok_or_else(too_large)?;
        let builder = Params::builder().hashing(hashing).data_blocks(blocks);
        let layout = Layout::new(&builder.clone().build(bytes)?)?;
        let Some(roots) = fec_roots else { return Ok((layout, None)) };
        let offset = layout.fec_offset_after_tree();
        let layout = Layout::new(&builder.fec(Fec::new(roots, offset)?).build(bytes)?)?;
        let area = layout.fec_area_on(offset, true);
        Ok((layout, area))
    }
}

impl ImagePlan {
    /// The parameters for a format on its partitions.
    pub(super) fn builder(&self) -> ParamsBuilder {
        self.layout.params().to_builder()
    }
}

/// The seed for something else than what the text itself is for.
fn derived(seed: &Seed, purpose: &str) -> Seed {
    Seed::new(&format!("{seed} {purpose}")).expect("it is not empty and has no control characters")
}

fn too_large() -> Error {
    Error::Build { why: "it would be larger than any device".to_owned() }
}
