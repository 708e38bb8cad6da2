//! `table`: which line is asked for.

use std::path::PathBuf;

use dmverity::dm::MappingName;

use super::contradictions;
use super::image::ImageToCheck;
use super::kernel::KernelOptions;
use super::words::{Words, exact};
use crate::failure::Result;

/// `table`.
pub(crate) struct Table {
    pub(crate) image: ImageToCheck,
    pub(crate) form: Form,
    pub(crate) kernel: KernelOptions,
    /// The names of the devices where the line is read.
    pub(crate) boot_data_device: Option<PathBuf>,
    pub(crate) boot_hash_device: Option<PathBuf>,
    pub(crate) boot_fec_device: Option<PathBuf>,
    /// Whether the line has the signature itself, and not the name of its file.
    pub(crate) embed_signature: bool,
}

/// The reader of the line.
pub(crate) enum Form {
    Table,
    DmModCreate(String),
    Veritytab(String),
    Cmdline,
    CmdlineUsr,
    PartitionUuids,
    ChromeOs,
    Ipe,
    Fit,
    Kata,
}

impl Table {
    pub(super) fn of(words: &Words) -> Result<Self> {
        let form = Form::of(words)?;
        contradictions::check_form(&form, words)?;
        Ok(Self {
            image: ImageToCheck::of(words)?,
            form,
            kernel: KernelOptions::of(words),
            boot_data_device: words.path_option("boot-data-device"),
            boot_hash_device: words.path_option("boot-hash-device"),
            boot_fec_device: words.path_option("boot-fec-device"),
            embed_signature: words.flag("embed-signature"),
        })
    }
}

impl Form {
    fn of(words: &Words) -> Result<Self> {
        // A name that no mapping can have is wrong in any line.
        let name = |option| -> Result<Option<String>> {
            let Some(value) = words.value(option) else { return Ok(None) };
            Ok(Some(MappingName::new(&exact(option, &value)?)?.to_string()))
        };
        Ok(if let Some(name) = name("dm-mod-create")? {
            Self::DmModCreate(name)
        } else if let Some(name) = name("veritytab")? {
            Self::Veritytab(name)
        } else if words.flag("cmdline") {
            if words.given("usr") { Self::CmdlineUsr } else { Self::Cmdline }
        } else if words.flag("chromeos") {
            Self::ChromeOs
        } else if words.flag("ipe") {
            Self::Ipe
        } else if words.flag("fit") {
            Self::Fit
        } else if words.flag("kata") {
            Self::Kata
        } else if words.flag("partition-uuids") {
            Self::PartitionUuids
        } else {
            Self::Table
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::DmModCreate(_) => "dm-mod-create",
            Self::Veritytab(_) => "veritytab",
            Self::Cmdline | Self::CmdlineUsr => "cmdline",
            Self::ChromeOs => "chromeos",
            Self::Ipe => "ipe",
            Self::Fit => "fit",
            Self::Kata => "kata",
            Self::PartitionUuids => "partition-uuids",
        }
    }

    /// Whether the line is read by a system that finds partitions by their UUIDs.
    pub(crate) fn is_for_boot(&self) -> bool {
        !matches!(self, Self::Table)
    }

    /// Whether systemd reads the line, which does not support all that the kernel supports.
    pub(crate) fn is_for_systemd(&self) -> bool {
        matches!(self, Self::Veritytab(_) | Self::Cmdline | Self::CmdlineUsr)
    }

    /// Whether the line is a part of the kernel's command line, whose length is limited.
    pub(crate) fn is_on_kernel_cmdline(&self) -> bool {
        matches!(self, Self::DmModCreate(_) | Self::Cmdline | Self::CmdlineUsr | Self::ChromeOs)
    }
}
