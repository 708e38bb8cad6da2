//! The options about forward error correction.

use std::path::{Path, PathBuf};

use dmverity::{AppendedFec, Fec, FecScope, Layout, Params};

use super::words::Words;
use crate::failure::{Exit, Failure, Result};
use crate::options::Action;
use crate::url::{is_same, shown};

/// The default of `--fec-roots`.
const DEFAULT_ROOTS: u64 = 2;

/// Forward error correction as requested.
pub(crate) struct FecOptions {
    pub(crate) device: Option<PathBuf>,
    offset: Option<u64>,
    roots: Option<u64>,
    /// Checked together with the others: callers expect that after the devices.
    scope: Option<String>,
    /// Whether there is to be parity.
    is_wanted: bool,
}

impl FecOptions {
    pub(super) fn of(words: &Words) -> Result<Self> {
        let device = words.path_option("fec-device");
        let roots = words.number("fec-roots")?;
        Ok(Self {
            // If no device is needed, asking for parity is enough.
            is_wanted: device.is_some() || (words.action == Action::Plan && roots.is_some()),
            device: device.map(shown),
            offset: words.number("fec-offset")?,
            roots,
            scope: words.text_option("fec-scope"),
        })
    }

    /// The requested parity; the options are checked even if none is requested.
    pub(crate) fn fec(&self) -> Result<Option<Fec>> {
        let offset = self.offset.unwrap_or(0);
        let scope = self.scope()?;
        if self.is_wanted {
            Ok(Some(Fec::new(self.roots(), offset)?.with_scope(scope)))
        } else {
            // The number of roots does not matter then, but a wrong offset is still wrong.
            Fec::new(DEFAULT_ROOTS, offset)?;
            Ok(None)
        }
    }

    /// FEC after the tree, if it shares the hash device and no option sets its offset; `params` gives those of the
    /// image with or without FEC, if they are needed.
    pub(crate) fn after_tree(
        &self,
        hash: &Path,
        params: impl FnOnce() -> dmverity::Result<Params>,
    ) -> Result<Option<Fec>> {
        let Some(fec) = self.fec()?.filter(|_| self.is_after_tree(hash)) else { return Ok(None) };
        Ok(Some(Fec::new(fec.roots.into(), Layout::new(&params()?)?.fec_offset_after_tree())?.with_scope(fec.scope)))
    }

    /// Whether parity is to be after the tree: it shares the hash device, and no option sets its offset.
    pub(crate) fn is_after_tree(&self, hash: &Path) -> bool {
        let device = self.device.as_deref().filter(|_| self.offset.is_none());
        device.is_some_and(|device| is_same(device, hash))
    }

    /// FEC of an image that is one file: asked for by a number of roots, or by a device, which may be the image itself.
    pub(crate) fn appended(&self, image: &Path) -> Option<AppendedFec> {
        if self.roots.is_none() && self.device.is_none() {
            return None;
        }
        let device = self.device.clone().filter(|device| !dmverity::is_same_device(device, image));
        Some(AppendedFec { roots: self.roots(), device })
    }

    /// What FEC covers after the data.
    fn scope(&self) -> Result<FecScope> {
        match self.scope.as_deref() {
            None | Some("device") => Ok(FecScope::Device),
            Some("tree") => Ok(FecScope::Tree),
            Some(other) => Err(Failure::new(Exit::Parameters, "Invalid value of option --fec-scope.")
                .hint(format!("it is tree or device, not {other}."))),
        }
    }

    /// The number of roots, if it was given.
    pub(crate) fn given_roots(&self) -> Option<u64> {
        self.roots
    }

    fn roots(&self) -> u64 {
        self.roots.unwrap_or(DEFAULT_ROOTS)
    }
}
