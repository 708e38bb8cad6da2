//! One pass against two: whatever is wrong with an image, both find and write the same.
#![allow(clippy::cast_possible_truncation)] // They are small.

use std::fs;
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use super::*;
use crate::error::Error;
use crate::fec::{Repair, RepairMode, repair};
use crate::format::{AppendedFec, Fec, Hashing, Params};
use crate::hash::{HashAlgorithm, HashType};
use crate::image::{Devices, Image};
use crate::io::{ReadAt, Storage};
use crate::value::Salt;

/// An image in a directory that is removed with it.
struct Sample {
    directory: tempfile::TempDir,
    devices: Devices,
    params: Params,
    root_hash: RootHash,
    rounds: u64,
}

/// Where the areas are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Apart,
    ParityAfterTree,
    OneFile,
    OneFileAndParity,
}

impl Sample {
    fn new(data: &[u8], hashing: Hashing, roots: u64, place: Place) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("data"), data).unwrap();
        let apart = matches!(place, Place::Apart | Place::OneFileAndParity).then(|| path("fec"));
        let hash = if matches!(place, Place::OneFile | Place::OneFileAndParity) { path("data") } else { path("hash") };
        let devices = Devices { fec: Some(apart.clone().unwrap_or(hash.clone())), ..Devices::new(path("data"), &hash) };
        let made = if devices.data == devices.hash {
            crate::append(&hash, hashing, Some(&AppendedFec { roots, device: apart }), &Work::default())
                .unwrap()
                .formatted
        } else {
            let builder = Params::builder().hashing(hashing);
            let offset = match place {
                Place::Apart => 0,
                _ => crate::Plan::new(builder.clone(), data.len() as u64).unwrap().layout.fec_offset_after_tree(),
            };
            crate::format(&devices, builder.fec(Fec::new(roots, offset).unwrap()), &Work::default()).unwrap()
        };
        let (params, root_hash) = (made.layout.params().clone(), made.root_hash);
        Self { directory, devices, params, root_hash, rounds: made.fec_area.unwrap().rounds }
    }

    fn of_blocks(blocks: u64, roots: u64) -> Self {
        let mut data = random_bytes(blocks * 4096);
        data.rotate_left(1);
        Self::new(&data, Hashing::default(), roots, Place::Apart)
    }

    fn paths(&self) -> Vec<PathBuf> {
        fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        self.paths().into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    /// What a check finds and what a repair does, in one pass if that is wanted and possible.
    fn run(&self, one_pass: bool, mode: RepairMode, work: &Work<'_>) -> (Repair, bool, u64) {
        let image = match mode {
            RepairMode::Write => Image::at_to_write(&self.devices).unwrap(),
            RepairMode::DryRun => Image::at(&self.devices).unwrap(),
        };
        let layout = Layout::new(&self.params).unwrap();
        image.check_sizes(&layout).unwrap();
        let parity = image.fec_areas(&layout).unwrap();
        let areas = parity.on(&image, &layout);
        let mut progress = Progress { done: 0, total: u64::MAX };
        let checked = if one_pass { check(&areas, &self.root_hash, &mut progress, work).unwrap() } else { None };
        let was_one = checked.is_some();
        let checked = checked.unwrap_or_else(|| {
            progress.done = 0;
            let devices = (areas.data, areas.hash);
            let found = tree::verify(&layout, &self.root_hash, devices, MOST_FAILURES, &mut progress, work).unwrap();
            Checked::of_tree(found, &layout, areas.area)
        });
        let repair = repair(&areas, &self.root_hash, checked, mode, &mut progress, work).unwrap();
        (repair, was_one, progress.done)
    }

    /// Compares both ways; returns whether it could be done in one pass, and what was found.
    fn compare(&self, case: &str) -> (Repair, bool) {
        let damaged = self.files();
        let two = Work::default().threads(NonZero::new(2).unwrap());
        let mut last = None;
        for mode in [RepairMode::DryRun, RepairMode::Write] {
            let (expected, _, done) = self.run(false, mode, &two);
            let written = self.files();
            restore(&damaged);
            for threads in [1, 3] {
                let work = Work::default().threads(NonZero::new(threads).unwrap());
                let (found, is_one, found_done) = self.run(true, mode, &work);
                assert_eq!(found.verification, expected.verification, "{case}, {threads} threads");
                assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{case}, {threads} threads");
                // The parity of what cannot be corrected may have been looked at or not.
                assert!(found_done == done || !found.proves_all_blocks, "{case}: {found_done} {done}");
                assert!(self.files() == written, "{case}, {threads} threads: other bytes are written");
                restore(&damaged);
                last = Some((found, is_one));
            }
        }
        last.unwrap()
    }
}

fn restore(files: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in files {
        fs::write(path, bytes).unwrap();
    }
}

fn random_bytes(count: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(count);
    (0..count).map(|_| random.u8(..)).collect()
}

fn invert(path: &Path, bytes: Range<u64>) {
    let mut content = fs::read(path).unwrap();
    for byte in bytes {
        content[byte as usize] ^= 0xFF;
    }
    fs::write(path, content).unwrap();
}

fn random_hashing(random: &mut fastrand::Rng) -> Hashing {
    let size = BlockSize::new(512 << random.u32(..8)).unwrap();
    let algorithm = random.choice(["sha256", "sha384", "sha1", "md5", "sha512", "sha3-256"]).unwrap();
    Hashing {
        algorithm: HashAlgorithm::from_name(algorithm).unwrap(),
        hash_type: if random.bool() { HashType::Normal } else { HashType::ChromeOs },
        data_block_size: size,
        hash_block_size: size,
        salt: Salt::new(&[random.u8(..); 40][..random.usize(..40)]).unwrap(),
        ..Hashing::default()
    }
}

#[test]
fn one_pass_finds_and_writes_what_two_do() {
    let mut random = fastrand::Rng::with_seed(11);
    let (mut in_one_pass, mut with_damage) = (0, 0);
    for round in 0..48 {
        let hashing = random_hashing(&mut random);
        let (size, roots) = (hashing.data_block_size.bytes(), random.u64(2..=24));
        let place = [Place::Apart, Place::ParityAfterTree, Place::OneFile, Place::OneFileAndParity][round % 4];
        let blocks = random.u64(2..if round % 8 == 0 { 12 << 20 } else { 2 << 20 } / size);
        let mut data: Vec<u8> = (0..blocks * size).map(|_| random.u8(..)).collect();
        let zeros = random.usize(..data.len());
        let end = random.usize(zeros..data.len());
        data[zeros..end].fill(0);
        let case = format!("{round}: {blocks} blocks, {roots} roots, {place:?}, {hashing:?}");
        let sample = Sample::new(&data, hashing, roots, place);
        let data_bytes = sample.params.data_bytes();
        for _ in 0..random.usize(..7) {
            let paths = sample.paths();
            let path = random.choice(&paths).unwrap();
            let len = fs::metadata(path).unwrap().len();
            let in_data = *path == sample.devices.data;
            let start = match random.u32(..3) {
                // Rounds that are damaged more than once, and the last one.
                0 if in_data => random.u64(..data_bytes.div_ceil(size * sample.rounds)) * size * sample.rounds,
                1 if in_data => (sample.rounds - 1).min(blocks - 1) * size,
                _ => random.u64(..len),
            };
            let bytes = if random.bool() { 3 } else { size };
            // Not the superblock, which nothing corrects.
            let superblock = sample.params.hash_offset()..sample.params.hash_offset() + 512;
            let end = len.min(start + bytes);
            if *path != sample.devices.hash || end <= superblock.start || superblock.end <= start {
                invert(path, start..end);
            }
        }
        let (found, is_one) = sample.compare(&case);
        in_one_pass += u32::from(is_one);
        with_damage += u32::from(is_one && found.wrong_bytes() > 0);
    }
    assert!(in_one_pass > 24 && with_damage > 12, "{in_one_pass} {with_damage}");
}

#[test]
fn each_kind_of_damage_is_found_in_one_pass() {
    // More than one stretch, the last of which is short.
    let sample = Sample::of_blocks(2300, 2);
    assert_eq!(sample.rounds, 10);
    let (good, [data, hash, fec]) =
        (sample.files(), ["data", "hash", "fec"].map(|name| sample.directory.path().join(name)));
    let parity = 10 * 4096 * 2;
    // Superblock, top, then the level over the data.
    let damages = [
        ("nothing", vec![(&data, 0..0)], (0, 0)),
        ("data in the last round", vec![(&data, 19 * 4096..20 * 4096)], (4096, 0)),
        (
            "several blocks",
            vec![(&data, 0..4096), (&data, 10 * 4096..11 * 4096), (&data, 5 * 4096..5 * 4096 + 9)],
            (8201, 0),
        ),
        ("parity where the data are right", vec![(&fec, 70_000..70_003), (&fec, parity - 1..parity)], (0, 4)),
        ("data and parity of other codewords", vec![(&data, 4096..4100), (&fec, 3 * 8192..3 * 8192 + 1)], (4, 1)),
        ("data and parity of the same round", vec![(&data, 4096..4100), (&fec, 8192 + 1000..8192 + 1001)], (4, 1)),
        ("hash blocks", vec![(&hash, 8192..8200), (&hash, 3 * 4096..3 * 4096 + 1), (&data, 7..8)], (10, 0)),
    ];
    for (case, damage, (in_blocks, in_parity)) in damages {
        for (path, bytes) in damage {
            invert(path, bytes);
        }
        let (found, is_one) = sample.compare(case);
        assert!(is_one && found.is_complete(), "{case}");
        assert_eq!(
            (found.wrong_bytes() - found.parity_bytes(), found.parity_bytes()),
            (in_blocks, in_parity),
            "{case}"
        );
        restore(&good);
    }
}

#[test]
fn of_an_image_that_is_wholly_wrong_or_has_another_root_hash_the_parity_is_not_looked_at() {
    let mut sample = Sample::of_blocks(3000, 4);
    let good = sample.files();
    fs::write(&sample.devices.data, random_bytes(3000 * 4096)).unwrap();
    assert!(!sample.compare("wholly wrong").1);
    restore(&good);
    sample.root_hash = RootHash::new(vec![7; 32]);
    assert!(!sample.compare("root hash").1);
}

/// A file of which the bytes that are read are counted.
struct Counted {
    file: fs::File,
    bytes: AtomicU64,
}

impl Counted {
    fn open(path: &Path) -> Self {
        Self { file: fs::File::open(path).unwrap(), bytes: AtomicU64::new(0) }
    }
}

impl ReadAt for Counted {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        self.file.read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

impl Sample {
    /// How many bytes of the data are read.
    fn bytes_read(&self, run: impl Fn(&Image<'_>)) -> u64 {
        let [data, hash] = [&self.devices.data, &self.devices.hash].map(|path| Counted::open(path));
        let fec = Counted::open(self.devices.fec.as_ref().unwrap());
        let image = Image::new(Storage::Read(&data), Storage::Read(&hash)).unwrap();
        run(&image.with_fec(Storage::Read(&fec)).unwrap());
        data.bytes.into_inner()
    }
}

#[test]
fn data_are_read_once_and_what_is_damaged_once_more() {
    let sample = Sample::of_blocks(2300, 2);
    let work = Work::default().threads(NonZero::new(2).unwrap());
    let repair = |image: &Image<'_>| {
        drop(image.repair(&sample.params, &sample.root_hash, RepairMode::DryRun, &work).unwrap());
    };
    let diagnose = |image: &Image<'_>| drop(image.diagnose(&sample.params, &sample.root_hash, &work).unwrap());
    let data = 2300 * 4096;
    assert_eq!((sample.bytes_read(repair), sample.bytes_read(diagnose)), (data, data));
    invert(&sample.devices.data, 5 * 4096..6 * 4096);
    // The blocks of one round, and what is compared.
    let round = 240 * 4096;
    assert!((data..data + round).contains(&sample.bytes_read(repair)), "{}", sample.bytes_read(repair));
    let read = sample.bytes_read(diagnose);
    assert!(read <= 2 * data + (1 << 20), "{read}");
    // One block in each round.
    invert(&sample.devices.data, 100 * 4096..105 * 4096);
    invert(&sample.devices.data, 106 * 4096..110 * 4096);
    for read in [sample.bytes_read(repair), sample.bytes_read(diagnose)] {
        assert!(read <= 2 * data + (1 << 20), "{read}");
    }
    // All of them: a few rounds are enough to see that parity is of no use.
    let sample = Sample::of_blocks(12_000, 2);
    fs::write(&sample.devices.data, random_bytes(12_000 * 4096)).unwrap();
    let run = |image: &Image<'_>| {
        let found = image.repair(&sample.params, &sample.root_hash, RepairMode::DryRun, &work).unwrap();
        assert!(!found.proves_all_blocks() && found.verification().failures() == 12_000);
    };
    let read = sample.bytes_read(run);
    // A stretch of eight rounds for each thread, and four rounds twice.
    assert!(read <= 12_000 * 4096 + 24 * 253 * 4096, "{read}");
}

#[test]
fn progress_goes_up_to_the_total_whatever_is_found() {
    let sample = Sample::of_blocks(2300, 2);
    let done = |name: &str| {
        let seen = Mutex::new(Vec::new());
        let report = |progress: Progress| seen.lock().unwrap().push(progress);
        let work = Work::default().threads(NonZero::new(2).unwrap()).progress(&report);
        crate::repair(&sample.devices, &sample.params, &sample.root_hash, RepairMode::DryRun, &work).unwrap();
        let seen = seen.into_inner().unwrap();
        assert!(seen.is_sorted_by(|one, next| one.done < next.done), "{name}: {seen:?}");
        let last = seen.last().unwrap();
        assert_eq!(last.done, last.total, "{name}");
    };
    done("good");
    invert(sample.devices.fec.as_ref().unwrap(), 10..12);
    done("parity");
    invert(&sample.devices.data, 5 * 4096..6 * 4096);
    done("data and parity");
}

#[test]
fn an_error_or_a_request_to_stop_ends_it() {
    struct Failing;
    impl ReadAt for Failing {
        fn read_exact_at(&self, _: &mut [u8], offset: u64) -> io::Result<()> {
            if offset > 1 << 20 { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
        }

        fn size(&self) -> io::Result<u64> {
            Ok(2300 * 4096)
        }
    }
    let sample = Sample::of_blocks(2300, 2);
    let [hash, fec] = [&sample.devices.hash, sample.devices.fec.as_ref().unwrap()].map(|path| Counted::open(path));
    let image = Image::new(Storage::Read(&Failing), Storage::Read(&hash)).unwrap();
    let image = image.with_fec(Storage::Read(&fec)).unwrap();
    let run = |work: &Work<'_>| image.repair(&sample.params, &sample.root_hash, RepairMode::DryRun, work).unwrap_err();
    assert!(matches!(run(&Work::default()), Error::Io { .. }));
    let cancel = AtomicBool::new(true);
    assert!(matches!(run(&Work::default().cancel(&cancel)), Error::Cancelled));
}
