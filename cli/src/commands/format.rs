//! `format`: write a hash tree and its superblock.

use std::path::{Path, PathBuf};

use dmverity::ddi::{HashFiles, LayerSidecar};
use dmverity::{Devices, Formatted, Hashing, Image, Layout, Params, ParamsBuilder, RootHash, Salt, Seed, Work};
use serde::Serialize;
use uuid::Uuid;

use super::image::{ImageFields, PartitionUuids, Spelling};
use super::like::Like;
use super::signing::Signing;
use super::{check_devices, format_stream, on, shown, sign};
use crate::arguments::Format;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::interruption;
use crate::report::Report;
use crate::root_hash_file::{Kind, RootHashFile};
use crate::whole_file;

#[derive(Serialize)]
struct FormatFields {
    /// Whether nothing was written.
    dry_run: bool,
    data_device: String,
    /// `None` if it has no name yet.
    hash_device: Option<String>,
    fec_device: Option<String>,
    #[serde(flatten)]
    image: ImageFields,
    root_hash: String,
    partition_uuids: Option<PartitionUuids>,
    /// Bytes at the end of the data device that no block covers.
    uncovered_bytes: u64,
    /// Zeros that filled a file up to its number of blocks, not counting the padding of `--append`.
    filled_bytes: u64,
    /// What `--append` made.
    appended: Option<AppendedFields>,
    /// What salt and UUID were derived from.
    seed: Option<String>,
}

#[derive(Serialize)]
pub(super) struct AppendedFields {
    pub(super) image_bytes: u64,
    pub(super) padding_bytes: u64,
    /// Where the older hash area was that has been replaced.
    pub(super) replaced: Option<u64>,
}

pub(crate) fn run(format: &Format) -> Result<Report> {
    let Format { data, image, .. } = format;
    let hash = format.hash.as_deref();
    let like = Like::of(format)?;
    let hashing = image.plain_hashing(like.as_ref().map_or_else(Hashing::default, Like::hashing))?;
    check_all_devices(format)?;
    let mut hashing = image.with_algorithm(hashing)?;
    let mut builder = image.placed(hashing.clone())?;
    if let Some(blocks) = like.as_ref().and_then(Like::data_blocks) {
        builder = builder.data_blocks(blocks);
    }
    let fec = match hash.filter(|_| !format.append && !format.from_stdin) {
        Some(hash) => image.fec.after_tree(hash, || on(data, builder.clone(), dmverity::device_size(data)?))?,
        None => None,
    };
    let is_fec_placed = fec.is_some() || (format.from_stdin && hash.is_some_and(|hash| image.fec.is_after_tree(hash)));
    if let Some(fec) = fec {
        builder = builder.fec(fec);
    }
    // It is searched for an older tree, once.
    let is_planned = format.append && format.deterministic && !format.from_stdin;
    let mut one_file = if is_planned { Some(one_file(format)?) } else { None };
    let seed = match one_file.as_mut() {
        Some(one_file) => seed(format, || Ok(one_file.plan_append(hashing.clone(), None)?.layout.params().clone()))?,
        None => seed(format, || of_data(format, builder.clone()))?,
    };
    if let Some(salt) = salt(format, seed.as_ref())? {
        hashing.salt = salt;
    }
    let uuid = uuid(format, seed.as_ref(), like.as_ref())?;
    hashing.uuid = uuid.as_ref().map(|uuid| uuid.value);
    let files = Files::check(format)?;
    let (formatted, fec_device, appended) = if format.append {
        let (formatted, fec_device, appended) = append(format, hashing, one_file)?;
        (formatted, fec_device, Some(appended))
    } else {
        let (formatted, fec_device) = make(format, builder.hashing(hashing))?;
        (formatted, fec_device, None)
    };
    let Formatted { layout, fec_area, root_hash, uncovered_bytes, padding_bytes, .. } = formatted;
    let params = layout.params();
    let spelling = Spelling {
        uuid: uuid.map(|uuid| uuid.text).unwrap_or_default(),
        algorithm: image.hash.clone().unwrap_or_else(|| params.algorithm().to_string()),
    };
    let fields = FormatFields {
        dry_run: format.dry_run,
        data_device: shown(data),
        hash_device: hash.map(shown),
        fec_device: fec_device.as_deref().map(shown),
        image: ImageFields::new(&layout, fec_area.as_ref(), &spelling),
        root_hash: root_hash.to_string(),
        partition_uuids: PartitionUuids::of(&root_hash),
        uncovered_bytes,
        filled_bytes: if appended.is_some() { 0 } else { padding_bytes },
        appended,
        seed: seed.map(|seed| seed.as_str().to_owned()),
    };
    let mut text = fields.image.text(format.hash_or_data(), &layout, fec_area.as_ref(), Some(&root_hash));
    if fields.appended.is_some() || is_fec_placed {
        text += &fields.image.offsets(fields.appended.as_ref().map(|appended| appended.image_bytes));
    }
    let mut warnings = warnings(&fields, &layout);
    warnings.extend(format.sidecars.as_ref().and_then(|files| stale(format, files)));
    if let Some(like) = like.filter(|_| !format.from_stdin) {
        warnings.extend(like.uncovered(data, &layout)?);
    }
    warnings.extend(fields.appended.as_ref().and_then(|made| format_stream::needs_scope(format, made.image_bytes)));
    if format.partition_uuids {
        match &fields.partition_uuids {
            Some(uuids) => text += &uuids.text(),
            None => warnings.push("a root hash of 128 bits or less has no partition UUIDs.".to_owned()),
        }
    }
    let mut report = Report { warnings, ..Report::new(text, fields) };
    let hash_offset = params.hash_offset();
    report.last = Some(Box::new(move || files.write(root_hash, hash_offset)));
    Ok(report)
}

/// Missing devices are named before the algorithm and the UUID; files that will be created do not exist
/// yet.
fn check_all_devices(format: &Format) -> Result<()> {
    let devices = devices(format);
    dmverity::check_new_files(&devices)?;
    let existing = [format.hash.as_deref(), devices.fec.as_deref()].into_iter().flatten().filter(|path| path.exists());
    let data = Some(format.data.as_path()).filter(|_| !format.from_stdin);
    check_devices(data.into_iter().chain(existing))
}

/// The devices of the new image; an empty path if one has no name yet.
fn devices(format: &Format) -> Devices {
    format.image.devices(&format.data, format.hash.as_deref().unwrap_or(Path::new("")))
}

fn warnings(fields: &FormatFields, layout: &Layout) -> Vec<String> {
    let block = layout.params().data_block_size().bytes();
    let page_size = dmverity::page_size().filter(|&page_size| block > page_size);
    let too_large = page_size
        .map(|page_size| format!("Kernel cannot activate device if data block size exceeds page size ({page_size})."));
    let (uncovered, filled) = (fields.uncovered_bytes, fields.filled_bytes);
    let uncovered = (uncovered > 0).then(|| format!("last {uncovered} bytes of data are not covered."));
    let missing = (filled >= block).then(|| {
        format!(
            "last {filled} bytes of data were missing and were filled with \
         zeros."
        )
    });
    too_large.into_iter().chain(uncovered).chain(missing).collect()
}

/// A warning of what an older image has left next to this one, where systemd finds it.
fn stale(format: &Format, files: &HashFiles) -> Option<String> {
    let is_left = format.signer.is_none() && files.signature.exists();
    is_left.then(|| format!("{} is there, and is not a signature of this root hash.", text_of(&files.signature)))
}

/// Makes the image in its files, or computes it; and says where its parity goes.
fn make(format: &Format, builder: ParamsBuilder) -> Result<(Formatted, Option<PathBuf>)> {
    if format.from_stdin {
        return format_stream::make(format, builder);
    }
    let devices = devices(format);
    let make = if format.dry_run { dmverity::dry_run } else { dmverity::format };
    let make = |work: &Work<'_>| make(&devices, builder, work);
    let formatted = interruption::watched(&format.work, &format.data, make)??;
    Ok((formatted, devices.fec))
}

/// The same in one file.
fn append(
    format: &Format,
    hashing: Hashing,
    one_file: Option<Image<'_>>,
) -> Result<(Formatted, Option<PathBuf>, AppendedFields)> {
    if format.from_stdin {
        return format_stream::append(format, hashing);
    }
    let data = &format.data;
    let mut image = one_file.map_or_else(|| self::one_file(format), Ok)?;
    let fec = format.image.fec.appended(data);
    let append = if format.dry_run { Image::append_dry_run } else { Image::append };
    let append = |work: &Work<'_>| append(&mut image, hashing, fec.as_ref(), work);
    let made = interruption::watched(&format.work, data, append)??;
    let fields = AppendedFields {
        image_bytes: made.plan.hash_device_bytes,
        padding_bytes: made.plan.padding_bytes,
        replaced: made.replaced,
    };
    Ok((made.formatted, fec.map(|fec| fec.device.unwrap_or_else(|| data.clone())), fields))
}

/// The file that is data and hash tree.
fn one_file(format: &Format) -> Result<Image<'static>> {
    let open = if format.dry_run { Image::one_file } else { Image::one_file_to_write };
    Ok(open(&format.data)?)
}

/// Where the root hash goes, besides what is printed.
fn root_hash_file(format: &Format) -> Result<Option<RootHashFile>> {
    let Some(path) = format.root_hash_file.clone() else { return Ok(None) };
    let mut devices = Vec::new();
    devices.extend(Some(("data", format.data.as_path())).filter(|_| !format.from_stdin));
    if !format.append || format.from_stdin {
        devices.extend(format.hash.as_deref().map(|hash| (if format.append { "output" } else { "hash" }, hash)));
    }
    devices.extend(format.image.fec.device.as_deref().map(|fec| ("FEC", fec)));
    let file = RootHashFile::check(path, Kind::RootHash, &devices)?;
    // A dry run only says whether a file could be written.
    Ok(Some(file).filter(|file| !(format.dry_run && file.is_file())))
}

/// What is written besides the image, after all else.
struct Files {
    signature: Option<Signature>,
    root_hash: Option<RootHashFile>,
    layer: Option<Layer>,
}

impl Files {
    /// Checks that they can be written.
    fn check(format: &Format) -> Result<Self> {
        let root_hash = root_hash_file(format)?;
        let layer = if format.containerd { Layer::check(format)? } else { None };
        Ok(Self { signature: Signature::check(format)?, root_hash, layer })
    }

    fn write(self, root_hash: RootHash, hash_offset: u64) -> Result<()> {
        self.signature.map_or(Ok(()), |signature| signature.write(&root_hash))?;
        self.root_hash.map_or(Ok(()), |file| file.write(root_hash.to_string().as_bytes()))?;
        self.layer.map_or(Ok(()), |layer| layer.write(root_hash, hash_offset))
    }
}

/// The file that tells containerd of a layer's hash tree.
struct Layer(PathBuf);

impl Layer {
    /// Checks that it can be written; `None` for a dry run.
    fn check(format: &Format) -> Result<Option<Self>> {
        let path = LayerSidecar::path_of(&format.data);
        // The same checks as of another file that is written when all else is done.
        RootHashFile::check(path.clone(), Kind::Layer, &[("data", format.data.as_path())])?;
        Ok((!format.dry_run).then_some(Self(path)))
    }

    fn write(self, root_hash: RootHash, hash_offset: u64) -> Result<()> {
        let text = LayerSidecar { root_hash, hash_offset }.to_string();
        whole_file::write(&self.0, text.as_bytes(), whole_file::PUBLIC).map_err(|error| {
            Failure::new(Exit::Parameters, format!("Cannot write {}.", text_of(&self.0))).because(&error)
        })
    }
}

/// A signature next to the image.
struct Signature {
    signing: Signing,
    file: RootHashFile,
}

impl Signature {
    /// Checks key and place; `None` if nothing is to be signed.
    fn check(format: &Format) -> Result<Option<Self>> {
        let (Some(files), Some(signing)) = (&format.sidecars, Signing::read(format.signer.as_ref())?) else {
            return Ok(None);
        };
        let devices = [("data", format.data.as_path())];
        let file = RootHashFile::check(files.signature.clone(), Kind::Signature, &devices)?;
        Ok((!format.dry_run).then_some(Self { signing, file }))
    }

    fn write(self, root_hash: &RootHash) -> Result<()> {
        let made = self.signing.sign(root_hash, false).map_err(|error| sign::not_made(&error))?;
        self.file.write(&made)
    }
}

/// The source of salt and UUID, if they are derived: from a text, or from the image's parameters.
fn seed(format: &Format, params: impl FnOnce() -> Result<Params>) -> Result<Option<Seed>> {
    match format.salt_seed()? {
        Some(text) => Ok(Some(Seed::new(&text)?)),
        None if format.deterministic => Ok(Some(Seed::of_params(&params()?))),
        None => Ok(None),
    }
}

/// The parameters of the image to be made in its own files.
fn of_data(format: &Format, builder: ParamsBuilder) -> Result<Params> {
    if format.from_stdin {
        return format_stream::of_data(format, builder);
    }
    let data = &format.data;
    // A file that is data and tree may have to be filled up to its blocks.
    let is_one_file = format.hash.as_ref().is_some_and(|hash| dmverity::is_same_device(data, hash));
    let given = format.image.bytes_of(format.image.data_blocks().filter(|_| is_one_file).unwrap_or(0))?;
    Ok(on(data, builder, dmverity::device_size(data)?.max(given))?)
}

/// The new image's salt, derived or random; none if an option or the other image gives it.
fn salt(format: &Format, seed: Option<&Seed>) -> Result<Option<Salt>> {
    match seed {
        _ if format.image.salt.is_some() => Ok(None),
        Some(seed) => Ok(Some(seed.salt())),
        // The same layer has the same root hash everywhere.
        None if format.containerd => Ok(Some(Salt::new(&[0; Salt::RANDOM_LEN])?)),
        None if format.like.is_some() => Ok(None),
        None => Ok(Some(Salt::random()?)),
    }
}

/// A UUID and its text as given, which is repeated unchanged.
struct GivenUuid {
    value: Uuid,
    text: String,
}

/// The new image's UUID, given, derived or random; none without superblock.
fn uuid(format: &Format, seed: Option<&Seed>, like: Option<&Like>) -> Result<Option<GivenUuid>> {
    if format.image.no_superblock {
        return Ok(None);
    }
    let Some(text) = format.image.uuid.clone() else {
        let value = seed.map(Seed::uuid).or_else(|| like?.params.uuid()).unwrap_or_else(Uuid::new_v4);
        return Ok(Some(GivenUuid { value, text: value.to_string() }));
    };
    // Only the form with four hyphens: the other forms that the parser accepts are unknown to other tools.
    match Uuid::try_parse(&text) {
        Ok(value) if value.to_string().eq_ignore_ascii_case(&text) => Ok(Some(GivenUuid { value, text })),
        _ => Err(Failure::new(
            Exit::Parameters,
            format!("Wrong VERITY UUID format provided on device {}.", text_of(format.hash_or_data())),
        )),
    }
}
