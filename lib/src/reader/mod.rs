//! Reading an image without the kernel: block by block, in any order, and only what the root hash proves.
//!
//! It works as the kernel's dm-verity does. `check` reads data blocks and compares their digests with those in hash
//! blocks, which are proven from the root hash downwards and kept in `cache`. Where all hash blocks that a read needs
//! are there, the caller's thread verifies it (the kernel: `try_verify_in_tasklet`); other reads are cut into pieces
//! for the threads of `pool`. `verified` decides which. `zeros` knows what need not be read. A bad block is recovered
//! from parity, if there is any, and proven like any other. `stream` checks data that arrive in order, from a
//! pipe.

mod builder;
mod cache;
mod check;
mod corruption;
mod pool;
mod stream;
mod verified;
mod zeros;

pub use builder::ReaderBuilder;
pub use corruption::{Corruption, Counters};
pub use stream::StreamVerifier;
pub use verified::{VerifiedReader, Where};

#[cfg(test)]
mod tests;
