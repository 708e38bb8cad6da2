use crate::signature::tests::{certificate, key, openssl, root_hash, text};
use crate::signature::{Error, PrivateKey, SignOptions, sign};

fn read(text: &[u8], passphrase: Option<&str>) -> Result<PrivateKey, Error> {
    PrivateKey::from_pem(std::str::from_utf8(text).unwrap(), passphrase.map(str::as_bytes))
}

/// Whether a key is the one of this name.
fn is(key: &PrivateKey, name: &str) -> bool {
    sign(&root_hash(), key, &certificate(name), &SignOptions::new()).is_ok()
}

#[test]
fn keys_are_read_in_every_form() {
    for name in ["rsa", "p256", "p384", "p521"] {
        assert!(is(&key(name), name), "{name}");
        let traditional = openssl(&format!("pkey -in keys/{name}.key -traditional"), b"");
        let label = if name == "rsa" { "BEGIN RSA PRIVATE KEY" } else { "BEGIN EC PRIVATE KEY" };
        assert!(String::from_utf8_lossy(&traditional).contains(label));
        assert!(is(&read(&traditional, None).unwrap(), name), "{name}");
        // Text around it, and lines of other lengths.
        let around = format!("Key:\r\n{}\r\nend\r\n", text(&format!("keys/{name}.key")).replace('\n', "\r\n "));
        assert!(is(&read(around.as_bytes(), Some("not needed")).unwrap(), name), "{name}");
    }
    // As `openssl ecparam -genkey` writes it.
    let with_parameters = openssl("ecparam -name secp384r1 -genkey", b"");
    assert_eq!(format!("{:?}", read(&with_parameters, None).unwrap()), "PrivateKey(P-384)");
}

#[test]
fn encrypted_keys_need_their_pass_phrase() {
    for options in ["-v2 aes-256-cbc", "-v2 aes-128-cbc -v2prf hmacWithSHA512", "-scrypt", "-v2 aes-192-cbc -iter 1"] {
        for name in ["rsa", "p256"] {
            let encrypted =
                openssl(&format!("pkcs8 -topk8 -in keys/{name}.key {options} -passout pass:s3cr\u{e9}t"), b"");
            assert!(PrivateKey::is_encrypted(std::str::from_utf8(&encrypted).unwrap()));
            assert!(is(&read(&encrypted, Some("s3cr\u{e9}t")).unwrap(), name), "{name} {options}");
            assert_eq!(read(&encrypted, None).unwrap_err(), Error::NoPassphrase);
            for wrong in ["", "s3cret", "s3cr\u{e9}t\n"] {
                let error = read(&encrypted, Some(wrong)).unwrap_err();
                assert_eq!(error, Error::Passphrase, "{name} {options} {wrong:?}");
            }
        }
    }
    let legacy = openssl("rsa -in keys/rsa.key -traditional -aes128 -passout pass:x", b"");
    let error = read(&legacy, Some("x")).unwrap_err();
    assert_eq!(error.to_string(), "private key: encrypted in the form from before PKCS#8");
}

#[test]
fn what_is_no_key_is_refused() {
    let certificate = text("certs/rsa.crt");
    for (bytes, part) in [
        ("", "no PEM block ends with PRIVATE KEY"),
        (&certificate[..], "no PEM block"),
        ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----", "no base64"),
        ("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----", "private key: "),
        ("-----BEGIN DSA PRIVATE KEY-----\nMAA=\n-----END DSA PRIVATE KEY-----", "PEM of type DSA PRIVATE KEY"),
    ] {
        let error = read(bytes.as_bytes(), None).unwrap_err().to_string();
        assert!(error.contains(part), "{bytes}: {error}");
    }
    let ed25519 = openssl("genpkey -algorithm ed25519", b"");
    assert_eq!(read(&ed25519, None).unwrap_err().to_string(), "a private key for Ed25519 is not supported");
    let small = openssl("genrsa 512", b"");
    assert_eq!(read(&small, None).unwrap_err(), Error::RsaSize { bits: 512 });
    let secp256k1 = openssl("ecparam -name secp256k1 -genkey", b"");
    assert!(matches!(read(&secp256k1, None), Err(Error::Unsupported { .. })));
}

#[test]
fn key_and_certificate_have_to_be_a_pair() {
    for (key_of, certificate_of) in [("rsa", "rsa4096"), ("p256", "rsa"), ("p384", "p256"), ("rsa", "self")] {
        let result = sign(&root_hash(), &key(key_of), &certificate(certificate_of), &SignOptions::new());
        assert!(matches!(result, Err(Error::KeyMismatch { .. })), "{key_of} {certificate_of}: {result:?}");
    }
}

#[test]
fn the_key_is_not_shown() {
    assert_eq!(format!("{:?}", key("rsa")), "PrivateKey(RSA-2048)");
}
