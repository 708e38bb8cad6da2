//! Forward error correction: Reed-Solomon codes over blocks that are far apart, so that damage in one place of a device
//! is spread over many codewords.
//!
//! The covered blocks, data and then hash blocks, are cut into as many pieces of `rounds` blocks as a codeword has data
//! symbols, k = 255 - roots. Written below each other they are the rows of a table whose columns are codewords:
//!
//! ```text
//!                 column 0                                        column rounds * block size - 1
//!                 v                                               v
//! row 0           | block 0        | block 1         | ... | block rounds - 1     |
//! row 1           | block rounds   | block rounds + 1| ... | block 2 * rounds - 1 |
//! ...             |                                                               |
//! row k - 1       | ...  zeros past the last block                                |
//! parity          | roots bytes for column 0, roots bytes for column 1, ...       | on the FEC device
//! ```
//!
//! The columns of one block are a round. A block that is wrong is one wrong symbol in each codeword of its round, and
//! the hash tree says which one.
//!
//! Source: the kernel's `dm-verity-fec.c`, and images made by the reference tool.

mod areas;
mod check;
mod code;
mod columns;
mod encode;
mod in_memory;
mod lanes;
mod one_pass;
mod recognize;
mod repair;
mod source;
mod syndromes;
mod update;

pub(crate) use areas::{Areas, total};
pub(crate) use check::{Checked, check};
pub(crate) use encode::encode;
pub use in_memory::{Parity, ParityBackend};
pub(crate) use one_pass::create;
pub(crate) use recognize::holds_parity;
pub(crate) use repair::{MOST_FAILURES, recover_block, repair};
pub use repair::{Repair, RepairMode, WrongBlock};
pub(crate) use update::{round_bytes, update};
