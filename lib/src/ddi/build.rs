//! Making a disk image. Nothing in it loads until it is complete: the partition table is written last.

use std::ops::Range;

use uuid::Uuid;

use super::copied::Copied;
use super::disk::{DiskPlan, ImagePlan, SignatureSource};
use super::error::{Error, SignerError};
use super::gpt::Partition;
use super::header::Entry;
use super::kind::{PartitionKind, Role};
use super::part::Part;
use super::signature_partition::SignaturePartition;
use super::table::Table;
use crate::format::Params;
use crate::image::Image;
use crate::io::{Memory, ReadAt, Storage, WriteAt};
use crate::value::RootHash;
use crate::work::Work;

/// Signs root hashes while an image is built.
pub trait Signer {
    /// The content of the signature partition for a root hash; `kind` is that of the data partition.
    ///
    /// # Errors
    /// Whatever signing needs and did not get. Nothing is left that loads.
    fn sign(&mut self, kind: PartitionKind, root_hash: &RootHash) -> Result<SignaturePartition, SignerError>;
}

impl<F> Signer for F
where
    F: FnMut(PartitionKind, &RootHash) -> Result<SignaturePartition, SignerError>,
{
    fn sign(&mut self, kind: PartitionKind, root_hash: &RootHash) -> Result<SignaturePartition, SignerError> {
        self(kind, root_hash)
    }
}

/// For images in which nothing is signed while they are built.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned;

impl Signer for Unsigned {
    fn sign(&mut self, _: PartitionKind, _: &RootHash) -> Result<SignaturePartition, SignerError> {
        Err("there is no key to sign with".into())
    }
}

/// A verity image that was made, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuiltImage {
    /// Its root hash.
    pub root_hash: RootHash,
    /// The data partition.
    pub data: Partition,
    /// The verity partition.
    pub verity: Partition,
    /// The signature partition, if there is one.
    pub signature: Option<Partition>,
}

impl BuiltImage {
    /// Its partitions: data, verity, and signature if there is one.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        [&self.data, &self.verity].into_iter().chain(&self.signature)
    }
}

impl DiskPlan {
    /// Makes the image on a storage: what it held before is gone. `data` are the file systems in the order in which
    /// they were added; each is read once, and its holes are holes in the image too. Until this returns, the storage
    /// holds no partition table that can be read.
    ///
    /// # Errors
    /// [`Error::Build`] if there are not as many file systems as were planned, or one has another size;
    /// [`Error::Signer`], [`Error::SignaturePartition`] for a signature that does not fit, [`Error::Verity`] and
    /// [`Error::Io`].
    pub fn build(
        &self,
        data: &[&dyn ReadAt],
        storage: &dyn WriteAt,
        signer: &mut dyn Signer,
        work: &Work<'_>,
    ) -> Result<Vec<BuiltImage>, Error> {
        self.check(data)?;
        storage.set_size(0).and_then(|()| storage.set_size(self.bytes)).map_err(Error::io("extend"))?;
        let mut root_hashes = Vec::new();
        for (plan, data) in self.images.iter().zip(data) {
            let root_hash = plan.write(*data, storage, work)?;
            if plan.signature_source == SignatureSource::Signer
                && let Some(range) = plan.signature.clone()
            {
                let content = signer.sign(plan.kind, &root_hash).map_err(|source| Error::Signer { source })?;
                content.write(&root_hash, storage, range)?;
            }
            root_hashes.push(root_hash);
        }
        let built = self.partitions(&root_hashes)?;
        storage.sync().map_err(Error::io("sync"))?;
        self.table(&built).write(storage).map_err(Error::io("write"))?;
        Ok(built)
    }

    /// Computes what [`build`](Self::build) would make, except signatures; nothing is written.
    ///
    /// # Errors
    /// Those of reading and hashing.
    pub fn dry_run(&self, data: &[&dyn ReadAt], work: &Work<'_>) -> Result<Vec<BuiltImage>, Error> {
        self.check(data)?;
        let root_hashes: Result<Vec<RootHash>, Error> =
            self.images.iter().zip(data).map(|(plan, data)| plan.root_hash(*data, work)).collect();
        self.partitions(&root_hashes?)
    }

    fn check(&self, data: &[&dyn ReadAt]) -> Result<(), Error> {
        if data.len() != self.images.len() {
            let why = format!("{} file systems were planned, {} are there", self.images.len(), data.len());
            return Err(Error::Build { why });
        }
        for (plan, data) in self.images.iter().zip(data) {
            let found = data.size().map_err(Error::io("read"))?;
            if found != plan.file_system_bytes {
                let planned = plan.file_system_bytes;
                let why = format!("a file system of {planned} bytes was planned, it has {found}");
                return Err(Error::Build { why });
            }
        }
        Ok(())
    }

    fn partitions(&self, root_hashes: &[RootHash]) -> Result<Vec<BuiltImage>, Error> {
        let mut number = 0;
        let mut partition = |kind: PartitionKind, uuid: Uuid, range: &Range<u64>| {
            number += 1;
            Partition {
                number,
                type_guid: kind.type_guid(),
                kind: Some(kind),
                uuid,
                name: kind.to_string(),
                attributes: Partition::READ_ONLY,
                offset: range.start,
                bytes: range.end - range.start,
            }
        };
        let pairs = self.images.iter().zip(root_hashes);
        let built = pairs.map(|(plan, root_hash)| {
            let uuids = root_hash.partition_uuids().ok_or(crate::Error::NoPartitionUuids)?;
            let of = |role| plan.kind.with_role(role);
            Ok(BuiltImage {
                root_hash: root_hash.clone(),
                data: partition(of(Role::Data), uuids.data, &plan.data),
                verity: partition(of(Role::Verity), uuids.hash, &plan.verity),
                signature: plan
                    .signature
                    .as_ref()
                    .map(|range| partition(of(Role::Signature), plan.signature_uuid, range)),
            })
        });
        built.collect()
    }

    fn table(&self, built: &[BuiltImage]) -> Table {
        let sector = u64::from(self.sector_size);
        let entry = |partition: &Partition| Entry {
            type_guid: partition.type_guid,
            uuid: partition.uuid,
            first: partition.offset / sector,
            last: partition.end() / sector - 1,
            attributes: partition.attributes,
            name: partition.name.clone(),
        };
        Table {
            sector_size: self.sector_size,
            sectors: self.bytes / sector,
            disk: self.disk_uuid,
            entries: built.iter().flat_map(BuiltImage::partitions).map(entry).collect(),
        }
    }
}

impl ImagePlan {
    /// Copies the file system and writes hash tree and parity, all in their partitions.
    fn write(&self, data: &dyn ReadAt, storage: &dyn WriteAt, work: &Work<'_>) -> Result<RootHash, Error> {
        let copied = self.copied(data, Some(Part::new(storage, self.data.clone())));
        let verity = Part::new(storage, self.verity.clone());
        let mut image = Image::new(Storage::Read(&copied), Storage::Write(&verity))?;
        if self.fec_area.is_some() {
            image = image.with_fec(Storage::Write(&verity))?;
        }
        Ok(image.format(self.builder(), work)?.root_hash)
    }

    fn root_hash(&self, data: &dyn ReadAt, work: &Work<'_>) -> Result<RootHash, Error> {
        // The parity is not part of it.
        let params = self.layout.params();
        let builder = Params::builder().hashing(params.hashing().clone()).data_blocks(params.data_blocks());
        let (copied, nothing) = (self.copied(data, None), Memory::default());
        let image = Image::new(Storage::Read(&copied), Storage::Read(&nothing))?;
        Ok(image.dry_run(builder, work)?.root_hash)
    }

    fn copied<'s>(&self, data: &'s dyn ReadAt, target: Option<Part<&'s dyn WriteAt>>) -> Copied<'s> {
        Copied::new(data, (self.file_system_bytes, self.layout.params().data_bytes()), target)
    }
}

impl SignaturePartition {
    /// Writes the content of a signature partition, the bytes `range` of a storage, which is for the image with this
    /// root hash.
    fn write(&self, root_hash: &RootHash, storage: &dyn WriteAt, range: Range<u64>) -> Result<(), Error> {
        let refused = |why: &str| Err(Error::SignaturePartition { why: why.to_owned() });
        if self.root_hash != *root_hash {
            return refused("it is for another root hash");
        }
        let mut bytes = self.to_json().into_bytes();
        let Some(room) = usize::try_from(range.end - range.start).ok().filter(|&room| bytes.len() <= room) else {
            return refused("the partition has no room for it");
        };
        bytes.resize(room, 0);
        storage.write_all_at(&bytes, range.start).map_err(Error::io("write"))
    }

    /// Fills the signature partition of an image, and syncs it. It may hold anything before.
    ///
    /// # Errors
    /// [`Error::SignaturePartition`] if this is the signature of another root hash, or there is no room for it;
    /// [`Error::Io`].
    pub fn fill(&self, partition: &Partition, root_hash: &RootHash, storage: &dyn WriteAt) -> Result<(), Error> {
        self.write(root_hash, storage, partition.offset..partition.end())?;
        storage.sync().map_err(Error::io("sync"))
    }
}

#[cfg(test)]
mod tests;
