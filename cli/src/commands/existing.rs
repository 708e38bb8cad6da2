//! What is needed to check an existing image: where it is, its parameters, and its root hash with what proves it.

use std::path::Path;

use dmverity::ddi::{Designator, Policy, Protection};
use dmverity::signature::Verified;
use dmverity::{Layout, Params, ParamsBuilder, RootHash, SharedDevices};

use super::disk::policy_without_disk;
use super::expect::Expectation;
use super::found::{self, Asked, Found, Stored};
use super::manifest::Manifest;
use super::media::Media;
use super::root_hash::RootHashText;
use super::sign::CertificateFields;
use super::source::Source;
use super::trust::Trust;
use super::{load, load_with, misplaced, on, proof, root_hash};
use crate::arguments::{Choice, HashOffset, ImageOptions, ImageToCheck, Place};
use crate::failure::{Exit, Failure, Result};
use crate::options::Action;
use crate::passing::STDIN;
use crate::url::is_same;

/// An existing image.
pub(super) struct Image {
    pub(super) source: Source,
    pub(super) params: Params,
    pub(super) root_hash: RootHash,
    /// The signature that is stored with it.
    pub(super) stored_signature: Option<Vec<u8>>,
    /// The signer of the root hash, or of the manifest that has it; `None` without `--trusted` or `--ca`.
    pub(super) signer: Option<CertificateFields>,
    pub(super) warnings: Vec<String>,
}

/// What is needed to check an existing image: its parameters from the superblock, or, with `--no-superblock`, from the
/// options; and the root hash. They agree with `--expect` and `--expect-data-blocks`, and a signature of the root hash
/// or of the manifest is right.
///
/// Several things may be wrong. Callers rely on which of them is named: first a missing device, the hash
/// device before the data device, then the superblock, the FEC device and last the root hash.
pub(super) fn image_to_check(image: &ImageToCheck) -> Result<Image> {
    match &image.place {
        Place::Devices { data, hash } => on_devices(image, data, hash),
        Place::One(path) => in_one(image, path),
    }
}

/// What the options demand as proof.
struct Demanded {
    trust: Option<Trust>,
    manifest: Option<Manifest>,
}

impl Demanded {
    /// Checks the signature of the manifest, if there is one.
    fn read(image: &ImageToCheck) -> Result<Self> {
        let trust = Trust::read(&image.trust)?;
        let manifest = image.manifest.as_ref().zip(trust.as_ref());
        let manifest = manifest.map(|(manifest, trust)| Manifest::read(manifest, trust)).transpose()?;
        Ok(Self { trust, manifest })
    }

    fn check_parameters(&self, params: &Params) -> Result<()> {
        self.manifest.as_ref().map_or(Ok(()), |manifest| manifest.check(params))
    }

    /// The root hash of the manifest, or the one that was given.
    fn root_hash(&self, given: Option<&RootHashText>, params: &Params) -> Result<Option<RootHash>> {
        match (&self.manifest, given) {
            (Some(manifest), _) => Ok(Some(manifest.root_hash.clone())),
            (None, given) => given.map(|given| given.parse(params.algorithm())).transpose(),
        }
    }

    /// Checks the signature of the root hash, unless the manifest's proves it.
    fn prove(self, image: &ImageToCheck, root_hash: &RootHash, stored: Option<&[u8]>) -> Result<Option<Verified>> {
        match self.manifest {
            Some(manifest) => Ok(Some(manifest.verified)),
            None => proof::check(image, self.trust.as_ref(), root_hash, stored),
        }
    }
}

/// An image whose parts are found.
fn in_one(image: &ImageToCheck, path: &Path) -> Result<Image> {
    let ImageToCheck { options, expect, .. } = image;
    let expectation = Expectation::of(expect)?;
    let demanded = Demanded::read(image)?;
    let given = if image.root_hash.is_given() { Some(root_hash::text(&image.root_hash)?) } else { None };
    let wanted = demanded.manifest.as_ref().map(|manifest| manifest.root_hash.clone());
    let wanted = wanted.or_else(|| given.as_ref().and_then(RootHashText::guess));
    let media = Media::open(&image.web, [path])?;
    let policy = image.policy.as_ref();
    let asked = Asked { options, choice: &image.choice, policy, root_hash: wanted.as_ref(), media: &media };
    let Found { source, params, root_hash: stored, signature } = found::find(image.action, path, &asked)?;
    expectation.check(&params)?;
    demanded.check_parameters(&params)?;
    let (root_hash, from) = match (demanded.root_hash(given.as_ref(), &params)?, stored) {
        (Some(root_hash), _) => (root_hash, None),
        (None, Some(Stored { root_hash, from })) => {
            (RootHash::from_hex(&root_hash.to_string(), params.algorithm())?, Some(from))
        }
        (None, None) => return Err(root_hash::missing()),
    };
    expectation.check_root_hash(&root_hash)?;
    if let Some(signature) = &signature {
        proof::check_own(&root_hash, signature)?;
    }
    let stored_signature = signature.map(|signature| signature.bytes);
    let verified = demanded.prove(image, &root_hash, stored_signature.as_deref())?;
    if let (Some(policy), None) = (&image.policy, &verified) {
        check_signed(policy, &image.choice)?;
    }
    let (signer, mut warnings) = of_signature(verified.as_ref());
    if let (Some(from), None) = (from, &verified) {
        warnings.push(unproven(image.action, &root_hash, &from)?);
    }
    warnings.extend(ignored_blocks(options, &params));
    warnings.extend(misplaced::contradictions(options, &params));
    Ok(Image { source, params, root_hash, stored_signature, signer, warnings })
}

/// Who has signed, and what is odd about the signature.
fn of_signature(verified: Option<&Verified>) -> (Option<CertificateFields>, Vec<String>) {
    let signer = verified.map(|verified| CertificateFields::new(verified.signer()));
    (signer, verified.map_or(Vec::new(), |verified| verified.warnings().to_vec()))
}

/// What is said of a root hash that nothing proves. It is not enough to open, serve or mount an image.
fn unproven(action: Action, root_hash: &RootHash, from: &str) -> Result<String> {
    let unproven = format!("nothing proves the root hash, which comes from {from}");
    let done = match action {
        Action::Open => "opened",
        Action::Serve => "served",
        Action::MountFile => "mounted",
        _ => return Ok(format!("{unproven}.")),
    };
    Err(Failure::new(Exit::Permission, format!("The image is not {done}: {unproven}."))
        .hint(format!("if you know that it is right, name it: --root-hash={root_hash}"))
        .hint("if you know who has signed it, name that certificate: --trusted=PATH"))
}

/// A policy that demands a signature is not satisfied by one that was not checked.
fn check_signed(policy: &Policy, choice: &Choice) -> Result<()> {
    let designator = if choice.usr { Designator::Usr } else { Designator::Root };
    if policy.allows(designator, Protection::Verity) {
        return Ok(());
    }
    Err(Failure::new(Exit::Permission, "The policy wants a signature, and nobody is trusted to make one.")
        .hint("--trusted names the certificate of the signer, --ca that of an authority."))
}

fn on_devices(image: &ImageToCheck, data: &Path, hash: &Path) -> Result<Image> {
    let ImageToCheck { options, expect, .. } = image;
    if !image.root_hash.is_given() && image.manifest.is_none() {
        return Err(root_hash::missing());
    }
    if image.policy.is_some() {
        return Err(policy_without_disk());
    }
    // Data that pass through standard input cannot be looked at.
    let is_stream = image.is_stream();
    let data = Some(data).filter(|_| !is_stream);
    let media = Media::open(&image.web, [Some(hash), data, options.fec.device.as_deref()].into_iter().flatten())?;
    media.check([Some(hash), data].into_iter().flatten())?;
    let expectation = Expectation::of(expect)?;
    let demanded = Demanded::read(image)?;
    let without_superblock = demanded.manifest.as_ref().and_then(|manifest| manifest.without_superblock.clone());
    let params = match (&demanded.manifest, without_superblock) {
        (_, Some(builder)) => plain(&media, options, builder, data, hash)?,
        (Some(manifest), None) => load(&media, options, manifest.hash_offset, data, hash)?,
        (None, None) if options.no_superblock => plain(&media, options, options.params()?, data, hash)?,
        (None, None) if image.action == Action::Update => to_update(&media, options, data, hash)?,
        (None, None) => load(&media, options, media.hash_offset(options.hash_offset, hash)?, data, hash)?,
    };
    expectation.check(&params)?;
    demanded.check_parameters(&params)?;
    // It may not be needed, but it was named.
    media.check(options.fec.device.as_deref())?;
    let given = if demanded.manifest.is_none() { Some(root_hash::text(&image.root_hash)?) } else { None };
    let root_hash = demanded.root_hash(given.as_ref(), &params)?.ok_or_else(root_hash::missing)?;
    expectation.check_root_hash(&root_hash)?;
    let verified = demanded.prove(image, &root_hash, None)?;
    let (signer, mut warnings) = of_signature(verified.as_ref());
    warnings.extend(ignored_blocks(options, &params));
    if params.uuid().is_none() {
        warnings.extend(misplaced::unused_superblock(&media, hash, params.hash_offset()));
    } else {
        warnings.extend(misplaced::contradictions(options, &params));
    }
    let source = Source::Devices(options.devices(data.unwrap_or(Path::new(STDIN)), hash), media);
    Ok(Image { source, params, root_hash, stored_signature: None, signer, warnings })
}

/// The parameters of an image whose last update may have been interrupted.
fn to_update(media: &Media, options: &ImageOptions, data: Option<&Path>, hash: &Path) -> Result<Params> {
    let offset = match options.hash_offset {
        HashOffset::At(offset) => offset,
        HashOffset::Auto => dmverity::find_tree_to_update(hash)?,
    };
    load_with(|offset, fec| dmverity::load_to_update(hash, offset, fec), media, options, offset, data, hash)
}

/// The parameters of an image without superblock.
fn plain(
    media: &Media,
    options: &ImageOptions,
    builder: ParamsBuilder,
    data: Option<&Path>,
    hash: &Path,
) -> Result<Params> {
    let bytes = data.map_or(Ok(u64::MAX), |data| media.size(data))?;
    let data = data.unwrap_or(Path::new(STDIN));
    let builder = options.fec.fec()?.map_or(builder.clone(), |fec| builder.fec(fec)).no_superblock();
    let params = on(data, builder.clone(), bytes)?;
    let params = match options.fec.after_tree(hash, || Ok(params.clone()))? {
        Some(fec) => on(data, builder.fec(fec), bytes)?,
        None => params,
    };
    // A tree over its own blocks has a root hash too: with one of them it is that block's digest.
    let shared = SharedDevices { data_and_hash: is_same(data, hash), ..SharedDevices::default() };
    Layout::new(&params)?.check_overlaps(shared, None)?;
    Ok(params)
}

/// A warning if `--data-blocks` contradicts the superblock, which is used as in the reference tool.
fn ignored_blocks(options: &ImageOptions, params: &Params) -> Option<String> {
    let found = params.data_blocks();
    let given = options.data_blocks().filter(|&given| given != found)?;
    Some(format!(
        "the superblock says {found} data blocks; --data-blocks={given} is ignored, see --expect-data-blocks."
    ))
}
