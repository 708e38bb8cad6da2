//! Finds and repairs damage in an image that has FEC: [`image`] decides what is written, [`recover`] finds the correct
//! contents of wrong blocks, one [`stripe`] at a time, and [`parity`] compares the parity.

mod image;
mod one_block;
mod parity;
mod recover;
mod stripe;

pub(crate) use image::{MOST_FAILURES, repair};
pub use image::{Repair, RepairMode, WrongBlock};
pub(crate) use one_block::recover_block;
