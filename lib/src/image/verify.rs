//! Checking a whole image.

use super::devices::Devices;
use super::handle::Image;
use crate::error::Result;
use crate::format::{Layout, Params};
use crate::tree::{self, Verification};
use crate::value::RootHash;
use crate::work::{Progress, Work};

/// Checks all data and hash blocks of an image against its root hash; FEC is not looked at. What is wrong with the
/// image is in the [`Verification`]; an error means that it could not be checked.
///
/// The root hash proves the blocks of an image of these parameters. It does not prove that the parameters are right if
/// they come from a superblock: see [`load`](crate::load). [`uncovered_blocks`](crate::uncovered_blocks) tells how many
/// blocks of the data device the tree leaves out.
///
/// # Errors
/// [`Error::DeviceTooSmall`](crate::Error::DeviceTooSmall) for a device that ends before its area;
/// [`Error::Open`](crate::Error::Open), [`Error::NotDevice`](crate::Error::NotDevice) and
/// [`Error::Io`](crate::Error::Io); [`Error::Cancelled`](crate::Error::Cancelled).
///
/// # Examples
/// ```
/// use dmverity::{Devices, Failure, Params, RootHash, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| directory.path().join(name);
/// # std::fs::write(path("data.img"), [7; 40960])?;
/// # let devices = Devices::new(path("data.img"), path("hash.img"));
/// # let trusted = dmverity::format(&devices, Params::builder(), &Work::default())?.root_hash.to_string();
/// let params = dmverity::load(&devices.hash, 0, None)?;
/// let root_hash = RootHash::from_hex(&trusted, params.algorithm())?;
/// assert!(dmverity::verify(&devices, &params, &root_hash, &Work::default())?.is_good());
///
/// // An attacker changes the second block.
/// # let mut data = std::fs::read(&devices.data)?;
/// # data[5000] = 8;
/// # std::fs::write(&devices.data, data)?;
/// let found = dmverity::verify(&devices, &params, &root_hash, &Work::default())?;
/// assert_eq!(found.first_failures(), [Failure::DataBlock { position: 4096 }]);
/// # Ok(())
/// # }
/// ```
pub fn verify(devices: &Devices, params: &Params, root_hash: &RootHash, work: &Work<'_>) -> Result<Verification> {
    Image::at(&devices.without_fec())?.verify(params, root_hash, work)
}

impl Image<'_> {
    /// What [`verify()`](crate::verify()) does, on an image that is open.
    ///
    /// # Errors
    /// As for that function.
    pub fn verify(&self, params: &Params, root_hash: &RootHash, work: &Work<'_>) -> Result<Verification> {
        let layout = Layout::new(params)?;
        self.check_sizes(&layout)?;
        let mut progress = Progress { done: 0, total: tree::total(&layout) };
        let devices = (&self.data, &self.hash);
        tree::verify(&layout, root_hash, devices, Verification::KEPT, &mut progress, work)
    }
}
