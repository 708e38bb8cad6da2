//! Finds and repairs damage in an image that has FEC.

use std::collections::BTreeMap;

use super::parity::{ParityFaults, check_parity};
use super::recover::{Found, Recovery};
use crate::error::{Area, Result};
use crate::fec::encode::Encoder;
use crate::fec::{Areas, Checked};
use crate::format::Layout;
use crate::tree::Nodes;
use crate::tree::Verification;
use crate::value::RootHash;
use crate::work::{Progress, Work};

/// How many bad blocks are handled at most: more are not just a few errors, and memory use stays bounded.
pub(crate) const MOST_FAILURES: usize = 1 << 17;

/// What [`repair`](crate::repair) does with its findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairMode {
    /// They are only reported.
    DryRun,
    /// The corrections are written to the devices.
    Write,
}

/// A wrong block that can be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrongBlock {
    /// Which area it belongs to: data or hash.
    pub area: Area,
    /// Its number on its device.
    pub block: u64,
    /// Where it starts on its device, in bytes.
    pub position: u64,
    /// How many of its bytes are wrong.
    pub wrong_bytes: u64,
}

/// What is wrong with an image, what can be done about it, and what was done.
#[derive(Clone, Debug)]
pub struct Repair {
    pub(crate) verification: Verification,
    pub(crate) blocks: Vec<WrongBlock>,
    pub(crate) faults: ParityFaults,
    pub(crate) proves_all_blocks: bool,
}

impl Repair {
    /// What the hash tree says of the image as it was found.
    pub fn verification(&self) -> &Verification {
        &self.verification
    }

    /// The wrong blocks of data and tree, in order of their positions. The root hash proves their correct contents. If
    /// not all could be proven, these are the ones that could, and nothing was written.
    pub fn blocks(&self) -> &[WrongBlock] {
        &self.blocks
    }

    /// Whether the correct contents of all blocks of data and tree are known and proven. If not, nothing was written.
    pub fn proves_all_blocks(&self) -> bool {
        self.proves_all_blocks
    }

    /// Whether, in addition, no codeword of the FEC area is beyond correction.
    pub fn is_complete(&self) -> bool {
        self.proves_all_blocks && self.faults.unknown == 0
    }

    /// Whether no known damage is left after everything that can be proven is written.
    pub fn is_clean_afterwards(&self) -> bool {
        self.is_complete() && self.faults.outside == 0
    }

    /// Wrong bytes of parity. Where FEC covers blocks after the tree, only the code determines their contents, and it
    /// can be mistaken where more of those bytes and the parity are wrong than half the roots.
    pub fn parity_bytes(&self) -> u64 {
        self.faults.parity
    }

    /// Wrong bytes that FEC covers after the tree. They could be corrected, but nothing proves their contents, so
    /// they are not.
    pub fn outside_bytes(&self) -> u64 {
        self.faults.outside
    }

    /// Codewords over blocks after the tree with errors that cannot be located.
    pub fn unknown_codewords(&self) -> u64 {
        self.faults.unknown
    }

    /// The number of all wrong bytes, if the image can be repaired.
    pub fn wrong_bytes(&self) -> u64 {
        self.blocks.iter().map(|block| block.wrong_bytes).sum::<u64>() + self.faults.parity + self.faults.outside
    }
}

/// Finds the damage in everything that FEC covers and in the parity itself, given the results of a check that kept up
/// to [`MOST_FAILURES`], and writes the corrections if `mode` says so. If the correct contents of a block of data or
/// tree cannot be found, nothing is written.
pub(crate) fn repair(
    image: &Areas<'_>,
    root_hash: &RootHash,
    Checked { verification, suspects }: Checked,
    mode: RepairMode,
    progress: &mut Progress,
    work: &Work<'_>,
) -> Result<Repair> {
    let encoder = Encoder::new(image);
    let faults = ParityFaults::default();
    let mut repair = Repair { verification, blocks: Vec::new(), faults, proves_all_blocks: false };
    let Some(failures) = repair.verification.all_failures() else { return Ok(repair) };
    let failures = (failures, repair.verification.root_hash_matches());
    let found = Recovery::new(image, &encoder, root_hash, failures).run(work)?;
    repair.proves_all_blocks = found.is_complete;
    repair.blocks = wrong_blocks(image.layout, &encoder, &found.wrong_bytes);
    if !found.is_complete {
        return Ok(repair);
    }
    let write = mode == RepairMode::Write;
    if write {
        write_blocks(image.layout, &encoder, &found, work)?;
        image.data.sync()?;
        image.hash.sync()?;
    }
    let before = suspects.count();
    let left = suspects.without(&found.clean_rounds, image.layout.params().hash_block_size().bytes());
    if left.count() < before {
        progress.done += encoder.bytes_in(before - left.count());
        work.report(*progress);
    }
    let tree_end = Nodes::new(image.layout).end();
    encoder.for_columns(
        &left,
        progress,
        work,
        |columns, scratch| check_parity(&encoder, image, &columns, tree_end, &found.overlay, write, scratch),
        |some| {
            repair.faults += some;
            Ok(())
        },
    )?;
    if write {
        image.fec.sync()?;
    }
    Ok(repair)
}

/// Writes the proven blocks. Each is correct on its own: an interruption leaves less to repair.
fn write_blocks(layout: &Layout, encoder: &Encoder<'_>, found: &Found, work: &Work<'_>) -> Result<()> {
    let block_size = layout.params().hash_block_size().bytes();
    for &number in found.wrong_bytes.keys() {
        work.check()?;
        let (device, position) = encoder.covered.locate(number * block_size);
        device.write_at(&found.overlay.read(number)?, position)?;
    }
    Ok(())
}

fn wrong_blocks(layout: &Layout, encoder: &Encoder<'_>, wrong_bytes: &BTreeMap<u64, u64>) -> Vec<WrongBlock> {
    let params = layout.params();
    let block_size = params.hash_block_size().bytes();
    let describe = |(&number, &wrong_bytes): (&u64, &u64)| {
        let area = if number < params.data_blocks() { Area::Data } else { Area::Hash };
        let (_, position) = encoder.covered.locate(number * block_size);
        WrongBlock { area, block: position / block_size, position, wrong_bytes }
    };
    wrong_bytes.iter().map(describe).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::num::NonZero;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::error::Error;
    use crate::format::{Fec, Params};
    use crate::image::Devices;
    use crate::value::BlockSize;

    const BLOCK: u64 = 4096;

    /// An image with two parity bytes for each codeword, of three rounds, in a directory that is removed with it.
    struct Sample {
        _directory: tempfile::TempDir,
        devices: Devices,
        params: Params,
        root_hash: RootHash,
        /// What its files were.
        files: [Vec<u8>; 3],
    }

    impl Sample {
        fn new() -> Self {
            Self::with(700, &[], 2, 3)
        }

        /// With other blocks after the tree on the hash device, which FEC covers too.
        fn with(data_blocks: u64, behind_the_tree: &[u8], roots: u64, rounds: u64) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = |name| directory.path().join(name);
            let devices = Devices { fec: Some(path("fec")), ..Devices::new(path("data"), path("hash")) };
            let mut rng = fastrand::Rng::with_seed(8);
            let data: Vec<u8> = (0..data_blocks * BLOCK).map(|_| rng.u8(..)).collect();
            fs::write(&devices.data, &data).unwrap();
            let builder = Params::builder().data_block_size(BlockSize::default()).fec(Fec::new(roots, 0).unwrap());
            if !behind_the_tree.is_empty() {
                let plan = crate::Plan::new(builder.clone(), data_blocks * BLOCK).unwrap();
                let mut hash = vec![0; usize::try_from(plan.layout.hash_end()).unwrap()];
                hash.extend_from_slice(behind_the_tree);
                fs::write(&devices.hash, hash).unwrap();
            }
            let made = crate::format(&devices, builder, &Work::default()).unwrap();
            assert_eq!(made.fec_area.unwrap().rounds, rounds);
            let files = [data, fs::read(&devices.hash).unwrap(), fs::read(path("fec")).unwrap()];
            Self {
                _directory: directory,
                params: made.layout.params().clone(),
                root_hash: made.root_hash,
                devices,
                files,
            }
        }

        fn files(&self) -> [Vec<u8>; 3] {
            [&self.devices.data, &self.devices.hash, self.devices.fec.as_ref().unwrap()]
                .map(|path| fs::read(path).unwrap())
        }

        /// Inverts bytes of a data block.
        fn damage(&self, block: u64, bytes: std::ops::Range<u64>) {
            Self::invert(&self.devices.data, block * BLOCK + bytes.start..block * BLOCK + bytes.end);
        }

        /// Inverts bytes of the FEC area.
        fn damage_parity(&self, bytes: std::ops::Range<u64>) {
            Self::invert(self.devices.fec.as_ref().unwrap(), bytes);
        }

        /// Inverts bytes of the hash device.
        fn damage_hash(&self, bytes: std::ops::Range<u64>) {
            Self::invert(&self.devices.hash, bytes);
        }

        fn invert(path: &std::path::Path, bytes: std::ops::Range<u64>) {
            let mut content = fs::read(path).unwrap();
            for byte in bytes {
                content[usize::try_from(byte).unwrap()] ^= 0xFF;
            }
            fs::write(path, content).unwrap();
        }

        fn repair(&self, mode: RepairMode) -> Repair {
            crate::repair(&self.devices, &self.params, &self.root_hash, mode, &Work::default()).unwrap()
        }
    }

    #[test]
    fn a_block_that_is_right_again_helps_the_others_of_its_round() {
        let sample = Sample::new();
        // Three bad blocks, of which FEC can correct two: the third one can be found without knowing where it is,
        // because it is wrong where the others are right.
        sample.damage(0, 0..512);
        sample.damage(3, 0..512);
        sample.damage(6, 1536..2048);
        let shown = sample.repair(RepairMode::DryRun);
        assert!(shown.is_clean_afterwards());
        let blocks: Vec<_> = shown.blocks().iter().map(|block| (block.area, block.block, block.wrong_bytes)).collect();
        assert_eq!(blocks, [(Area::Data, 0, 512), (Area::Data, 3, 512), (Area::Data, 6, 512)]);
        assert_eq!(shown.wrong_bytes(), 3 * 512);
        assert_ne!(sample.files(), sample.files);
        sample.repair(RepairMode::Write);
        assert_eq!(sample.files(), sample.files);
        assert_eq!(sample.repair(RepairMode::Write).wrong_bytes(), 0);
    }

    #[test]
    fn as_many_whole_blocks_come_back_as_there_are_roots() {
        let sample = Sample::new();
        // Of one round.
        sample.damage(0, 0..BLOCK);
        sample.damage(3, 0..BLOCK);
        sample.repair(RepairMode::Write);
        assert_eq!(sample.files(), sample.files);
    }

    #[test]
    fn a_block_longer_than_what_is_corrected_at_once_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name| directory.path().join(name);
        let devices = Devices { fec: Some(path("fec")), ..Devices::new(path("data"), path("hash")) };
        let size = BlockSize::new(1 << 16).unwrap();
        let mut rng = fastrand::Rng::with_seed(9);
        let data: Vec<u8> = (0..3 << 16).map(|_| rng.u8(..)).collect();
        fs::write(&devices.data, &data).unwrap();
        let builder = Params::builder().data_block_size(size).hash_block_size(size).fec(Fec::new(2, 0).unwrap());
        let made = crate::format(&devices, builder, &Work::default()).unwrap();
        let mut damaged = data.clone();
        damaged[1 << 16..2 << 16].fill(0);
        fs::write(&devices.data, damaged).unwrap();
        let params = made.layout.params();
        let repair = crate::repair(&devices, params, &made.root_hash, RepairMode::Write, &Work::default()).unwrap();
        assert!(repair.is_complete() && fs::read(&devices.data).unwrap() == data);
    }

    #[test]
    fn nothing_is_written_unless_everything_can_be_proven() {
        let sample = Sample::new();
        // One round can be corrected, another one cannot.
        sample.damage(1, 0..BLOCK);
        for block in [0, 3, 6] {
            sample.damage(block, 100..200);
        }
        let damaged = sample.files();
        let repair = sample.repair(RepairMode::Write);
        assert!(!repair.proves_all_blocks());
        assert_eq!(repair.blocks().len(), 1);
        assert_eq!(sample.files(), damaged);
    }

    #[test]
    fn repair_tells_how_far_it_is_and_can_be_cancelled_and_done_again() {
        let sample = Sample::new();
        sample.damage(1, 0..BLOCK);
        sample.damage(2, 0..BLOCK);
        let seen = Mutex::new(Vec::new());
        let cancel = AtomicBool::new(false);
        let (wanted, path) = (&sample.root_hash, &sample.devices);
        let report = |progress: Progress| seen.lock().unwrap().push(progress);
        let work = Work::default().threads(NonZero::new(3).unwrap()).progress(&report).cancel(&cancel);
        crate::repair(path, &sample.params, wanted, RepairMode::DryRun, &work).unwrap();
        let seen = seen.into_inner().unwrap();
        assert!(seen.is_sorted_by(|one, next| one.done < next.done), "{seen:?}");
        assert_eq!(seen.last().map(|last| last.done), seen.last().map(|last| last.total));

        cancel.store(true, Ordering::SeqCst);
        let quiet = Work::default().cancel(&cancel);
        let cancelled = crate::repair(path, &sample.params, wanted, RepairMode::Write, &quiet);
        assert!(matches!(cancelled, Err(Error::Cancelled)));
        sample.repair(RepairMode::Write);
        assert_eq!(sample.files(), sample.files);
    }

    #[test]
    fn hash_blocks_come_back_with_the_data_below_them() {
        let sample = Sample::new();
        // The superblock, the top of the tree, then six blocks over the data. The second of those and a block below it;
        // they are not of one round. And the top, the first block after the data.
        sample.damage_hash(3 * BLOCK + 100..3 * BLOCK + 164);
        sample.damage_hash(BLOCK + 5..BLOCK + 6);
        sample.damage(129, 10..12);
        let shown = sample.repair(RepairMode::DryRun);
        let blocks: Vec<_> =
            shown.blocks().iter().map(|block| (block.area, block.block, block.position, block.wrong_bytes)).collect();
        let hash = [(Area::Hash, 1, BLOCK, 1), (Area::Hash, 3, 3 * BLOCK, 64)];
        assert_eq!(blocks, [(Area::Data, 129, 129 * BLOCK, 2), hash[0], hash[1]]);
        assert!(shown.is_clean_afterwards());
        sample.repair(RepairMode::Write);
        assert_eq!(sample.files(), sample.files);
    }

    #[test]
    fn the_top_of_the_tree_and_all_below_it_come_back() {
        let sample = Sample::new();
        // A whole block at the top, by whose digests nothing can be proven until the block itself is corrected.
        sample.damage_hash(BLOCK..2 * BLOCK);
        sample.damage(300, 0..BLOCK);
        let repair = sample.repair(RepairMode::Write);
        assert_eq!(repair.blocks().len(), 2);
        assert!(repair.is_complete());
        assert_eq!(sample.files(), sample.files);
    }

    #[test]
    fn parity_is_made_anew_where_it_is_wrong_and_nowhere_else() {
        // Wide enough to be looked at in several stretches.
        let sample = Sample::with(2300, &[], 2, 10);
        let end = sample.files[2].len() as u64;
        assert_eq!(end, 10 * BLOCK * 2);
        sample.damage_parity(0..1);
        sample.damage_parity(40_001..40_004);
        sample.damage_parity(end - 1..end);
        let damaged = sample.files();
        let shown = sample.repair(RepairMode::DryRun);
        assert_eq!((shown.parity_bytes(), shown.outside_bytes(), shown.unknown_codewords()), (5, 0, 0));
        assert_eq!(shown.wrong_bytes(), 5);
        assert!(shown.blocks().is_empty() && shown.is_clean_afterwards());
        assert_eq!(sample.files(), damaged);
        assert_eq!(sample.repair(RepairMode::Write).parity_bytes(), 5);
        assert_eq!(sample.files(), sample.files);
    }

    /// Three blocks after the tree: in rounds 1, 2 and 0 of the three.
    fn with_foreign_blocks(roots: u64) -> Sample {
        let foreign: Vec<u8> = (0..3 * BLOCK).map(|byte| u8::try_from(byte % 251).unwrap()).collect();
        Sample::with(if roots == 2 { 700 } else { 690 }, &foreign, roots, 3)
    }

    #[test]
    fn what_is_behind_the_tree_is_counted_and_left_alone() {
        let sample = with_foreign_blocks(2);
        let first = sample.files[1].len() as u64 - 3 * BLOCK;
        sample.damage_hash(first + 7..first + 9);
        sample.damage(4, 20..23);
        let left = fs::read(&sample.devices.hash).unwrap();
        for mode in [RepairMode::DryRun, RepairMode::Write] {
            let repair = sample.repair(mode);
            assert_eq!((repair.parity_bytes(), repair.outside_bytes(), repair.unknown_codewords()), (0, 2, 0));
            assert_eq!(repair.wrong_bytes(), 5);
            assert!(repair.is_complete() && !repair.is_clean_afterwards());
        }
        assert_eq!(sample.files(), [sample.files[0].clone(), left, sample.files[2].clone()]);
    }

    #[test]
    fn with_blocks_behind_the_tree_the_code_tells_which_parity_is_wrong() {
        let sample = with_foreign_blocks(4);
        // One wrong byte of parity, and two in another codeword of it, which are all that four roots can find; in each
        // case they are not wrong in the same way.
        sample.damage_parity(4 * 100..4 * 100 + 1);
        sample.damage_parity(4 * 5000 + 1..4 * 5000 + 3);
        let first = sample.files[1].len() as u64 - 3 * BLOCK;
        sample.damage_hash(first + 50..first + 51);
        let left = fs::read(&sample.devices.hash).unwrap();
        let repair = sample.repair(RepairMode::Write);
        assert_eq!((repair.parity_bytes(), repair.outside_bytes(), repair.unknown_codewords()), (3, 1, 0));
        assert_eq!(sample.files(), [sample.files[0].clone(), left, sample.files[2].clone()]);
    }

    #[test]
    fn codewords_of_which_too_much_is_wrong_stay_as_they_are() {
        let sample = with_foreign_blocks(2);
        // Both bytes of parity: what two roots can find is one wrong byte.
        sample.damage_parity(2 * 9..2 * 9 + 2);
        let damaged = sample.files();
        let repair = sample.repair(RepairMode::Write);
        assert_eq!((repair.parity_bytes(), repair.outside_bytes(), repair.unknown_codewords()), (0, 0, 1));
        assert!(repair.proves_all_blocks() && !repair.is_complete() && !repair.is_clean_afterwards());
        assert_eq!(sample.files(), damaged);
    }
}
