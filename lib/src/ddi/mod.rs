//! Discoverable disk images: one GPT image with a file system, its hash tree and a signature of the root hash in
//! partitions of their own, as the [Discoverable Partitions
//! Specification](https://uapi-group.org/specifications/specs/discoverable_partitions_specification/) has them and
//! systemd uses them; and the files that other systems keep beside an image.
//!
//! ```no_run
//! use dmverity::ddi::{Gpt, Images, Wanted};
//! use dmverity::{Image, Storage, Work};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = std::fs::File::open("image.raw")?;
//! let gpt = Gpt::read(&file)?;
//! let set = Images::of(&gpt, &file)?.pick(&Wanted::default())?;
//!
//! // Proves that the partitions fit each other. Who says that this root hash is the right one?
//! let root_hash = set.root_hash.as_ref().ok_or("its digests are longer than two UUIDs")?;
//! let (data, verity) = (set.data.part(&file), set.verity.part(&file));
//! let image = Image::new(Storage::Read(&data), Storage::Read(&verity))?;
//! let params = image.load(0, None)?;
//! assert!(image.verify(&params, root_hash, &Work::default())?.is_good());
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here trusts what it reads: sizes are bounded before they are used, and what is damaged or contradicts itself
//! is refused with a reason.

mod architecture;
mod build;
mod copied;
mod disk;
mod error;
mod facts;
mod gpt;
mod header;
mod images;
mod kind;
mod part;
mod policy;
mod sidecars;
mod signature_partition;
mod table;
#[cfg(test)]
mod testing;
mod types;

pub use architecture::Architecture;
pub use build::{BuiltImage, Signer, Unsigned};
pub use disk::{DiskImage, DiskPlan, FileSystem, ImagePlan, SignatureSource};
pub use error::{Error, GptCopy, GptFault, SignerError};
pub use facts::{ImageFacts, Refusal};
pub use gpt::{Gpt, Partition};
pub use images::{FoundSignature, ImageSet, Images, SignatureContent, Wanted};
pub use kind::{Designator, PartitionKind, Role, type_name};
pub use part::Part;
pub use policy::{Policy, PolicyPartition, Protection};
pub use sidecars::{HashFiles, LayerSidecar, Sidecars};
pub use signature_partition::SignaturePartition;
