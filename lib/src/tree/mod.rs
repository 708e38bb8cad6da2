//! The hash tree: created in `create`, its root hash alone computed in `compute`, checked in `verify`. All go level by
//! level from the data upwards with the same `LevelHasher`, whose source is the data area for level 0, else the level
//! below. A level is cut into chunks, which threads hash as they come; what is made of them keeps their order. Memory
//! is bounded whatever the image. `nodes` says which block has the digest of which; `proven` reads single blocks of a
//! tree from the root downwards, and `update` changes those above some data blocks.
//!
//! Data that are read in another order for some other purpose are hashed in `leaves`. Data that come as a stream are
//! hashed in `stream`, without knowing how many will come; `fold` makes the root hash of a level that is not stored.

mod chunks;
mod compute;
mod create;
mod fold;
mod leaves;
mod level;
mod nodes;
mod proven;
mod slots;
mod source;
mod stream;
mod update;
mod verify;
mod zeros;

pub(crate) use compute::compute;
pub(crate) use create::{create, create_above};
pub(crate) use leaves::{Leaves, Run};
pub(crate) use level::{top_digest, total};
pub(crate) use nodes::{Nodes, Parent};
pub(crate) use proven::ProvenTree;
pub(crate) use slots::uniform_digests;
pub(crate) use stream::{Passed, Passing, copy};
pub(crate) use update::{Updated, UpdatedTree, merged, update};
pub use verify::{Failure, Verification};
pub(crate) use verify::{verify, verify_levels};
pub(crate) use zeros::{must_be_zeros, zeros};
