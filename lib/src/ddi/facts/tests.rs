use uuid::{Uuid, uuid};

use super::super::testing::{Content, image};
use super::*;

const HOME: Uuid = uuid!("933ac7e1-2eb4-4f13-b844-0e14e2aef915");

fn facts(partitions: &[Content]) -> ImageFacts {
    let image = image(partitions);
    ImageFacts::of(&Gpt::read(&image).unwrap(), &image).unwrap()
}

fn signed() -> Vec<Content> {
    let of = |(number, kind): (u128, &str)| Content {
        attributes: Partition::READ_ONLY,
        ..Content::new(kind, Uuid::from_u128(number), Vec::new())
    };
    let kinds = ["root-x86-64", "root-x86-64-verity", "root-x86-64-verity-sig"];
    let mut all: Vec<Content> = (1..).zip(kinds).map(of).collect();
    all[0].bytes = b"hsqs".to_vec();
    all
}

fn verdict(policy: &str, facts: &ImageFacts) -> String {
    Policy::parse(policy).unwrap().check(facts).map_or_else(|refusal| refusal.to_string(), |()| "ok".to_owned())
}

/// What `systemd-dissect --validate` says of signed and unsigned images; versions 257 and 262 agree on these.
#[test]
fn verdicts_are_those_of_systemd() {
    let (signed, unsigned) = (facts(&signed()), facts(&signed()[..2]));
    for (policy, of_signed, of_unsigned) in [
        ("root=signed", true, false),
        ("root=verity+signed", true, false),
        ("root=verity", true, true),
        ("root=unprotected", true, true),
        ("root=verity+unprotected", true, true),
        ("root=encrypted", false, false),
        ("root=verity:=absent", false, true),
        ("root=signed:root-verity-sig=unprotected+absent", true, false),
        ("root=verity+signed:root-verity-sig=unprotected+absent", true, true),
        ("root=unprotected:root-verity=unprotected", false, false),
        ("usr=verity", false, false),
        ("*", true, true),
        ("-", false, false),
        ("~", false, false),
        ("=unused+absent", false, false),
        ("root=signed:home=unprotected", false, false),
        ("root=signed+read-only-off", false, false),
        ("root=verity+read-only-on", true, true),
        ("root=verity+growfs-on", false, false),
        ("=open:root-verity=ignore", false, true),
    ] {
        assert_eq!(verdict(policy, &signed) == "ok", of_signed, "{policy} {}", verdict(policy, &signed));
        assert_eq!(verdict(policy, &unsigned) == "ok", of_unsigned, "{policy} {}", verdict(policy, &unsigned));
    }
}

#[test]
fn each_refusal_has_its_reason() {
    let (all, unsigned) = (facts(&signed()), facts(&signed()[..2]));
    for (policy, facts, expected) in [
        ("root=signed", &unsigned, "partition root-verity-sig must not be absent"),
        ("root=verity:=absent", &all, "partition root-verity-sig must be absent"),
        ("root=encrypted", &all, "partition root is unprotected, but must be encrypted"),
        ("root=unprotected:root-verity=", &unsigned, "partition root is verity, but must be unprotected"),
        ("root=verity+read-only-off", &all, "partition root must have its flag read-only off"),
        ("root=verity+growfs-on", &all, "partition root must have its flag growfs on"),
        ("root=verity+ext4", &all, "partition root must not have the file system squashfs"),
        ("root=verity+squashfs+ext4", &all, "ok"),
        ("=open:root-verity=ignore", &all, "partition root-verity must not be absent"),
        ("", &all, "no root or usr partition is left to use"),
    ] {
        assert_eq!(verdict(policy, facts), expected, "{policy}");
    }
}

#[test]
fn the_beginning_of_a_partition_says_what_it_is() {
    let with = |bytes: Vec<u8>| facts(&[Content { bytes, ..signed()[0].clone() }]);
    let at = |offset: usize, magic: &[u8]| [vec![0; offset], magic.to_vec()].concat();
    for (name, offset, magic) in MAGICS.iter().filter(|(name, ..)| *name != "btrfs") {
        let facts = with(at(usize::try_from(*offset).unwrap(), magic));
        assert_eq!(verdict(&format!("root=unprotected+{name}"), &facts), "ok");
        assert_ne!(verdict("root=unprotected+btrfs", &facts), "ok", "{name}");
    }
    assert_eq!(verdict("root=encrypted", &with(b"LUKS\xBA\xBE\0\x02".to_vec())), "ok");
    assert_eq!(verdict("root=unprotected", &with(b"LUKS\xBA\xBF".to_vec())), "ok");
    // What is not known may be any of them.
    assert_eq!(verdict("root=unprotected+ext4", &with(Vec::new())), "ok");
}

#[test]
fn other_partitions_and_flags_count_too() {
    let mut partitions = signed();
    let home = Content { type_guid: HOME, ..partitions[0].clone() };
    partitions.push(home.clone());
    assert_eq!(verdict("root=signed:=absent", &facts(&partitions)), "partition home must be absent");
    assert_eq!(verdict("root=signed:home=unprotected:=absent", &facts(&partitions)), "ok");
    partitions[3].attributes = Partition::NO_AUTO;
    assert_eq!(verdict("root=signed:=absent", &facts(&partitions)), "ok");
    // Of two, the one with the greater label.
    let [old, new] = ["v1", "v2"].map(|name| Content { name: name.to_owned(), ..home.clone() });
    let grows = Content { attributes: Partition::GROW_FILE_SYSTEM, ..new };
    let facts = facts(&[signed(), vec![grows, old]].concat());
    assert_eq!(facts.partition(PolicyPartition::Home).unwrap().name, "v2");
    assert_eq!(verdict("root=signed:home=growfs-on", &facts), "ok");
}
