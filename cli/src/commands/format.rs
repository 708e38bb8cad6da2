//! `format`: write a hash tree and its superblock.

use std::path::{Path, PathBuf};

use dmverity::{Formatted, Layout, Params, ParamsBuilder, Salt, Seed, Work};
use serde::Serialize;
use uuid::Uuid;

use super::image::{ImageFields, PartitionUuids, Spelling};
use super::like::Like;
use super::{check_devices, shown};
use crate::arguments::Arguments;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::interruption;
use crate::report::Report;
use crate::root_hash_file::RootHashFile;

#[derive(Serialize)]
struct FormatFields {
    /// Whether nothing was written.
    dry_run: bool,
    data_device: String,
    /// `None` where it has no name yet.
    hash_device: Option<String>,
    fec_device: Option<String>,
    #[serde(flatten)]
    image: ImageFields,
    root_hash: String,
    partition_uuids: Option<PartitionUuids>,
    /// Bytes at the end of the data device that no block covers.
    uncovered_bytes: u64,
    /// Zeros that have filled a file up to its number of blocks; what `--append` pads with is not among them.
    filled_bytes: u64,
    /// What `--append` has made of one file.
    appended: Option<AppendedFields>,
    /// What salt and UUID were derived from.
    seed: Option<String>,
}

#[derive(Serialize)]
struct AppendedFields {
    image_bytes: u64,
    padding_bytes: u64,
    /// Where an older hash area was that has been replaced.
    replaced: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Report> {
    let append = arguments.flag("append");
    let data = arguments.path(0);
    let hash = arguments.hash_to_format();
    if append && arguments.number("data-blocks")?.is_some_and(|blocks| blocks > 0) {
        return Err(Failure::usage("Option --append and --data-blocks cannot be used together."));
    }
    let like = Like::of(arguments)?;
    let builder = arguments.plain_params(like.as_ref().map_or_else(Params::builder, Like::builder))?;
    check_all_devices(arguments)?;
    let mut builder = arguments.with_algorithm(builder)?;
    let fec = match hash.filter(|_| !append) {
        Some(hash) => arguments.fec_after_tree(hash, || builder.clone().build(data, dmverity::device_size(data)?))?,
        None => None,
    };
    let is_fec_placed = fec.is_some();
    if let Some(fec) = fec {
        builder = builder.fec(fec);
    }
    let seed = seed(arguments, &builder)?;
    if arguments.text_option("salt").is_none() {
        builder = match (&seed, &like) {
            (Some(seed), _) => builder.salt(seed.salt()),
            (None, Some(_)) => builder,
            (None, None) => builder.salt(Salt::random()?),
        };
    }
    let uuid = uuid(arguments, hash.unwrap_or(data), seed.as_ref(), like.as_ref())?;
    if let Some(uuid) = &uuid {
        builder = builder.uuid(uuid.value);
    }
    let root_hash_file = root_hash_file(arguments)?;
    let (formatted, fec_device, appended) = make(arguments, builder)?;
    let Formatted { layout, fec_area, root_hash, uncovered_bytes, padding_bytes } = formatted;
    let params = layout.params();
    let spelling = Spelling {
        uuid: uuid.map(|uuid| uuid.text).unwrap_or_default(),
        algorithm: arguments.text_option("hash").unwrap_or_else(|| params.algorithm().to_string()),
    };
    let fields = FormatFields {
        dry_run: arguments.flag("dry-run"),
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
    let mut text = fields.image.text(hash.unwrap_or(data), Some(&root_hash));
    if let Some(appended) = &fields.appended {
        text += &fields.image.offsets(Some(appended.image_bytes));
    }
    if is_fec_placed {
        text += &fields.image.offsets(None);
    }
    let mut warnings = warnings(&fields, &layout);
    if let Some(like) = &like {
        warnings.extend(like.uncovered(data, &layout)?);
    }
    if arguments.flag("partition-uuids") {
        match &fields.partition_uuids {
            Some(uuids) => text += &uuids.text(),
            None => warnings.push("no partition UUIDs follow from a root hash of 128 bits or less.".to_owned()),
        }
    }
    let mut report = Report { warnings, ..Report::new(text, fields) };
    if let Some(file) = root_hash_file {
        report.last = Some(Box::new(move || file.write(&root_hash.to_string())));
    }
    Ok(report)
}

/// Devices that are not there are named before the algorithm and the UUID; files that will be created are not there yet.
fn check_all_devices(arguments: &Arguments) -> Result<()> {
    let data = arguments.path(0);
    let hash = arguments.hash_to_format();
    dmverity::check_new_files(&arguments.devices(data, hash.unwrap_or(Path::new(""))))?;
    let fec = arguments.path_option("fec-device");
    let existing = [hash, fec.as_deref()].into_iter().flatten().filter(|path| path.exists());
    check_devices([data].into_iter().chain(existing))
}

fn warnings(fields: &FormatFields, layout: &Layout) -> Vec<String> {
    let block = layout.params().data_block_size().bytes();
    let page_size = dmverity::page_size().filter(|&page_size| block > page_size);
    let too_large = page_size
        .map(|page_size| format!("Kernel cannot activate device if data block size exceeds page size ({page_size})."));
    let (uncovered, filled) = (fields.uncovered_bytes, fields.filled_bytes);
    let uncovered = (uncovered > 0).then(|| format!("last {uncovered} bytes of data are not covered."));
    let missing = (filled >= block).then(|| format!("last {filled} bytes of data were missing, and are zeros."));
    too_large.into_iter().chain(uncovered).chain(missing).collect()
}

/// Makes the image, in its files or in one, or computes it; with where its parity goes.
fn make(arguments: &Arguments, builder: ParamsBuilder) -> Result<(Formatted, Option<PathBuf>, Option<AppendedFields>)> {
    let data = arguments.path(0);
    let dry_run = arguments.flag("dry-run");
    if !arguments.flag("append") {
        let devices = arguments.devices(data, arguments.hash_to_format().unwrap_or(Path::new("")));
        let format = if dry_run { dmverity::dry_run } else { dmverity::format };
        let format = |work: &Work<'_>| format(&devices, builder, work);
        let formatted = interruption::watched(arguments, data, format)??;
        return Ok((formatted, devices.fec, None));
    }
    let fec = arguments.appended_fec(data)?;
    let append = if dry_run { dmverity::append_dry_run } else { dmverity::append };
    let append = |work: &Work<'_>| append(data, builder, fec.as_ref(), work);
    let made = interruption::watched(arguments, data, append)??;
    let fields = AppendedFields {
        image_bytes: made.plan.hash_device_bytes,
        padding_bytes: made.plan.padding_bytes,
        replaced: made.replaced,
    };
    Ok((made.formatted, fec.map(|fec| fec.device.unwrap_or_else(|| data.to_owned())), Some(fields)))
}

/// Where the root hash goes, beside what is printed.
fn root_hash_file(arguments: &Arguments) -> Result<Option<RootHashFile>> {
    let Some(path) = arguments.path_option("root-hash-file") else { return Ok(None) };
    let fec = arguments.path_option("fec-device");
    let mut devices = vec![("data", arguments.path(0))];
    if !arguments.flag("append") {
        devices.extend(arguments.hash_to_format().map(|hash| ("hash", hash)));
    }
    devices.extend(fec.as_deref().map(|fec| ("FEC", fec)));
    let file = RootHashFile::check(path, &devices)?;
    // A reader of those expects nothing else there.
    if let Some(form) = ["json", "env"].into_iter().find(|form| file.is_stdout() && arguments.flag(form)) {
        return Err(Failure::usage(format!("Option --{form} and --root-hash-file=- cannot be used together.")));
    }
    // A dry run only says whether a file could be written.
    Ok(Some(file).filter(|file| !(arguments.flag("dry-run") && file.is_file())))
}

/// What salt and UUID are derived from, if that is asked for.
fn seed(arguments: &Arguments, builder: &ParamsBuilder) -> Result<Option<Seed>> {
    if let Some(text) = arguments.text_option_exact("salt-seed")? {
        return Ok(Some(Seed::new(&text)?));
    }
    if !arguments.flag("deterministic") {
        return Ok(None);
    }
    let data = arguments.path(0);
    let params = if arguments.flag("append") {
        dmverity::plan_append(data, builder.clone(), None)?.layout.params().clone()
    } else {
        // A file that is data and tree may have to be filled up to its blocks.
        let is_one_file = arguments.hash_to_format().is_some_and(|hash| dmverity::is_same_device(data, hash));
        let blocks = arguments.number("data-blocks")?.filter(|_| is_one_file).unwrap_or(0);
        let given = arguments.data_block_size()?.bytes().saturating_mul(blocks);
        builder.clone().build(data, dmverity::device_size(data)?.max(given))?
    };
    Ok(Some(Seed::of_params(&params)))
}

/// A UUID and the text it was given as, which is repeated as it is.
struct GivenUuid {
    value: Uuid,
    text: String,
}

/// The new image's UUID, given, derived or random; none without superblock.
fn uuid(arguments: &Arguments, hash: &Path, seed: Option<&Seed>, like: Option<&Like>) -> Result<Option<GivenUuid>> {
    if arguments.flag("no-superblock") {
        return Ok(None);
    }
    let Some(text) = arguments.text_option("uuid") else {
        let value = seed.map(Seed::uuid).or_else(|| like?.params.uuid()).unwrap_or_else(Uuid::new_v4);
        return Ok(Some(GivenUuid { value, text: value.to_string() }));
    };
    // Only the form with four hyphens: what else the parser reads, other tools do not.
    match Uuid::try_parse(&text) {
        Ok(value) if value.to_string().eq_ignore_ascii_case(&text) => Ok(Some(GivenUuid { value, text })),
        _ => Err(Failure::new(
            Exit::Parameters,
            format!("Wrong VERITY UUID format provided on device {}.", text_of(hash)),
        )),
    }
}
