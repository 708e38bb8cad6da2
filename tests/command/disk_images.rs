//! `inspect`: what is in disk images that systemd-repart has made, and in damaged ones.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use dmverity_tests::{chain, schema};
use serde_json::{Value, json};

use crate::sandbox::{Outcome, Sandbox};

/// A sandbox with systemd-repart's images.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    chain::unpack(&sandbox.path(""));
    sandbox
}

/// Runs a command as it is and with `--json`; both must end with this code.
#[track_caller]
fn both(sandbox: &Sandbox, arguments: &[&str], code: i32) -> (Outcome, Value) {
    let text = sandbox.run(arguments);
    assert_eq!(text.code, Some(code), "{arguments:?}: {text:?}");
    let object = sandbox.run(&[arguments, &["--json"]].concat());
    assert_eq!((object.code, object.stderr.as_str()), (Some(code), ""), "{arguments:?}");
    let object = schema::check(&object.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    (text, object)
}

/// The reason of a refused command.
#[track_caller]
fn refused(sandbox: &Sandbox, arguments: &[&str], code: i32) -> String {
    let (text, _) = both(sandbox, arguments, code);
    let mut lines = text.stderr.lines();
    lines.find_map(|line| line.strip_prefix("hint: ")).unwrap_or_else(|| panic!("{text:?}")).to_owned()
}

#[test]
fn what_systemd_repart_made_is_what_it_said() {
    let sandbox = sandbox();
    for name in chain::IMAGES {
        let said = fs::read_to_string(sandbox.path(&format!("ddi/{name}.json"))).unwrap();
        let said: Value = serde_json::from_str(&said).unwrap();
        let image = format!("ddi/{name}.raw");
        let (text, found) = both(&sandbox, &["inspect", &image], 0);
        assert_eq!(text.stderr, "", "{name}");
        let partitions = found["partitions"].as_array().unwrap();
        let said = said.as_array().unwrap();
        assert_eq!(partitions.len(), said.len(), "{name}");
        for (partition, said) in partitions.iter().zip(said) {
            for (ours, theirs) in
                [("type", "type"), ("label", "label"), ("uuid", "uuid"), ("offset", "offset"), ("bytes", "raw_size")]
            {
                assert_eq!(partition[ours], said[theirs], "{name} {ours}");
            }
            assert_eq!(partition["number"], said["partno"].as_u64().unwrap() + 1);
            // Only the signature partition of version 257 is not read-only.
            let is_sig = said["type"].as_str().unwrap().ends_with("-sig");
            assert_eq!(partition["read_only"], !(is_sig && name.ends_with("257")), "{name}");
            assert!(!partition["grow_file_system"].as_bool().unwrap());
        }
        let sector_size = if name.contains("4096") { 4096 } else { 512 };
        assert_eq!(
            found["table"],
            json!({"sector_size": sector_size, "disk_uuid": "358235cc-87c0-46b1-a612-e72eea06c4f4"})
        );
        let [set] = &found["images"].as_array().unwrap()[..] else { panic!("{found}") };
        assert_eq!((&set["root_hash"], &set["tree_has_root_hash"]), (&said[0]["roothash"], &json!(true)), "{name}");
        // Of 163 blocks in the partition.
        assert_eq!((&set["superblock"]["data_blocks"], &set["superblock"]["fec"]), (&json!(74), &Value::Null));
        let is_usr = name.starts_with("usr");
        let kind = if is_usr { json!(["usr", "arm64"]) } else { json!(["root", "x86-64"]) };
        assert_eq!(json!([set["designator"], set["architecture"]]), kind);
        let hash = text.field(if is_usr { "Usr hash" } else { "Root hash" });
        assert_eq!(hash, set["root_hash"]);
        if name.contains("unsigned") {
            assert_eq!((&set["signature"], &set["signature_partition"]), (&Value::Null, &Value::Null));
        } else {
            let bytes = if is_usr { 825 } else { 1219 };
            assert_eq!((&set["signature"]["state"], &set["signature"]["bytes"]), (&json!("present"), &json!(bytes)));
            assert_eq!((&set["signature"]["root_hash"], &set["signature_partition"]), (&set["root_hash"], &json!(3)));
        }
    }
}

#[test]
fn the_content_of_signature_partitions_is_written_as_by_systemd_repart() {
    use dmverity::ddi::{Gpt, Images, SignaturePartition};

    let sandbox = sandbox();
    let kept = sandbox.read("ddi/root-signed-257.sigpart");
    assert_eq!(SignaturePartition::parse(&kept).unwrap().to_bytes(), kept);
    for name in chain::IMAGES.iter().filter(|name| !name.contains("unsigned")) {
        let image = sandbox.read(&format!("ddi/{name}.raw"));
        let images = Images::of(&Gpt::read(&image).unwrap(), &image).unwrap();
        let [set] = images.sets() else { panic!("{name}") };
        let (partition, content) = (&set.signature.as_ref().unwrap().partition, set.signature().unwrap());
        let range = usize::try_from(partition.offset).unwrap()..usize::try_from(partition.end()).unwrap();
        assert!(content.to_bytes() == image[range], "{name}");
    }
}

#[test]
fn damaged_tables_are_refused_with_the_reason() {
    let sandbox = sandbox();
    let good = sandbox.read("ddi/root-signed-257.raw");
    let last = good.len() - 512;
    let flipped = |offset: usize| {
        let mut bytes = good.clone();
        bytes[offset] ^= 1;
        bytes
    };
    for (bytes, reason) in [
        (flipped(512), "the primary GPT is damaged: there is no header."),
        (flipped(512 + 24), "the primary GPT is damaged: wrong checksum of the header."),
        (flipped(1024 + 16), "the primary GPT is damaged: wrong checksum of the table of partitions."),
        (flipped(last), "the backup GPT is damaged: there is no header."),
        (flipped(last + 56), "the backup GPT is damaged: wrong checksum of the header."),
        (flipped(last - 16384), "the backup GPT is damaged: wrong checksum of the table of partitions."),
        (good[..last].to_vec(), "the image is truncated: its GPT ends at byte 1396736, the image at byte 1396224."),
        ([&good[..], &[0; 512]].concat(), "the backup GPT ends at byte 1396736, and the image at byte 1397248."),
        (
            [&good[..4096], b"EFI PART", &good[4104..]].concat(),
            "there are GPT headers for sectors of 512 and of 4096 bytes.",
        ),
        (vec![0; 100_000], "there is no GPT."),
        (Vec::new(), "there is no GPT."),
    ] {
        sandbox.write("image", &bytes);
        assert_eq!(refused(&sandbox, &["inspect", "image"], 2), reason);
    }
    assert_eq!(
        both(&sandbox, &["inspect", "missing"], 4).0.stderr,
        "Device missing does not exist or access denied.\n"
    );
    assert_eq!(sandbox.run(&["inspect"]).code, Some(1));
}

#[test]
fn what_does_not_fit_the_root_hash_is_said() {
    let sandbox = sandbox();
    let good = sandbox.read("ddi/root-signed-257.raw");
    let set_of = |bytes: &[u8]| {
        sandbox.write("image", bytes);
        both(&sandbox, &["inspect", "image"], 0).1["images"][0].clone()
    };
    let (verity, signature) = (688_128, 1_359_872);
    let with = |offset: usize, new: &[u8]| [&good[..offset], new, &good[offset + new.len()..]].concat();
    // The superblock, the tree, and each part of the JSON.
    let no_superblock = set_of(&with(verity, &[0; 512]));
    assert_eq!((&no_superblock["superblock"], &no_superblock["tree_has_root_hash"]), (&Value::Null, &Value::Null));
    assert!(no_superblock["superblock_error"].as_str().unwrap().contains("not a valid VERITY device"));
    assert_eq!(no_superblock["root_hash"], "1ea279c00511f6475e12da479f453f6ffcaea3112f771f9b5999ac16dabb7d3e");
    assert_eq!(set_of(&with(verity + 4096, &[1]))["tree_has_root_hash"], false);
    let state = |offset: usize, new: &[u8]| set_of(&with(signature + offset, new))["signature"].clone();
    assert_eq!(state(0, &[0; 16384])["state"], "empty");
    assert_eq!(state(13, b"0")["state"], "other_root_hash");
    let unusable = state(0, b"[");
    assert_eq!(unusable["state"], "unusable");
    assert_eq!(state(16383, b"x")["error"], "there is more than NULs after its text");
    // The data are not read.
    assert_eq!(set_of(&with(20_480, &[0; 4096]))["tree_has_root_hash"], true);
}

#[test]
fn policies_decide_as_systemd_does() {
    let sandbox = sandbox();
    let [signed, unsigned, usr] = chain::IMAGES.map(|name| format!("ddi/{name}.raw"));
    for (policy, image, reason) in [
        ("root=signed", &signed, None),
        ("root=verity", &unsigned, None),
        ("usr=signed", &usr, None),
        ("root=signed", &unsigned, Some("partition root-verity-sig must not be absent.")),
        ("root=verity:=absent", &signed, Some("partition root-verity-sig must be absent.")),
        ("root=encrypted", &unsigned, Some("partition root is unprotected, but must be encrypted.")),
        ("root=verity+ext4", &unsigned, Some("partition root must not have the file system squashfs.")),
        ("-", &signed, Some("no root or usr partition is left to use.")),
    ] {
        let option = format!("--policy={policy}");
        let (text, object) = both(&sandbox, &["inspect", image, &option], if reason.is_some() { 2 } else { 0 });
        assert_eq!(object["policy"]["accepted"], reason.is_none(), "{policy}");
        // What was found is printed in any case.
        assert_eq!(text.field("Policy"), policy);
        if let Some(reason) = reason {
            assert_eq!(text.stderr, format!("The image does not agree with the policy.\nhint: {reason}\n"));
        }
    }
    let hint = refused(&sandbox, &["inspect", &signed, "--policy=root=verity:*=ignore"], 1);
    assert_eq!(hint, "cannot read the image policy \"root=verity:*=ignore\": \"*\" is no partition.");
}

#[test]
fn files_next_to_an_image_count() {
    let sandbox = sandbox();
    let image = sandbox.read("ddi/root-signed-257.raw");
    sandbox.write("app.raw", &image);
    sandbox.write("app.roothash", b"00");
    assert_eq!(both(&sandbox, &["inspect", "app.raw"], 0).1["sidecars"], json!(["app.roothash"]));
    sandbox.write("app.verity", b"");
    assert_eq!(refused(&sandbox, &["inspect", "app.raw"], 2), "it has partitions, and app.verity is next to it.");
    // Without partitions they belong together.
    sandbox.write("app.raw", &image[20_480..20_480 + 303_104]);
    let found = both(&sandbox, &["inspect", "app.raw"], 0).1;
    assert_eq!((&found["table"], &found["partitions"]), (&Value::Null, &json!([])));
    assert_eq!(found["sidecars"], json!(["app.verity", "app.roothash"]));
    refused(&sandbox, &["inspect", "app.raw", "--policy=root=verity"], 1);
}

/// Partitions a file with `sfdisk`: type, UUID and content of each.
fn partition(sandbox: &Sandbox, name: &str, partitions: &[(&str, &str, &[u8])]) {
    let mut script = "label: gpt\nfirst-lba: 2048\n".to_owned();
    let mut bytes = vec![0; (2 + partitions.len()) << 20];
    for (index, (kind, uuid, content)) in partitions.iter().enumerate() {
        let start = (1 + index) << 20;
        let line = format!("start={}, size=2048, type={kind}, uuid={uuid}, name=\"slot {index}\"\n", start / 512);
        script.push_str(&line);
        bytes[start..start + content.len()].copy_from_slice(content);
    }
    sandbox.write(name, &bytes);
    let mut sfdisk = Command::new("/usr/sbin/sfdisk");
    let mut child = sfdisk
        .args(["-q", "--wipe=never", "--wipe-partitions=never"])
        .arg(sandbox.path(name))
        .stdin(Stdio::piped())
        .spawn()
        .expect("sfdisk");
    child.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("sfdisk reads");
    assert!(child.wait().expect("a child").success(), "{script}");
}

#[test]
fn two_versions_in_one_image_are_told_apart() {
    const DATA: &str = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709";
    const VERITY: &str = "2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5";
    const HOME: &str = "933AC7E1-2EB4-4F13-B844-0E14E2AEF915";
    let sandbox = Sandbox::new();
    let made = ["one", "two"].map(|name| {
        let data = name.repeat(100_000);
        sandbox.write(name, data.as_bytes());
        let hash = format!("{name}.hash");
        let outcome = sandbox.run(&["format", name, &hash, "--partition-uuids"]);
        let uuids = ["Data partition UUID", "Hash partition UUID"].map(|key| outcome.field(key).to_owned());
        (data.into_bytes(), sandbox.read(&hash), outcome.field("Root hash").to_owned(), uuids)
    });
    let [(one, one_hash, one_root_hash, one_uuids), (two, two_hash, two_root_hash, two_uuids)] = &made;
    let home = "11111111-2222-3333-4444-555555555555";
    partition(
        &sandbox,
        "image",
        &[
            (DATA, &one_uuids[0], one),
            (DATA, &two_uuids[0], two),
            (HOME, home, b""),
            (VERITY, &two_uuids[1], two_hash),
            (VERITY, &one_uuids[1], one_hash),
        ],
    );
    let (text, found) = both(&sandbox, &["inspect", "image"], 0);
    assert_eq!(text.stderr, "");
    assert_eq!(found["partitions"][2]["type"], "home");
    let sets: Vec<_> = found["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|set| json!([set["data_partition"], set["verity_partition"], set["root_hash"]]))
        .collect();
    assert_eq!(sets, [json!([2, 4, two_root_hash]), json!([1, 5, one_root_hash])]);
    // Each of them is found by its root hash, and none without.
    for root_hash in [one_root_hash, two_root_hash] {
        let verified = sandbox.run(&["verify", "image", &format!("--root-hash={root_hash}")]);
        assert_eq!(verified.code, Some(0), "{verified:?}");
    }
    assert_eq!(sandbox.run(&["verify", "image"]).code, Some(2));
    // Without their trees, nothing says which belong together.
    partition(
        &sandbox,
        "image",
        &[(DATA, &one_uuids[0], one), (DATA, &two_uuids[0], two), (VERITY, &one_uuids[1], b"")],
    );
    let (text, found) = both(&sandbox, &["inspect", "image"], 0);
    assert_eq!((&found["images"], &found["unmatched_partitions"]), (&json!([]), &json!([1, 2, 3])));
    let warnings = "WARNING: it is not known with which other partitions these belong together: 1, 2, 3.\n\
                    WARNING: there is no verity image in it.\n";
    assert_eq!(text.stderr, warnings);
}
