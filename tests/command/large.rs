//! Positions that do not fit in 32 bits: a sparse image of more than 4 GiB with data before, across and after that.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use dmverity_tests::vectors::painted;

use crate::sandbox::Sandbox;

const FOUR_GIB: u64 = 1 << 32;
/// The length of the data.
const BYTES: u64 = FOUR_GIB + (1 << 30);

/// Where 8 KiB of data are: before, across and after 4 GiB, and half of it in the last block. All else is a hole.
const WRITTEN: [u64; 4] = [8192, FOUR_GIB - 4096 - 100, FOUR_GIB + (512 << 20), BYTES - 4096];

/// Computed by the reference tool.
const ROOT_HASH: &str = "fee86be94ab85a4b1313ccb7ea181b698a560b95739558593840300f416e57f2";

fn image() -> Sandbox {
    let sandbox = Sandbox::new();
    let file = File::create(sandbox.path("image")).expect("a new file");
    file.set_len(BYTES).expect("a sparse file");
    for offset in WRITTEN {
        let len = usize::try_from(8192.min(BYTES - offset)).expect("small");
        file.write_all_at(&painted(len), offset).expect("writable");
    }
    sandbox
}

fn flip(sandbox: &Sandbox, offset: u64) {
    let file = File::options().read(true).write(true).open(sandbox.path("image")).expect("it is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("readable");
    file.write_all_at(&[!byte[0]], offset).expect("writable");
}

const OPTIONS: [&str; 3] = ["--salt=aa", "--uuid=a60c98d2-ae9b-4865-bfcb-b4e3ace11033", "--threads=2"];

/// Data and tree are in one file, so that the tree is written after 4 GiB.
#[test]
fn an_image_of_more_than_4_gib_is_made_verified_and_repaired() {
    let sandbox = image();
    let offset = format!("--hash-offset={BYTES}");
    let blocks = format!("--data-blocks={}", BYTES / 4096);
    let format = ["format", "image", "image", &offset, &blocks, "--fec-device=f"];
    let made = sandbox.run(&[&format[..], &OPTIONS].concat());
    assert_eq!((made.code, made.stderr.as_str()), (Some(0), ""));
    assert_eq!(made.field("Root hash"), ROOT_HASH);

    let place = ["image", "image", ROOT_HASH, &offset];
    let verify = [&["verify"], &place[..]].concat();
    let verified = sandbox.run(&verify);
    assert_eq!((verified.code, verified.stderr.as_str()), (Some(0), ""));

    // In the data on both sides of the line, in a hole, and in the last byte.
    let damaged = [8192 + 5, FOUR_GIB + 5, FOUR_GIB + (100 << 20) + 5, BYTES - 1];
    for offset in damaged {
        flip(&sandbox, offset);
    }
    let positions = damaged.map(|offset| format!("Verification failed at position {}.\n", offset / 4096 * 4096));
    let expected = format!("{}Verification of data area failed.\n", positions.concat());
    let found = sandbox.run(&verify);
    assert!(found.code == Some(2) && found.stderr.starts_with(&expected), "{found:?}");

    let repaired = sandbox.run(&[&["repair"], &place[..], &["--fec-device=f"]].concat());
    assert_eq!(repaired.code, Some(0), "{repaired:?}");
    let verified = sandbox.run(&verify);
    assert_eq!((verified.code, verified.stderr.as_str()), (Some(0), ""));
}
