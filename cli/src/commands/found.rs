//! An image that is one argument: a disk image with partitions, or a file whose hash tree, root hash and signature are
//! in the files next to it or are named there.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use dmverity::ddi::{self, Designator, HashFiles, LayerSidecar, Policy, Sidecars};
use dmverity::{Params, RootHash};

use super::media::Media;
use super::source::Source;
use super::{disk, load, read_bounded, requested_signature};
use crate::arguments::{Choice, HashOffset, ImageOptions, more_arguments};
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::options::Action;

/// Where an image is, and what is stored about it there.
pub(super) struct Found {
    pub(super) source: Source,
    pub(super) params: Params,
    /// What is said to be its root hash: whoever can change the image can change this too.
    pub(super) root_hash: Option<Stored>,
    /// A signature that is said to be of this root hash.
    pub(super) signature: Option<StoredSignature>,
}

/// A signature that is stored with the image.
pub(super) struct StoredSignature {
    pub(super) bytes: Vec<u8>,
    /// The SHA-256 of the signer's certificate, if that is stored too.
    pub(super) fingerprint: Option<[u8; 32]>,
}

/// A root hash that is stored with the image.
pub(super) struct Stored {
    pub(super) root_hash: RootHash,
    /// Where it comes from, for messages.
    pub(super) from: String,
}

/// The attributes of a file in which systemd looks for a root hash first.
const ATTRIBUTES: [(Designator, &str); 2] =
    [(Designator::Root, "user.verity.roothash"), (Designator::Usr, "user.verity.usrhash")];

/// More than the digits of any root hash and an end of line.
const ROOT_HASH_FILE_MAX: u64 = 4096;

/// What is asked of an image.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) options: &'a ImageOptions,
    pub(super) choice: &'a Choice,
    /// What a disk image has to agree with.
    pub(super) policy: Option<&'a Policy>,
    /// If one was given.
    pub(super) root_hash: Option<&'a RootHash>,
    pub(super) media: &'a Media,
}

/// Finds the image that is `path`, the only argument of an action.
pub(super) fn find(action: Action, path: &Path, asked: &Asked<'_>) -> Result<Found> {
    // As with the reference tool, too few arguments are too few, whatever the first one is.
    if let Err(failure) = asked.media.check([path]) {
        return Err(more_arguments(action).hint(failure.lines.join(" ")));
    }
    look(path, asked)?.ok_or_else(|| {
        if asked.media.is_remote(path) {
            return more_arguments(action).hint(format!(
                "{} is no image by itself: it has no partitions, and on a web server veritysetup does not look for \
                 files next to it; name data, hash tree and root hash.",
                text_of(path)
            ));
        }
        more_arguments(action).hint(format!(
            "{} is no image by itself: it has no partitions, and neither {} nor {} is there.",
            text_of(path),
            text_of(Sidecars::of(path).verity),
            text_of(LayerSidecar::path_of(path))
        ))
    })
}

/// The same, where it may be something else.
pub(super) fn look(path: &Path, asked: &Asked<'_>) -> Result<Option<Found>> {
    let file = asked.media.reader(path)?;
    match disk::read_table(path, &*file) {
        Ok(gpt) => disk::find(path, &*file, &gpt, asked).map(Some),
        Err(ddi::Error::NoGpt) if asked.policy.is_some() => Err(disk::no_partitions_for_policy(path)),
        Err(ddi::Error::NoGpt) => beside(path, asked),
        Err(error) => Err(disk::unusable(path, &error)),
    }
}

/// An image whose hash tree or root hash is in the files next to it.
fn beside(path: &Path, asked: &Asked<'_>) -> Result<Option<Found>> {
    let sidecars = Sidecars::of(path);
    let layer = LayerSidecar::path_of(path);
    // systemd does not look next to device nodes.
    let (has_tree, is_layer) = (path.is_file() && sidecars.verity.exists(), path.is_file() && layer.exists());
    match (has_tree, is_layer) {
        (false, false) => Ok(None),
        (true, false) => of_sidecars(path, &sidecars, asked).map(Some),
        (false, true) => of_layer(path, &layer, asked).map(Some),
        (true, true) => Err(Failure::new(Exit::Parameters, format!("{} has two hash trees.", text_of(path)))
            .hint(format!("{} and {} are both there.", text_of(&sidecars.verity), text_of(&layer)))),
    }
}

fn of_sidecars(path: &Path, sidecars: &Sidecars, asked: &Asked<'_>) -> Result<Found> {
    let wanted = if asked.choice.usr { &[Designator::Usr][..] } else { &Designator::ALL };
    let mut found = None;
    for &designator in wanted {
        let files = sidecars.hash_files(designator);
        if let Some(stored) = stored_root_hash(path, designator, files)? {
            found = Some((stored, files));
            break;
        }
    }
    let default = sidecars.hash_files(wanted[0]);
    let (root_hash, files) = found.map_or((None, default), |(stored, files)| (Some(stored), files));
    let signature = if files.signature.exists() { Some(requested_signature::read(&files.signature)?) } else { None };
    let signature = signature.map(|bytes| StoredSignature { bytes, fingerprint: None });
    let options = asked.options;
    let offset = asked.media.hash_offset(options.hash_offset, &sidecars.verity)?;
    Ok(Found {
        source: Source::Devices(options.devices(path, &sidecars.verity), asked.media.clone()),
        params: load(asked.media, options, offset, Some(path), &sidecars.verity)?,
        root_hash,
        signature,
    })
}

/// The root hash in an attribute of the image, or in the file next to it.
fn stored_root_hash(path: &Path, designator: Designator, files: &HashFiles) -> Result<Option<Stored>> {
    let attribute = ATTRIBUTES.iter().find(|(each, _)| *each == designator).map_or("", |(_, name)| name);
    let (bytes, from) = match xattr::get(path, attribute) {
        Ok(Some(bytes)) => (bytes, format!("attribute {attribute} of {}", text_of(path))),
        _ => match File::open(&files.root_hash) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot_read(&files.root_hash).because(&error)),
            Ok(file) => {
                let mut bytes = Vec::new();
                let read = file.take(ROOT_HASH_FILE_MAX).read_to_end(&mut bytes);
                read.map_err(|error| cannot_read(&files.root_hash).because(&error))?;
                (bytes, text_of(&files.root_hash))
            }
        },
    };
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let root_hash = std::str::from_utf8(line).ok().and_then(|line| line.trim_end().parse().ok());
    let invalid = || {
        let failure = Failure::new(Exit::Parameters, format!("Invalid root hash in {from}."));
        failure.hint("its first line has to be hexadecimal digits.")
    };
    let root_hash = root_hash.ok_or_else(invalid)?;
    Ok(Some(Stored { root_hash, from }))
}

fn of_layer(path: &Path, layer: &Path, asked: &Asked<'_>) -> Result<Found> {
    let unusable = |why: &str| Failure::new(Exit::Permission, format!("Invalid file {}.", text_of(layer))).hint(why);
    if !matches!(asked.options.hash_offset, HashOffset::At(0)) {
        return Err(unusable("it says where the hash tree is: --hash-offset cannot be used with it."));
    }
    let bytes = read_bounded(layer, LayerSidecar::MAX_BYTES as u64, "dm-verity file")?;
    let bytes = bytes.ok_or_else(|| unusable("it is too long."))?;
    let sidecar = LayerSidecar::parse(&bytes).map_err(|error| unusable(&format!("{error}.")))?;
    Ok(Found {
        source: Source::Devices(asked.options.devices(path, path), asked.media.clone()),
        params: load(asked.media, asked.options, sidecar.hash_offset, Some(path), path)?,
        root_hash: Some(Stored { root_hash: sidecar.root_hash, from: text_of(layer) }),
        signature: None,
    })
}

fn cannot_read(path: &Path) -> Failure {
    Failure::new(Exit::Device, format!("Cannot read {}.", text_of(path)))
}
