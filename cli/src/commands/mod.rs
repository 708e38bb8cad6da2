//! The actions, one file each, and what several of them share.

mod bad_blocks;
pub(crate) mod benchmark;
pub(crate) mod build;
mod check_root;
pub(crate) mod close;
mod dirty;
mod disk;
pub(crate) mod dump;
mod existing;
pub(crate) mod expect;
pub(crate) mod features;
pub(crate) mod format;
mod format_stream;
mod found;
mod image;
pub(crate) mod inspect;
pub(crate) mod keyring;
mod like;
mod manifest;
mod media;
mod misplaced;
#[cfg(feature = "fuse")]
pub(crate) mod mount_file;
pub(crate) mod open;
mod partitions;
pub(crate) mod plan;
mod proof;
pub(crate) mod repair;
mod requested_signature;
pub(crate) mod root_device;
pub(crate) mod root_hash;
mod root_policy;
pub(crate) mod serve;
mod service;
pub(crate) mod sign;
mod sign_image;
pub(crate) mod signature;
mod signed_disk;
mod signing;
mod source;
pub(crate) mod status;
pub(crate) mod table;
mod trust;
pub(crate) mod update;
mod verified;
pub(crate) mod verify;
mod verify_stream;
mod verity_d;
#[cfg(feature = "http")]
mod web;
#[cfg(not(feature = "http"))]
#[path = "without_web.rs"]
mod web;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use dmverity::{Fec, Params, ParamsBuilder};

use self::media::Media;
use crate::arguments::ImageOptions;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};

/// All of a file, `None` if it has more than `most` bytes: it may be an endless device.
fn read_bounded(path: &Path, most: u64, what: &str) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(|error| {
        Failure::new(Exit::Device, format!("Cannot read {what} {}.", text_of(path))).because(&error)
    })?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

/// The same; a longer file is one of something else.
fn read_whole(path: &Path, most: u64, what: &str) -> Result<Vec<u8>> {
    read_bounded(path, most, what)?.ok_or_else(|| invalid(what, path).hint(format!("it has more than {most} bytes.")))
}

/// A file that is not what it was named as.
fn invalid(what: &str, path: &Path) -> Failure {
    Failure::new(Exit::Parameters, format!("Invalid {what} {}.", text_of(path)))
}

/// Opens a file or block device for reading.
fn open_device(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| cannot_read(path, &error))
}

/// A file or block device that cannot be read.
fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Device, format!("Cannot read device {}.", text_of(path))).because(error)
}

/// The parameters of an image over a data device of `bytes` bytes.
fn on(data: &Path, builder: ParamsBuilder, bytes: u64) -> dmverity::Result<Params> {
    builder.build(bytes).map_err(|error| error.on_device(data))
}

/// The parameters that the superblock has, and FEC as the options have it.
fn load(media: &Media, options: &ImageOptions, offset: u64, data: Option<&Path>, hash: &Path) -> Result<Params> {
    load_with(|offset, fec| media.load(hash, offset, fec), media, options, offset, data, hash)
}

/// The same with another way to read a superblock.
fn load_with(
    load: impl Fn(u64, Option<Fec>) -> dmverity::Result<Params>,
    media: &Media,
    options: &ImageOptions,
    offset: u64,
    data: Option<&Path>,
    hash: &Path,
) -> Result<Params> {
    let params = load(offset, options.fec.fec()?)
        .map_err(|error| misplaced::explain(media, error, options.hash_offset, data, hash))?;
    match options.fec.after_tree(hash, || Ok(params.clone()))? {
        Some(fec) => Ok(load(offset, Some(fec))?),
        None => Ok(params),
    }
}

/// Whether the devices exist, can be read, and are devices.
fn check_devices<'a>(devices: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    devices.into_iter().try_for_each(|device| Ok(dmverity::device_size(device).map(drop)?))
}

/// A path as JSON holds it.
fn shown(path: &Path) -> String {
    text_of(path)
}
