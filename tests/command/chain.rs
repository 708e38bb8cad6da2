//! From a signature to a block: disk images, sidecars and manifests whose root hash a trusted signer has signed, and
//! what is said when any part of that was changed.

use std::fs;
use std::process::Command;

use dmverity::ddi::{Gpt, Partition};
use dmverity_tests::vectors::painted;
use dmverity_tests::{chain, schema, workspace};
use serde_json::Value;

use crate::sandbox::{Outcome, Sandbox};

/// Where the first file system is in systemd-repart's images, and how long it is.
const DATA: std::ops::Range<usize> = 20480..20480 + 303_104;

/// systemd-repart's images, the signers' keys and certificates, and systemd's and containerd's neighbours of a file
/// system.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    chain::unpack(&sandbox.path(""));
    let vectors = workspace().join("tests/vectors/chain");
    for folder in ["certs", "keys", "sidecar"] {
        for entry in fs::read_dir(vectors.join(folder)).expect("vectors") {
            let entry = entry.expect("readable");
            fs::copy(entry.path(), sandbox.path(&entry.file_name().to_string_lossy())).expect("writable");
        }
    }
    let data = sandbox.read("ddi/root-signed-257.raw")[DATA].to_vec();
    sandbox.write("app.raw", &data);
    sandbox.write("layer.erofs", &[data, sandbox.read("layer.tail")].concat());
    sandbox
}

#[track_caller]
fn run(sandbox: &Sandbox, command: &str, code: i32) -> Outcome {
    let arguments: Vec<&str> = command.split(' ').collect();
    let outcome = sandbox.run(&arguments);
    assert_eq!(outcome.code, Some(code), "{command}: {outcome:?}");
    let json = sandbox.run(&[&arguments[..], &["--json"]].concat());
    schema::check(&json.stdout).unwrap_or_else(|error| panic!("{command}: {error}"));
    outcome
}

#[track_caller]
fn object(sandbox: &Sandbox, command: &str) -> Value {
    let outcome = sandbox.run(&[&command.split(' ').collect::<Vec<_>>()[..], &["--json"]].concat());
    schema::check(&outcome.stdout).unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// The lines of a refusal.
#[track_caller]
fn refused(sandbox: &Sandbox, command: &str, code: i32) -> String {
    run(sandbox, command, code).stderr
}

#[test]
fn what_systems_ship_is_verified_up_to_its_signer() {
    let sandbox = sandbox();
    for (image, trusted, other) in [
        ("ddi/root-signed-257.raw", "rsa.crt", "p256.crt"),
        ("ddi/usr-arm64-sector4096-p256-262.raw", "p256.crt", "rsa.crt"),
        ("app.raw", "rsa.crt", "ca.crt"),
    ] {
        // Without a certificate in the signature, it is named.
        let chain = if image == "app.raw" { "--ca=ca.crt --intermediate=rsa.crt" } else { "--ca=ca.crt" };
        for option in [format!("--trusted={trusted}"), chain.to_owned()] {
            let command = format!("verify {image} {option}");
            assert_eq!(run(&sandbox, &command, 0).stderr, "", "{command}");
            let object = object(&sandbox, &command);
            assert_eq!(object["signer"]["subject"], format!("CN=Example {}", &trusted[..trusted.len() - 4]));
        }
        let refusal = refused(&sandbox, &format!("verify {image} --trusted={other}"), 2);
        assert!(refusal.starts_with("Signature refused: signed by ") && refusal.contains("not trusted"), "{refusal}");
        // Nobody else's, and nothing is opened.
        refused(&sandbox, &format!("open {image} name --trusted={other}"), 2);
        refused(&sandbox, &format!("repair {image} --dry-run --trusted={other}"), 2);
        refused(&sandbox, &format!("table {image} --trusted={other}"), 2);
        refused(&sandbox, &format!("dump {image} --trusted={other}"), 2);
        run(&sandbox, &format!("table {image} --cmdline --trusted={trusted} --root-hash-signature=auto"), 0);
    }
    let dumped = run(&sandbox, "dump ddi/root-signed-257.raw --trusted=rsa.crt", 0);
    assert_eq!(dumped.field("Signed by"), "CN=Example rsa");
    let none = refused(&sandbox, "verify ddi/root-unsigned-257.raw --trusted=rsa.crt", 2);
    assert!(none.starts_with("There is no signature of the root hash to be checked.\n"), "{none}");
    // Devices by themselves, with the signature in its file.
    let root_hash = String::from_utf8(sandbox.read("app.roothash")).unwrap();
    let devices = format!("verify app.raw app.verity {root_hash} --root-hash-signature=app.roothash.p7s");
    run(&sandbox, &format!("{devices} --trusted=rsa.crt"), 0);
    refused(&sandbox, &format!("{devices} --trusted=self.crt"), 2);
    let alone = refused(&sandbox, &devices, 1);
    assert!(alone.ends_with("Option --root-hash-signature must be used with --trusted or --ca.\n"), "{alone}");
    let other = root_hash.replace(|_| true, "0");
    refused(
        &sandbox,
        &format!("verify app.raw app.verity {other} --root-hash-signature=app.roothash.p7s --trusted=rsa.crt"),
        2,
    );
}

fn partitions(sandbox: &Sandbox, image: &str) -> Vec<Partition> {
    Gpt::read(&sandbox.read(image)).expect("a partition table").partitions().to_vec()
}

#[test]
fn a_byte_that_was_changed_anywhere_is_noticed() {
    let sandbox = sandbox();
    let original = sandbox.read("ddi/root-signed-257.raw");
    let found = partitions(&sandbox, "ddi/root-signed-257.raw");
    let at = |partition: usize, byte: usize| usize::try_from(found[partition].offset).unwrap() + byte;
    let json = at(2, 0);
    let text = String::from_utf8_lossy(&original[json..json + 4096]).into_owned();
    let in_json = |field: &str| json + text.find(field).unwrap() + field.len() + 3;
    let last = original.len() - 512;
    for (part, byte, reason) in [
        ("primary header", 512 + 60, "the primary GPT is damaged"),
        ("primary entries", 1024 + 20, "the primary GPT is damaged"),
        ("backup header", last + 60, "the backup GPT is damaged"),
        ("backup entries", last - 16384 + 20, "the backup GPT is damaged"),
        ("first data block", at(0, 5), "Verification failed at position 0"),
        ("last data block", at(0, 303_000), "Verification failed at position 299008"),
        ("superblock's signature", at(1, 0), "is not a valid VERITY device"),
        ("superblock's number of blocks", at(1, 0x48), ""),
        ("superblock's salt", at(1, 0x58), ""),
        ("tree", at(1, 4096 + 40), ""),
        ("root hash in the JSON", in_json("rootHash"), "The signature in partition 3"),
        ("fingerprint in the JSON", in_json("certificateFingerprint"), "its partition names another certificate"),
        ("signature in the JSON", in_json("signature") + 1500, "Signature refused"),
        ("text of the JSON", json, "The signature in partition 3"),
        ("padding of the JSON", json + 4095, "The signature in partition 3"),
    ] {
        let mut image = original.clone();
        // Digits and letters stay what they are.
        image[byte] = if image[byte] == b'A' || image[byte] == b'1' { b'2' } else { image[byte] ^ 1 };
        sandbox.write("changed.raw", &image);
        let outcome = sandbox.run(&["verify", "changed.raw", "--trusted=rsa.crt"]);
        assert_eq!(outcome.code, Some(2), "{part}: {outcome:?}");
        assert!(outcome.stderr.contains(reason) && !outcome.stderr.is_empty(), "{part}: {outcome:?}");
        // Without anybody trusted as well.
        assert_eq!(sandbox.run(&["verify", "changed.raw"]).code, Some(2), "{part}");
    }
}

#[test]
fn partition_uuids_are_the_halves_of_the_root_hash() {
    let sandbox = sandbox();
    for number in ["1", "2"] {
        fs::copy(sandbox.path("ddi/root-signed-257.raw"), sandbox.path("changed.raw")).unwrap();
        let uuid = "00000000-1111-2222-3333-444444444444";
        let mut sfdisk = Command::new("sfdisk");
        sfdisk.args(["--quiet", "--no-reread", "--no-tell-kernel", "--part-uuid"]);
        let changed = sfdisk.arg(sandbox.path("changed.raw")).args([number, uuid]).status().expect("sfdisk");
        assert!(changed.success());
        let outcome = refused(&sandbox, "verify changed.raw --trusted=rsa.crt", 2);
        assert!(!outcome.is_empty());
    }
}

#[test]
fn a_signature_beside_the_image_is_checked_too() {
    let sandbox = sandbox();
    let good = sandbox.read("app.roothash.p7s");
    // Cut off, of something else, and no signature at all.
    sandbox.write("app.roothash.p7s", &good[..good.len() - 1]);
    assert!(refused(&sandbox, "verify app.raw --trusted=rsa.crt", 2).starts_with("Signature refused: "));
    assert!(refused(&sandbox, "verify app.raw", 2).starts_with("Signature refused: "));
    fs::remove_file(sandbox.path("app.roothash.p7s")).unwrap();
    run(&sandbox, "verify app.raw", 0);
    assert!(refused(&sandbox, "verify app.raw --trusted=rsa.crt", 2).starts_with("There is no signature "));
    // With a key it is made again, byte for byte.
    let salt = "--salt=00 --uuid=3f7af4ec-dd5b-4009-ab77-d0babf8292f5";
    let tree = sandbox.read("app.verity");
    run(&sandbox, &format!("format --sidecars app.raw {salt} --key=rsa.key --certificate=rsa.crt"), 0);
    assert!(sandbox.read("app.roothash.p7s") == good && sandbox.read("app.verity") == tree);
    let stale = run(&sandbox, "format --sidecars app.raw", 0).stderr;
    assert_eq!(stale, "WARNING: app.roothash.p7s is there, and is not a signature of this root hash.\n");
    refused(&sandbox, "verify app.raw --trusted=rsa.crt", 2);
}

#[test]
fn a_layer_is_read_as_containerd_wrote_it() {
    let sandbox = sandbox();
    run(&sandbox, "verify layer.erofs", 0);
    // And written again with the same root hash.
    let file = sandbox.read("layer.erofs.dmverity");
    let data = &sandbox.read("layer.erofs")[..303_104];
    sandbox.write("layer.erofs", data);
    run(&sandbox, "format --containerd layer.erofs", 0);
    assert_eq!(sandbox.read("layer.erofs.dmverity"), file);
}

#[test]
fn policies_want_what_is_proven() {
    let sandbox = sandbox();
    let signed = "ddi/root-signed-257.raw";
    run(&sandbox, &format!("verify {signed} --policy=root=signed --trusted=rsa.crt"), 0);
    let nobody = refused(&sandbox, &format!("verify {signed} --policy=root=signed"), 2);
    assert!(nobody.starts_with("The policy wants a signature, and nobody is trusted to make one.\n"), "{nobody}");
    let unsigned = refused(&sandbox, "verify ddi/root-unsigned-257.raw --policy=root=signed", 2);
    assert!(unsigned.starts_with("The image does not agree with the policy.\n"), "{unsigned}");
    run(&sandbox, "verify ddi/root-unsigned-257.raw --policy=root=verity", 0);
    refused(&sandbox, &format!("verify {signed} --policy=root=absent --trusted=rsa.crt"), 2);
    refused(&sandbox, "verify app.raw --policy=root=signed --trusted=rsa.crt", 1);
    refused(&sandbox, "verify app.raw app.verity 00 --policy=root=signed", 1);
}

/// An image with a signed manifest.
fn with_manifest(options: &str) -> Sandbox {
    let sandbox = sandbox();
    sandbox.write("d", &painted(100 * 4096));
    let made = sandbox.run(&format!("format d h {options} --json").split_whitespace().collect::<Vec<_>>());
    assert_eq!(made.code, Some(0), "{made:?}");
    sandbox.write("manifest", made.stdout.as_bytes());
    run(&sandbox, "sign --manifest=manifest --key=rsa.key --certificate=rsa.crt --output=manifest.p7s", 0);
    sandbox
}

const MANIFEST: &str = "verify d h --manifest=manifest --trusted=rsa.crt";

#[test]
fn a_signed_manifest_decides_what_is_read() {
    for options in ["", "--no-superblock --salt=aabb --hash=sha512 --data-block-size=1024", "--hash-offset=8192"] {
        let sandbox = with_manifest(options);
        let verified = object(&sandbox, MANIFEST);
        assert_eq!((&verified["verified"], &verified["signer"]["subject"]), (&true.into(), &"CN=Example rsa".into()));
        run(&sandbox, &MANIFEST.replace("verify", "table"), 0);
        run(&sandbox, &format!("{MANIFEST} --manifest-signature=manifest.p7s"), 0);
        refused(&sandbox, &MANIFEST.replace("rsa.crt", "p256.crt"), 2);
        sandbox.flip("d", 5000);
        refused(&sandbox, MANIFEST, 2);
    }
    // A superblock that says something else: of the UUID nothing but the manifest knows.
    let sandbox = with_manifest("");
    sandbox.flip("h", 0x18);
    let refusal = refused(&sandbox, MANIFEST, 2);
    assert!(refusal.contains("uuid"), "{refusal}");
}

#[test]
fn a_manifest_that_was_changed_or_says_too_little_is_refused() {
    let sandbox = with_manifest("");
    let manifest = String::from_utf8(sandbox.read("manifest")).unwrap();
    sandbox.write("manifest", manifest.replace("\"data_blocks\": 100", "\"data_blocks\": 99").as_bytes());
    assert!(refused(&sandbox, MANIFEST, 2).starts_with("Signature refused: "));
    // Signed, and yet no manifest.
    for (from, to, reason) in [
        ("\"salt\"", "\"salt\": \"-\", \"salt\"", "duplicate field `salt`"),
        ("\"salt\"", "\"pepper\"", "\"pepper\" is not a field"),
        ("  \"hash_type\": 1,\n", "", "it has no field hash_type"),
        ("  \"data_blocks\": 100,\n", "", "it has no field data_blocks"),
        ("\"hash_offset\": 0", "\"hash_offset\": \"0\"", "hash_offset cannot be"),
    ] {
        assert!(manifest.contains(from), "{from}");
        sandbox.write("manifest", manifest.replacen(from, to, 1).as_bytes());
        let mut openssl = Command::new("openssl");
        openssl.args(["cms", "-sign", "-noattr", "-binary", "-outform", "der", "-nocerts", "-md", "sha256"]);
        openssl.args(["-in", "manifest", "-inkey", "rsa.key", "-signer", "rsa.crt", "-out", "manifest.p7s"]);
        assert!(openssl.current_dir(sandbox.path("")).status().expect("openssl").success());
        let refusal = refused(&sandbox, MANIFEST, 1);
        assert!(refusal.starts_with("Invalid manifest manifest.\n") && refusal.contains(reason), "{refusal}");
    }
    for (command, line) in [
        ("verify d h --manifest=manifest", "Option --manifest must be used with --trusted or --ca."),
        (
            "verify d h 00 --manifest-signature=x --trusted=rsa.crt",
            "Option --manifest-signature must be used with --manifest.",
        ),
    ] {
        assert!(refused(&sandbox, command, 1).trim_end().ends_with(line));
    }
}

#[test]
fn an_image_is_built_signed_elsewhere_and_verified() {
    let sandbox = sandbox();
    run(&sandbox, "build --output=disk --root=app.raw --defer-signature --salt-seed=x --fec-roots=2", 0);
    refused(&sandbox, "verify disk --trusted=rsa.crt", 2);
    let prepared = object(&sandbox, "sign disk --prepare");
    sandbox.write("content", prepared["prepared"]["content"].as_str().unwrap().as_bytes());
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-sign", "rsa.key", "-out", "raw", "content"]).current_dir(sandbox.path(""));
    assert!(openssl.status().expect("openssl").success());
    // With another certificate nothing is written.
    let before = sandbox.read("disk");
    refused(&sandbox, "sign disk --join=raw --certificate=self.crt", 2);
    assert!(sandbox.read("disk") == before);
    run(&sandbox, "sign disk --join=raw --certificate=rsa.crt", 0);
    assert_eq!(run(&sandbox, "verify disk --trusted=rsa.crt", 0).stderr, "");
    // Damage that its parity corrects.
    let data = usize::try_from(partitions(&sandbox, "disk")[0].offset).unwrap();
    sandbox.flip("disk", data + 5000);
    let found = run(&sandbox, "verify disk --trusted=rsa.crt", 0).stderr;
    assert!(found.contains("repairable errors"), "{found}");
    let intact = sandbox.read("disk");
    run(&sandbox, "repair disk --trusted=rsa.crt", 0);
    let mut expected = intact;
    expected[data + 5000] = !expected[data + 5000];
    assert!(sandbox.read("disk") == expected, "nothing else was written");
    // An image without a place for the signature.
    run(&sandbox, "build --output=plain --root=app.raw", 0);
    let refusal = refused(&sandbox, "sign plain --key=rsa.key --certificate=rsa.crt", 1);
    assert!(refusal.starts_with("plain has no signature partition.\n"), "{refusal}");
    // A changed tree is not signed.
    let tree = usize::try_from(partitions(&sandbox, "disk")[1].offset).unwrap();
    sandbox.flip("disk", tree + 4096);
    let refusal = refused(&sandbox, "sign disk --key=rsa.key --certificate=rsa.crt", 2);
    assert!(refusal.contains("disk"), "{refusal}");
}

#[test]
fn what_systemd_repart_signs_is_signed_with_the_same_bytes() {
    let sandbox = sandbox();
    let theirs = object(&sandbox, "inspect ddi/root-signed-257.raw");
    let superblock = &theirs["images"][0]["superblock"];
    let (salt, uuid) = (superblock["salt"].as_str().unwrap(), superblock["uuid"].as_str().unwrap());
    let options = format!("--salt={salt} --uuid={uuid} --arch=x86-64 --min-size --key=rsa.key --certificate=rsa.crt");
    run(&sandbox, &format!("build --output=disk --root=app.raw {options}"), 0);
    let part = |image: &str, number: usize| {
        let partition = &partitions(&sandbox, image)[number];
        let start = usize::try_from(partition.offset).unwrap();
        sandbox.read(image)[start..start + usize::try_from(partition.bytes).unwrap()].to_vec()
    };
    assert!(part("disk", 2) == part("ddi/root-signed-257.raw", 2));
    let tree = part("disk", 1);
    assert!(tree[..] == part("ddi/root-signed-257.raw", 1)[..tree.len()]);
}
