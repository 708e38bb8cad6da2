//! Hash algorithms by name, and the hashing of salted blocks: one by one, or many in the lanes of the processor's
//! vectors.

mod algorithm;
mod backend;
mod block;
mod function;
mod lanes;
mod names;
mod sponge;

pub use algorithm::{HashAlgorithm, HashType};
pub use backend::Backend;
pub use block::BlockHasher;
pub(crate) use block::is_zero;
