//! What [`format()`](crate::format()) and [`append`](crate::append()) would make of data of a given size. Arithmetic
//! only; nothing is opened.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::format::{Fec, FecArea, Hashing, Layout, Params, ParamsBuilder};

/// FEC of an image whose data and hash tree are one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendedFec {
    /// Parity bytes per codeword, 2 to 24.
    pub roots: u64,
    /// The file or device that the parity goes to, from its start on; without one it is stored after the tree.
    pub device: Option<PathBuf>,
}

/// Sizes and offsets of an image that may not be there yet.
///
/// ```
/// use dmverity::{AppendedFec, Hashing, Params, Plan};
///
/// let plan = Plan::new(Params::builder(), 1 << 30)?;
/// assert_eq!((plan.layout.hash_blocks(), plan.hash_device_bytes), (2065, 8_462_336));
///
/// let fec = AppendedFec { roots: 2, device: None };
/// let plan = Plan::one_image(Hashing::default(), 1_000_000, Some(&fec))?;
/// assert_eq!((plan.padding_bytes, plan.layout.params().hash_offset()), (3520, 1_003_520));
/// # Ok::<(), dmverity::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The parameters with the number of data blocks settled, and where the hash tree goes.
    pub layout: Layout,
    /// Where the parity goes, if there is any.
    pub fec_area: Option<FecArea>,
    /// Bytes at the end of the data that no block covers.
    pub uncovered_bytes: u64,
    /// Zeros appended to the data of one image to fill the last block.
    pub padding_bytes: u64,
    /// The length in bytes of a hash device that ends with its areas; for one image, of the whole file.
    pub hash_device_bytes: u64,
    /// The length in bytes of a separate FEC device; zero if there is none.
    pub fec_device_bytes: u64,
    /// Everything together: data, hash device and FEC device.
    pub total_bytes: u64,
}

impl Plan {
    /// A data device of `data_bytes` bytes, a hash device of its own, and with FEC one for the parity too. The number
    /// of data blocks is that of the builder, or as many as the device has whole ones.
    ///
    /// # Errors
    /// Those of [`ParamsBuilder::build`], [`Layout::new`] and [`Layout::check_overlaps`].
    pub fn new(builder: ParamsBuilder, data_bytes: u64) -> Result<Self> {
        let whole_device = builder.covers_whole_device();
        let params = builder.build(data_bytes)?;
        let layout = Layout::new(&params)?;
        let fec_area = layout.fec_area_on(layout.hash_end(), false);
        layout.check_overlaps(crate::format::SharedDevices::default(), fec_area.as_ref())?;
        let uncovered_bytes = if whole_device { data_bytes - params.data_bytes() } else { 0 };
        let (hash_device_bytes, fec_device_bytes) = (layout.hash_end(), end_of(fec_area.as_ref()));
        let total_bytes = data_bytes.saturating_add(hash_device_bytes).saturating_add(fec_device_bytes);
        Ok(Self {
            layout,
            fec_area,
            uncovered_bytes,
            padding_bytes: 0,
            hash_device_bytes,
            fec_device_bytes,
            total_bytes,
        })
    }

    /// One file of `data_bytes` bytes of data, padded to whole blocks, after them the superblock and the hash tree, and
    /// after that the parity unless it has its own device. Without a superblock the tree begins with the next whole
    /// hash block.
    ///
    /// # Errors
    /// Those of [`Plan::new`], and [`Error::FecRoots`].
    pub fn one_image(hashing: Hashing, data_bytes: u64, fec: Option<&AppendedFec>) -> Result<Self> {
        let block_size = hashing.data_block_size;
        let blocks = data_bytes.div_ceil(block_size.bytes());
        let too_many = || Error::TooManyBlocks { blocks, block_size: block_size.get() };
        let end = block_size.checked_bytes_of(blocks).ok_or_else(too_many)?;
        // A tree without superblock begins with a whole hash block.
        let hash_block = hashing.hash_block_size.bytes();
        let whole = if hashing.uuid.is_none() { end.checked_next_multiple_of(hash_block) } else { None };
        let builder = Params::builder().hashing(hashing).hash_offset(whole.unwrap_or(end));
        let mut layout = Layout::new(&builder.clone().build(end)?)?;
        let on_hash_device = fec.is_some_and(|fec| fec.device.is_none());
        if let Some(fec) = fec {
            let offset = if on_hash_device { layout.hash_blocks_end() } else { 0 };
            layout = Layout::new(&builder.fec(Fec::new(fec.roots, offset)?).build(end)?)?;
        }
        let fec_area = layout.fec_area_on(layout.hash_blocks_end(), on_hash_device);
        let shared = crate::format::SharedDevices {
            data_and_hash: true,
            hash_and_fec: on_hash_device,
            data_and_fec: on_hash_device,
        };
        layout.check_overlaps(shared, fec_area.as_ref())?;
        let fec_end = end_of(fec_area.as_ref());
        let image = if on_hash_device { fec_end } else { layout.hash_blocks_end() };
        let fec_device_bytes = if on_hash_device { 0 } else { fec_end };
        Ok(Self {
            layout,
            fec_area,
            uncovered_bytes: 0,
            padding_bytes: end - data_bytes,
            hash_device_bytes: image,
            fec_device_bytes,
            total_bytes: image.saturating_add(fec_device_bytes),
        })
    }
}

fn end_of(area: Option<&FecArea>) -> u64 {
    area.map_or(0, |area| area.bytes.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{BlockSize, MAX_DEVICE_BYTES};

    #[test]
    fn no_size_makes_it_panic() {
        for bytes in [0, 1, 511, 4096, 1 << 40, MAX_DEVICE_BYTES - 1, MAX_DEVICE_BYTES, u64::MAX - 4095, u64::MAX] {
            for fec in [None, Some(false), Some(true)] {
                let device = |own| if own { Some("fec".into()) } else { None };
                let fec = fec.map(|own_device| AppendedFec { roots: 24, device: device(own_device) });
                let one = Plan::one_image(Hashing::default(), bytes, fec.as_ref());
                let apart = Plan::new(Params::builder(), bytes);
                assert_eq!(one.is_ok(), (1..=1 << 40).contains(&bytes), "{bytes} {one:?}");
                assert_eq!(apart.is_ok(), (4096..MAX_DEVICE_BYTES / 4096 * 4096 + 4096).contains(&bytes), "{bytes}");
            }
        }
        assert!(matches!(Plan::one_image(Hashing::default(), 0, None), Err(Error::NoDataBlocks { .. })));
    }

    #[test]
    fn one_image_has_its_areas_one_behind_the_other() {
        let small = BlockSize::new(512).unwrap();
        let fec = AppendedFec { roots: 2, device: None };
        let plan = Plan::one_image(Hashing::default(), 300 * 4096 - 1, Some(&fec)).unwrap();
        let (layout, area) = (&plan.layout, plan.fec_area.unwrap());
        assert_eq!((plan.padding_bytes, layout.params().data_blocks(), layout.hash_area().start), (1, 300, 300 * 4096));
        assert_eq!((area.bytes.start, area.bytes.end), (layout.hash_end(), plan.total_bytes));
        // Without a superblock the tree begins where the data end, or with the next whole hash block.
        let without_superblock = |block: u32, bytes| {
            let data_block_size = BlockSize::new(block.into()).unwrap();
            let hashing = Hashing { data_block_size, uuid: None, ..Hashing::default() };
            let plan = Plan::one_image(hashing, bytes, None).unwrap();
            (plan.layout.params().hash_offset(), plan.layout.first_hash_block(), plan.total_bytes)
        };
        assert_eq!(without_superblock(4096, 300 * 4096 - 1), (300 * 4096, 300, 304 * 4096));
        assert_eq!(without_superblock(512, 700), (4096, 1, 8192));
        assert_eq!(without_superblock(512, 100), (4096, 1, 4096));
        // The tree of larger blocks does not begin where the data end, but in a block of its own.
        let hashing = Hashing { data_block_size: small, ..Hashing::default() };
        let plan = Plan::one_image(hashing, 700, None).unwrap();
        assert_eq!((plan.layout.params().hash_offset(), plan.layout.first_hash_block()), (1024, 1));
        assert_eq!(plan.total_bytes, 8192);
    }
}
