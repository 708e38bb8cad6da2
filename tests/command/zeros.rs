//! Images written without their holes over older data: blocks that should be zeros.

use dmverity_tests::schema;
use dmverity_tests::vectors::painted;
use serde_json::Value;

use crate::sandbox::{Outcome, Sandbox};

const REPAIR: &str = "hint: `veritysetup repair` writes them, even without a FEC device.\n";

/// An image of 300 blocks, of which 10 to 19 and 200 to 299 are zeros, with old bytes in 12, 13 and 250; and its root
/// hash.
fn flashed(options: &[&str]) -> (Sandbox, String, Vec<u8>) {
    let sandbox = Sandbox::new();
    let mut data = painted(300 * 4096);
    data[10 * 4096..20 * 4096].fill(0);
    data[200 * 4096..].fill(0);
    sandbox.write("d", &data);
    let made = sandbox.run(&[&["format", "d", "h", "--salt=aa"], options].concat());
    let good = data.clone();
    data[12 * 4096..14 * 4096].fill(7);
    data[250 * 4096 + 5] = 1;
    sandbox.write("d", &data);
    (sandbox, made.field("Root hash").to_owned(), good)
}

fn object(outcome: &Outcome) -> Value {
    schema::check(&outcome.stdout).expect("as the schema has it")
}

#[test]
fn verify_counts_the_blocks_that_must_be_zeros() {
    let (sandbox, root_hash, _) = flashed(&["--fec-device=f"]);
    let verify = ["verify", "d", "h", &root_hash];
    let found = "Verification failed at position 49152.\nVerification failed at position 53248.\n\
                 Verification failed at position 1024000.\nVerification of data area failed.\n";
    let hint = "hint: 3 blocks must be zeros: the image was written without its holes.\n";
    let outcome = sandbox.run(&verify);
    assert_eq!((outcome.code, outcome.stderr), (Some(2), format!("{found}{hint}{REPAIR}")));
    let json = object(&sandbox.run(&[&verify[..], &["--json"]].concat()));
    assert_eq!((&json["zero_blocks"], &json["failures_total"]), (&Value::from(3), &Value::from(3)));
    // The same with FEC, whether it can help or not.
    for (options, code) in [(&["--fec-device=f"][..], 0), (&["--fec-device=f", "--strict"], 2)] {
        let outcome = sandbox.run(&[&verify[..], options].concat());
        assert_eq!(outcome.code, Some(code));
        assert!(outcome.stderr.contains(hint), "{outcome:?}");
    }
    sandbox.write("empty", b"");
    let outcome = sandbox.run(&[&verify[..], &["--fec-device=empty"]].concat());
    assert!(outcome.code == Some(2) && outcome.stderr.ends_with(&format!("{hint}{REPAIR}")), "{outcome:?}");

    // Other damage is not about zeros; and one block is singular.
    sandbox.flip("d", 0);
    let mut data = sandbox.read("d");
    data[12 * 4096..14 * 4096].fill(0);
    sandbox.write("d", &data);
    let outcome = sandbox.run(&verify);
    let hint = "hint: 1 block must be zeros: the image was written without its holes.\n";
    assert!(outcome.stderr.ends_with(&format!("{hint}{REPAIR}")), "{outcome:?}");
}

#[test]
fn repair_writes_zeros_without_a_fec_device() {
    let (sandbox, root_hash, good) = flashed(&[]);
    let repair = ["repair", "d", "h", &root_hash];
    let before = sandbox.snapshot();
    let shown = sandbox.run(&[&repair[..], &["--dry-run"]].concat());
    let note = "3 blocks must be zeros: the image was written without its holes.\n";
    assert_eq!(shown, Outcome { code: Some(0), stdout: String::new(), stderr: note.to_owned() });
    let json = object(&sandbox.run(&[&repair[..], &["--dry-run", "--json"]].concat()));
    let fields = ["zero_blocks", "wrong_bytes", "repaired_bytes", "dry_run", "proven"].map(|field| json[field].clone());
    assert_eq!(Value::from(fields.to_vec()), serde_json::json!([3, 8193, 0, true, true]));
    assert!(sandbox.snapshot() == before);

    let done = sandbox.run(&repair);
    let text = "Wrote zeros to 3 blocks.\n".to_owned();
    assert_eq!(done, Outcome { code: Some(0), stdout: text, stderr: String::new() });
    assert!(sandbox.read("d") == good);
    let again = sandbox.run(&repair);
    assert_eq!(again, Outcome { code: Some(0), stdout: String::new(), stderr: String::new() });
    assert_eq!(sandbox.reference(&["verify", "d", "h", &root_hash]).code, Some(0));
}

#[test]
fn other_damage_is_left_as_it_is() {
    let (sandbox, root_hash, good) = flashed(&[]);
    sandbox.flip("d", 4096 * 30);
    let outcome = sandbox.run(&["repair", "d", "h", &root_hash]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), "Wrote zeros to 3 blocks.\n"));
    let end = "Verification of data area failed.\nErrors cannot be repaired without FEC device.\n\
               hint: without --fec-device, repair only restores blocks of zeros, and only if the whole tree \
               is correct.\n";
    assert!(outcome.stderr.ends_with(end), "{outcome:?}");
    sandbox.flip("d", 4096 * 30);
    assert!(sandbox.read("d") == good);
}

/// The tree's digests count only if the whole tree is proven.
#[test]
fn nothing_is_written_unless_the_root_hash_proves_it() {
    let (sandbox, root_hash, _) = flashed(&[]);
    let wrong = if root_hash.starts_with('0') { "1" } else { "0" }.to_owned() + &root_hash[1..];
    // A root hash that is wrong; a digest of another block; a byte that has to be zero, in the top block.
    let cases = [(None, &wrong), (Some(8192 + 40 * 32), &root_hash), (Some(4096 + 4000), &root_hash)];
    for (flip, root_hash) in cases {
        flip.inspect(|&at| sandbox.flip("h", at));
        let before = sandbox.snapshot();
        for options in [&[][..], &["--dry-run"]] {
            let outcome = sandbox.run(&[&["repair", "d", "h", root_hash][..], options].concat());
            assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{flip:?}");
            assert!(!outcome.stderr.contains("must be zeros"), "{outcome:?}");
        }
        let verified = sandbox.run(&["verify", "d", "h", root_hash]);
        assert!(!verified.stderr.contains("must be zeros"), "{verified:?}");
        assert!(sandbox.snapshot() == before, "{flip:?}");
        flip.inspect(|&at| sandbox.flip("h", at));
    }
    // Only the root hash is wrong.
    assert_eq!(sandbox.run(&["repair", "d", "h", &root_hash]).code, Some(0));
    let before = sandbox.snapshot();
    assert_eq!(sandbox.run(&["repair", "d", "h", &wrong]).code, Some(1));
    assert!(sandbox.snapshot() == before);
}

#[test]
fn any_shape_of_image_gets_its_zeros() {
    let shapes: [(&[&str], usize); 5] = [
        (&["--data-block-size=512", "--hash-block-size=512"], 5000),
        (&["--data-block-size=1024", "--hash-block-size=4096", "--format=0", "--hash=sha1"], 700),
        (&["--data-block-size=4096", "--hash-block-size=1024", "--hash=sha512"], 100),
        (&["--data-block-size=4096"], 1),
        (&["--data-block-size=4096"], 2),
    ];
    for (options, blocks) in shapes {
        let sandbox = Sandbox::new();
        let size: usize = options[0].rsplit('=').next().and_then(|size| size.parse().ok()).expect("a size");
        let mut data = painted(blocks * size);
        let zeros: Vec<usize> = (0..blocks).filter(|block| block % 7 == 0 || block + 1 == blocks).collect();
        for block in &zeros {
            data[block * size..(block + 1) * size].fill(0);
        }
        sandbox.write("d", &data);
        let made = sandbox.run(&[&["format", "d", "h", "--salt=aabb"], options].concat());
        let root_hash = made.field("Root hash");
        let good = data.clone();
        for block in &zeros {
            data[(block + 1) * size - 1] = 3;
        }
        sandbox.write("d", &data);
        let done = sandbox.run(&["repair", "d", "h", root_hash]);
        let count = if zeros.len() == 1 { "1 block".to_owned() } else { format!("{} blocks", zeros.len()) };
        assert_eq!((done.code, done.stdout), (Some(0), format!("Wrote zeros to {count}.\n")), "{options:?} {blocks}");
        assert!(sandbox.read("d") == good, "{options:?} {blocks}");
    }
}
