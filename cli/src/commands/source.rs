//! What an existing image is read from, and how it is opened.

use std::path::{Path, PathBuf};

use dmverity::{Changes, Devices, Image, Params, Parts, RepairMode, RootHash, Updated, Work, ZerosWritten};

use super::media::Media;
use super::web::FetchedFields;
use crate::failure::Result;
use crate::url::is_same;

/// The devices of an image.
pub(super) enum Source {
    /// Each by a path or URL of its own.
    Devices(Devices, Media),
    /// The nodes of partitions, which may be longer than what is in them.
    Nodes(Devices),
    /// Partitions of one file or block device.
    Partitions { disk: PathBuf, parts: Parts, media: Media },
}

impl Source {
    /// Opens all of them for reading.
    pub(super) fn open(&self) -> dmverity::Result<Image<'static>> {
        match self {
            Self::Devices(devices, media) => media.image(devices),
            Self::Nodes(devices) => Image::at(devices),
            Self::Partitions { disk, parts, media } => media.parts(disk, parts),
        }
    }

    /// The same for writing.
    pub(super) fn open_to_write(&self) -> dmverity::Result<Image<'static>> {
        match self {
            Self::Devices(devices, _) | Self::Nodes(devices) => Image::at_to_write(devices),
            Self::Partitions { disk, parts, .. } => Image::of_parts_to_write(disk, parts),
        }
    }

    /// Opens data and hash tree alone.
    pub(super) fn open_without_fec(&self) -> dmverity::Result<Image<'static>> {
        match self {
            Self::Devices(devices, media) => media.image(&Devices { fec: None, ..devices.clone() }),
            Self::Nodes(devices) => Image::at(&Devices { fec: None, ..devices.clone() }),
            Self::Partitions { .. } => self.open(),
        }
    }

    /// Writes the zeros that are missing in the data, see [`dmverity::write_zeros`].
    pub(super) fn write_zeros(
        &self,
        params: &Params,
        root_hash: &RootHash,
        mode: RepairMode,
        work: &Work<'_>,
    ) -> dmverity::Result<ZerosWritten> {
        match self {
            Self::Devices(devices, _) | Self::Nodes(devices) => {
                dmverity::write_zeros(devices, params, root_hash, mode, work)
            }
            Self::Partitions { .. } => {
                let image = if mode == RepairMode::Write { self.open_to_write()? } else { self.open()? };
                image.write_zeros(params, root_hash, mode, work)
            }
        }
    }

    /// Makes tree and parity fit changed data, see [`dmverity::update`].
    pub(super) fn update(
        &self,
        params: &Params,
        old_root_hash: &RootHash,
        changes: &Changes<'_>,
        work: &Work<'_>,
    ) -> dmverity::Result<Updated> {
        match self {
            Self::Devices(devices, _) | Self::Nodes(devices) => {
                dmverity::update(devices, params, old_root_hash, changes, work)
            }
            Self::Partitions { .. } => self.open_to_write()?.update(params, old_root_hash, changes, work),
        }
    }

    /// The data device, or the disk that it is a partition of.
    pub(super) fn data(&self) -> &Path {
        match self {
            Self::Devices(devices, _) | Self::Nodes(devices) => &devices.data,
            Self::Partitions { disk, .. } => disk,
        }
    }

    /// The same for the hash device.
    pub(super) fn hash(&self) -> &Path {
        match self {
            Self::Devices(devices, _) | Self::Nodes(devices) => &devices.hash,
            Self::Partitions { disk, .. } => disk,
        }
    }

    /// The same for the FEC device, if there is one.
    pub(super) fn fec(&self) -> Option<&Path> {
        match self {
            Self::Devices(devices, _) | Self::Nodes(devices) => devices.fec.as_deref(),
            Self::Partitions { disk, parts, .. } => parts.fec.then_some(disk.as_path()),
        }
    }

    /// Whether data and hash tree are one file.
    pub(super) fn is_one_file(&self) -> bool {
        matches!(self, Self::Devices(devices, _) if is_same(&devices.data, &devices.hash))
    }

    /// Whether an error names the FEC device.
    pub(super) fn is_fec(&self, path: &Path) -> bool {
        matches!(self, Self::Devices(devices, _) if devices.fec.as_deref() == Some(path))
    }

    /// How many whole blocks at the end of the data no tree covers. A partition is longer than its file system.
    pub(super) fn uncovered_blocks(&self, params: &Params) -> Result<u64> {
        match self {
            Self::Devices(..) => Ok(self.open()?.uncovered_blocks(params)),
            Self::Nodes(_) | Self::Partitions { .. } => Ok(0),
        }
    }

    /// What was fetched from web servers; `None` if none of it is on one.
    pub(super) fn fetched(&self) -> Option<FetchedFields> {
        match self {
            Self::Devices(_, media) | Self::Partitions { media, .. } => media.fetched(),
            Self::Nodes(_) => None,
        }
    }
}
