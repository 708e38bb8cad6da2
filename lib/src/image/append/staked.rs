//! Makes room in a file so that an interruption can be recognized.

use zerocopy::IntoBytes;

use super::data::Data;
use crate::error::{Result, WithCauses};
use crate::format::Plan;
use crate::image::mark::Mark;
use crate::io::Device;

/// A file that is being made into an image; unless it is kept, it gets its former length back.
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
        // Bytes that were added since it was read would be overwritten.
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

    /// Everything is on stable storage. If a mark is left at the end, the file is complete once the mark is gone.
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
