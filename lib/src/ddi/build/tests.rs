use std::num::NonZero;

use super::super::architecture::Architecture;
use super::super::disk::{DiskImage, FileSystem};
use super::super::gpt::Gpt;
use super::super::images::{Images, SignatureContent, Wanted};
use super::super::kind::Designator;
use super::super::testing::Stops;
use super::*;
use crate::format::{Hashing, Seed};
use crate::hash::HashAlgorithm;

fn seed() -> Seed {
    Seed::new("test").unwrap()
}

/// Data with zeros in them, of a length that is no multiple of a block.
fn data(len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..len).map(|index| index.to_le_bytes()[0] ^ index.to_le_bytes()[1]).collect();
    bytes[40_960..120_000].fill(0);
    bytes
}

fn disk(sector_size: u32, alignment: u64, fec_roots: Option<u64>, signature: SignatureSource) -> DiskImage {
    let mut disk = DiskImage::new(&seed());
    (disk.sector_size, disk.alignment) = (sector_size, alignment);
    let root = FileSystem::new(Designator::Root, Architecture::X86_64, 1_200_001);
    let usr = FileSystem::new(Designator::Usr, Architecture::X86_64, 300_000);
    disk.add(root, fec_roots, signature);
    disk.add(usr, None, SignatureSource::None);
    disk
}

/// What is signed here is the root hash's text itself.
#[allow(clippy::unnecessary_wraps)] // Others may fail.
fn sign(_: PartitionKind, root_hash: &RootHash) -> Result<SignaturePartition, SignerError> {
    let signature = root_hash.to_string().into_bytes();
    Ok(SignaturePartition { root_hash: root_hash.clone(), fingerprint: Some([7; 32]), signature })
}

fn built(disk: &DiskImage, threads: usize) -> (Vec<u8>, Vec<BuiltImage>) {
    let (root, usr, image) = (data(1_200_001), data(300_000), Memory::from(vec![0xFF; 5000]));
    let work = Work::default().threads(NonZero::new(threads).unwrap());
    let plan = disk.plan().unwrap();
    let images = plan.build(&[&root, &usr], &image, &mut sign, &work).unwrap();
    let bytes = Vec::from(image);
    assert_eq!(bytes.len() as u64, plan.bytes);
    assert_eq!(plan.dry_run(&[&root, &usr], &work).unwrap(), images);
    (bytes, images)
}

#[test]
fn what_is_built_is_found_and_verifies() {
    for sector_size in [512, 4096] {
        for (alignment, fec) in [(4096, None), (4096, Some(2)), (1 << 20, Some(24))] {
            let (bytes, images) = built(&disk(sector_size, alignment, fec, SignatureSource::Signer), 2);
            let gpt = Gpt::read(&bytes).unwrap();
            assert_eq!((gpt.sector_size(), gpt.partitions().len()), (sector_size, 5));
            assert_eq!(gpt.disk_uuid(), Seed::new("test disk").unwrap().uuid());
            assert!(gpt.partitions().iter().all(|each| each.offset % alignment == 0));
            let found = Images::of(&gpt, &bytes).unwrap();
            assert_eq!(found.unmatched().count(), 0);
            for (image, (designator, len)) in
                images.iter().zip([(Designator::Root, 1_200_001), (Designator::Usr, 300_000)])
            {
                let set = found.pick(&Wanted { designator: Some(designator), ..Wanted::default() }).unwrap();
                assert_eq!(set.root_hash.as_ref(), Some(&image.root_hash));
                assert_eq!((&set.data, &set.verity), (&image.data, &image.verity));
                let (content, tree) = (set.data.part(&bytes), set.verity.part(&bytes));
                let whole = Image::new(Storage::Read(&content), Storage::Read(&tree)).unwrap();
                let params = set.params(&bytes, None).unwrap();
                let verified = whole.verify(&params, &image.root_hash, &Work::default()).unwrap();
                assert!(verified.is_good());
                let start = usize::try_from(set.data.offset).unwrap();
                assert!(bytes[start..][..len] == data(len));
                let has_fec = fec.filter(|_| designator == Designator::Root);
                assert_eq!(set.fec(&params, &bytes).unwrap().map(|fec| u64::from(fec.roots)), has_fec);
            }
            let set = found.pick(&Wanted { designator: Some(Designator::Root), ..Wanted::default() }).unwrap();
            assert_eq!(set.signature().unwrap().signature, images[0].root_hash.to_string().into_bytes());
            let signature = set.signature.unwrap().partition;
            assert_eq!(signature.uuid, Seed::new("test root-verity-sig").unwrap().uuid());
            let names: Vec<&str> = gpt.partitions().iter().map(|partition| partition.name.as_str()).collect();
            let all =
                ["root-x86-64", "root-x86-64-verity", "root-x86-64-verity-sig", "usr-x86-64", "usr-x86-64-verity"];
            assert_eq!(names, all);
            assert!(gpt.partitions().iter().all(|partition| partition.attributes == Partition::READ_ONLY));
        }
    }
}

#[test]
fn the_smallest_image_is_laid_out_as_by_systemd_repart() {
    for (sector_size, first) in [(512, 20_480), (4096, 24_576)] {
        let plan = disk(sector_size, DiskImage::MIN_ALIGNMENT, None, SignatureSource::Deferred).plan().unwrap();
        let [root, usr] = &plan.images[..] else { unreachable!() };
        assert_eq!(root.data, first..first + 1_200_128);
        assert_eq!(root.verity, root.data.end..root.data.end + 5 * 4096);
        assert_eq!(root.signature, Some(root.verity.end..root.verity.end + 16384));
        assert_eq!((usr.data.start, usr.signature.clone()), (root.verity.end + 16384, None));
        assert_eq!(plan.bytes, usr.verity.end + 20_480);
    }
}

#[test]
fn the_same_is_built_every_time() {
    let disk = disk(512, 4096, Some(4), SignatureSource::Signer);
    let (bytes, _) = built(&disk, 1);
    assert!(bytes == built(&disk, 3).0);
    let mut other = disk;
    other.disk_uuid = Uuid::nil();
    assert!(bytes != built(&other, 1).0);
}

#[test]
fn a_signature_is_filled_in_later() {
    let disk = disk(512, 4096, None, SignatureSource::Deferred);
    let (bytes, images) = built(&disk, 1);
    let root_hash = &images[0].root_hash;
    let set = |bytes: &Vec<u8>| {
        let gpt = Gpt::read(bytes).unwrap();
        Images::of(&gpt, bytes).unwrap().pick(&Wanted { root_hash: Some(root_hash), ..Wanted::default() }).unwrap()
    };
    let empty = set(&bytes).signature.unwrap();
    assert_eq!(empty.content, SignatureContent::Empty);
    let memory = Memory::from(bytes.clone());
    let content = sign(images[0].data.kind.unwrap(), root_hash).unwrap();
    let other = RootHash::new(vec![1; 32]);
    assert!(matches!(content.fill(&empty.partition, &other, &memory), Err(Error::SignaturePartition { .. })));
    let long = SignaturePartition { signature: vec![1; 13_000], ..content.clone() };
    assert!(matches!(long.fill(&empty.partition, root_hash, &memory), Err(Error::SignaturePartition { .. })));
    content.fill(&empty.partition, root_hash, &memory).unwrap();
    let filled = Vec::from(memory);
    assert_eq!(set(&filled).signature(), Some(&content));
    let signed = self::disk(512, 4096, None, SignatureSource::Signer);
    assert!(filled == built(&signed, 1).0);
}

#[test]
fn an_interrupted_build_leaves_nothing_that_loads() {
    let disk = disk(512, 4096, None, SignatureSource::Signer);
    let (root, usr, plan) = (data(1_200_001), data(300_000), disk.plan().unwrap());
    let build = |storage: &Stops| plan.build(&[&root, &usr], storage, &mut sign, &Work::default());
    // An older image that is replaced.
    let older = built(&disk, 1).0;
    let all = Stops::after(usize::MAX, older.clone());
    build(&all).unwrap();
    let writes = usize::MAX - all.left();
    for left in 0..writes {
        let stops = Stops::after(left, older.clone());
        assert!(build(&stops).is_err(), "{left}");
        assert!(Gpt::read(&stops).is_err(), "{left}");
    }
    assert!(writes > 10);
    let mut refuses = |_: PartitionKind, _: &RootHash| Err("no key".into());
    let storage = Memory::default();
    let failed = plan.build(&[&root, &usr], &storage, &mut refuses, &Work::default());
    assert!(matches!(failed, Err(Error::Signer { source }) if source.to_string() == "no key"));
    assert!(Gpt::read(&storage).is_err());
}

#[test]
fn what_no_image_can_have_is_refused() {
    let why = |disk: &DiskImage| match disk.plan() {
        Err(Error::Build { why }) => why,
        other => panic!("{other:?}"),
    };
    let with_sizes = |sector_size, alignment| disk(sector_size, alignment, None, SignatureSource::None);
    assert_eq!(why(&with_sizes(1024, 4096)), "sectors have 512 or 4096 bytes");
    for alignment in [0, 512, 5000, 6144] {
        assert!(why(&with_sizes(512, alignment)).starts_with("the alignment is"), "{alignment}");
    }
    assert_eq!(why(&DiskImage::new(&seed())), "there is no file system for it");
    let with = |bytes, hashing: Option<Hashing>| {
        let mut disk = DiskImage::new(&seed());
        let root = FileSystem::new(Designator::Root, Architecture::X86_64, bytes);
        disk.add(FileSystem { hashing, ..root }, None, SignatureSource::None);
        disk
    };
    let mut twice = with(4096, None);
    twice.add(FileSystem::new(Designator::Root, Architecture::X86_64, 1), None, SignatureSource::None);
    assert_eq!(why(&twice), "two file systems are for the same purpose");
    let without = Hashing { uuid: None, ..Hashing::default() };
    assert_eq!(why(&with(4096, Some(without))), "a verity partition has a superblock");
    assert_eq!(why(&with(u64::MAX, None)), "it would be larger than any device");
    let short = Hashing { algorithm: HashAlgorithm::from_name("md5").unwrap(), ..Hashing::default() };
    let short = with(4096, Some(short)).plan();
    assert!(matches!(short, Err(Error::Verity(crate::Error::NoPartitionUuids))), "{short:?}");
    assert!(matches!(with(0, None).plan(), Err(Error::Verity(crate::Error::NoDataBlocks { .. }))));
    assert!(with(1 << 62, None).plan().is_ok());
    // A file system that is not the one that was planned.
    let plan = with(4096, None).plan().unwrap();
    for data in [&[][..], &[&vec![0u8; 4095] as &dyn ReadAt]] {
        let refused = plan.build(data, &Memory::default(), &mut Unsigned, &Work::default());
        assert!(matches!(refused, Err(Error::Build { .. })), "{refused:?}");
    }
}
