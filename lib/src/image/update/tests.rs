//! Random images, random changes: an update makes the bytes of a fresh format, however often it is interrupted.
#![allow(clippy::cast_possible_truncation)] // They are small.
#![allow(clippy::single_range_in_vec_init)] // They are lists of ranges.

use std::io::{self, ErrorKind};
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::format::{AppendedFec, FecScope, Hashing};
use crate::hash::{HashAlgorithm, HashType};
use crate::io::{Memory, ReadAt, Storage, WriteAt};
use crate::value::{BlockSize, Salt};

/// Memory that counts what is read, and from some write on lets nothing more through.
struct Disk<'f> {
    memory: Memory,
    read: AtomicU64,
    /// How many writes there may be.
    fuse: &'f AtomicU64,
    /// Whether the last write goes half way.
    is_torn: bool,
    grows: bool,
}

impl<'f> Disk<'f> {
    fn new(bytes: Vec<u8>, fuse: &'f AtomicU64) -> Self {
        Self { memory: Memory::from(bytes), read: AtomicU64::new(0), fuse, is_torn: false, grows: true }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.memory.size().unwrap() as usize];
        self.memory.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    /// Whether there may be one more write, or half of one.
    fn burn(&self) -> io::Result<bool> {
        match self.fuse.load(Ordering::Relaxed) {
            0 => Err(ErrorKind::BrokenPipe.into()),
            left => {
                self.fuse.store(left - 1, Ordering::Relaxed);
                Ok(left > 1 || !self.is_torn)
            }
        }
    }
}

impl ReadAt for Disk<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        self.memory.read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.memory.size()
    }
}

impl WriteAt for Disk<'_> {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if !self.grows && offset + bytes.len() as u64 > self.size()? {
            return Err(ErrorKind::Unsupported.into());
        }
        if self.burn()? {
            return self.memory.write_all_at(bytes, offset);
        }
        // Sectors are written or not.
        let half = (offset + bytes.len() as u64 / 2) / 512 * 512;
        let half = half.saturating_sub(offset) as usize;
        if half > 0 {
            self.memory.write_all_at(&bytes[..half], offset)?;
        }
        Err(ErrorKind::BrokenPipe.into())
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        if !self.grows {
            return Err(ErrorKind::Unsupported.into());
        }
        self.burn()?;
        self.memory.set_size(bytes)
    }
}

/// Starting a second thread takes longer than all that it could do.
fn one_thread() -> Work<'static> {
    Work::default().threads(NonZero::new(1).unwrap())
}

/// Where the areas of an image are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Apart,
    /// Data and tree are one.
    One,
}

/// Where its parity is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Parity {
    None,
    Apart(u64, FecScope),
    AfterTree(u64),
}

#[derive(Clone, Debug)]
struct Case {
    place: Place,
    parity: Parity,
    hashing: Hashing,
    hash_offset: u64,
    /// Bytes of something else after the tree.
    after: usize,
    data: Vec<u8>,
    new_data: Vec<u8>,
    ranges: Vec<Range<u64>>,
    knows_old_data: bool,
}

/// The bytes of an image's devices; of one that is one file, only the second.
type Bytes = (Vec<u8>, Vec<u8>, Vec<u8>);

impl Case {
    fn random(rng: &mut fastrand::Rng) -> Self {
        let parity = match rng.u8(0..5) {
            0 | 1 => Parity::None,
            2 => Parity::Apart(rng.u64(2..=24), FecScope::Device),
            3 => Parity::Apart(rng.u64(2..=24), FecScope::Tree),
            _ => Parity::AfterTree(rng.u64(2..=24)),
        };
        let sizes = [512, 1024, 4096].map(|size| BlockSize::new(size).unwrap());
        let data_block_size = sizes[rng.usize(0..3)];
        let hash_block_size = if parity == Parity::None { sizes[rng.usize(0..3)] } else { data_block_size };
        let place = if rng.bool() { Place::Apart } else { Place::One };
        let has_superblock = place == Place::One || rng.u8(0..4) > 0;
        let hashing = Hashing {
            hash_type: if rng.bool() { HashType::Normal } else { HashType::ChromeOs },
            algorithm: HashAlgorithm::from_name(["sha256", "sha1", "sha512"][rng.usize(0..3)]).unwrap(),
            data_block_size,
            hash_block_size,
            salt: Salt::new(&vec![7; rng.usize(0..40)]).unwrap(),
            uuid: has_superblock.then(|| uuid::Uuid::from_u128(rng.u128(..))),
        };
        let blocks = match rng.u8(0..8) {
            0 => 1,
            1 => rng.u64(2..10),
            2 => rng.u64(2..900),
            _ => rng.u64(2..400_000 / data_block_size.bytes()),
        };
        let data: Vec<u8> = (0..blocks * data_block_size.bytes()).map(|_| rng.u8(..)).collect();
        let mut case = Self {
            place,
            parity,
            hash_offset: if place == Place::Apart { 512 * rng.u64(0..20) } else { data.len() as u64 },
            after: if place == Place::Apart && rng.bool() { rng.usize(0..9000) } else { 0 },
            new_data: data.clone(),
            ranges: Vec::new(),
            knows_old_data: rng.bool(),
            hashing,
            data,
        };
        case.change(rng);
        case
    }

    /// Changes the data here and there, or everywhere; some ranges contain no change.
    fn change(&mut self, rng: &mut fastrand::Rng) {
        let len = self.data.len();
        let ranges: Vec<Range<usize>> = match rng.u8(0..10) {
            0 => Vec::new(),
            1 => Vec::from([0..len]),
            2 => Vec::from([len - 1..len]),
            _ => (0..rng.usize(1..6))
                .map(|_| {
                    let start = rng.usize(0..len);
                    start..len.min(start + rng.usize(0..20_000))
                })
                .collect(),
        };
        for range in ranges {
            if rng.u8(0..5) > 0 {
                self.new_data[range.clone()].fill_with(|| rng.u8(..));
            }
            self.ranges.push(range.start as u64..range.end as u64);
        }
    }

    /// A fresh format of these data.
    fn formatted(&self, data: &[u8]) -> (Bytes, Params, RootHash) {
        let fuse = AtomicU64::new(u64::MAX);
        if self.place == Place::One {
            let one = Disk::new(data.to_vec(), &fuse);
            let fec = Disk::new(Vec::new(), &fuse);
            let mut image = Image::in_one(Storage::Write(&one)).unwrap();
            let wanted = match self.parity {
                Parity::None => None,
                Parity::Apart(roots, _) => {
                    image = image.with_fec(Storage::Write(&fec)).unwrap();
                    Some(roots)
                }
                Parity::AfterTree(roots) => Some(roots),
            };
            let wanted = wanted.map(|roots| AppendedFec { roots, device: None });
            let made = image.append(self.hashing.clone(), wanted.as_ref(), &Work::default()).unwrap();
            drop(image);
            let params = made.formatted.layout.params().clone();
            return ((Vec::new(), one.bytes(), fec.bytes()), params, made.formatted.root_hash);
        }
        let mut builder = Params::builder().hashing(self.hashing.clone()).hash_offset(self.hash_offset);
        let plain = Layout::new(&builder.clone().build(data.len() as u64).unwrap()).unwrap();
        builder = match self.parity {
            Parity::None => builder,
            Parity::Apart(roots, scope) => builder.fec(Fec::new(roots, 1024).unwrap().with_scope(scope)),
            Parity::AfterTree(roots) => builder.fec(Fec::new(roots, plain.fec_offset_after_tree()).unwrap()),
        };
        let hash = vec![0xA5; if self.after > 0 { plain.hash_end() as usize + self.after } else { 0 }];
        let disks = [data.to_vec(), hash, Vec::new()].map(|bytes| Disk::new(bytes, &fuse));
        let made = self.image(&disks).format(builder, &Work::default()).unwrap();
        let [data, hash, fec] = disks.map(|disk| disk.bytes());
        ((data, hash, fec), made.layout.params().clone(), made.root_hash)
    }

    fn image<'d>(&self, [data, hash, fec]: &'d [Disk<'_>; 3]) -> Image<'d> {
        let (data, hash, fec) = (Storage::Write(data), Storage::Write(hash), Storage::Write(fec));
        let image = match self.place {
            Place::Apart => Image::new(data, hash.clone()).unwrap(),
            Place::One => Image::in_one(hash.clone()).unwrap(),
        };
        match self.parity {
            Parity::None => image,
            Parity::Apart(..) => image.with_fec(fec).unwrap(),
            Parity::AfterTree(_) => image.with_fec(hash).unwrap(),
        }
    }

    /// The old image with the new data.
    fn disks<'f>(&self, old: &Bytes, fuse: &'f AtomicU64) -> [Disk<'f>; 3] {
        let mut hash = old.1.clone();
        if self.place == Place::One {
            hash[..self.new_data.len()].copy_from_slice(&self.new_data);
        }
        [self.new_data.clone(), hash, old.2.clone()].map(|bytes| Disk::new(bytes, fuse))
    }

    fn update(&self, disks: &[Disk<'_>; 3], params: &Params, old: &RootHash) -> Result<Updated> {
        let changes = Changes::of(self.ranges.iter().cloned());
        let changes = if self.knows_old_data { changes.with_old_data(Storage::Read(&self.data)) } else { changes };
        self.image(disks).update(params, old, &changes, &one_thread())
    }

    fn assert_is(&self, disks: &[Disk<'_>; 3], expected: &Bytes, context: &str) {
        let hash = disks[1].bytes();
        assert_eq!(hash.len(), expected.1.len(), "{context}: the length of the hash device");
        assert!(hash == expected.1, "{context}: another hash device");
        assert!(disks[2].bytes() == expected.2, "{context}: another FEC device");
        assert!(disks[0].bytes() == self.new_data, "{context}: the data");
    }
}

/// What an image looks like to who opens it with a root hash.
fn verifies(case: &Case, disks: &[Disk<'_>; 3], params: &Params, root_hash: &RootHash) -> bool {
    let image = case.image(disks);
    let is_there = params.uuid().is_none() || image.load(params.hash_offset(), params.fec()).is_ok();
    is_there && image.verify(params, root_hash, &one_thread()).unwrap().is_good()
}

/// Runs one case, killed at each of its writes, and returns how many these are.
fn run(case: &Case) -> u64 {
    let (old, params, old_root) = case.formatted(&case.data);
    let (new, _, new_root) = case.formatted(&case.new_data);
    let fuse = AtomicU64::new(u64::MAX);
    let disks = case.disks(&old, &fuse);
    let updated = case.update(&disks, &params, &old_root).unwrap();
    assert_eq!(updated.root_hash, new_root, "{case:?}");
    case.assert_is(&disks, &new, "not interrupted");
    let writes = u64::MAX - fuse.load(Ordering::Relaxed);
    let is_one_digest = params.data_blocks() == 1 && case.parity == Parity::None;
    assert_eq!(writes == 0, old_root == new_root || is_one_digest);
    for left in 0..writes {
        for (grows, is_torn) in [(true, left % 2 == 0), (false, left % 2 == 1)] {
            let context = format!("write {left} of {writes}, torn {is_torn}, grows {grows}, {:?}", case.ranges);
            let mut disks = case.disks(&old, &fuse);
            for disk in &mut disks {
                (disk.is_torn, disk.grows) = (is_torn, grows);
            }
            fuse.store(left, Ordering::Relaxed);
            let is_done = case.update(&disks, &params, &old_root).is_ok();
            fuse.store(u64::MAX, Ordering::Relaxed);
            assert!(!verifies(case, &disks, &params, &old_root), "{context}: the old root hash");
            if verifies(case, &disks, &params, &new_root) {
                // Whatever is missing, no block is wrong.
                assert!(disks[1].bytes()[..params_end(&params)] == new.1[..params_end(&params)], "{context}");
            }
            if is_done {
                case.assert_is(&disks, &new, &context);
                continue;
            }
            match case.update(&disks, &params, &old_root) {
                Ok(again) => {
                    assert_eq!(again.root_hash, new_root, "{context}");
                    case.assert_is(&disks, &new, &context);
                }
                Err(Error::UnfinishedUpdate { .. } | Error::WrongRoot { .. }) if !grows => {
                    assert!(!verifies(case, &disks, &params, &old_root), "{context}");
                }
                Err(error) => panic!("{context}: {error:?}"),
            }
        }
    }
    writes
}

fn params_end(params: &Params) -> usize {
    Layout::new(params).unwrap().hash_end() as usize
}

#[test]
fn random_images_are_updated_to_the_bytes_of_a_fresh_format_whenever_they_are_interrupted() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut writes = 0;
    for number in 0..if cfg!(miri) { 2 } else { 300 } {
        let case = Case::random(&mut rng);
        let of_case = std::panic::catch_unwind(|| run(&case));
        writes += of_case.unwrap_or_else(|_| {
            panic!("case {number}: {:?} {:?} {:?} {}", case.place, case.parity, case.hashing, case.data.len())
        });
    }
    println!("{writes} writes");
}

/// A case of 300 blocks of 4096 bytes, of which two have changed.
fn plain_case(parity: Parity) -> Case {
    let data: Vec<u8> = (0..=250).cycle().take(300 * 4096).collect();
    let mut new_data = data.clone();
    new_data[100 * 4096 - 1] = 9;
    new_data[100 * 4096] = 9;
    let ranges = Vec::from([100 * 4096 - 1..100 * 4096 + 1]);
    let (hashing, place) = (Hashing::default(), Place::Apart);
    Case { place, parity, hashing, hash_offset: 0, after: 0, data, new_data, ranges, knows_old_data: false }
}

#[test]
fn what_the_old_root_hash_does_not_prove_is_refused_and_nothing_is_written() {
    let case = plain_case(Parity::Apart(2, FecScope::Device));
    let (old, params, old_root) = case.formatted(&case.data);
    let fuse = AtomicU64::new(u64::MAX);
    // The top block, the hash block above the changed ones, another one, and a data block in one of their codewords.
    let rounds = (300u64 + 4).div_ceil(253);
    let neighbour = (99 % rounds + (99 / rounds + 1) * rounds) as usize * 4096;
    for (disk, position, is_refused) in
        [(1, 4096, true), (1, 2 * 4096, true), (0, neighbour, true), (0, 101 * 4096 + 8192 * 50, false)]
    {
        let disks = case.disks(&old, &fuse);
        let byte = [disks[disk].bytes()[position] ^ 1];
        disks[disk].write_all_at(&byte, position as u64).unwrap();
        let before = disks.each_ref().map(Disk::bytes);
        let knowing = Case { knows_old_data: true, ..case.clone() };
        let found = case.update(&disks, &params, &old_root);
        if !is_refused && found.is_ok() {
            continue;
        }
        match found.unwrap_err() {
            Error::WrongRoot { .. } => assert_eq!((disk, position), (1, 4096)),
            Error::Unproven { area, position: found, .. } => {
                assert_eq!((area == crate::error::Area::Data, found), (disk == 0, position as u64));
            }
            error => panic!("{error:?}"),
        }
        assert!(disks.each_ref().map(Disk::bytes) == before);
        // By the difference, no other data block is needed.
        assert_eq!(knowing.update(&disks, &params, &old_root).is_ok(), disk == 0);
    }
}

#[test]
fn other_root_hashes_ranges_and_old_data_are_refused() {
    let mut case = plain_case(Parity::Apart(2, FecScope::Device));
    let (old, params, old_root) = case.formatted(&case.data);
    let fuse = AtomicU64::new(u64::MAX);
    let disks = case.disks(&old, &fuse);
    let before = disks.each_ref().map(Disk::bytes);
    let other = RootHash::new(vec![7; 32]);
    assert!(matches!(case.update(&disks, &params, &other), Err(Error::WrongRoot { .. })));
    // Without any range too.
    let none = Case { ranges: Vec::new(), ..case.clone() };
    assert!(matches!(none.update(&disks, &params, &other), Err(Error::WrongRoot { .. })));
    assert_eq!(none.update(&disks, &params, &old_root).unwrap().root_hash, old_root);
    let outside = Case { ranges: Vec::from([0..1, 300 * 4096 - 1..300 * 4096 + 1]), ..case.clone() };
    assert!(matches!(outside.update(&disks, &params, &old_root), Err(Error::OutsideData { length: 2, .. })));
    (case.knows_old_data, case.data[100 * 4096 + 5]) = (true, 0);
    let found = case.update(&disks, &params, &old_root).unwrap_err();
    assert!(matches!(found, Error::Unproven { position: 409_600, ref path, .. } if path.ends_with("the old data")));
    assert!(disks.each_ref().map(Disk::bytes) == before);
}

#[test]
fn an_image_of_one_block_has_to_be_as_it_was_unless_it_has_changed() {
    let mut case = plain_case(Parity::None);
    (case.data, case.new_data) = (vec![1; 4096], vec![2; 4096]);
    case.ranges = Vec::new();
    let (old, params, old_root) = case.formatted(&case.data);
    let fuse = AtomicU64::new(u64::MAX);
    let disks = case.disks(&old, &fuse);
    assert!(matches!(case.update(&disks, &params, &old_root), Err(Error::Unproven { position: 0, .. })));
    case.ranges.push(0..1);
    let updated = case.update(&disks, &params, &old_root).unwrap();
    assert_eq!((updated.data_blocks, updated.hash_blocks, updated.parity_bytes), (1, 0, 0));
    assert_eq!(updated.root_hash, case.formatted(&case.new_data).2);
}

#[test]
fn a_dry_run_computes_the_same_and_undoes_nothing() {
    let case = plain_case(Parity::AfterTree(4));
    let (old, params, old_root) = case.formatted(&case.data);
    let fuse = AtomicU64::new(u64::MAX);
    let disks = case.disks(&old, &fuse);
    let before = disks.each_ref().map(Disk::bytes);
    let changes = Changes::of(case.ranges.iter().cloned());
    let dry = |disks: &[Disk<'_>; 3]| case.image(disks).update_dry_run(&params, &old_root, &changes, &Work::default());
    let computed = dry(&disks).unwrap();
    assert!(disks.each_ref().map(Disk::bytes) == before);
    fuse.store(5, Ordering::Relaxed);
    assert!(case.update(&disks, &params, &old_root).is_err());
    fuse.store(u64::MAX, Ordering::Relaxed);
    let before = disks.each_ref().map(Disk::bytes);
    assert!(matches!(dry(&disks), Err(Error::UnfinishedUpdate { .. })));
    assert!(disks.each_ref().map(Disk::bytes) == before);
    let updated = case.update(&disks, &params, &old_root).unwrap();
    assert_eq!(updated, Updated { undone: true, ..computed });
}

/// Zeros, except for some bytes.
struct Sparse {
    bytes: u64,
    changed: Range<u64>,
    read: AtomicU64,
}

impl ReadAt for Sparse {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        buffer.fill(0);
        let end = offset + buffer.len() as u64;
        let there = offset.max(self.changed.start)..end.min(self.changed.end);
        if !there.is_empty() {
            buffer[(there.start - offset) as usize..(there.end - offset) as usize].fill(7);
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }

    fn data_at(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        let left = offset.max(self.changed.start)..self.changed.end;
        Ok((!left.is_empty()).then_some(left))
    }
}

#[test]
#[cfg_attr(miri, ignore = "it has too many blocks")]
fn of_a_large_image_little_is_read() {
    const MIB: u64 = 1 << 20;
    let sparse = |bytes, changed: Range<u64>| Sparse { bytes, changed, read: AtomicU64::new(0) };
    let fuse = AtomicU64::new(u64::MAX);
    for (bytes, roots) in [(16 << 30, None), (1 << 30, Some(2))] {
        let [hash, fec] = [Vec::new(), Vec::new()].map(|bytes| Disk::new(bytes, &fuse));
        let image = |data| {
            let image = Image::new(Storage::Read(data), Storage::Write(&hash)).unwrap();
            if roots.is_some() { image.with_fec(Storage::Write(&fec)).unwrap() } else { image }
        };
        let old = sparse(bytes, 0..0);
        let builder = Params::builder();
        let builder = roots.map_or(builder.clone(), |roots| builder.fec(Fec::new(roots, 0).unwrap()));
        let made = image(&old).format(builder.clone(), &Work::default()).unwrap();
        let range = bytes / 3..bytes / 3 + MIB;
        let new = sparse(bytes, range.clone());
        for disk in [&old.read, &hash.read, &fec.read] {
            disk.store(0, Ordering::Relaxed);
        }
        let changes = Changes::of([range]).with_old_data(Storage::Read(&old));
        let params = made.layout.params();
        let updated = image(&new).update(params, &made.root_hash, &changes, &Work::default()).unwrap();
        let read: u64 =
            [&old.read, &new.read, &hash.read, &fec.read].map(|read| read.load(Ordering::Relaxed)).iter().sum();
        println!("{bytes} bytes: {read} read");
        assert!(read < 20 * MIB, "{read} bytes were read");
        assert_eq!(updated.data_blocks, 257);
        let again = image(&new).dry_run(builder, &Work::default()).unwrap();
        assert_eq!(updated.root_hash, again.root_hash);
    }
}
