//! What is wrong with an image that has FEC, and putting it right: [`image`] decides what is written, [`recover`] finds
//! out what wrong blocks have to be, one [`stripe`] at a time, and [`parity`] compares the parity.

mod image;
mod parity;
mod recover;
mod stripe;

pub(crate) use image::{MOST_FAILURES, repair};
pub use image::{Repair, RepairMode, WrongBlock};
