//! An image in the partitions of a disk image.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use dmverity::ddi::{
    self, Designator, FoundSignature, Gpt, ImageFacts, ImageSet, Images, Sidecars, SignatureContent, Wanted,
};
use dmverity::dm::partition_node;
use dmverity::{Devices, Fec, Layout, Params, Parts, ReadAt, RootHash};

use super::cannot_read;
use super::found::{Asked, Found, Stored, StoredSignature};
use super::media::Media;
use super::source::Source;
use crate::arguments::{Choice, HashOffset, ImageOptions};
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};

/// Reads the partition table of a disk image. A block device may be larger than the image that was written to it; a
/// file is the image.
pub(super) fn read_table(path: &Path, file: &dyn ReadAt) -> std::result::Result<Gpt, ddi::Error> {
    let is_device = path.metadata().is_ok_and(|metadata| metadata.file_type().is_block_device());
    if is_device { Gpt::read_from_larger(file) } else { Gpt::read(file) }
}

/// Finds the image that is wanted among those in the partitions.
pub(super) fn find(path: &Path, file: &dyn ReadAt, gpt: &Gpt, asked: &Asked<'_>) -> Result<Found> {
    check_options(asked.options)?;
    check_sidecars(path)?;
    let images = Images::of(gpt, file).map_err(|error| unusable(path, &error))?;
    if let Some(policy) = asked.policy {
        let facts = ImageFacts::of(gpt, file).map_err(|error| unusable(path, &error))?;
        policy.check(&facts).map_err(|refusal| against_policy(&refusal.to_string()))?;
    }
    let set = pick(path, &images, asked.choice, asked.root_hash)?;
    let signature = set.signature.as_ref().map(|found| signature(path, found)).transpose()?.flatten();
    let root_hash = stored(path, &set);
    let parts = set.parts();
    let params =
        params(asked, path, &parts).map_err(|error| Failure { exit: Exit::Permission, ..Failure::from(error) })?;
    let parts = if params.fec().is_some() { parts.with_fec() } else { parts };
    Ok(Found { source: source(asked.media, path, parts), params, root_hash, signature })
}

/// The one image that is wanted.
pub(super) fn pick(path: &Path, images: &Images, choice: &Choice, root_hash: Option<&RootHash>) -> Result<ImageSet> {
    let Choice { usr, architecture } = *choice;
    let wanted = Wanted { root_hash, architecture, designator: usr.then_some(Designator::Usr) };
    images.pick(&wanted).map_err(|error| unusable(path, &error))
}

/// The kernel's own partitions, where it has them; otherwise parts of the disk.
fn source(media: &Media, path: &Path, parts: Parts) -> Source {
    let node = |part| if media.is_remote(path) { None } else { partition_node(path, part) };
    match (node(&parts.data), node(&parts.hash)) {
        (Some(data), Some(hash)) => {
            let fec = parts.fec.then(|| hash.clone());
            Source::Nodes(Devices { data, hash, fec })
        }
        _ => Source::Partitions { disk: path.to_owned(), parts, media: media.clone() },
    }
}

/// The options about where areas are on devices: partitions say that.
fn check_options(options: &ImageOptions) -> Result<()> {
    let given = [
        ("hash-offset", !matches!(options.hash_offset, HashOffset::At(0))),
        ("no-superblock", options.no_superblock),
        ("fec-device", options.fec.device.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(Failure::usage(format!("Option --{option} cannot be used with a disk image."))),
        None => Ok(()),
    }
}

/// systemd refuses a disk image with a hash tree next to it: which of them is meant is not clear.
fn check_sidecars(path: &Path) -> Result<()> {
    let verity = Sidecars::of(path).verity;
    if !path.is_file() || !verity.exists() {
        return Ok(());
    }
    let failure = Failure::new(Exit::Permission, format!("{} has two hash trees.", text_of(path)));
    Err(failure
        .hint(format!("it has partitions, and {} is next to it; systemd refuses both together.", text_of(&verity))))
}

/// The signature in a partition; none if it is to be filled later.
fn signature(path: &Path, found: &FoundSignature) -> Result<Option<StoredSignature>> {
    let number = found.partition.number;
    let unusable = |why: String| {
        let line = format!("The signature in partition {number} of {} cannot be used.", text_of(path));
        Err(Failure::new(Exit::Permission, line).hint(why))
    };
    match &found.content {
        SignatureContent::Signature(content) => {
            Ok(Some(StoredSignature { bytes: content.signature.clone(), fingerprint: content.fingerprint }))
        }
        SignatureContent::OtherRootHash(content) => unusable(format!("it is one of root hash {}.", content.root_hash)),
        SignatureContent::Empty => Ok(None),
        SignatureContent::Unusable(why) => unusable(format!("{why}.")),
    }
}

/// The root hash that the partitions have.
fn stored(path: &Path, set: &ImageSet) -> Option<Stored> {
    let root_hash = set.root_hash.clone()?;
    let from = match set.signature() {
        Some(_) => "signature partition and the UUIDs of the partitions",
        None => "UUIDs of the partitions",
    };
    Some(Stored { root_hash, from: format!("the {from} of {}", text_of(path)) })
}

/// What the superblock says, and the parity after the hash tree: with as many roots as an option says, or as are
/// found.
fn params(asked: &Asked<'_>, path: &Path, parts: &Parts) -> dmverity::Result<Params> {
    let opened = asked.media.parts(path, parts)?;
    let params = opened.load(0, None)?;
    let fec = match asked.options.fec.given_roots() {
        None => opened.find_fec(&params)?,
        Some(roots) => Some(Fec::new(roots, Layout::new(&params)?.fec_offset_after_tree())?),
    };
    opened.load(0, fec)
}

/// A policy for what is no disk image.
pub(super) fn policy_without_disk() -> Failure {
    Failure::new(Exit::Parameters, "A policy can be checked for a disk image only.")
}

/// The same for a file that could be one.
pub(super) fn no_partitions_for_policy(path: &Path) -> Failure {
    policy_without_disk().hint(format!("{} has no partitions.", text_of(path)))
}

/// A disk image that a policy refuses.
pub(super) fn against_policy(reason: &str) -> Failure {
    Failure::new(Exit::Permission, "The image does not agree with the policy.").hint(format!("{reason}."))
}

/// A disk image that cannot be used as one, or cannot be read.
pub(super) fn unusable(path: &Path, error: &ddi::Error) -> Failure {
    if let ddi::Error::Io { source, .. } | ddi::Error::Verity(dmverity::Error::Io { source, .. }) = error {
        return Failure { exit: Exit::Parameters, ..cannot_read(path, source) };
    }
    Failure::new(Exit::Permission, format!("{} is not a usable disk image.", text_of(path))).hint(format!("{error}."))
}
