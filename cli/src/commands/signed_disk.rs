//! A disk whose image has the signature of a signer that this system trusts.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use dmverity::RootHash;
use dmverity::cmdline::Disk;
use dmverity::ddi::{Architecture, Designator, ImageSet, Images, SignatureContent};
use dmverity::signature::{Certificate, Signature, Verifier};

use super::disk::read_table;
use super::verity_d;
use crate::escape::{escaped, text_of};
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

/// What was found.
pub(super) struct Search {
    /// The image, unless there is none yet.
    pub(super) image: Option<SignedImage>,
    /// Images that are there, and what is wrong with their signatures.
    pub(super) refused: Vec<String>,
}

/// How many of them are named: a disk can be made to have more than anybody reads.
const REFUSED_MAX: usize = 8;

/// Looks for the one signed image for this machine.
pub(super) fn find(wanted: &Wanted<'_>) -> Result<Search> {
    let verifier = verifier()?;
    let disks = match wanted.disk {
        Some(Disk::Device(path)) => vec![PathBuf::from(path)],
        _ => disks(),
    };
    let (mut found, mut refused) = (Vec::<SignedImage>::new(), Vec::new());
    for disk in disks {
        for set in sets(&disk, wanted.designator) {
            let is_wanted = |root_hash: &RootHash| wanted.root_hash.is_none_or(|wanted| wanted == root_hash);
            match proven(&set, &verifier) {
                Ok(root_hash) if is_wanted(&root_hash) => found.push(SignedImage { disk: disk.clone(), root_hash }),
                Err(why) if set.root_hash.as_ref().is_none_or(is_wanted) => refused.push(reason(&disk, &set, &why)),
                _ => {}
            }
        }
    }
    refused.truncate(REFUSED_MAX);
    // With one root hash it is the same image, wherever it is.
    if found.iter().any(|image| image.root_hash != found[0].root_hash) {
        return Err(ambiguous(&found));
    }
    found.truncate(1);
    Ok(Search { image: found.pop(), refused })
}

fn ambiguous(found: &[SignedImage]) -> Failure {
    let names = found.iter().take(REFUSED_MAX).map(|image| format!("{} on {}", image.root_hash, text_of(&image.disk)));
    Failure::new(Exit::Parameters, "there is more than one signed image")
        .hint(format!("root hashes: {}", names.collect::<Vec<_>>().join(", ")))
        .hint("dmverity.image=DEVICE chooses a disk, and roothash= an image")
}

fn reason(disk: &Path, set: &ImageSet, why: &str) -> String {
    let root_hash = set.root_hash.as_ref().map_or_else(String::new, |root_hash| format!(" with root hash {root_hash}"));
    escaped(&format!("not the image{root_hash} on {}: {why}", text_of(disk))).into_owned()
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
        let gpt = read_table(disk, &file).map_err(said).ok()?;
        let images = Images::of(&gpt, &file).map_err(said).ok()?;
        Some(images.sets().to_vec())
    };
    let mut sets = read().unwrap_or_default();
    sets.retain(|set| set.designator == designator && Some(set.architecture) == Architecture::local());
    sets
}

/// The root hash of an image, if its signature proves it; otherwise what is wrong.
fn proven(set: &ImageSet, verifier: &Verifier) -> std::result::Result<RootHash, String> {
    let Some(found) = &set.signature else { return Err("it has no signature".to_owned()) };
    let stored = match &found.content {
        SignatureContent::Signature(stored) => stored,
        SignatureContent::OtherRootHash(other) => {
            return Err(format!("its signature is one of root hash {}", other.root_hash));
        }
        SignatureContent::Empty => return Err("its signature partition is empty".to_owned()),
        SignatureContent::Unusable(why) => return Err(format!("its signature partition cannot be used: {why}")),
    };
    let root_hash = stored.root_hash.clone();
    Signature::parse(&stored.signature)
        .and_then(|signature| verifier.verify(root_hash.to_string().as_bytes(), &signature))
        .map(|_| root_hash)
        .map_err(|error| error.to_string())
}
