//! Which partitions belong together.
//!
//! A data partition's UUID is the first half of its root hash, the verity partition's the second. An image may have
//! several of each (A/B updates): then the signature partitions say which belong together, or else the hash trees
//! themselves, whose top block has the whole root hash.

use std::fmt;
use std::sync::Arc;

use super::architecture::Architecture;
use super::error::Error;
use super::gpt::{Gpt, Partition};
use super::kind::{Designator, PartitionKind, Role};
use super::signature_partition::SignaturePartition;
use crate::format::{Fec, Layout, Params};
use crate::image::{Image, Parts};
use crate::io::{ReadAt, Storage};
use crate::tree;
use crate::value::RootHash;

/// The most images that are found in one: there is no reason for as many, but for a table that is made to take memory.
const MOST_IMAGES: usize = 1024;

/// The most bytes of signature partitions that are read of one image.
const MOST_SIGNATURE_BYTES: u64 = 64 << 20;

/// The verity images in a disk image.
#[derive(Clone, Debug)]
pub struct Images {
    groups: Vec<Group>,
    sets: Vec<ImageSet>,
}

/// Partitions that are one verity image.
///
/// That they are here says that they fit together, and nothing of whether their content is what the root hash proves,
/// or whether anybody trusted has signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageSet {
    /// What is mounted from it.
    pub designator: Designator,
    /// For which processors.
    pub architecture: Architecture,
    /// The file system.
    pub data: Partition,
    /// Superblock and hash tree.
    pub verity: Partition,
    /// The signature, if it has a partition.
    pub signature: Option<FoundSignature>,
    /// The root hash, if it follows from the UUIDs: digests of more than 256 bits do not. Then it is the one in a
    /// signature partition or the one that was asked for.
    pub root_hash: Option<RootHash>,
}

/// A signature partition with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSignature {
    /// Where it is.
    pub partition: Partition,
    /// What it holds.
    pub content: SignatureContent,
}

/// What a signature partition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureContent {
    /// A signature that says it is one of this image's root hash. It is not verified.
    Signature(Arc<SignaturePartition>),
    /// A signature of another root hash.
    OtherRootHash(Arc<SignaturePartition>),
    /// Nothing yet: zeros.
    Empty,
    /// Something else, and what is wrong with it.
    Unusable(String),
}

/// Which of several images is wanted; what is `None` can be anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The image with this root hash.
    pub root_hash: Option<&'a RootHash>,
    /// An image for this architecture; without it the local one goes first.
    pub architecture: Option<Architecture>,
    /// A root file system or `/usr`.
    pub designator: Option<Designator>,
}

/// The partitions for one designator and architecture.
#[derive(Clone, Debug)]
struct Group {
    designator: Designator,
    architecture: Architecture,
    data: Vec<Partition>,
    verity: Vec<Partition>,
    signatures: Vec<FoundSignature>,
}

impl Images {
    /// Looks which partitions of an image belong together. Signature partitions are read, and of the verity partitions
    /// the superblock and the top of the tree.
    ///
    /// # Errors
    /// [`Error::TooManyImages`], [`Error::TooManySignatures`] and [`Error::Io`]. Content that cannot be used is no
    /// error: it is not part of an image, or described by [`SignatureContent`].
    pub fn of(gpt: &Gpt, storage: &dyn ReadAt) -> Result<Self, Error> {
        let mut groups: Vec<Group> = Vec::new();
        let mut signature_bytes = 0;
        for partition in gpt.partitions() {
            let Some(PartitionKind { designator, architecture, role }) = partition.kind else { continue };
            let is_same = |group: &Group| (group.designator, group.architecture) == (designator, architecture);
            let place = groups.iter().position(is_same).unwrap_or_else(|| {
                groups.push(Group::new(designator, architecture));
                groups.len() - 1
            });
            let group = &mut groups[place];
            match role {
                Role::Data => group.data.push(partition.clone()),
                Role::Verity => group.verity.push(partition.clone()),
                Role::Signature => {
                    signature_bytes += partition.bytes.min(SignaturePartition::MAX_BYTES);
                    if signature_bytes > MOST_SIGNATURE_BYTES {
                        return Err(Error::TooManySignatures { most: MOST_SIGNATURE_BYTES });
                    }
                    let content = read_signature(partition, storage)?;
                    group.signatures.push(FoundSignature { partition: partition.clone(), content });
                }
            }
        }
        let mut sets = Vec::new();
        for group in &groups {
            group.add_sets(storage, &mut sets)?;
        }
        Ok(Self { groups, sets })
    }

    /// The images that were found.
    pub fn sets(&self) -> &[ImageSet] {
        &self.sets
    }

    /// The partitions of verity images that belong to none of [`sets`](Self::sets).
    pub fn unmatched(&self) -> impl Iterator<Item = &Partition> {
        let all = self.groups.iter().flat_map(|group| {
            let signatures = group.signatures.iter().map(|signature| &signature.partition);
            group.data.iter().chain(&group.verity).chain(signatures)
        });
        all.filter(|partition| !is_used(partition, &self.sets))
    }

    /// Every signature partition, with its content; without an image to compare with, each of them is a signature of
    /// its own root hash.
    pub fn signatures(&self) -> impl Iterator<Item = &FoundSignature> {
        self.groups.iter().flat_map(|group| &group.signatures)
    }

    /// The one image that is wanted.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::Ambiguous`] if there is more than one.
    pub fn pick(&self, wanted: &Wanted<'_>) -> Result<ImageSet, Error> {
        let mut found: Vec<ImageSet> = match wanted.root_hash {
            Some(root_hash) => self.groups.iter().flat_map(|group| group.with_root_hash(root_hash)).collect(),
            None => self.sets.clone(),
        };
        found.retain(|set| {
            wanted.designator.is_none_or(|designator| set.designator == designator)
                && wanted.architecture.is_none_or(|architecture| set.architecture == architecture)
        });
        let local = Architecture::local();
        if wanted.architecture.is_none() && found.iter().any(|set| Some(set.architecture) == local) {
            found.retain(|set| Some(set.architecture) == local);
        }
        let names = |sets: &[ImageSet]| sets.iter().map(ToString::to_string).collect();
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(Error::NoSuchImage { wanted: wanted.to_string(), there: names(&self.sets) }),
            _ => Err(Error::Ambiguous { there: names(&found) }),
        }
    }
}

impl ImageSet {
    /// Its partitions: data, verity, and signature if there is one.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        [&self.data, &self.verity].into_iter().chain(self.signature.as_ref().map(|signature| &signature.partition))
    }

    /// Where its data and its hash tree are.
    pub fn parts(&self) -> Parts {
        Parts::new(self.data.offset..self.data.end(), self.verity.offset..self.verity.end())
    }

    /// The signature of its root hash, if there is one that can be used. It is not verified.
    pub fn signature(&self) -> Option<&SignaturePartition> {
        match &self.signature.as_ref()?.content {
            SignatureContent::Signature(signature) => Some(signature),
            _ => None,
        }
    }

    /// Reads the superblock in the verity partition. `fec` is not on disk and is taken over as it is; see
    /// [`fec`](Self::fec).
    ///
    /// # Errors
    /// Those of [`load`](crate::load()).
    pub fn params(&self, storage: &dyn ReadAt, fec: Option<Fec>) -> crate::error::Result<Params> {
        load(&self.verity, storage, fec)
    }

    /// The digest of the top block of its hash tree, if there is one: the root hash of a tree that is intact. Nothing
    /// is verified.
    pub fn unverified_root_hash(&self, params: &Params, storage: &dyn ReadAt) -> Option<RootHash> {
        top_digest(params, &self.verity, storage)
    }

    /// The parity that follows its hash tree in the verity partition, if there is any. Nothing on disk says so: it is
    /// recognized by a sample of its bytes.
    ///
    /// # Errors
    /// Those of [`Image::find_fec`].
    pub fn fec(&self, params: &Params, storage: &dyn ReadAt) -> crate::error::Result<Option<Fec>> {
        let (data, verity) = (self.data.part(storage), self.verity.part(storage));
        Image::new(Storage::Read(&data), Storage::Read(&verity))?.find_fec(params)
    }
}

impl Group {
    fn new(designator: Designator, architecture: Architecture) -> Self {
        Self { designator, architecture, data: Vec::new(), verity: Vec::new(), signatures: Vec::new() }
    }

    fn add_sets(&self, storage: &dyn ReadAt, sets: &mut Vec<ImageSet>) -> Result<(), Error> {
        for verity in &self.verity {
            let params = load(verity, storage, None).ok();
            let top = params.as_ref().and_then(|params| top_digest(params, verity, storage));
            let signed = self.signatures.iter().filter_map(|found| found.root_hash());
            let mut known: Vec<&RootHash> = signed.chain(&top).filter(|hash| ends_with(hash, verity)).collect();
            known.sort_by_key(|hash| hash.as_bytes());
            known.dedup();
            for hash in known {
                for data in self.data.iter().filter(|data| begins_with(hash, data)) {
                    if sets.len() == MOST_IMAGES {
                        return Err(Error::TooManyImages { most: MOST_IMAGES });
                    }
                    sets.push(self.set(data, verity, Some(hash.clone())));
                }
            }
        }
        let is_free = |partition: &&Partition| !is_used(partition, sets);
        let free_data: Vec<&Partition> = self.data.iter().filter(is_free).collect();
        let free_verity: Vec<&Partition> = self.verity.iter().filter(is_free).collect();
        if let ([data], [verity]) = (&free_data[..], &free_verity[..]) {
            let len = load(verity, storage, None).map_or(MOST_UUID_BYTES, |params| params.algorithm().digest_size());
            sets.push(self.set(data, verity, joined(data, verity, len)));
        }
        Ok(())
    }

    /// The pairs whose UUIDs are the ends of a root hash.
    fn with_root_hash(&self, root_hash: &RootHash) -> Vec<ImageSet> {
        let data = self.data.iter().filter(|data| begins_with(root_hash, data));
        let pairs = data.flat_map(|data| {
            let verity = self.verity.iter().filter(|verity| ends_with(root_hash, verity));
            verity.map(move |verity| self.set(data, verity, Some(root_hash.clone())))
        });
        // More than one is too many already.
        pairs.take(MOST_IMAGES).collect()
    }

    fn set(&self, data: &Partition, verity: &Partition, root_hash: Option<RootHash>) -> ImageSet {
        let own = |found: &&FoundSignature| root_hash.is_some() && found.root_hash() == root_hash.as_ref();
        // Where there is one image with one signature, they belong together even if that is damaged.
        let alone =
            || if self.verity.len() == 1 && self.signatures.len() == 1 { self.signatures.first() } else { None };
        let signature = self.signatures.iter().find(own).or_else(alone).cloned().map(|found| match found.content {
            SignatureContent::Signature(content) if Some(&content.root_hash) != root_hash.as_ref() => {
                FoundSignature { content: SignatureContent::OtherRootHash(content), ..found }
            }
            _ => found,
        });
        let Self { designator, architecture, .. } = *self;
        ImageSet { designator, architecture, data: data.clone(), verity: verity.clone(), signature, root_hash }
    }
}

impl FoundSignature {
    fn root_hash(&self) -> Option<&RootHash> {
        match &self.content {
            SignatureContent::Signature(content) | SignatureContent::OtherRootHash(content) => Some(&content.root_hash),
            SignatureContent::Empty | SignatureContent::Unusable(_) => None,
        }
    }
}

/// Whether a partition belongs to one of these images.
fn is_used(partition: &Partition, sets: &[ImageSet]) -> bool {
    sets.iter().flat_map(ImageSet::partitions).any(|used| used.number == partition.number)
}

fn read_signature(partition: &Partition, storage: &dyn ReadAt) -> Result<SignatureContent, Error> {
    if partition.bytes > SignaturePartition::MAX_BYTES {
        return Ok(SignatureContent::Unusable("it has more than 4 MiB".to_owned()));
    }
    let mut bytes = vec![0; usize::try_from(partition.bytes).expect("it is bounded")];
    storage.read_exact_at(&mut bytes, partition.offset).map_err(Error::io("read"))?;
    if SignaturePartition::is_empty(&bytes) {
        return Ok(SignatureContent::Empty);
    }
    Ok(match SignaturePartition::parse(&bytes) {
        Ok(content) => SignatureContent::Signature(Arc::new(content)),
        Err(Error::SignaturePartition { why }) => SignatureContent::Unusable(why),
        Err(error) => SignatureContent::Unusable(error.to_string()),
    })
}

fn load(verity: &Partition, storage: &dyn ReadAt, fec: Option<Fec>) -> crate::error::Result<Params> {
    let part = verity.part(storage);
    Image::in_one(Storage::Read(&part))?.load(0, fec)
}

/// The digest of the top block of a tree, if it is there.
fn top_digest(params: &Params, verity: &Partition, storage: &dyn ReadAt) -> Option<RootHash> {
    let part = verity.part(storage);
    let image = Image::in_one(Storage::Read(&part)).ok()?;
    let layout = Layout::new(params).ok().filter(|layout| !layout.levels().is_empty())?;
    image.hash.check_size(layout.hash_end()).ok()?;
    tree::top_digest(&layout, &image.hash).ok()
}

/// Bytes of a UUID.
const UUID_BYTES: usize = 16;

/// The longest digest that two UUIDs hold.
const MOST_UUID_BYTES: usize = 2 * UUID_BYTES;

fn begins_with(root_hash: &RootHash, data: &Partition) -> bool {
    root_hash.partition_uuids().is_some_and(|uuids| uuids.data == data.uuid)
}

fn ends_with(root_hash: &RootHash, verity: &Partition) -> bool {
    root_hash.partition_uuids().is_some_and(|uuids| uuids.hash == verity.uuid)
}

/// The root hash of this many bytes that two UUIDs have; where they have the same bytes of it, these have to agree.
fn joined(data: &Partition, verity: &Partition, len: usize) -> Option<RootHash> {
    let (first, second) = (data.uuid.as_bytes(), verity.uuid.as_bytes());
    let rest = len.checked_sub(UUID_BYTES).filter(|rest| (1..=UUID_BYTES).contains(rest))?;
    let root_hash = RootHash::new([&first[..], &second[UUID_BYTES - rest..]].concat());
    (begins_with(&root_hash, data) && ends_with(&root_hash, verity)).then_some(root_hash)
}

/// The kind of its data partition, and its root hash or the numbers of its partitions.
impl fmt::Display for ImageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} ", self.designator, self.architecture)?;
        match &self.root_hash {
            Some(root_hash) => write!(f, "with root hash {root_hash}"),
            None => write!(f, "in partitions {} and {}", self.data.number, self.verity.number),
        }
    }
}

impl fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a verity image")?;
        if let Some(designator) = self.designator {
            write!(f, " for {designator}")?;
        }
        if let Some(architecture) = self.architecture {
            write!(f, " for {architecture}")?;
        }
        self.root_hash.map_or(Ok(()), |root_hash| write!(f, " with root hash {root_hash}"))
    }
}

#[cfg(test)]
mod tests;
