//! Hash algorithms by every name that the reference takes from its crypto library and writes into superblocks.

use dmverity_tests::vectors::painted;
use serde_json::Value;

use crate::reference::UUID;
use crate::sandbox::Sandbox;

/// Names, and the kernel's names in a table. Debian's reference knows all of them.
const NAMES: &[(&[&str], &str)] = &[
    (&["sha1", "sha-1", "SHA-1", "ssl3-sha1", "1.3.14.3.2.26"], "sha1"),
    (&["sha224", "sha-224", "sha2-224", "2.16.840.1.101.3.4.2.4"], "sha224"),
    (&["sha256", "SHA256", "sha-256", "sha2-256", "SHA2-256", "2.16.840.1.101.3.4.2.1"], "sha256"),
    (&["sha384", "sha-384", "sha2-384", "2.16.840.1.101.3.4.2.2"], "sha384"),
    (&["sha512", "sha-512", "sha2-512", "2.16.840.1.101.3.4.2.3"], "sha512"),
    (&["sha512-224", "sha-512/224", "sha2-512/224", "2.16.840.1.101.3.4.2.5"], "sha512-224"),
    (&["sha512-256", "sha-512/256", "sha2-512/256", "2.16.840.1.101.3.4.2.6"], "sha512-256"),
    (&["sha3-224", "2.16.840.1.101.3.4.2.7"], "sha3-224"),
    (&["sha3-256", "2.16.840.1.101.3.4.2.8"], "sha3-256"),
    (&["sha3-384", "2.16.840.1.101.3.4.2.9"], "sha3-384"),
    (&["sha3-512", "2.16.840.1.101.3.4.2.10"], "sha3-512"),
    (&["blake2b512", "BLAKE2b512", "blake2b-512", "1.3.6.1.4.1.1722.12.2.1.16"], "blake2b-512"),
    (&["blake2s256", "blake2s-256", "1.3.6.1.4.1.1722.12.2.2.8"], "blake2s-256"),
    (&["ripemd", "ripemd160", "ripemd-160", "RIPEMD160", "rmd160", "1.3.36.3.2.1"], "rmd160"),
    (&["sm3", "1.2.156.10197.1.401"], "sm3"),
    (&["md5", "ssl3-md5", "1.2.840.113549.2.5"], "md5"),
    (&["md5-sha1"], "md5-sha1"),
    (&["keccak-kmac-128", "keccak-kmac128", "KECCAK-KMAC128"], "keccak-kmac-128"),
    (&["keccak-kmac-256", "keccak-kmac256"], "keccak-kmac-256"),
    (&["shake128", "shake-128", "2.16.840.1.101.3.4.2.11"], "shake128"),
    (&["shake256", "shake-256", "2.16.840.1.101.3.4.2.12"], "shake256"),
];

/// Root hashes of algorithms that only newer references or OpenSSL's legacy provider have: from 2.8.4 with OpenSSL 3.6.
const NEWER: &[(&[&str], &str, &str)] = &[
    (&["md4", "1.2.840.113549.2.4"], "md4", "7507e807553c9b88be8574589dc68c67"),
    (&["keccak-224"], "keccak-224", "8d463b05f13612c312648d2f0937dd8649692d57bc9da5cef390fad9"),
    (&["keccak-256"], "keccak-256", "2f55d9193173292f35d37af538c7de3e353bbd77f26ff49b16b2e7e5100b5085"),
    (
        &["keccak-384"],
        "keccak-384",
        "3452f6015ced4f3b0b393409ca2f1db173e861cd7d30bb37b49a56feacae3204c578c5a252105c03d0d1f782ce95b3b0",
    ),
    (
        &["keccak-512"],
        "keccak-512",
        "f7cf87ff15c9c924fc373f391c59bbd6da5c50f3805cc744a9003eccb5556e64\
         e93beb6431d13037aa701e490ed21aa23a75a9b8799de0c1424e66296543da6b",
    ),
    (
        &["whirlpool", "WHIRLPOOL", "wp512", "1.0.10118.3.0.55"],
        "wp512",
        "fced2d2807f4f849d1d96b37fd9bdb844a98eff016faa20dd55103f65b99e33f\
         01f40b056146e6019c34b3de2f5659d361faaccacd4f34584d12839afe59409d",
    ),
];

/// Formats with this name, checks every action with it, and returns the root hash.
fn check(sandbox: &Sandbox, name: &str, in_table: &str) -> String {
    let hash = format!("--hash={name}");
    let uuid = format!("--uuid={UUID}");
    let made = sandbox.run(&["format", "d", "h", &hash, "--salt=aa", &uuid]);
    assert_eq!((made.code, made.field("Hash algorithm")), (Some(0), name));
    let root_hash = made.field("Root hash").to_owned();
    // The superblock stores it in lower case.
    let written = name.to_lowercase();
    let field = &sandbox.read("h")[32..64];
    assert_eq!(field[..written.len()], *written.as_bytes());
    assert!(field[written.len()..].iter().all(|&byte| byte == 0), "{name}");
    assert_eq!(sandbox.run(&["dump", "h"]).field("Hash algorithm"), written);
    assert_eq!(sandbox.run(&["verify", "d", "h", &root_hash]).code, Some(0), "{name}");
    let bare = ["verify", "d", "h", &root_hash, "--no-superblock", "--hash-offset=4096", &hash, "--salt=aa"];
    assert_eq!(sandbox.run(&bare).code, Some(0), "{name}");
    let table = sandbox.run(&["table", "d", "h", &root_hash]);
    assert_eq!(table.stdout.split(' ').nth(10), Some(in_table), "{table:?}");
    root_hash
}

#[test]
fn every_name_that_the_reference_writes_is_known() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(20 * 4096));
    for (names, in_table) in NAMES {
        let root_hashes = names.iter().map(|name| {
            let root_hash = check(&sandbox, name, in_table);
            let (hash, uuid) = (format!("--hash={name}"), format!("--uuid={UUID}"));
            let ours = sandbox.read("h");
            let theirs = sandbox.reference(&["format", "d", "h2", &hash, "--salt=aa", &uuid]);
            assert_eq!((theirs.code, theirs.field("Root hash")), (Some(0), root_hash.as_str()), "{name}");
            assert_eq!(theirs.field("Hash algorithm"), *name);
            assert!(sandbox.read("h2") == ours, "{name}");
            assert_eq!(sandbox.reference(&["verify", "d", "h", &root_hash]).code, Some(0), "{name}");
            root_hash
        });
        let mut root_hashes: Vec<_> = root_hashes.collect();
        root_hashes.dedup();
        assert_eq!(root_hashes.len(), 1, "{names:?}");
    }
}

#[test]
fn names_of_newer_references_are_known() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(20 * 4096));
    for (names, in_table, root_hash) in NEWER {
        for name in *names {
            assert_eq!(check(&sandbox, name, in_table), *root_hash, "{name}");
        }
    }
}

/// A superblock may have capitals: `dump` shows the name unchanged, as the reference does.
#[test]
fn dump_shows_the_name_as_it_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(20 * 4096));
    let made = sandbox.run(&["format", "d", "h", "--salt=aa", "--hash=sha2-256"]);
    let mut bytes = sandbox.read("h");
    bytes[32..40].copy_from_slice(b"Sha2-256");
    sandbox.write("h", &bytes);
    assert_eq!(sandbox.run(&["dump", "h"]).field("Hash algorithm"), "Sha2-256");
    assert_eq!(sandbox.reference(&["dump", "h"]).field("Hash algorithm"), "Sha2-256");
    let object: Value = serde_json::from_str(&sandbox.run(&["dump", "h", "--json"]).stdout).unwrap();
    assert_eq!(object["hash_algorithm"], "Sha2-256");
    assert_eq!(sandbox.run(&["verify", "d", "h", made.field("Root hash")]).code, Some(0));
}
