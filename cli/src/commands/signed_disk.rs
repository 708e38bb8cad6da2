//! A disk whose image is signed by somebody whom this system trusts.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use dmverity::RootHash;
use dmverity::cmdline::Disk;
use dmverity::ddi::{Architecture, Designator, Gpt, ImageSet, Images};
use dmverity::signature::{Certificate, Signature, Verifier};

use super::verity_d;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};

/// The block devices that there are.
const BLOCK_DEVICES: &str = "/sys/class/block";

/// An image with a trusted signature.
pub(super) struct SignedImage {
    pub(super) disk: PathBuf,
    pub(super) root_hash: RootHash,
}

/// What is looked for.
pub(super) struct Wanted<'a> {
    pub(super) designator: Designator,
    /// Where, if that is known.
    pub(super) disk: Option<&'a Disk>,
    /// One with this root hash; otherwise any.
    pub(super) root_hash: Option<&'a RootHash>,
}

/// Finds the one signed image for this machine; `None` if there is none yet.
pub(super) fn find(wanted: &Wanted<'_>) -> Result<Option<SignedImage>> {
    let verifier = verifier()?;
    let disks = match wanted.disk {
        Some(Disk::Device(path)) => vec![PathBuf::from(path)],
        _ => disks(),
    };
    let mut found: Vec<SignedImage> = Vec::new();
    for disk in disks {
        for set in sets(&disk, wanted.designator) {
            let Some(root_hash) = proven(&set, &verifier, &disk) else { continue };
            if wanted.root_hash.is_none_or(|wanted| *wanted == root_hash) {
                found.push(SignedImage { disk: disk.clone(), root_hash });
            }
        }
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        // With one root hash it is the same image, wherever it is.
        _ if wanted.root_hash.is_some() => Ok(found.pop()),
        _ => {
            let names = found.iter().map(|image| format!("{} on {}", image.root_hash, text_of(&image.disk)));
            let failure = Failure::new(Exit::Parameters, "there is more than one signed image");
            Err(failure
                .hint(format!("root hashes: {}", names.collect::<Vec<_>>().join(", ")))
                .hint("dmverity.image=DEVICE chooses a disk, and roothash= an image"))
        }
    }
}

/// What checks signatures: those whom the system trusts.
fn verifier() -> Result<Verifier> {
    let certificates = verity_d::certificates()?;
    if certificates.is_empty() {
        return Err(Failure::new(Exit::Parameters, "there is no certificate to check a signature with").hint(
            "the initramfs has none in /etc/verity.d, /run/verity.d, /usr/local/lib/verity.d and /usr/lib/verity.d",
        ));
    }
    Ok(certificates.into_iter().fold(Verifier::new(), |verifier: Verifier, each: Certificate| verifier.signer(each)))
}

/// Disks that can have partitions.
fn disks() -> Vec<PathBuf> {
    let entries = fs::read_dir(BLOCK_DEVICES).into_iter().flatten().flatten();
    let is_disk = |path: &Path| !path.join("partition").exists() && path.join("device").exists();
    let mut disks: Vec<PathBuf> = entries
        .filter(|entry| is_disk(&entry.path()))
        .map(|entry| Path::new("/dev").join(text_of(entry.file_name()).replace('!', "/")))
        .collect();
    disks.sort_unstable();
    disks
}

/// The images for this machine on a disk that has any.
fn sets(disk: &Path, designator: Designator) -> Vec<ImageSet> {
    let read = || {
        let file = File::open(disk).ok()?;
        let said = |error| log::debug!("{}: {error}", text_of(disk));
        let gpt = Gpt::read(&file).map_err(said).ok()?;
        let images = Images::of(&gpt, &file).map_err(said).ok()?;
        Some(images.sets().to_vec())
    };
    let mut sets = read().unwrap_or_default();
    sets.retain(|set| set.designator == designator && Some(set.architecture) == Architecture::local());
    sets
}

/// The root hash of an image, if its signature proves it.
fn proven(set: &ImageSet, verifier: &Verifier, disk: &Path) -> Option<RootHash> {
    let stored = set.signature()?;
    let root_hash = stored.root_hash.clone();
    let signature = Signature::parse(&stored.signature);
    match signature.and_then(|signature| verifier.verify(root_hash.to_string().as_bytes(), &signature)) {
        Ok(_) => Some(root_hash),
        Err(error) => {
            log::debug!("{}: the signature of root hash {root_hash}: {error}", text_of(disk));
            None
        }
    }
}
