//! `sign` of a disk image: its root hash, and the signature partition that the signature goes into.

use std::fs::{File, TryLockError};
use std::path::Path;

use dmverity::ddi::{Images, Partition, SignaturePartition};
use dmverity::{Image, RootHash};

use super::disk::{pick, read_table, unusable};
use crate::arguments::Choice;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};

/// A disk image that is to be signed.
pub(super) struct Unsigned {
    file: File,
    pub(super) root_hash: RootHash,
    /// Where the signature goes.
    partition: Option<Partition>,
}

impl Unsigned {
    /// Opens the image, for writing if that is asked for.
    pub(super) fn open(path: &Path, choice: &Choice, write: bool) -> Result<Self> {
        super::check_devices([path])?;
        let file = File::options().read(true).write(write).open(path);
        let file = file.map_err(|error| Failure::new(Exit::Device, cannot_open(path)).because(&error))?;
        if write {
            lock(&file, path)?;
        }
        let gpt = read_table(path, &file).map_err(|error| unusable(path, &error))?;
        let images = Images::of(&gpt, &file).map_err(|error| unusable(path, &error))?;
        let set = pick(path, &images, choice, None)?;
        // What is signed is what the tree says, and not what the partition table says.
        let opened = Image::of_parts(path, &set.parts())?;
        let root_hash = opened.unverified_root_hash(&opened.load(0, None)?)?;
        if set.root_hash.as_ref().is_some_and(|from_uuids| *from_uuids != root_hash) {
            let failure = Failure::new(Exit::Permission, format!("{} is not signed.", text_of(path)));
            return Err(
                failure.hint(format!("its hash tree has root hash {root_hash}, its partition UUIDs another one."))
            );
        }
        let partition = set.signature.map(|found| found.partition);
        Ok(Self { file, root_hash, partition })
    }

    /// Fails unless there is a place for the signature.
    pub(super) fn check_place(&self, path: &Path) -> Result<&Partition> {
        self.partition.as_ref().ok_or_else(|| {
            Failure::new(Exit::Parameters, format!("{} has no signature partition.", text_of(path)))
                .hint("make the image with build --defer-signature, or write the signature to a file with --output.")
        })
    }

    /// Puts the signature into its partition.
    pub(super) fn fill(&self, path: &Path, fingerprint: [u8; 32], signature: Vec<u8>) -> Result<()> {
        let partition = self.check_place(path)?;
        let root_hash = self.root_hash.clone();
        let content = SignaturePartition { root_hash, fingerprint: Some(fingerprint), signature };
        content.fill(partition, &self.root_hash, &self.file).map_err(|error| {
            let failure = Failure::new(Exit::Device, format!("Cannot write to {}.", text_of(path)));
            failure.hint(format!("{error}."))
        })
    }
}

fn cannot_open(path: &Path) -> String {
    format!("Cannot open device {} for writing.", text_of(path))
}

/// Keeps other commands from what is written to.
fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(dmverity::Error::DeviceLocked { path: path.to_owned() }.into()),
        // A file system without locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}
