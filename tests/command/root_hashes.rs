//! Wrong root hashes, distinguished from damage; files with a root hash and other content.

use dmverity_tests::vectors::painted;

use crate::sandbox::Sandbox;

/// An image with this many data blocks and parity, and its root hash.
fn image(data_blocks: usize) -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(data_blocks * 4096));
    let made = sandbox.run(&["format", "d", "h", "--salt=aa", "--fec-device=f"]);
    (sandbox, made.field("Root hash").to_owned())
}

fn other(root_hash: &str) -> String {
    let other = if root_hash.starts_with('0') { "1" } else { "0" };
    format!("{other}{}", &root_hash[1..])
}

#[test]
fn a_wrong_root_hash_is_a_wrong_parameter() {
    for data_blocks in [1, 100, 300] {
        let (sandbox, root_hash) = image(data_blocks);
        let wrong = other(&root_hash);
        let said = (Some(1), "", "Verification of root hash failed.\n");
        for options in [&[][..], &["--fec-device=f"], &["--fec-device=f", "--strict"]] {
            let arguments = [&["verify", "d", "h", &wrong], options].concat();
            let ours = sandbox.run(&arguments);
            assert_eq!((ours.code, ours.stdout.as_str(), ours.stderr.as_str()), said, "{data_blocks} {options:?}");
        }
        let theirs = sandbox.reference(&["verify", "d", "h", &wrong]);
        assert_eq!((theirs.code, theirs.stdout.as_str(), theirs.stderr.as_str()), said);
        let repair = sandbox.run(&["repair", "d", "h", &wrong, "--fec-device=f"]);
        let hint = "hint: nothing was written: data and hash tree agree with each other, but not with the root hash.\n";
        assert_eq!((repair.code, repair.stderr), (Some(1), format!("Verification of root hash failed.\n{hint}")));
        // The final message changes with it.
        let verbose = sandbox.run(&["verify", "-v", "d", "h", &wrong]);
        assert_eq!(verbose.stdout, "Command failed with code -1 (wrong or missing parameters).\n");
    }
}

#[test]
fn damage_stays_apart_from_a_wrong_root_hash() {
    for data_blocks in [100, 300] {
        let (sandbox, root_hash) = image(data_blocks);
        let wrong = other(&root_hash);
        // A digest in the top hash block, its end, which has to be zeros, and data.
        for (device, at) in [("h", 4100), ("h", 8180), ("d", 0)] {
            sandbox.flip(device, at);
            for root_hash in [&root_hash, &wrong] {
                let arguments = ["verify", "d", "h", root_hash];
                let (ours, theirs) = (sandbox.run(&arguments), sandbox.reference(&arguments));
                assert_eq!(ours.code, Some(2), "{data_blocks} {device} {at}");
                // Before 2.8 the reference may say 1 where both are wrong.
                assert!(root_hash == &wrong || theirs.code == Some(2), "{data_blocks} {device} {at}");
                let with_fec = sandbox.run(&["verify", "d", "h", root_hash, "--fec-device=f"]);
                assert_eq!(with_fec.code, Some(if root_hash == &wrong { 2 } else { 0 }), "{data_blocks} {device} {at}");
            }
            sandbox.flip(device, at);
        }
    }
    // With a single data block, its digest is the root hash. FEC shows whether it is damaged.
    let (sandbox, root_hash) = image(1);
    sandbox.flip("d", 7);
    let arguments = ["verify", "d", "h", &root_hash];
    let (ours, theirs) = (sandbox.run(&arguments), sandbox.reference(&arguments));
    assert_eq!((ours.code, ours.first_error()), (Some(1), "Verification of root hash failed."));
    assert_eq!((ours.code, ours.stderr), (theirs.code, theirs.stderr));
    let repairable = sandbox.run(&["verify", "d", "h", &root_hash, "--fec-device=f"]);
    assert_eq!(repairable.code, Some(0), "{repairable:?}");
    assert_eq!(sandbox.run(&["verify", "d", "h", &other(&root_hash), "--fec-device=f"]).code, Some(1));
}

#[test]
fn a_root_hash_file_may_hold_more_after_the_digits() {
    let (sandbox, root_hash) = image(30);
    let check = |content: &[u8], is_good: bool, ours_says: &str| {
        sandbox.write("file", content);
        let arguments = ["verify", "d", "h", "--root-hash-file=file"];
        let (ours, theirs) = (sandbox.run(&arguments), sandbox.reference(&arguments));
        assert_eq!((ours.code, ours.first_error()), (theirs.code, theirs.first_error()), "{}", content.escape_ascii());
        assert_eq!(ours.code, Some(i32::from(!is_good)), "{}", content.escape_ascii());
        assert_eq!(ours.stderr, ours_says, "{}", content.escape_ascii());
    };
    let upper = root_hash.to_uppercase();
    for good in
        ["HEX", "HEX\n", "HEX\r\n", "HEX_1228800_4124f9e3-0fdb-0aea-1bdf-f64d02ce75c1\n", "HEX zz", "HEXHEX", "HEXzz"]
    {
        check(good.replace("HEX", &root_hash).as_bytes(), true, "");
        check(good.replace("HEX", &upper).as_bytes(), true, "");
    }
    check(&[root_hash.as_bytes(), b"\0\xff"].concat(), true, "");
    check(&[root_hash.as_bytes(), &vec![b'x'; 100_000]].concat(), true, "");
    let text = "Invalid root hash string specified.\nhint: it was read from file.\n";
    for bad in [" HEX", "\nHEX", "0xHEX", "\u{feff}HEX"] {
        check(bad.replace("HEX", &root_hash).as_bytes(), false, text);
    }
    let short = |bytes| {
        format!(
            "Invalid root hash file file.\n\
             hint: it has {bytes} bytes, but a sha256 root hash has 64 hexadecimal digits.\n"
        )
    };
    check(b"", false, &short(0));
    check(b"zz", false, &short(2));
    check(&root_hash.as_bytes()[..62], false, &short(62));
    check(&[&root_hash.as_bytes()[..62], b"\n"].concat(), false, &short(63));
    check(&[&root_hash.as_bytes()[..62], b"zz"].concat(), false, text);
    // The number of digits depends on the algorithm.
    let made = sandbox.run(&["format", "d", "h", "--hash=sha1"]);
    check(format!("{}{root_hash}", made.field("Root hash")).as_bytes(), true, "");
}
