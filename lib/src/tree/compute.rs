//! The root hash alone: the levels above the data are reduced as they come, and not stored.

use super::fold::Fold;
use super::level::{LevelHasher, root_hash, total};
use crate::error::Result;
use crate::format::Layout;
use crate::io::Device;
use crate::value::RootHash;
use crate::work::{Progress, Work};

/// Computes the root hash of the data. Nothing is written.
pub(crate) fn compute(layout: &Layout, data: &Device<'_>, work: &Work<'_>) -> Result<RootHash> {
    let mut progress = Progress { done: 0, total: total(layout) };
    data.will_be_read_in_order();
    if layout.levels().is_empty() {
        return root_hash(layout, (data, data), &mut progress, work);
    }
    // The level over the data reads nothing else.
    let hasher = LevelHasher::new(layout, 0, (data, data), None, work);
    let mut fold = Fold::new(layout);
    hasher.run(
        Some(data.holes()),
        &mut progress,
        |chunk, reader| hasher.hash(chunk, reader),
        |bytes| fold.add(&bytes),
    )?;
    work.report(Progress { done: progress.total, ..progress });
    fold.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Devices;
    use crate::format::Params;
    use crate::hash::{HashAlgorithm, HashType};
    use crate::value::{BlockSize, Salt};

    #[test]
    fn it_is_the_root_hash_that_format_makes() {
        let directory = tempfile::tempdir().unwrap();
        let devices = Devices::new(directory.path().join("data"), directory.path().join("hash"));
        let mut rng = fastrand::Rng::with_seed(13);
        for round in 0..60 {
            let bytes: Vec<u8> = (0..rng.usize(1..300_000)).map(|_| rng.u8(..)).collect();
            let file = std::fs::File::create(&devices.data).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &bytes, rng.u64(..2) << 20).unwrap();
            let [block, hash_block] = [rng.u64(..8), rng.u64(..8)].map(|log| BlockSize::new(512 << log).unwrap());
            let builder = Params::builder()
                .algorithm(HashAlgorithm::from_name(["sha1", "sha256", "sha512"][round % 3]).unwrap())
                .hash_type(HashType::new(rng.u64(..2)).unwrap())
                .data_block_size(block)
                .hash_block_size(hash_block)
                .salt(Salt::new(&[7; 5]).unwrap());
            let _ = std::fs::remove_file(&devices.hash);
            let planned = crate::dry_run(&devices, builder.clone(), &Work::default());
            assert!(!devices.hash.exists());
            let made = crate::format(&devices, builder, &Work::default());
            match (planned, made) {
                (Ok(planned), Ok(made)) => {
                    assert_eq!(planned.root_hash, made.root_hash, "{:?}", made.layout);
                    let params = made.layout.params();
                    let found = crate::unverified_root_hash(&devices.hash, params);
                    assert_eq!(found.ok(), (params.data_blocks() > 1).then_some(made.root_hash));
                }
                (planned, made) => assert!(planned.is_err() && made.is_err(), "{planned:?} {made:?}"),
            }
        }
    }
}
