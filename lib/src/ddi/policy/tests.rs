use super::*;

fn rule(policy: &str, partition: &str) -> String {
    let partition = PolicyPartition::all().find(|each| each.name() == partition).unwrap();
    let Rule { uses, read_only, grow_file_system, file_systems } = Policy::parse(policy).unwrap().rule(partition);
    let flag = |name: &str, wanted: Option<bool>| wanted.map_or(String::new(), |on| format!(" {name} {on}"));
    let names = FILE_SYSTEMS.iter().enumerate().filter(|(bit, _)| file_systems & (1 << bit) != 0);
    let names = names.fold(String::new(), |names, (_, name)| names + " " + name);
    format!("{uses}{}{}{names}", flag("ro", read_only), flag("grow", grow_file_system))
}

/// What `systemd-analyze image-policy` of systemd 257 and 262 prints.
#[test]
fn rules_are_those_of_systemd() {
    const OPEN: &str = "verity+signed+encrypted+encryptedwithintegrity+unprotected+unused+absent";
    const PLAIN: &str = "encrypted+encryptedwithintegrity+unprotected+unused+absent";
    const TREE: &str = "unprotected+unused+absent";
    for (policy, partition, expected) in [
        ("root=verity", "root", "verity"),
        ("root=verity", "root-verity", "unprotected"),
        ("root=verity", "root-verity-sig", "unused+absent"),
        ("root=verity", "usr", "unused+absent"),
        ("root=signed", "root-verity", "unprotected"),
        ("root=signed", "root-verity-sig", "unprotected"),
        ("root=unprotected", "root-verity", "unused+absent"),
        ("root=verity+unused", "root-verity", "unprotected+unused"),
        ("root=verity+signed+absent:=absent", "root-verity-sig", "unprotected+absent"),
        ("root=verity:=absent", "root-verity-sig", "absent"),
        ("root=unprotected:=absent", "root-verity", "absent"),
        ("root=verity:=unprotected", "root-verity-sig", "unprotected"),
        ("root=absent:root-verity=unprotected", "root-verity", "unprotected"),
        ("root=verity:root-verity=", "root-verity", TREE),
        ("root-verity=verity", "root-verity", "nothing"),
        ("home=verity", "home", "nothing"),
        ("home=verity+unused", "home", "unused"),
        ("=verity", "root", "verity"),
        ("=verity", "root-verity", "nothing"),
        ("*", "root", OPEN),
        ("*", "home", PLAIN),
        ("=", "usr-verity-sig", TREE),
        ("-", "root", "unused+absent"),
        ("", "root", "unused+absent"),
        ("~", "root-verity", "absent"),
        ("root=", "root", OPEN),
        ("root=-", "root", OPEN),
        ("root=", "root-verity", TREE),
        ("root = verity + unused ", "root", "verity+unused"),
        ("root=open", "root", OPEN),
        ("root=ignore", "root", "unused+absent"),
        ("root=read-only-on", "root-verity-sig", "unprotected+unused+absent ro true"),
        ("root=verity+growfs-on+read-only-off", "root-verity", "unprotected ro false grow true"),
        ("root=verity+read-only-on+read-only-off", "root", "verity"),
        ("root=verity:=read-only-on", "usr-verity", "unprotected+unused+absent ro true"),
        ("root=squashfs+verity:=btrfs+absent", "root", "verity squashfs"),
        ("root=squashfs+verity:=btrfs+absent", "root-verity", "unprotected"),
        ("root=squashfs+verity:=btrfs+absent", "usr", "absent btrfs"),
    ] {
        assert_eq!(rule(policy, partition), expected, "{policy} {partition}");
    }
}

#[test]
fn other_texts_are_refused() {
    for (text, expected) in [
        (":", "\"\" has no \"=\""),
        ("root=verity:", "\"\" has no \"=\""),
        ("root", "\"root\" has no \"=\""),
        ("root=verity:*=ignore", "\"*\" is no partition"),
        ("root=verity:*", "\"*\" has no \"=\""),
        ("Root=verity", "\"Root\" is no partition"),
        ("root=VERITY", "\"VERITY\" is no flag"),
        ("root=verity+", "\"\" is no flag"),
        ("==", "\"=\" is no flag"),
        ("root=verity:root=signed", "root is there twice"),
        ("=absent:=unused", "the default is there twice"),
    ] {
        match Policy::parse(text) {
            Err(Error::PolicySyntax { why, .. }) => assert_eq!(why, expected, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}
