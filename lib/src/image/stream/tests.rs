use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::format::{FecScope, Params};
use crate::hash::{HashAlgorithm, HashType};
use crate::io::Memory;
use crate::value::{BlockSize, Salt};

/// A stream that is read in pieces of any length, and that a signal interrupts.
struct Pieces<'a> {
    bytes: &'a [u8],
    rng: fastrand::Rng,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rng.u8(..8) == 0 {
            return Err(ErrorKind::Interrupted.into());
        }
        let most = self.rng.usize(1..200_000);
        let len = buffer.len().min(self.bytes.len()).min(most);
        buffer[..len].copy_from_slice(&self.bytes[..len]);
        self.bytes = &self.bytes[len..];
        Ok(len)
    }
}

/// Data with zeros and without, of any length.
fn data(rng: &mut fastrand::Rng) -> Vec<u8> {
    let len = match rng.u8(..4) {
        0 => rng.usize(..5000),
        1 => rng.usize(..200_000),
        _ => rng.usize(..3_000_000),
    };
    let mut bytes = vec![0; len];
    for _ in 0..rng.u8(..4) {
        let (start, end) = (rng.usize(..=len), rng.usize(..=len));
        bytes[start.min(end)..start.max(end)].fill_with(|| rng.u8(..));
    }
    bytes
}

fn hashing(rng: &mut fastrand::Rng, same_size: bool) -> Hashing {
    let size = |rng: &mut fastrand::Rng| BlockSize::new(512 << if rng.bool() { 3 } else { rng.u64(..11) }).unwrap();
    let (data_block_size, hash_block_size) = (size(rng), size(rng));
    Hashing {
        hash_type: HashType::new(rng.u64(..2)).unwrap(),
        algorithm: HashAlgorithm::from_name(["sha1", "sha256", "sha512"][rng.usize(..3)]).unwrap(),
        data_block_size,
        hash_block_size: if same_size { data_block_size } else { hash_block_size },
        salt: Salt::new(&[7; 40][..rng.usize(..40)]).unwrap(),
        uuid: rng.bool().then(|| uuid::Uuid::from_u128(rng.u128(..))),
    }
}

fn work(rng: &mut fastrand::Rng) -> Work<'static> {
    Work::default().threads(std::num::NonZero::new(rng.usize(1..=4)).unwrap())
}

struct Sandbox {
    directory: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What is in a file; nothing if there is none.
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(name)).ok()
    }

    fn builder<'a>(&self, bytes: &'a [u8], seed: u64) -> TreeBuilder<'a> {
        let stream = Pieces { bytes, rng: fastrand::Rng::with_seed(seed) };
        TreeBuilder::new(stream).temporary_files_in(self.directory.path())
    }

    /// The names of all files.
    fn names(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn the_bytes_are_those_of_format() {
    let sandbox = Sandbox::new();
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let data = data(&mut rng);
        std::fs::write(sandbox.path("data"), &data).unwrap();
        let fec = rng.bool().then(|| Fec::new(rng.u64(2..=24), 0).unwrap());
        let own_device = rng.bool();
        let mut builder = ParamsBuilder::default().hashing(hashing(&mut rng, fec.is_some()));
        if rng.bool() {
            builder = builder.hash_offset(rng.u64(..20) * 4096);
        }
        let whole = builder.clone().build(data.len() as u64).ok();
        let fec = fec.filter(|_| whole.is_some());
        let given = rng.bool();
        if let (true, Some(params)) = (given, &whole) {
            builder = builder.data_blocks(params.data_blocks());
        }
        if let (Some(fec), Some(params)) = (fec, &whole) {
            let offset = if own_device { 0 } else { Layout::new(params).unwrap().fec_offset_after_tree() };
            let scope = if rng.bool() { FecScope::Tree } else { FecScope::Device };
            builder = builder.fec(Fec::new(fec.roots.into(), offset).unwrap().with_scope(scope));
        }
        // A file or device that is longer than what is written to it.
        let older = rng.bool().then(|| vec![9; rng.usize(..400_000)]);
        let prepare = |name: &str| match &older {
            Some(bytes) => std::fs::write(sandbox.path(name), bytes).unwrap(),
            None => _ = std::fs::remove_file(sandbox.path(name)),
        };
        for name in ["hash", "fec", "hash2", "fec2"] {
            prepare(name);
        }
        let named = |hash: &str, name: &str| sandbox.path(if own_device { name } else { hash });
        let fec_path = |hash: &str, name: &str| fec.map(|_| named(hash, name));
        let devices =
            Devices { fec: fec_path("hash", "fec"), ..Devices::new(sandbox.path("data"), sandbox.path("hash")) };
        let expected = crate::format(&devices, builder.clone(), &work(&mut rng));
        // All of a stream has to be whole blocks if their number is given.
        let stream = match &whole {
            Some(params) if given => &data[..usize::try_from(params.data_bytes()).unwrap()],
            _ => &data[..],
        };
        let new = || sandbox.builder(stream, seed).parity_after_tree();
        let planned = new().dry_run(
            sandbox.path("hash2"),
            fec_path("hash2", "fec2").as_deref(),
            builder.clone(),
            &work(&mut rng),
        );
        assert_eq!(sandbox.read("hash2"), older, "{seed}: a dry run writes nothing");
        let made = new().format(sandbox.path("hash2"), fec_path("hash2", "fec2").as_deref(), builder, &work(&mut rng));
        match (&expected, &made, &planned) {
            (Ok(expected), Ok(made), Ok(planned)) => {
                assert_eq!(made.root_hash, expected.root_hash, "{seed}");
                assert_eq!(planned.root_hash, expected.root_hash, "{seed}");
                assert_eq!((&made.layout, &made.fec_area), (&expected.layout, &expected.fec_area), "{seed}");
                assert_eq!(made.uncovered_bytes, expected.uncovered_bytes, "{seed}");
            }
            (Err(expected), Err(made), Err(planned)) => {
                assert_eq!(std::mem::discriminant(expected), std::mem::discriminant(made), "{seed}: {expected} {made}");
                assert_eq!(std::mem::discriminant(expected), std::mem::discriminant(planned), "{seed}");
            }
            other => panic!("{seed}: {other:?}"),
        }
        assert!(sandbox.read("hash") == sandbox.read("hash2"), "{seed}: the hash devices differ");
        assert!(sandbox.read("fec") == sandbox.read("fec2"), "{seed}: the FEC devices differ");
    }
}

#[test]
fn the_bytes_are_those_of_append() {
    let sandbox = Sandbox::new();
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(1000 + seed);
        let data = data(&mut rng);
        let fec = rng.bool().then(|| AppendedFec { roots: rng.u64(2..=24), device: None });
        let own = rng.bool();
        let fec = |name: &str| fec.clone().map(|fec| AppendedFec { device: own.then(|| sandbox.path(name)), ..fec });
        let hashing = hashing(&mut rng, fec("").is_some());
        std::fs::write(sandbox.path("image"), &data).unwrap();
        // A tree of another salt that is in the stream already.
        if rng.u8(..4) == 0 && hashing.uuid.is_some() {
            let older = Hashing { salt: Salt::new(&[1]).unwrap(), ..hashing.clone() };
            let _ = crate::append(sandbox.path("image"), older, None, &work(&mut rng));
        }
        let data = sandbox.read("image").unwrap();
        let _ = std::fs::remove_file(sandbox.path("image2"));
        if rng.bool() {
            std::fs::write(sandbox.path("image2"), vec![3; rng.usize(..4_000_000)]).unwrap();
        }
        let expected = crate::append(sandbox.path("image"), hashing.clone(), fec("fec").as_ref(), &work(&mut rng));
        let mut new = sandbox.builder(&data, seed);
        if rng.bool() {
            new = new.bytes(data.len() as u64);
        }
        let made = new.append(sandbox.path("image2"), hashing.clone(), fec("fec2").as_ref(), &work(&mut rng));
        let planned = sandbox.builder(&data, seed).append_dry_run(hashing, fec("fec3").as_ref(), &work(&mut rng));
        match (&expected, &made) {
            (Ok(expected), Ok(made)) => {
                assert_eq!(made.formatted.root_hash, expected.formatted.root_hash, "{seed}");
                assert_eq!(made.replaced, expected.replaced, "{seed}");
                assert_eq!(made.formatted.padding_bytes, expected.formatted.padding_bytes, "{seed}");
                assert!(sandbox.read("image") == sandbox.read("image2"), "{seed}: the images differ");
                assert!(sandbox.read("fec") == sandbox.read("fec2"), "{seed}: the FEC devices differ");
                match planned {
                    Ok(planned) => assert_eq!(planned.formatted.root_hash, expected.formatted.root_hash, "{seed}"),
                    Err(Error::TreeInStream { offset, .. }) => assert_eq!(Some(offset), expected.replaced, "{seed}"),
                    Err(error) => panic!("{seed}: {error}"),
                }
            }
            (Err(expected), Err(made)) => {
                assert_eq!(std::mem::discriminant(expected), std::mem::discriminant(made), "{seed}: {expected} {made}");
            }
            other => panic!("{seed}: {other:?}"),
        }
    }
}

/// Passes bytes and then does something else.
struct Until<'a, F> {
    bytes: &'a [u8],
    then: F,
}

impl<F: FnMut() -> io::Result<usize>> Read for Until<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() { (self.then)() } else { self.bytes.read(buffer) }
    }
}

/// Makes images of a stream in all ways, on devices that are there or not; each has to fail like this, and nothing may
/// be left that loads.
fn assert_fails<F: FnMut() -> io::Result<usize> + Send>(
    new: impl Fn() -> Until<'static, F>,
    bytes: Option<u64>,
    work: &Work<'_>,
    is_expected: impl Fn(&Error) -> bool,
) {
    let sandbox = Sandbox::new();
    let older: Vec<u8> = (0..=250).cycle().take(100_000).collect();
    let appended = AppendedFec { roots: 2, device: None };
    let with_fec = Params::builder().fec(Fec::new(2, 0).unwrap());
    let builder = || {
        let builder = TreeBuilder::new(new()).temporary_files_in(sandbox.directory.path());
        match bytes {
            Some(bytes) => builder.bytes(bytes),
            None => builder,
        }
    };
    let assert = |error: Error, what: &str| assert!(is_expected(&error), "{what}: {error}");
    for is_there in [false, true] {
        let names: &[&str] = if is_there { &["fec", "hash", "image"] } else { &[] };
        for name in names {
            std::fs::write(sandbox.path(name), &older).unwrap();
        }
        let (hash, fec) = (sandbox.path("hash"), sandbox.path("fec"));
        assert(builder().format(&hash, None, Params::builder(), work).unwrap_err(), "format");
        assert(builder().format(&hash, Some(&fec), with_fec.clone(), work).unwrap_err(), "format with FEC");
        assert(builder().dry_run(&hash, None, Params::builder(), work).unwrap_err(), "dry run");
        let append = |fec| builder().append(sandbox.path("image"), Hashing::default(), fec, work).unwrap_err();
        assert(append(None), "append");
        assert(append(Some(&appended)), "append with FEC");
        assert(builder().append_dry_run(Hashing::default(), None, work).unwrap_err(), "dry run of append");
        assert_eq!(sandbox.names(), names);
        for name in names {
            let left = sandbox.read(name).unwrap();
            assert_eq!(left.len(), older.len(), "{name}");
            assert!(crate::load(sandbox.path(name), 0, None).is_err(), "{name}");
            // Before the length is known nothing is written.
            assert!(left == older || (bytes.is_some() && *name == "hash"), "{name}");
        }
    }
}

const DATA: &[u8] = &[7; 2_000_000];

#[test]
fn a_stream_that_ends_early_makes_nothing() {
    for len in [0, 1, 4096, 1_000_000, 1_999_999] {
        let needed = DATA.len() as u64;
        let new = || Until { bytes: &DATA[..len], then: || Ok(0) };
        assert_fails(
            new,
            Some(needed),
            &Work::default(),
            |error| matches!(error, Error::StreamTooShort { found, .. } if *found == len as u64),
        );
    }
    let empty = || Until { bytes: &[], then: || Ok(0) };
    assert_fails(empty, None, &Work::default(), |error| matches!(error, Error::NoDataBlocks { found: 0, .. }));
}

#[test]
fn a_stream_that_goes_on_makes_nothing() {
    for len in [4096, 524_288, 1_000_000, 1_999_999] {
        let new = || Until { bytes: DATA, then: || Ok(0) };
        assert_fails(
            new,
            Some(len),
            &Work::default(),
            |error| matches!(error, Error::StreamTooLong { needed, .. } if *needed == len),
        );
    }
    let sandbox = Sandbox::new();
    let builder = Params::builder().data_blocks(7);
    let longer = TreeBuilder::new(&DATA[..28673]).format(sandbox.path("hash"), None, builder.clone(), &Work::default());
    assert!(matches!(longer, Err(Error::StreamTooLong { needed: 28672, .. })));
    let both = TreeBuilder::new(DATA).bytes(28673).format(sandbox.path("hash"), None, builder, &Work::default());
    assert!(matches!(both, Err(Error::StreamTooLong { needed: 28672, .. })));
    assert!(sandbox.names().is_empty());
}

#[test]
fn a_stream_that_cannot_be_read_or_stalls_makes_nothing() {
    for bytes in [None, Some(4_000_000)] {
        let fails = || Until { bytes: DATA, then: || Err(io::Error::from_raw_os_error(5)) };
        assert_fails(fails, bytes, &Work::default(), |error| error.errno() == Some(5));
        let cancel = AtomicBool::new(false);
        // It gives notice that it waits, and is then cancelled.
        let stalls = || {
            cancel.store(false, Ordering::SeqCst);
            let then = || {
                cancel.store(true, Ordering::SeqCst);
                Err(ErrorKind::Interrupted.into())
            };
            Until { bytes: DATA, then }
        };
        assert_fails(stalls, bytes, &Work::default().cancel(&cancel), |error| matches!(error, Error::Cancelled));
    }
}

#[test]
fn a_stream_that_promises_too_much_is_not_believed() {
    let mut left = 3;
    let then = || {
        left -= 1;
        Ok(if left > 0 { usize::MAX } else { 0 })
    };
    let made = TreeBuilder::new(Until { bytes: &[], then }).append_dry_run(Hashing::default(), None, &Work::default());
    assert_eq!(made.unwrap().plan.layout.params().data_bytes(), 2 * 524_288);
}

#[test]
fn an_image_can_be_made_in_memory() {
    let data = &DATA[..1_000_000];
    let expected = Memory::default();
    let data_storage = data.to_vec();
    let mut image = Image::new(Storage::Read(&data_storage), Storage::Write(&expected)).unwrap();
    image = image.with_fec(Storage::Write(&expected)).unwrap();
    let params = Params::builder().build(1_000_000).unwrap();
    let offset = Layout::new(&params).unwrap().fec_offset_after_tree();
    let builder = Params::builder().fec(Fec::new(3, offset).unwrap());
    let made = image.format(builder, &Work::default()).unwrap();
    let memory = Memory::default();
    let builder = Params::builder().fec(Fec::new(3, 0).unwrap());
    let storage = Storage::Write(&memory);
    let new = TreeBuilder::new(data).parity_after_tree();
    let streamed = new.format_on(storage.clone(), Some(storage), builder, &Work::default()).unwrap();
    assert_eq!(made.root_hash, streamed.root_hash);
    assert!(Vec::from(expected) == Vec::from(memory));
}

#[test]
fn progress_has_a_total_once_it_is_known() {
    let sandbox = Sandbox::new();
    let data = &DATA[..1_900_000];
    for bytes in [None, Some(1_900_000)] {
        for roots in [None, Some(2)] {
            let seen = Mutex::new(Vec::new());
            let report = |progress: Progress| seen.lock().unwrap().push((progress.done, progress.total));
            let work = Work::default().progress(&report);
            let new = || bytes.map_or(TreeBuilder::new(data), |bytes| TreeBuilder::new(data).bytes(bytes));
            let fec = roots.map(|roots| AppendedFec { roots, device: None });
            let builder = roots.map_or(Params::builder(), |roots| Params::builder().fec(Fec::new(roots, 0).unwrap()));
            let path = sandbox.path("fec");
            let fec_path = roots.map(|_| path.as_path());
            let assert = |is_known: bool| {
                let seen = std::mem::take(&mut *seen.lock().unwrap());
                assert!(seen.is_sorted_by_key(|(done, _)| *done));
                let (done, total) = *seen.last().unwrap();
                assert_eq!(done, total);
                let is_total = |(_, each): &(u64, u64)| *each == total || (!is_known && *each == Progress::UNKNOWN);
                assert!(seen.iter().all(is_total), "{seen:?}");
            };
            new().format(sandbox.path("hash"), fec_path, builder, &work).unwrap();
            assert(bytes.is_some());
            new().append(sandbox.path("image"), Hashing::default(), fec.as_ref(), &work).unwrap();
            assert(false);
            new().append_dry_run(Hashing::default(), fec.as_ref(), &work).unwrap();
            assert(bytes.is_some());
        }
    }
}
