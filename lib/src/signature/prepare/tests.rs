use base64ct::{Base64, Encoding};

use crate::signature::tests::{certificate, key, openssl, openssl_verifies, root_hash, vector};
use crate::signature::{DigestAlgorithm, Error, Prepared, SignOptions, join, sign};

fn options(digest: &str) -> SignOptions {
    SignOptions::new().digest(DigestAlgorithm::from_name(digest).unwrap())
}

/// The raw signature that OpenSSL's key makes of the content.
fn outside(name: &str, digest: &str) -> Vec<u8> {
    openssl(&format!("dgst -{digest} -sign keys/{name}.key"), &root_hash())
}

#[test]
fn what_is_prepared_is_what_openssl_signs() {
    for digest in ["sha256", "sha384", "sha512", "sha3-256"] {
        let prepared = Prepared::new(&root_hash(), DigestAlgorithm::from_name(digest).unwrap()).unwrap();
        assert_eq!(prepared.digest(), openssl(&format!("dgst -binary -{digest}"), &root_hash()));
        // Over the digest, and over DigestInfo with bare padding.
        let over_digest =
            openssl(&format!("pkeyutl -sign -inkey keys/rsa.key -pkeyopt digest:{digest}"), prepared.digest());
        let over_info = openssl("rsautl -sign -inkey keys/rsa.key", prepared.digest_info());
        let direct = outside("rsa", digest);
        assert_eq!([&over_digest, &over_info], [&direct, &direct], "{digest}");
        let joined = join(&root_hash(), &certificate("rsa"), &direct, &options(digest)).unwrap();
        assert_eq!(joined, sign(&root_hash(), &key("rsa"), &certificate("rsa"), &options(digest)).unwrap());
    }
}

#[test]
fn raw_signatures_are_joined_in_every_form() {
    for (name, half) in [("rsa", None), ("rsa4096", None), ("p256", Some(32)), ("p384", Some(48)), ("p521", Some(66))] {
        for digest in ["sha256", "sha512"] {
            let raw = outside(name, digest);
            let mut forms = vec![raw.clone()];
            if let Some(half) = half {
                forms.push(numbers(&raw, half));
            }
            for form in forms {
                let (hex, base64) = (hex::encode(&form), Base64::encode_string(&form));
                let lines = base64
                    .as_bytes()
                    .chunks(64)
                    .fold(String::new(), |text, line| text + std::str::from_utf8(line).unwrap() + "\r\n");
                let texts = [
                    hex.to_uppercase() + "\n",
                    hex,
                    format!("vault:v12:{base64}"),
                    format!("vault:v1:{base64}\n"),
                    base64,
                    lines,
                ];
                for form in texts.iter().map(String::as_bytes).chain([&form[..]]) {
                    let joined = join(&root_hash(), &certificate(name), form, &options(digest)).unwrap();
                    assert!(openssl_verifies("cms", &joined, name), "{name} {digest} {form:x?}");
                }
            }
        }
    }
}

/// Both numbers of a signature, one after the other.
fn numbers(der: &[u8], half: usize) -> Vec<u8> {
    use der::Decode;
    let both = Vec::<der::asn1::Uint>::from_der(der).unwrap();
    let padded =
        |number: &der::asn1::Uint| [vec![0; half - number.as_bytes().len()], number.as_bytes().to_vec()].concat();
    [padded(&both[0]), padded(&both[1])].concat()
}

#[test]
fn earlier_joined_signatures_are_made_again() {
    let raw = outside("rsa", "sha256");
    let joined = join(&root_hash(), &certificate("rsa"), &raw, &SignOptions::new()).unwrap();
    assert_eq!(joined, vector("sig/cms-nocerts-noattr"));
}

#[test]
fn a_raw_signature_that_is_wrong_makes_nothing() {
    let raw = outside("rsa", "sha256");
    let join = |name: &str, raw: &[u8]| join(&root_hash(), &certificate(name), raw, &SignOptions::new()).unwrap_err();
    let mut changed = raw.clone();
    changed[100] ^= 1;
    assert!(matches!(join("rsa", &changed), Error::Wrong { .. }));
    assert!(matches!(join("self", &raw), Error::Wrong { .. }));
    assert!(matches!(join("rsa", &outside("rsa", "sha512")), Error::Wrong { .. }));
    for (name, raw, expected) in [
        ("rsa", &raw[1..], "256 bytes"),
        ("rsa", b"", "256 bytes"),
        ("rsa", b"vault:v1:AAAA", "256 bytes"),
        ("p256", &raw, "DER or 64 bytes"),
        ("p521", &outside("p256", "sha256"), "DER or 132 bytes"),
    ] {
        let error = join(name, raw);
        let is_one = matches!(&error, Error::RawSignature { expected: found, .. } if found == expected);
        assert!(is_one || name == "p521" && matches!(error, Error::Wrong { .. }), "{name}: {error:?}");
    }
    assert!(matches!(join("rsa", &vec![b'0'; 1 << 20]), Error::TooLarge { .. }));
}
