//! `format -`: an image of the data on standard input.

use std::path::{Path, PathBuf};

use dmverity::{AppendedFec, Formatted, Hashing, Params, ParamsBuilder, TreeBuilder, Work, device_size};

use super::format::AppendedFields;
use crate::arguments::Format;
use crate::failure::Result;
use crate::interruption;
use crate::passing::{Input, STDIN_NAME};
use crate::whole_file::directory_of;

/// Makes the image in its files, or computes it; and says where its parity goes.
pub(super) fn make(format: &Format, builder: ParamsBuilder) -> Result<(Formatted, Option<PathBuf>)> {
    let hash = format.hash.as_deref().unwrap_or(Path::new(""));
    let fec = format.image.fec.device.as_deref();
    let mut stream = stream(format, [Some(hash), fec])?;
    if format.image.fec.is_after_tree(hash) {
        stream = stream.parity_after_tree();
    }
    let make = if format.dry_run { TreeBuilder::dry_run } else { TreeBuilder::format };
    let make = |work: &Work<'_>| make(stream, hash, fec, builder, work);
    let formatted = interruption::watched(&format.work, &format.data, make)??;
    Ok((formatted, fec.map(Path::to_owned)))
}

/// The same in one file or block device.
pub(super) fn append(format: &Format, hashing: Hashing) -> Result<(Formatted, Option<PathBuf>, AppendedFields)> {
    let output = format.hash.as_deref();
    let fec = format.image.fec.appended(output.unwrap_or(&format.data));
    let stream = stream(format, [output, fec.as_ref().and_then(|fec| fec.device.as_deref())])?;
    let append = |work: &Work<'_>| match output {
        Some(output) if !format.dry_run => stream.append(output, hashing, fec.as_ref(), work),
        _ => stream.append_dry_run(hashing, fec.as_ref(), work),
    };
    let made = interruption::watched(&format.work, &format.data, append)??;
    let fields = AppendedFields {
        image_bytes: made.plan.hash_device_bytes,
        padding_bytes: made.plan.padding_bytes,
        replaced: made.replaced,
    };
    let fec_device = |fec: AppendedFec| fec.device.unwrap_or_else(|| format.hash_or_data().to_owned());
    Ok((made.formatted, fec.map(fec_device), fields))
}

/// Standard input, which must not be what is written to.
fn stream(format: &Format, targets: [Option<&Path>; 2]) -> Result<TreeBuilder<'static>> {
    let input = Input::new(targets.into_iter().flatten().filter(|_| !format.dry_run))?;
    let stream = TreeBuilder::new(input).name(STDIN_NAME).temporary_files_in(temporary_files(targets[0]));
    Ok(match format.data_bytes {
        Some(bytes) => stream.bytes(bytes),
        None => stream,
    })
}

/// Where temporary files are: where the user wants them, or next to a file that is written.
fn temporary_files(target: Option<&Path>) -> PathBuf {
    let next_to = target.filter(|target| !target.as_os_str().is_empty() && std::env::var_os("TMPDIR").is_none());
    let directory = next_to.map(directory_of).filter(|directory| !dmverity::is_among_device_nodes(directory));
    directory.map_or_else(std::env::temp_dir, Path::to_owned)
}

/// The parameters that salt and UUID are derived from.
pub(super) fn of_data(format: &Format, builder: ParamsBuilder) -> Result<Params> {
    let Some(bytes) = format.data_bytes.filter(|_| format.image.data_blocks().is_none()) else {
        return Ok(builder.build(u64::MAX)?);
    };
    let block = format.image.bytes_of(1)?;
    let blocks = if format.append { bytes.div_ceil(block) } else { bytes / block };
    Ok(super::on(Path::new(STDIN_NAME), builder.data_blocks(blocks), bytes.next_multiple_of(block))?)
}

/// A warning about parity on a device of its own, if the image is on a block device that is longer.
pub(super) fn needs_scope(format: &Format, image_bytes: u64) -> Option<String> {
    let output = format.hash.as_deref().filter(|_| format.from_stdin && !format.dry_run)?;
    let is_own = format.image.fec.appended(output)?.device.is_some();
    let is_longer = device_size(output).is_ok_and(|bytes| bytes > image_bytes);
    (is_own && is_longer)
        .then(|| "FEC covers nothing after the hash tree: use --fec-scope=tree with this image.".to_owned())
}
