//! Making room in a file, so that what is interrupted is recognized.

use zerocopy::IntoBytes;

use super::data::Data;
use crate::error::{Result, WithCauses};
use crate::format::Plan;
use crate::image::mark::Mark;
use crate::io::Device;

/// A file that is being made an image; unless it is kept it gets its former length back.
#[derive(Debug)]
pub(super) struct Staked<'a> {
    device: Device<'a>,
    data_bytes: u64,
    kept: bool,
}

impl<'a> Staked<'a> {
    /// Puts the mark where the superblock will be, or, if there will be none, after the rest, and gives the file the
    /// length that it will have. The mark is on stable storage before the file is any longer than it needs to be.
    pub(super) fn new(mut device: Device<'a>, data: &Data, plan: &Plan) -> Result<Self> {
        let (offset, end) = (plan.layout.params().hash_offset(), plan.hash_device_bytes);
        // What was added since it was read would be written over.
        device.check_unchanged()?;
        // First, so that no older superblock is among the data for a moment. If it fails everything is as it was.
        if data.replaced.is_some() {
            device.set_len("truncate", data.bytes)?;
        }
        let mut staked = Self { device, data_bytes: data.bytes, kept: false };
        // In one step with the zeros before it.
        if plan.layout.params().uuid().is_none() {
            staked.device.write_at(Mark::at_end(end, data.bytes, offset).as_bytes(), end)?;
            staked.device.sync()?;
            return Ok(staked);
        }
        staked.device.write_at(Mark::new(offset, data.bytes, end).as_bytes(), offset)?;
        staked.device.sync()?;
        staked.device.set_len("extend", end)?;
        Ok(staked)
    }

    fn cut(&mut self) -> Result<()> {
        self.device.set_len("truncate", self.data_bytes)
    }

    /// All is on stable storage; what may be left is the mark at the end, and the file is whole once that is gone.
    pub(super) fn keep(mut self, plan: &Plan) -> Result<()> {
        if plan.layout.params().uuid().is_none() {
            self.device.set_len("truncate", plan.hash_device_bytes)?;
            self.kept = true;
            return self.device.sync();
        }
        self.kept = true;
        Ok(())
    }
}

impl Drop for Staked<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(left) = self.cut() {
            log::warn!("cannot take back what was appended: {}", WithCauses(&left));
        }
    }
}
