use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::fec::RepairMode;
use crate::format::{AppendedFec, Fec, Hashing, Params, ParamsBuilder};
use crate::io::{Memory, ReadAt, WriteAt};
use crate::value::Salt;
use crate::work::{Progress, Work};

const BLOCK: usize = 4096;

/// Memory that counts how much of it is read.
#[derive(Default)]
struct Counting {
    memory: Memory,
    read: AtomicU64,
}

impl From<Vec<u8>> for Counting {
    fn from(bytes: Vec<u8>) -> Self {
        Self { memory: bytes.into(), read: AtomicU64::new(0) }
    }
}

impl Counting {
    /// How many bytes were read since the last call.
    fn take(&self) -> u64 {
        self.read.swap(0, Ordering::SeqCst)
    }
}

impl ReadAt for Counting {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read.fetch_add(buffer.len() as u64, Ordering::SeqCst);
        self.memory.read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.memory.size()
    }
}

impl WriteAt for Counting {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.memory.write_all_at(bytes, offset)
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        self.memory.set_size(bytes)
    }
}

/// Memory that keeps its length.
struct Fixed(Memory);

impl ReadAt for Fixed {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn data_at(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        self.0.data_at(offset)
    }
}

impl WriteAt for Fixed {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
}

fn data(blocks: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(14);
    (0..blocks * BLOCK).map(|_| rng.u8(..)).collect()
}

fn hashing() -> Hashing {
    Hashing { salt: Salt::new(&[1, 2, 3]).unwrap(), ..Hashing::default() }
}

fn builder() -> ParamsBuilder {
    Params::builder().hashing(hashing())
}

fn work() -> Work<'static> {
    Work::default().threads(NonZero::new(2).unwrap())
}

#[test]
fn storages_hold_what_files_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name| directory.path().join(name);
    std::fs::write(path("data"), data(300)).unwrap();
    let devices = Devices { fec: Some(path("fec")), ..Devices::new(path("data"), path("hash")) };
    let with_fec = || builder().fec(Fec::new(4, 0).unwrap());
    let on_files = crate::format(&devices, with_fec(), &work()).unwrap();

    let (bytes, hash, fec) = (data(300), Memory::default(), Memory::default());
    let open =
        || Image::new(Storage::Read(&bytes), Storage::Write(&hash)).unwrap().with_fec(Storage::Write(&fec)).unwrap();
    let planned = open().dry_run(with_fec(), &work()).unwrap();
    assert_eq!(planned.root_hash, on_files.root_hash);
    assert_eq!(hash.size().unwrap() + fec.size().unwrap(), 0, "nothing was written");
    let made = open().format(with_fec(), &work()).unwrap();
    assert_eq!(made.root_hash, on_files.root_hash);
    let params = open().load(0, Some(Fec::new(4, 0).unwrap())).unwrap();
    assert!(open().verify(&params, &made.root_hash, &work()).unwrap().is_good());
    assert!(open().diagnose(&params, &made.root_hash, &work()).unwrap().repair.is_none());
    assert!(open().repair(&params, &made.root_hash, RepairMode::Write, &work()).unwrap().is_clean_afterwards());
    assert_eq!(std::fs::read(path("hash")).unwrap(), Vec::from(hash));
    assert_eq!(std::fs::read(path("fec")).unwrap(), Vec::from(fec));
}

#[test]
fn one_storage_holds_what_one_file_does() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    for roots in [None, Some(2)] {
        let bytes = &data(300)[..300 * BLOCK - 100];
        std::fs::write(&path, bytes).unwrap();
        let fec = roots.map(|roots| AppendedFec { roots, device: None });
        crate::append(&path, hashing(), fec.as_ref(), &work()).unwrap();
        let storage = Counting::from(bytes.to_vec());
        for _ in 0..2 {
            // The second time the tree is replaced.
            let mut image = Image::in_one(Storage::Write(&storage)).unwrap();
            storage.take();
            let plan = image.plan_append(hashing(), fec.as_ref()).unwrap();
            let first = storage.take();
            image.plan_append(hashing(), fec.as_ref()).unwrap();
            // The last MiB at least.
            assert!(first - storage.take() > 1 << 20, "it is searched once");
            image.append_dry_run(hashing(), fec.as_ref(), &work()).unwrap();
            storage.take();
            let made = image.append(hashing(), fec.as_ref(), &work()).unwrap();
            // To look at an older tree, to hash, and for both kinds of parity.
            let most = plan.total_bytes * if roots.is_some() { 3 } else { 1 } + 16 * BLOCK as u64;
            assert!(storage.take() < most, "it is not searched again");
            assert_eq!(made.plan.total_bytes, plan.total_bytes);
            let params = image.load(image.locate().unwrap(), None).unwrap();
            assert!(image.verify(&params, &made.formatted.root_hash, &work()).unwrap().is_good());
        }
        assert!(std::fs::read(&path).unwrap() == Vec::from(storage.memory));
    }
}

#[test]
fn damage_is_looked_at_twice_at_most_and_told_of_as_one_thing() {
    let (storage, hash, fec) = (Counting::from(data(2000)), Memory::default(), Memory::default());
    let mut image = Image::new(Storage::Write(&storage), Storage::Write(&hash)).unwrap();
    image = image.with_fec(Storage::Write(&fec)).unwrap();
    let made = image.format(builder().fec(Fec::new(2, 0).unwrap()), &work()).unwrap();
    let diagnose = || {
        let seen = Mutex::new(Vec::new());
        let report = |progress: Progress| seen.lock().unwrap().push(progress);
        let params = made.layout.params();
        storage.take();
        let found = image.diagnose(params, &made.root_hash, &work().progress(&report)).unwrap();
        let seen = seen.into_inner().unwrap();
        assert!(seen.is_sorted_by(|one, next| one.done < next.done), "{seen:?}");
        assert_eq!(seen.iter().filter(|progress| progress.done == progress.total).count(), 1, "{seen:?}");
        assert!(seen.last().is_some_and(|last| last.done == last.total));
        (found, storage.take())
    };
    let bytes = (2000 * BLOCK) as u64;
    let (found, read) = diagnose();
    assert!(found.verification.is_good() && found.repair.is_none() && read == bytes);

    storage.write_all_at(&[0; 100], 5000).unwrap();
    let (found, read) = diagnose();
    assert_eq!(found.verification.failures(), 1);
    let repair = found.repair.expect("it is damaged").unwrap();
    assert!(repair.is_complete() && repair.wrong_bytes() > 90);
    // And some blocks of one round.
    assert!((2 * bytes..2 * bytes + 1000 * BLOCK as u64).contains(&read), "{read}");

    // Parity that is not there is told of beside the damage.
    fec.set_size(100).unwrap();
    image.look_again().unwrap();
    let found = image.diagnose(made.layout.params(), &made.root_hash, &work()).unwrap();
    assert_eq!(found.verification.failures(), 1);
    assert!(matches!(found.repair, Some(Err(Error::DeviceTooSmall { found: 100, .. }))));
}

#[test]
fn what_is_only_read_is_not_written_to() {
    let bytes = data(10);
    let mut image = Image::in_one(Storage::Read(&bytes)).unwrap();
    let refused = image.append(hashing(), None, &work()).unwrap_err();
    assert!(matches!(refused, Error::Io { .. }), "{refused}");
    // A tree of its own is no appended one.
    let (one, other) = (Memory::from(data(10)), Memory::default());
    let mut image = Image::new(Storage::Write(&one), Storage::Write(&other)).unwrap();
    let refused = image.append(hashing(), None, &work()).unwrap_err();
    assert!(matches!(refused, Error::NotFile { .. }) && Vec::from(one).len() == 10 * BLOCK, "{refused}");
    // One that cannot be made longer has to have room for all of it.
    for (room, fits) in [(8192, true), (8191, false)] {
        let hash = Fixed(vec![0; room].into());
        let made = Image::new(Storage::Read(&bytes), Storage::Write(&hash)).unwrap().format(builder(), &work());
        assert_eq!(made.is_ok(), fits, "{made:?}");
        assert_eq!(hash.size().unwrap(), room as u64);
    }
}
