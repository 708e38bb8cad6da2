//! `--expect` and `--expect-data-blocks`: an image whose superblock differs from the one that was made is refused, even
//! if the root hash does not show it.

use dmverity_tests::vectors::painted;

use crate::bad_input::{misused, refused};
use crate::sandbox::{Outcome, Sandbox};

/// 300 data blocks in `d`, their tree in `h`, and the output of `format` in `made`; returns the root hash.
fn image(options: &[&str]) -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    let made = sandbox.run(&[&["format", "d", "h", "--salt=aa", "--json"], options].concat());
    assert_eq!(made.code, Some(0), "{made:?}");
    sandbox.write("made", made.stdout.as_bytes());
    let made: serde_json::Value = serde_json::from_str(&made.stdout).expect("an object");
    let root_hash = made["root_hash"].as_str().expect("a text").to_owned();
    (sandbox, root_hash)
}

/// The image that an attacker makes of it: the hash blocks of level 0 as data `fake`, the block above as their tree.
fn reinterpreted(sandbox: &Sandbox) {
    let mut hash = sandbox.read("h");
    // Superblock, level 1, and three blocks of level 0.
    sandbox.write("fake", &hash[2 * 4096..]);
    hash[72..80].copy_from_slice(&3_u64.to_le_bytes());
    sandbox.write("fake-h", &hash[..2 * 4096]);
}

fn silent(code: i32, stderr: &str) -> Outcome {
    Outcome { code: Some(code), stdout: String::new(), stderr: stderr.to_owned() }
}

#[test]
fn a_tree_that_is_passed_off_as_data_is_refused_if_it_is_known_how_many_blocks_there_are() {
    let (sandbox, root_hash) = image(&[]);
    reinterpreted(&sandbox);
    let call = ["verify", "fake", "fake-h", &root_hash];
    assert_eq!(sandbox.run(&call), silent(0, ""));
    assert_eq!(sandbox.reference(&call).code, Some(0));
    let wrong = "Image is not the expected one: data_blocks is 3, expected 300.\n";
    for command in [
        &format!("verify fake fake-h {root_hash}"),
        &format!("open fake v0 fake-h {root_hash}"),
        &format!("table fake fake-h {root_hash}"),
        &format!("repair fake fake-h {root_hash} --fec-device=fec"),
    ] {
        refused(&sandbox, &format!("{command} --expect-data-blocks=300"), 2, wrong);
        refused(&sandbox, &format!("{command} --expect=made"), 2, wrong);
    }
    let ignored =
        "WARNING: the superblock says 3 data blocks; --data-blocks=300 is ignored, see --expect-data-blocks.\n";
    assert_eq!(sandbox.run(&[&call[..], &["--data-blocks=300"]].concat()), silent(0, ignored));
    for option in ["--expect-data-blocks=300", "--expect=made"] {
        assert_eq!(sandbox.run(&["verify", "d", "h", &root_hash, option]), silent(0, ""));
    }
    let table = ["table", "d", "h", &root_hash];
    assert_eq!(sandbox.run(&[&table[..], &["--expect=made"]].concat()), sandbox.run(&table));
}

#[test]
fn each_field_of_the_file_is_compared() {
    let (sandbox, root_hash) = image(&["--uuid=A60C98D2-ae9b-4865-bfcb-b4e3ace11033", "--hash=SHA256"]);
    let other_hash = "ab".repeat(32);
    let cases = [
        ("uuid", "null", "superblock is present, expected absent"),
        (
            "uuid",
            "\"b60c98d2-ae9b-4865-bfcb-b4e3ace11033\"",
            "uuid is a60c98d2-ae9b-4865-bfcb-b4e3ace11033, expected b60c98d2-ae9b-4865-bfcb-b4e3ace11033",
        ),
        ("hash_type", "0", "hash_type is 1, expected 0"),
        ("hash_algorithm", "\"sha1\"", "hash_algorithm is sha256, expected sha1"),
        ("data_block_size", "512", "data_block_size is 4096, expected 512"),
        ("hash_block_size", "512", "hash_block_size is 4096, expected 512"),
        ("data_blocks", "0", "data_blocks is 300, expected 0"),
        ("hash_blocks", "5", "hash_blocks is 4, expected 5"),
        ("hash_offset", "512", "hash_offset is 0, expected 512"),
        ("salt", "\"-\"", "salt is aa, expected -"),
        ("root_hash", &format!("{other_hash:?}"), &format!("root_hash is {root_hash}, expected {other_hash}")),
    ];
    for (field, value, said) in cases {
        sandbox.write("part", format!("{{\"{field}\": {value}}}").as_bytes());
        let stderr = format!("Image is not the expected one: {said}.\n");
        refused(&sandbox, &format!("verify d h {root_hash} --expect=part"), 2, &stderr);
        let whole: serde_json::Value = serde_json::from_slice(&sandbox.read("made")).unwrap();
        sandbox.write("part", serde_json::json!({ field: whole[field] }).to_string().as_bytes());
        assert_eq!(sandbox.run(&["verify", "d", "h", &root_hash, "--expect=part"]), silent(0, ""), "{field}");
    }
    // The root hash is compared, not used.
    let message = "Command requires <root_hash> or --root-hash-file option as argument.\n";
    refused(&sandbox, "verify d h --expect=made", 1, message);
    // Both options are checked.
    let wrong = "Image is not the expected one: data_blocks is 300, expected 299.\n";
    refused(&sandbox, &format!("verify d h {root_hash} --expect=made --expect-data-blocks=299"), 2, wrong);
}

#[test]
fn images_without_superblock_have_the_options_compared() {
    let (sandbox, root_hash) = image(&["--no-superblock"]);
    let call = format!("verify d h {root_hash} --no-superblock --salt=aa --expect=made");
    assert_eq!(sandbox.run(&call.split(' ').collect::<Vec<_>>()), silent(0, ""));
    let wrong = "Image is not the expected one: data_blocks is 299, expected 300.\n";
    refused(&sandbox, &format!("{call} --data-blocks=299"), 2, wrong);
}

#[test]
fn a_file_that_expects_nothing_is_refused() {
    let (sandbox, root_hash) = image(&[]);
    let call = format!("verify d h {root_hash} --expect");
    let invalid = |content: &[u8], hint: &str| {
        sandbox.write("part", content);
        let stderr = format!("Invalid file part for --expect.\nhint: {hint}\n");
        refused(&sandbox, &format!("{call}=part"), 1, &stderr);
    };
    invalid(b"{}", "it has none of the fields that are compared.");
    invalid(b"{\"action\": \"format\", \"levels\": []}", "it has none of the fields that are compared.");
    invalid(b"{\"data-blocks\": 300}", "\"data-blocks\" is not a field that format --json prints.");
    invalid(b"{\"data_blocks\": \"300\"}", "data_blocks cannot be \"300\".");
    invalid(b"{\"data_blocks\": -1}", "data_blocks cannot be -1.");
    invalid(b"{\"root_hash\": \"abc\"}", "root_hash cannot be \"abc\".");
    invalid(
        b"[]",
        "it is not a JSON object as format --json prints it: invalid type: sequence, expected a map at line 1 column \
         0.",
    );
    invalid(&vec![b' '; (1 << 20) + 1], "it has more than 1048576 bytes.");
    let endless = "Invalid file /dev/zero for --expect.\nhint: it has more than 1048576 bytes.\n";
    refused(&sandbox, &format!("{call}=/dev/zero"), 1, endless);
    let missing = "Cannot read expected values file nosuch.\nhint: No such file or directory.\n";
    refused(&sandbox, &format!("{call}=nosuch"), 4, missing);
    misused(
        &sandbox,
        "verify d h --expect-data-blocks=x",
        "veritysetup: invalid numeric value\n\
         hint: --expect-data-blocks takes a decimal number from 0 to 18446744073709551615, not x.\n",
    );
}

#[test]
fn blocks_that_the_tree_does_not_cover_are_warned_about() {
    let (sandbox, root_hash) = image(&["--data-blocks=290"]);
    let uncovered = "WARNING: 10 whole blocks at the end of the data are not covered by the hash tree.\n";
    assert_eq!(sandbox.run(&["verify", "d", "h", &root_hash]), silent(0, uncovered));
    sandbox.flip("d", 5000);
    let bad = "Verification failed at position 4096.\nVerification of data area failed.\n";
    assert_eq!(sandbox.run(&["verify", "d", "h", &root_hash]), silent(2, &format!("{uncovered}{bad}")));
    // A partial last block, which format warned about, and an image in one file.
    sandbox.write("d", &painted(300 * 4096 + 4095));
    let made = sandbox.run(&["format", "d", "h"]);
    assert_eq!(sandbox.run(&["verify", "d", "h", made.field("Root hash")]), silent(0, ""));
    let made = sandbox.run(&["format", "--append", "d"]);
    let call = ["verify", "d", "d", made.field("Root hash"), "--hash-offset=auto"];
    assert_eq!(sandbox.run(&call), silent(0, ""));
}
