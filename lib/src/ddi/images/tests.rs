use uuid::Uuid;

use super::super::testing::{Content, image};
use super::*;
use crate::format::Hashing;
use crate::hash::HashAlgorithm;
use crate::io::Memory;
use crate::work::Work;

fn images(partitions: &[Content]) -> Images {
    let image = image(partitions);
    Images::of(&Gpt::read(&image).unwrap(), &image).unwrap()
}

/// The verity partition over this many blocks that are all filled with `fill`, and its root hash.
fn tree(algorithm: &str, fill: u8, blocks: usize) -> (RootHash, Vec<u8>) {
    let (data, hash) = (vec![fill; 4096 * blocks], Memory::default());
    let hashing = Hashing {
        algorithm: HashAlgorithm::from_name(algorithm).unwrap(),
        uuid: Some(Uuid::from_u128(1)),
        ..Hashing::default()
    };
    let builder = Params::builder().hashing(hashing);
    let mut image = Image::new(Storage::Read(&data), Storage::Write(&hash)).unwrap();
    let root_hash = image.format(builder, &Work::default()).unwrap().root_hash;
    (root_hash, Vec::from(hash))
}

/// Data and verity partition of a root file system.
fn pair(root_hash: &RootHash, tree: &[u8]) -> [Content; 2] {
    let uuids = root_hash.partition_uuids().unwrap();
    [Content::new("root-x86-64", uuids.data, Vec::new()), Content::new("root-x86-64-verity", uuids.hash, tree.to_vec())]
}

fn signature(root_hash: &RootHash) -> Content {
    let content = SignaturePartition { root_hash: root_hash.clone(), fingerprint: None, signature: vec![1] };
    Content::new("root-x86-64-verity-sig", Uuid::from_u128(9), content.to_bytes())
}

fn numbers(set: &ImageSet) -> Vec<u32> {
    set.partitions().map(|partition| partition.number).collect()
}

#[test]
fn the_halves_of_the_root_hash_are_joined() {
    for (algorithm, blocks) in [("sha256", 3), ("sha256", 1), ("sha1", 3), ("ripemd160", 1)] {
        let (root_hash, tree) = tree(algorithm, 7, blocks);
        let found = images(&pair(&root_hash, &tree));
        let [set] = found.sets() else { panic!("{found:?}") };
        assert_eq!((set.root_hash.as_ref(), numbers(set)), (Some(&root_hash), vec![1, 2]), "{algorithm}");
        assert_eq!(set.to_string(), format!("root-x86-64 with root hash {root_hash}"));
        assert_eq!(found.pick(&Wanted { root_hash: Some(&root_hash), ..Wanted::default() }).unwrap(), *set);
    }
    // Without a tree it still follows from the UUIDs alone.
    let root_hash = RootHash::new((0..32).collect());
    let found = images(&pair(&root_hash, &[]));
    assert_eq!(found.sets()[0].root_hash, Some(root_hash));
}

#[test]
fn of_longer_digests_only_the_ends_are_known() {
    // Where there is a tree it has the rest; here it has none, but a superblock.
    let (root_hash, tree) = tree("sha512", 7, 1);
    let [data, verity] = pair(&root_hash, &tree);
    let found = images(&[data.clone(), verity.clone()]);
    let [set] = found.sets() else { panic!("{found:?}") };
    assert_eq!((set.root_hash.as_ref(), set.to_string().as_str()), (None, "root-x86-64 in partitions 1 and 2"));
    let picked = found.pick(&Wanted { root_hash: Some(&root_hash), ..Wanted::default() }).unwrap();
    assert_eq!(picked.root_hash, Some(root_hash.clone()));
    // The signature has it.
    let found = images(&[data, verity, signature(&root_hash)]);
    let [set] = found.sets() else { panic!("{found:?}") };
    assert_eq!(set.root_hash, Some(root_hash.clone()));
    assert_eq!(set.signature().unwrap().root_hash, root_hash);
}

#[test]
fn two_images_in_one_are_told_apart() {
    let ((one, tree_one), (two, tree_two)) = (tree("sha256", 1, 3), tree("sha256", 2, 3));
    let ([data_one, verity_one], [data_two, verity_two]) = (pair(&one, &tree_one), pair(&two, &tree_two));
    // In a mixed order: only the trees and the signatures say what belongs together.
    let mixed = [data_one, data_two, verity_two.clone(), verity_one, signature(&two), signature(&one)];
    let found = images(&mixed);
    let by_number: Vec<_> = found.sets().iter().map(|set| (set.root_hash.clone().unwrap(), numbers(set))).collect();
    assert_eq!(by_number, [(two.clone(), vec![2, 3, 5]), (one.clone(), vec![1, 4, 6])]);
    assert_eq!(found.unmatched().count(), 0);
    match found.pick(&Wanted::default()) {
        Err(Error::Ambiguous { there }) => assert_eq!(there.len(), 2),
        other => panic!("{other:?}"),
    }
    let picked = found.pick(&Wanted { root_hash: Some(&one), ..Wanted::default() }).unwrap();
    assert_eq!(numbers(&picked), [1, 4, 6]);
    // Trees that are gone, and no signature of the second image.
    let empty = |content: &Content| Content { bytes: Vec::new(), ..content.clone() };
    let gone = [mixed[0].clone(), mixed[1].clone(), empty(&mixed[2]), empty(&mixed[3])];
    let found = images(&gone);
    assert_eq!((found.sets().len(), found.unmatched().count()), (0, 4));
    let picked = found.pick(&Wanted { root_hash: Some(&two), ..Wanted::default() }).unwrap();
    assert_eq!(numbers(&picked), [2, 3]);
    let found = images(&[&gone[..], &[signature(&one)]].concat());
    let sets: Vec<_> = found.sets().iter().map(numbers).collect();
    assert_eq!(sets, [vec![1, 4, 5], vec![2, 3]]);
    // The same image twice cannot be told apart.
    let twice = images(&[&mixed[..4], &[verity_two]].concat());
    assert!(matches!(twice.pick(&Wanted { root_hash: Some(&two), ..Wanted::default() }), Err(Error::Ambiguous { .. })));
}

#[test]
fn signatures_of_something_else_are_named_so() {
    let (root_hash, tree) = tree("sha256", 7, 3);
    let content = |bytes: Vec<u8>| {
        let signature = Content::new("root-x86-64-verity-sig", Uuid::from_u128(9), bytes);
        let [data, verity] = pair(&root_hash, &tree);
        let found = images(&[data, verity, signature]);
        let [set] = found.sets() else { panic!("{found:?}") };
        assert_eq!(set.root_hash, Some(root_hash.clone()));
        assert!(set.signature().is_none());
        set.signature.clone().unwrap().content
    };
    assert_eq!(content(Vec::new()), SignatureContent::Empty);
    assert!(matches!(content(b"{}".to_vec()), SignatureContent::Unusable(why) if why.contains("missing field")));
    let other = signature(&RootHash::new(vec![7; 32])).bytes;
    assert!(matches!(content(other), SignatureContent::OtherRootHash(_)));
}

#[test]
fn the_local_architecture_goes_first() {
    let local = Architecture::local().unwrap();
    let other = if local == Architecture::S390x { Architecture::X86_64 } else { Architecture::S390x };
    let both = |designator| {
        [local, other].map(|architecture| {
            let of = |role, uuid| {
                let kind = PartitionKind { designator, architecture, role };
                Content::new(&kind.to_string(), Uuid::from_u128(uuid), Vec::new())
            };
            [of(Role::Data, 1), of(Role::Verity, 2)]
        })
    };
    let root = both(Designator::Root).concat();
    let found = images(&root);
    let pick = |found: &Images, architecture, designator| {
        found.pick(&Wanted { architecture, designator, root_hash: None }).map(|set| numbers(&set))
    };
    assert_eq!(pick(&found, None, None).unwrap(), [1, 2]);
    assert_eq!(pick(&found, Some(other), None).unwrap(), [3, 4]);
    assert!(matches!(pick(&found, Some(Architecture::Alpha), None), Err(Error::NoSuchImage { .. })));
    assert!(matches!(pick(&found, None, Some(Designator::Usr)), Err(Error::NoSuchImage { .. })));
    let found = images(&[root, both(Designator::Usr).concat()].concat());
    assert!(matches!(pick(&found, None, None), Err(Error::Ambiguous { there }) if there.len() == 2));
    assert_eq!(pick(&found, None, Some(Designator::Usr)).unwrap(), [5, 6]);
    let error = pick(&found, Some(Architecture::Alpha), Some(Designator::Usr)).unwrap_err().to_string();
    assert!(error.starts_with("no partitions of a verity image for usr for alpha were found among root-"), "{error}");
}

#[test]
fn other_partitions_are_left_alone() {
    let alone = Content::new("root-x86-64", Uuid::from_u128(1), Vec::new());
    let esp = Content { type_guid: Uuid::from_u128(2), ..alone.clone() };
    let image = image(&[alone, esp]);
    let found = Images::of(&Gpt::read(&image).unwrap(), &image).unwrap();
    assert!(found.sets().is_empty() && found.signatures().next().is_none());
    assert_eq!(found.unmatched().map(|partition| partition.number).collect::<Vec<_>>(), [1]);
    assert!(matches!(found.pick(&Wanted::default()), Err(Error::NoSuchImage { .. })));
}

#[test]
fn a_table_that_is_made_to_take_memory_is_refused() {
    let root_hash = RootHash::new((0..32).collect());
    let [data, verity] = pair(&root_hash, &[]);
    let with = |count: usize| {
        let mut partitions = vec![signature(&root_hash)];
        partitions.extend(std::iter::repeat_n(data.clone(), count));
        partitions.extend(std::iter::repeat_n(verity.clone(), count));
        let image = image(&partitions);
        Images::of(&Gpt::read(&image).unwrap(), &image)
    };
    assert_eq!(with(32).unwrap().sets().len(), 1024);
    assert!(matches!(with(33), Err(Error::TooManyImages { most: 1024 })));
    let wanted = Wanted { root_hash: Some(&root_hash), ..Wanted::default() };
    assert!(matches!(with(2).unwrap().pick(&wanted), Err(Error::Ambiguous { there }) if there.len() == 4));
}
