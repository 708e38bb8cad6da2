//! Data blocks of an image that have to be zeros: finding them, and writing the zeros without FEC.

use super::devices::Devices;
use super::handle::Image;
use crate::error::{Error, Result};
use crate::fec::RepairMode;
use crate::format::{Layout, Params};
use crate::tree::{self, Verification};
use crate::value::RootHash;
use crate::work::Work;

/// What [`write_zeros()`] found and did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ZerosWritten {
    /// What the hash tree says of the image as it was found.
    pub verification: Verification,
    /// Data blocks that have to be zeros and were not.
    pub blocks: u64,
    /// Bytes in them that were not zeros.
    pub bytes: u64,
}

/// Finds the data blocks that have to be zeros because the tree has the digest of zeros for them, and, with
/// [`RepairMode::Write`], makes them zeros. FEC is not needed. Nothing is written unless the whole tree is right, up to
/// the root hash. Other damage stays as it is.
///
/// Each block is complete once it is written: an interrupted call can be repeated.
///
/// # Errors
/// Those of [`verify()`](crate::verify). With [`RepairMode::Write`] also [`Error::Open`] for a data device that cannot
/// be written to, [`Error::DeviceLocked`] and [`Error::DeviceBusy`].
///
/// # Examples
/// ```
/// use dmverity::{Devices, Params, RepairMode, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| directory.path().join(name);
/// # std::fs::write(path("data.img"), [0; 40960])?;
/// # let devices = Devices::new(path("data.img"), path("hash.img"));
/// # let made = dmverity::format(&devices, Params::builder(), &Work::default())?;
/// # let (params, root_hash) = (made.layout.params(), made.root_hash.clone());
/// // What was on the device before was left where the image has a hole.
/// let mut data = std::fs::read(&devices.data)?;
/// data[5000..6000].fill(8);
/// std::fs::write(&devices.data, data)?;
/// let found = dmverity::verify(&devices, params, &root_hash, &Work::default())?;
/// assert_eq!((found.failures(), found.zero_blocks()), (1, 1));
/// let done = dmverity::write_zeros(&devices, params, &root_hash, RepairMode::Write, &Work::default())?;
/// assert_eq!((done.blocks, done.bytes), (1, 1000));
/// assert!(dmverity::verify(&devices, params, &root_hash, &Work::default())?.is_good());
/// # Ok(())
/// # }
/// ```
pub fn write_zeros(
    devices: &Devices,
    params: &Params,
    root_hash: &RootHash,
    mode: RepairMode,
    work: &Work<'_>,
) -> Result<ZerosWritten> {
    let devices = devices.without_fec();
    let image = match mode {
        RepairMode::Write => Image::at_to_zero(&devices)?,
        RepairMode::DryRun => Image::at(&devices)?,
    };
    image.write_zeros(params, root_hash, mode, work)
}

impl Image<'_> {
    /// What [`write_zeros()`](crate::write_zeros()) does, on an image that is open.
    ///
    /// # Errors
    /// As for that function.
    pub fn write_zeros(
        &self,
        params: &Params,
        root_hash: &RootHash,
        mode: RepairMode,
        work: &Work<'_>,
    ) -> Result<ZerosWritten> {
        let layout = Layout::new(params)?;
        let write = mode == RepairMode::Write;
        let verification = self.verify(params, root_hash, work)?;
        if verification.zero_blocks() == 0 {
            return Ok(ZerosWritten { verification, blocks: 0, bytes: 0 });
        }
        let zeroed = tree::zeros(&layout, root_hash, (&self.data, &self.hash), write, work)?;
        if write {
            self.data.sync()?;
        }
        Ok(ZerosWritten { verification, blocks: zeroed.blocks, bytes: zeroed.bytes })
    }

    /// What [`must_be_zeros()`](crate::must_be_zeros()) does, on an image that is open.
    ///
    /// # Errors
    /// As for that function.
    pub fn must_be_zeros(&self, params: &Params, root_hash: &RootHash, block: u64) -> Result<bool> {
        let layout = Layout::new(params)?;
        self.check_sizes(&layout)?;
        if block >= params.data_blocks() {
            return Err(Error::NoSuchBlock { block, blocks: params.data_blocks() });
        }
        tree::must_be_zeros(&layout, root_hash, (&self.data, &self.hash), block)
    }
}

/// Whether a data block is wrong and has to be zeros: the path from the root hash to the digest of zeros in the tree is
/// right. Reads one block of each level, and the data block.
///
/// # Errors
/// Those of [`verify()`](crate::verify); [`Error::NoSuchBlock`] for a block beyond the data.
pub fn must_be_zeros(devices: &Devices, params: &Params, root_hash: &RootHash, block: u64) -> Result<bool> {
    Image::at(&devices.without_fec())?.must_be_zeros(params, root_hash, block)
}
