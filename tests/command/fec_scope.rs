//! What FEC covers after the data, and where it is on a hash device that it shares.

use dmverity_tests::vectors::painted;

use crate::bad_input::refused;
use crate::sandbox::Sandbox;

/// A hash device with this many foreign blocks after the tree of 300 data blocks, whose four blocks follow the
/// superblock's.
fn sandbox(foreign: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    sandbox.write("h", &painted((5 + foreign) * 4096));
    sandbox
}

const SALT: [&str; 2] = ["--salt=aa", "--uuid=a60c98d2-ae9b-4865-bfcb-b4e3ace11033"];

#[test]
fn parity_of_the_tree_alone_is_that_of_a_device_that_ends_with_it() {
    let alone = sandbox(0);
    let mut made = vec!["format", "d", "h", "--fec-device=f"];
    made.extend(SALT);
    let theirs = alone.reference(&made);
    let root_hash = theirs.field("Root hash").to_owned();
    let parity = alone.read("f");

    let shared = sandbox(300);
    let made = shared.run(&[&made[..], &["--fec-scope=tree"]].concat());
    assert_eq!((made.code, made.field("Root hash"), made.field("FEC blocks")), (Some(0), &*root_hash, "4"));
    assert!(shared.read("f") == parity);
    let with = |scope: &'static str| {
        move |action: &[&str], sandbox: &Sandbox| sandbox.run(&[action, &["--fec-device=f", scope]].concat())
    };
    let (tree, device) = (with("--fec-scope=tree"), with("--fec-scope=device"));
    let verify = ["verify", "d", "h", &root_hash];
    // What follows the tree may change.
    shared.flip("h", 100 * 4096);
    assert_eq!(tree(&[&verify[..], &["--strict"]].concat(), &shared).code, Some(0));
    shared.flip("d", 5);
    assert_eq!(tree(&verify, &shared).code, Some(0));
    assert_eq!(device(&verify, &shared).code, Some(2));
    assert_eq!(tree(&["repair", "d", "h", &root_hash], &shared).code, Some(0));
    assert_eq!(shared.read("d"), painted(300 * 4096));
    // The reference can use it if the hash device ends with the tree.
    shared.write("h", &shared.read("h")[..5 * 4096]);
    shared.flip("d", 5);
    let repairable = shared.reference(&[&verify[..], &["--fec-device=f"]].concat());
    assert_eq!(repairable.code, Some(0), "{repairable:?}");
    // The number of FEC blocks in the table is that of the covered ones: data and tree.
    shared.write("h", &[shared.read("h"), painted(300 * 4096)].concat());
    for (scope, blocks) in [("tree", "304"), ("device", "604")] {
        shared.write("f", &vec![0; 8 * 4096]);
        let scope = format!("--fec-scope={scope}");
        let table = shared.run(&["table", "d", "h", &root_hash, "--fec-device=f", &scope]);
        assert!(table.stdout.contains(&format!(" fec_blocks {blocks} ")), "{table:?}");
        let dump = shared.run(&["dump", "h", "--fec-device=f", &scope]);
        assert_eq!(dump.field("FEC blocks"), if blocks == "304" { "4" } else { "6" });
    }
}

#[test]
fn scopes_that_do_not_exist() {
    let sandbox = sandbox(0);
    let message = |found| format!("Invalid value of option --fec-scope.\nhint: it is tree or device, not {found}.\n");
    for command in ["format d h --fec-device=f", "verify d h 00 --fec-device=d", "plan d --fec-roots=2"] {
        refused(&sandbox, &format!("{command} --fec-scope=all"), 1, &message("all"));
    }
    let root_hash = sandbox.run(&["format", "d", "h", "--fec-device=f"]).field("Root hash").to_owned();
    let names = "--boot-data-device=/dev/vda --boot-hash-device=/dev/vdb --boot-fec-device=/dev/vdc";
    let line = format!("table d h {root_hash} --fec-device=f --fec-scope=tree {names} --veritytab=v");
    refused(&sandbox, &line, 1, "systemd does not support --fec-scope=tree.\n");
}

#[test]
fn parity_on_the_hash_device_goes_after_the_tree() {
    for one_file in [false, true] {
        let sandbox = sandbox(0);
        std::fs::remove_file(sandbox.path("h")).unwrap();
        let hash = if one_file { "d" } else { "h" };
        let fec = format!("--fec-device=./{hash}");
        let offset = if one_file { 300 * 4096 } else { 0 };
        let place = [format!("--hash-offset={offset}"), "--data-blocks=300".to_owned()];
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        // The file must exist, because two options name it.
        if !one_file {
            sandbox.write("h", b"");
        }
        let made = sandbox.run(&[&["format", "d", hash, &fec][..], &place, &SALT].concat());
        assert_eq!(made.code, Some(0), "{made:?}");
        let chosen = offset + 5 * 4096;
        assert_eq!(made.field("FEC offset"), format!("{chosen} [bytes]"));
        let ours = sandbox.read(hash);
        let root_hash = made.field("Root hash").to_owned();

        // The same as with the offset; the reference's result is the same too.
        let given = format!("--fec-offset={chosen}");
        let other = self::sandbox(0);
        std::fs::remove_file(other.path("h")).unwrap();
        other.write(hash, &painted(if one_file { 300 * 4096 } else { 0 }));
        let theirs = other.reference(&[&["format", "d", hash, &fec, &given][..], &place, &SALT].concat());
        assert_eq!((theirs.code, theirs.field("Root hash")), (Some(0), &*root_hash), "{theirs:?}");
        assert!(other.read(hash) == ours, "{one_file}");

        // Every action finds it.
        sandbox.flip("d", 4096);
        let image = ["d", hash, &root_hash, &fec, place[0]];
        assert_eq!(sandbox.run(&[&["verify"], &image[..]].concat()).code, Some(0));
        assert_eq!(sandbox.run(&[&["repair"], &image[..]].concat()).code, Some(0));
        assert!(sandbox.read(hash) == ours);
        let table = sandbox.run(&[&["table"], &image[..]].concat());
        assert!(table.stdout.contains(&format!(" fec_start {} ", chosen / 4096)), "{table:?}");
        let dump = sandbox.run(&["dump", hash, &fec, place[0]]);
        let known = sandbox.reference(&["dump", hash, &fec, place[0]]);
        assert_eq!(crate::reference::normalised(&dump), crate::reference::normalised(&known));
    }
}

#[test]
fn an_offset_that_is_given_counts() {
    let sandbox = sandbox(0);
    let message = |start: u64| {
        format!(
            "Hash area overlaps with FEC area.\n\
             hint: the hash area ends at byte 20480, the FEC area starts at byte {start}.\n"
        )
    };
    for offset in [0, 4096] {
        refused(&sandbox, &format!("format d h --fec-device=h --fec-offset={offset}"), 1, &message(offset));
    }
}
