//! Every form of signature that was tried on real kernels, and OpenSSL's word on each of them. The files are in
//! `tests/vectors/chain`; forms whose file was not kept are made by OpenSSL, which has to be installed.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;

pub(super) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/chain")
}

pub(super) fn vector(name: &str) -> Vec<u8> {
    fs::read(vectors().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(super) fn text(name: &str) -> String {
    String::from_utf8(vector(name)).unwrap()
}

pub(super) fn root_hash() -> Vec<u8> {
    vector("sig/root-hash")
}

pub(super) fn certificate(name: &str) -> Certificate {
    Certificate::from_pem_first(&text(&format!("certs/{name}.crt"))).unwrap()
}

pub(super) fn key(name: &str) -> PrivateKey {
    PrivateKey::from_pem(&text(&format!("keys/{name}.key")), None).unwrap()
}

/// Runs OpenSSL in a folder; `None` if it fails.
pub(super) fn openssl_in(folder: &Path, arguments: &str, input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed");
    // It may not read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    output.status.success().then_some(output.stdout)
}

/// Runs OpenSSL among the vectors; it must not fail.
pub(super) fn openssl(arguments: &str, input: &[u8]) -> Vec<u8> {
    openssl_in(&vectors(), arguments, input).unwrap_or_else(|| panic!("openssl {arguments} failed"))
}

/// Whether OpenSSL's command (`cms` or `smime`) verifies a signature of the root hash by the holder of a certificate.
pub(super) fn openssl_verifies(command: &str, signature: &[u8], certificate: &str) -> bool {
    let arguments = format!(
        "{command} -verify -binary -inform der -content sig/root-hash -certfile certs/{certificate}.crt -nointern \
         -noverify"
    );
    openssl_in(&vectors(), &arguments, signature).is_some()
}

/// Every signature, by its path among the vectors.
fn signatures() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["sig", "sig/extra", "sig/forms-r2"] {
        for entry in fs::read_dir(vectors().join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.path().is_file() && !["root-hash", "rh.txt"].contains(&&name[..]) {
                found.push(format!("{folder}/{name}"));
            }
        }
    }
    found.sort();
    assert!(found.len() > 100, "{found:?}");
    found
}

const CERTIFICATES: [&str; 24] = [
    "ca", "codesign", "e1", "ed25519", "eku", "expired", "inter", "kucert", "kuenc", "leaf2", "leaf3", "mldsa44",
    "mldsa65", "mldsa87", "noskid", "p256", "p384", "p521", "r1", "r2", "rsa", "rsa4096", "self", "rsa",
];

/// The certificate of the first signer of a message, by its name among the vectors.
fn signer_of(bytes: &[u8]) -> Option<&'static str> {
    let lint = lint(bytes, None, None);
    let signer = lint.signers().first()?;
    CERTIFICATES.into_iter().find(|name| signer.id.names(&certificate(name)))
}

/// A form of signature by RSA or P-256 whose file was not kept.
fn made(form: &str, key: &str) -> Vec<u8> {
    let who = format!("-signer certs/{key}.crt -inkey keys/{key}.key -binary -outform der");
    let (mut content, mut end) = (root_hash(), Vec::new());
    let arguments = match form {
        "cms-plain" | "cms-sha256" => "cms -sign -noattr -nocerts".to_owned(),
        "smime-plain" | "newline" | "trailing" | "smime-nocerts-noattr" => "smime -sign -noattr -nocerts".to_owned(),
        "smime-stream" => "smime -sign -noattr -nocerts -stream".to_owned(),
        "smime-pem" => "smime -sign -noattr -nocerts -outform pem".to_owned(),
        "cms-cert" => "cms -sign -noattr".to_owned(),
        "cms-keyid" => "cms -sign -noattr -nocerts -keyid".to_owned(),
        "cms-nodetach" => "cms -sign -noattr -nocerts -nodetach".to_owned(),
        "cms-attr" => "cms -sign -nocerts".to_owned(),
        "cms-attr-nosmimecap" => "cms -sign -nocerts -nosmimecap".to_owned(),
        "cms-attr-sha3" => "cms -sign -nocerts -nosmimecap -md sha3-256".to_owned(),
        "cms-cades" => "cms -sign -nocerts -nosmimecap -cades".to_owned(),
        _ => match form.strip_prefix("cms-") {
            Some(digest) if DigestAlgorithm::from_name(digest).is_some() => {
                format!("cms -sign -noattr -nocerts -md {digest}")
            }
            _ => panic!("how is {form} made?"),
        },
    };
    match form {
        "newline" => content.push(b'\n'),
        "trailing" => end.resize(4096, 0),
        _ => {}
    }
    // The last -outform counts.
    let (command, options) = arguments.split_once(" -sign").unwrap();
    [openssl(&format!("{command} -sign {who} {options}"), &content), end].concat()
}

fn kept(name: &str) -> Option<Vec<u8>> {
    ["sig", "sig/extra"].iter().find_map(|folder| fs::read(vectors().join(folder).join(name)).ok())
}

/// Compares a reading with what a kernel answered.
fn check(reading: &Reading, expected: &str, has_sha3_module: bool, what: &str) {
    let (answer, errno) = (reading.answer(), reading.errno());
    let depends_on_sha3 = answer == Answer::Depends && reading.reason().contains("module sha3");
    let agrees = match expected {
        "OK" => answer == Answer::Taken || depends_on_sha3 && has_sha3_module,
        "refused" => answer == Answer::Refused,
        "-ENOPKG" if depends_on_sha3 => !has_sha3_module,
        _ => answer == Answer::Refused && errno == expected.strip_prefix('-'),
    };
    assert!(agrees, "{what}: the kernel answered {expected}, and lint says {reading:?}");
}

#[test]
fn lint_says_what_kernels_said_of_each_form() {
    let (root_hash, ring) = (root_hash(), [certificate("r2")]);
    let table = text("sig-forms.tsv");
    let mut rows = 0;
    for row in table.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let lint = lint(&vector(&format!("sig/forms-r2/{}", cells[0])), Some(&root_hash), Some(&ring));
        for (reading, expected) in lint.readings().iter().zip(&cells[1..]) {
            check(reading, expected, true, row);
        }
        rows += 1;
    }
    assert_eq!(rows, 22);
}

#[test]
fn lint_says_what_kernels_said_of_everything_else() {
    let root_hash = root_hash();
    let signers = CERTIFICATES.iter().filter(|name| !["ca", "inter", "leaf2", "leaf3"].contains(name));
    let ring = |names: &[&str]| names.iter().map(|name| certificate(name)).collect::<Vec<_>>();
    // The kernels, keys and certificates of the columns.
    let columns = [
        (Reader::LinuxWithoutEcdsa, Some("rsa"), ring(&["rsa"])),
        (Reader::LinuxWithEcdsa, Some("rsa"), ring(&["rsa"])),
        (Reader::LinuxWithEcdsa, Some("p256"), ring(&["p256"])),
        (Reader::Linux7, None, signers.map(|name| certificate(name)).collect()),
        (Reader::Linux7, None, ring(&["ca"])),
        (Reader::Linux7, None, ring(&["inter", "rsa", "p256"])),
    ];
    let table = text("sig-matrix.tsv");
    let mut cells_seen = 0;
    for row in table.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        for ((reader, key, ring), expected) in columns.iter().zip(&cells[1..]) {
            if expected.is_empty() {
                continue;
            }
            let bytes = match key {
                Some("p256") => made(cells[0], "p256"),
                _ => kept(cells[0]).unwrap_or_else(|| made(cells[0], "rsa")),
            };
            let lint = lint(&bytes, Some(&root_hash), Some(ring));
            let reading = lint.readings().iter().find(|reading| reading.reader() == *reader).unwrap();
            // The module was loaded for the last column, and 6.12 loads it when it is needed.
            let has_sha3_module = ring.len() == 3 || *reader == Reader::LinuxWithEcdsa;
            check(reading, expected, has_sha3_module, row);
            cells_seen += 1;
        }
    }
    assert_eq!(cells_seen, 143);
}

/// systemd calls what is behind `openssl smime -verify`.
#[test]
fn lint_says_what_openssl_says_in_place_of_systemd() {
    let root_hash = root_hash();
    for name in signatures() {
        let bytes = vector(&name);
        let Some(signer) = signer_of(&bytes) else {
            assert!(lint(&bytes, None, None).readings()[3].answer() == Answer::Refused, "{name}");
            continue;
        };
        let lint = lint(&bytes, Some(&root_hash), Some(&[certificate(signer)]));
        let reading = &lint.readings()[3];
        if reading.answer() != Answer::Depends {
            let is_taken = openssl_verifies("smime", &bytes, signer);
            assert_eq!(reading.answer() == Answer::Taken, is_taken, "{name} by {signer}: {reading:?}");
        }
    }
}

/// What OpenSSL verifies and is no proper signature: a kernel refuses it, or takes it only because it is lenient.
const IMPROPER: [&str; 8] = [
    "sig/cms-nodetach-stream",
    "sig/extra/x-ber-indefinite",
    "sig/extra/x-sd-v3-si-v1",
    "sig/extra/x-sd-v4",
    "sig/extra/x-trailing-text",
    "sig/forms-r2/x-ber",
    "sig/forms-r2/x-v3v1",
    "sig/forms-r2/x-v4",
];

#[test]
fn verify_agrees_with_openssl() {
    let (root_hash, mut verified) = (root_hash(), 0);
    for name in signatures() {
        let bytes = vector(&name);
        let signer = signer_of(&bytes).unwrap_or("rsa");
        let trust = Verifier::new().signer(certificate(signer));
        let result = Signature::parse(&bytes).and_then(|signature| trust.verify(&root_hash, &signature));
        let is_right = openssl_verifies("cms", &bytes, signer);
        if IMPROPER.contains(&&name[..]) {
            assert!(is_right && result.is_err(), "{name}: {result:?}");
            continue;
        }
        assert_eq!(result.is_ok(), is_right, "{name} by {signer}: {result:?}");
        verified += usize::from(is_right);
    }
    assert_eq!(verified, 81);
}

#[test]
fn what_is_signed_here_verifies_in_openssl() {
    let root_hash = root_hash();
    let digests = ["sha256", "sha384", "sha512", "sha3-256", "sha3-512"];
    for name in ["rsa", "rsa4096", "p256", "p384", "p521"] {
        for digest in digests {
            for (embed, smime, key_id) in
                [(false, false, false), (true, false, false), (false, true, false), (true, false, true)]
            {
                let options = SignOptions::new().digest(DigestAlgorithm::from_name(digest).unwrap());
                let options = options.embed_certificate(embed).smime(smime).key_id(key_id);
                let (key, certificate) = (key(name), certificate(name));
                let made = sign(&root_hash, &key, &certificate, &options);
                if digest.starts_with("sha3-") && name.starts_with('p') {
                    assert!(matches!(made, Err(Error::Digest { .. })), "{name} {digest}: {made:?}");
                    continue;
                }
                let made = made.unwrap();
                let what = format!("{name} {digest} {options:?}");
                assert!(openssl_verifies("cms", &made, name), "{what}");
                assert_eq!(openssl_verifies("smime", &made, name), !key_id, "{what}");
                let trust = Verifier::new().signer(certificate.clone());
                let verified = trust.verify(&root_hash, &Signature::parse(&made).unwrap()).unwrap();
                assert_eq!((verified.signer(), verified.warnings()), (&certificate, &[][..]), "{what}");
                let lint = lint(&made, Some(&root_hash), Some(&[certificate]));
                assert!(!lint.is_refused_by_all() && lint.notes().is_empty(), "{what}: {lint:?}");
                assert_ne!(lint.readings()[2].answer(), Answer::Refused, "{what}: {lint:?}");
            }
        }
    }
}

#[test]
fn rsa_signatures_have_the_bytes_of_openssl() {
    let root_hash = root_hash();
    for name in ["rsa", "rsa4096", "self"] {
        for digest in ["sha256", "sha384", "sha512", "sha3-256", "sha3-512"] {
            for (options, smime, embed, key_id) in [
                ("cms -sign -nocerts", false, false, false),
                ("cms -sign", false, true, false),
                ("cms -sign -nocerts -keyid", false, false, true),
                ("smime -sign -nocerts", true, false, false),
                ("smime -sign", true, true, false),
            ] {
                let arguments = format!(
                    "{options} -noattr -binary -outform der -md {digest} -signer certs/{name}.crt \
                     -inkey keys/{name}.key"
                );
                let algorithm = DigestAlgorithm::from_name(digest).unwrap();
                let ours = SignOptions::new().digest(algorithm).smime(smime).embed_certificate(embed).key_id(key_id);
                let ours = sign(&root_hash, &key(name), &certificate(name), &ours).unwrap();
                assert_eq!(hex::encode(ours), hex::encode(openssl(&arguments, &root_hash)), "{arguments}");
            }
        }
    }
}

#[test]
fn a_signature_cut_off_anywhere_is_refused() {
    for name in ["cms-nocerts-noattr", "cms-p256", "smime-noattr-chain", "cms-attr"] {
        let bytes = vector(&format!("sig/{name}"));
        assert!(Signature::parse(&bytes).is_ok());
        for length in 0..bytes.len() {
            let result = Signature::parse(&bytes[..length]);
            assert!(matches!(result, Err(Error::NotDer { .. })), "{name}: {length} bytes: {result:?}");
        }
    }
}

#[test]
fn each_form_that_is_no_signature_has_its_error() {
    let parse = |name: &str| Signature::parse(&vector(name)).map(|_| ()).unwrap_err();
    assert_eq!(parse("sig/smime-pem"), Error::Pem);
    assert_eq!(parse("sig/extra/x-ber-indefinite"), Error::IndefiniteLength);
    assert_eq!(parse("sig/extra/x-naked-signeddata"), Error::BareSignedData);
    assert_eq!(parse("sig/extra/x-trailing-text"), Error::TrailingBytes { found: 5 });
    for (name, part) in [
        ("x-zero-signers", "it has no signer"),
        ("x-sd-v4", "version 4"),
        ("x-sd-v3-si-v1", "version 3 in place of 1"),
        ("x-no-digestalgs", "list of digests"),
        ("x-digestalgs-other", "list of digests"),
    ] {
        let error = parse(&format!("sig/extra/{name}")).to_string();
        assert!(error.contains("malformed") && error.contains(part), "{name}: {error}");
    }
    assert_eq!(Signature::parse(&vector("sig/trailing4096")).unwrap().padding(), 4096);
    let padded = [vector("sig/cms-p256"), vec![0; 4 << 20]].concat();
    assert!(matches!(Signature::parse(&padded), Err(Error::TooLarge { .. })));
    // Another type of message, a wrong length, and nothing.
    let other = openssl("cms -encrypt -aes128 -outform der -recip certs/rsa.crt", b"text");
    assert!(matches!(Signature::parse(&other), Err(Error::NotSignedData { .. })));
    // A length inside an attribute that is not signed, and so not looked at.
    let mut inside = vector("sig/extra/x-unsigned-attr");
    assert!(Signature::parse(&inside).is_ok() && inside.ends_with(b"\x30\x0a\x06\x03\x2a\x03\x04\x31\x03\x04\x01x"));
    let length = inside.len() - 11;
    inside[length] += 1;
    assert!(matches!(Signature::parse(&inside), Err(Error::NotDer { .. })));
    let mut long = vector("sig/cms-p256");
    long[2] += 1;
    for bytes in [&long[..], &[], &[0; 100], b"\x04\x00", b"\x30\x00", b"\x30\x84\xff\xff\xff\xff"] {
        assert!(matches!(Signature::parse(bytes), Err(Error::NotDer { .. })), "{bytes:x?}");
        assert!(lint(bytes, None, None).is_refused_by_all(), "{bytes:x?}");
    }
}
