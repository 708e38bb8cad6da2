//! What is needed to check an existing image: where it is, its parameters, and its root hash.

use std::path::Path;

use dmverity::{Layout, Params, RootHash, SharedDevices};

use super::expect::Expectation;
use super::found::{self, Asked, Found, Stored};
use super::root_hash::RootHashText;
use super::source::Source;
use super::{check_devices, load, misplaced, on, root_hash};
use crate::arguments::{ImageOptions, ImageToCheck, Place};
use crate::failure::{Exit, Failure, Result};
use crate::options::Action;

/// An existing image.
pub(super) struct Image {
    pub(super) source: Source,
    pub(super) params: Params,
    pub(super) root_hash: RootHash,
    /// The signature that is stored with it.
    pub(super) stored_signature: Option<Vec<u8>>,
    pub(super) warnings: Vec<String>,
}

/// What is needed to check an existing image: its parameters from the superblock, or, with `--no-superblock`, from the
/// options; and the root hash. They agree with `--expect` and `--expect-data-blocks`.
///
/// Several things may be wrong. Callers rely on which of them is named: first a missing device, the hash
/// device before the data device, then the superblock, the FEC device and last the root hash.
pub(super) fn image_to_check(image: &ImageToCheck) -> Result<Image> {
    match &image.place {
        Place::Devices { data, hash } => on_devices(image, data, hash),
        Place::One(path) => in_one(image, path),
    }
}

/// An image whose parts are found.
fn in_one(image: &ImageToCheck, path: &Path) -> Result<Image> {
    let ImageToCheck { options, expect, .. } = image;
    let expectation = Expectation::of(expect)?;
    let given = if image.root_hash.is_given() { Some(root_hash::text(&image.root_hash)?) } else { None };
    let wanted = given.as_ref().and_then(RootHashText::guess);
    let Found { source, params, root_hash, signature } =
        found::find(image.action, path, &Asked { options, choice: &image.choice, root_hash: wanted.as_ref() })?;
    expectation.check(&params)?;
    let (root_hash, unproven) = match (given, root_hash) {
        (Some(given), _) => (given.parse(params.algorithm())?, None),
        (None, Some(Stored { root_hash, from })) => {
            (RootHash::from_hex(&root_hash.to_string(), params.algorithm())?, Some(from))
        }
        (None, None) => return Err(root_hash::missing()),
    };
    expectation.check_root_hash(&root_hash)?;
    let mut warnings = Vec::new();
    if let Some(from) = unproven {
        let unproven = format!("nothing proves the root hash, which comes from {from}");
        if image.action == Action::Open {
            return Err(Failure::new(Exit::Permission, format!("The image is not opened: {unproven}."))
                .hint(format!("if you know that it is right, name it: --root-hash={root_hash}")));
        }
        warnings.push(format!("{unproven}."));
    }
    warnings.extend(ignored_blocks(options, &params));
    warnings.extend(misplaced::contradictions(options, &params));
    Ok(Image { source, params, root_hash, stored_signature: signature, warnings })
}

fn on_devices(image: &ImageToCheck, data: &Path, hash: &Path) -> Result<Image> {
    let ImageToCheck { root_hash, options, expect, .. } = image;
    if !root_hash.is_given() {
        return Err(root_hash::missing());
    }
    check_devices([hash, data])?;
    let expectation = Expectation::of(expect)?;
    let params = if options.no_superblock {
        let (builder, bytes) = (options.params()?, dmverity::device_size(data)?);
        let params = on(data, builder.clone(), bytes)?;
        let params = match options.fec.after_tree(hash, || Ok(params.clone()))? {
            Some(fec) => on(data, builder.fec(fec), bytes)?,
            None => params,
        };
        // A tree over its own blocks has a root hash too: with one of them it is that block's digest.
        let shared = SharedDevices { data_and_hash: dmverity::is_same_device(data, hash), ..SharedDevices::default() };
        Layout::new(&params)?.check_overlaps(shared, None)?;
        params
    } else {
        load(options, options.hash_offset.on(hash)?, Some(data), hash)?
    };
    expectation.check(&params)?;
    // It may not be needed, but it was named.
    check_devices(options.fec.device.as_deref())?;
    let root_hash = root_hash::text(root_hash)?;
    let root_hash = root_hash.parse(params.algorithm())?;
    expectation.check_root_hash(&root_hash)?;
    let mut warnings = Vec::from_iter(ignored_blocks(options, &params));
    if options.no_superblock {
        warnings.extend(misplaced::unused_superblock(hash, params.hash_offset()));
    } else {
        warnings.extend(misplaced::contradictions(options, &params));
    }
    let source = Source::Devices(options.devices(data, hash));
    Ok(Image { source, params, root_hash, stored_signature: None, warnings })
}

/// A warning if `--data-blocks` contradicts the superblock, which is used as in the reference tool.
fn ignored_blocks(options: &ImageOptions, params: &Params) -> Option<String> {
    let found = params.data_blocks();
    let given = options.data_blocks().filter(|&given| given != found)?;
    Some(format!(
        "the superblock says {found} data blocks; --data-blocks={given} is ignored, see --expect-data-blocks."
    ))
}
