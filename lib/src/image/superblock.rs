//! A superblock alone: what an image is like, before or without its hash tree.

use std::path::Path;

use crate::error::{Area, Error, Result};
use crate::format::{Layout, Params};
use crate::io::{Claims, Device};

/// Writes the superblock of an image of these parameters to the hash device, and no hash tree. Existing contents are
/// not checked. A hash device that is a file is extended to the end of the hash block that contains the superblock.
///
/// # Errors
/// Those of [`Layout::new`]; [`Error::NotVerity`] for parameters of an image without superblock; [`Error::Open`],
/// [`Error::NotDevice`], [`Error::NotWritable`], [`Error::DeviceLocked`] and [`Error::DeviceBusy`] for a device that
/// cannot be used; [`Error::DeviceTooSmall`]; [`Error::Io`].
///
/// # Examples
/// ```
/// use dmverity::Params;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let hash = directory.path().join("hash.img");
/// std::fs::write(&hash, [])?;
/// let params = Params::builder().build(40960)?;
/// dmverity::write_superblock(&hash, &params)?;
/// assert_eq!(dmverity::load(&hash, 0, None)?, params);
/// # Ok(())
/// # }
/// ```
pub fn write_superblock(hash: impl AsRef<Path>, params: &Params) -> Result<()> {
    let superblock = params.superblock().ok_or(Error::NotVerity)?;
    // What the superblock says has to fit a device.
    Layout::new(params)?;
    let mut claims = Claims::default();
    let mut device = Device::open_target(hash.as_ref(), Area::Hash, &mut claims)?;
    let offset = params.hash_offset();
    let bytes = superblock.to_bytes();
    device.check_extensible_to(offset + bytes.len() as u64)?;
    device.extend_to((offset + bytes.len() as u64).next_multiple_of(params.hash_block_size().bytes()))?;
    device.write_at(&bytes, offset)?;
    device.sync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_hash_device_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let hash = directory.path().join("hash");
        std::fs::write(&hash, [7; 10000]).unwrap();
        let params = Params::builder().hash_offset(512).build(8192).unwrap();
        write_superblock(&hash, &params).unwrap();
        let bytes = std::fs::read(&hash).unwrap();
        assert_eq!(bytes.len(), 10000);
        assert!(bytes[..512].iter().chain(&bytes[1024..]).all(|&byte| byte == 7));
        assert_eq!(crate::load(&hash, 512, None).unwrap(), params);
    }

    #[test]
    fn a_short_file_is_extended() {
        let directory = tempfile::tempdir().unwrap();
        let hash = directory.path().join("hash");
        std::fs::write(&hash, []).unwrap();
        write_superblock(&hash, &Params::builder().hash_offset(4096).build(8192).unwrap()).unwrap();
        assert_eq!(std::fs::metadata(&hash).unwrap().len(), 8192);
    }

    #[test]
    fn parameters_without_superblock_are_refused() {
        let params = Params::builder().no_superblock().build(8192).unwrap();
        assert!(matches!(write_superblock("/nonexistent", &params), Err(Error::NotVerity)));
    }
}
