//! `sign` and `signature`, against OpenSSL and against the signatures that were tried on real kernels.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use dmverity_tests::{schema, veritysetup, workspace};
use serde_json::{Value, json};

use crate::bad_input::refused;
use crate::sandbox::{Outcome, Sandbox};

fn vectors() -> PathBuf {
    workspace().join("tests/vectors/chain")
}

fn vector(name: &str) -> Vec<u8> {
    fs::read(vectors().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn root_hash() -> String {
    String::from_utf8(vector("sig/root-hash")).expect("digits")
}

/// A folder with the root hash, and keys and certificates of an RSA and an elliptic curve signer.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("root", &vector("sig/root-hash"));
    for name in ["rsa", "p256"] {
        sandbox.write(&format!("{name}.key"), &vector(&format!("keys/{name}.key")));
        sandbox.write(&format!("{name}.crt"), &vector(&format!("certs/{name}.crt")));
    }
    sandbox
}

fn run(sandbox: &Sandbox, command: &str) -> Outcome {
    sandbox.run(&command.split_whitespace().collect::<Vec<_>>())
}

#[track_caller]
fn succeeds(sandbox: &Sandbox, command: &str) -> String {
    let outcome = run(sandbox, command);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{command}");
    outcome.stdout
}

#[track_caller]
fn object(sandbox: &Sandbox, command: &str, code: i32) -> Value {
    let outcome = run(sandbox, &format!("{command} --json"));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(code), ""), "{command}");
    schema::check(&outcome.stdout).unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// Runs a program with bytes on its standard input.
#[track_caller]
fn fed(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().expect("piped").write_all(input).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{command:?}");
    output.stdout
}

#[track_caller]
fn openssl(sandbox: &Sandbox, arguments: &str, input: &[u8]) -> Vec<u8> {
    fed(&mut sandbox.command("openssl", &arguments.split_whitespace().collect::<Vec<_>>()), input)
}

const RSA: &str = "--key=rsa.key --certificate=rsa.crt";

#[test]
fn a_signature_has_the_bytes_of_openssl() {
    let sandbox = sandbox();
    for (ours, theirs) in [
        ("", "cms -sign -nocerts"),
        ("--embed-certificate", "cms -sign"),
        ("--smime", "smime -sign -nocerts"),
        ("--smime --embed-certificate --digest=sha512", "smime -sign -md sha512"),
    ] {
        let text = succeeds(&sandbox, &format!("sign --root-hash-file=root {RSA} {ours} --output=s"));
        assert!(text.contains("Signature:") && text.contains("Signed by:       \tCN=Example rsa\n"), "{text}");
        let theirs = format!("{theirs} -noattr -binary -outform der -signer rsa.crt -inkey rsa.key -in root");
        assert_eq!(sandbox.read("s"), openssl(&sandbox, &theirs, b""), "{ours}");
    }
    // Without a file, and from an argument.
    let command = format!("sign {} {RSA} -o -", root_hash());
    let outcome = sandbox.command(veritysetup(), &command.split(' ').collect::<Vec<_>>()).output().unwrap();
    assert_eq!(outcome.stdout, vector("sig/cms-nocerts-noattr"));
    let made = object(&sandbox, &format!("sign {} {RSA} -o s", root_hash()), 0);
    assert_eq!(
        made["signature"]["signer"]["fingerprint"],
        "e315f04001feb246d9124406f0a42fb6545de1d52215ae77f3e5ddd5c3338371"
    );
    assert_eq!((&made["signature"]["bytes"], &made["prepared"]), (&json!(407), &Value::Null));
}

#[test]
fn the_file_of_a_signature_is_replaced_as_a_whole_and_for_everyone_to_read() {
    let sandbox = sandbox();
    sandbox.write("old", b"longer than any signature".repeat(100).as_slice());
    fs::hard_link(sandbox.path("old"), sandbox.path("s")).unwrap();
    succeeds(&sandbox, &format!("sign --root-hash-file=root {RSA} -o s"));
    assert_eq!(sandbox.read("s"), vector("sig/cms-nocerts-noattr"));
    assert_eq!(sandbox.read("old").len(), 2500, "another name of the old file has its contents");
    let mode = fs::metadata(sandbox.path("s")).unwrap().permissions().mode();
    let umask = nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    nix::sys::stat::umask(umask);
    assert_eq!(mode & 0o777, 0o644 & !umask.bits());
    for input in ["rsa.key", "rsa.crt", "root"] {
        let what = [("rsa.key", "key"), ("rsa.crt", "certificate"), ("root", "root hash")];
        let what = what.iter().find(|(name, _)| *name == input).unwrap().1;
        let message = format!("Cannot create signature file ./{input} for writing.\nhint: it is the {what} file.\n");
        refused(&sandbox, &format!("sign --root-hash-file=root {RSA} -o ./{input}"), 1, &message);
    }
}

#[test]
fn pass_phrases_come_from_files_and_descriptors() {
    let sandbox = sandbox();
    openssl(&sandbox, "pkcs8 -topk8 -in rsa.key -out encrypted -passout pass:secret", b"");
    let sign = "sign --root-hash-file=root --key=encrypted --certificate=rsa.crt -o s";
    for phrase in ["secret", "secret\n"] {
        sandbox.write("phrase", phrase.as_bytes());
        succeeds(&sandbox, &format!("{sign} --passphrase-file=phrase"));
        for path in ["-", "/dev/fd/0", "/dev/stdin"] {
            let command = format!("{sign} --passphrase-file={path}");
            fed(&mut sandbox.command(veritysetup(), &command.split(' ').collect::<Vec<_>>()), phrase.as_bytes());
            assert_eq!(sandbox.read("s"), vector("sig/cms-nocerts-noattr"));
            fs::remove_file(sandbox.path("s")).unwrap();
        }
    }
    sandbox.write("phrase", b"Secret");
    let message = "Wrong pass phrase for private key encrypted.\n";
    refused(&sandbox, &format!("{sign} --passphrase-file=phrase"), 2, message);
    sandbox.write("phrase", &[b'x'; 5000]);
    let message = "Invalid pass phrase file phrase.\nhint: it has more than 4096 bytes.\n";
    refused(&sandbox, &format!("{sign} --passphrase-file=phrase"), 1, message);
    let message = "Cannot read pass phrase file nosuch.\nhint: No such file or directory.\n";
    refused(&sandbox, &format!("{sign} --passphrase-file=nosuch"), 4, message);
}

#[test]
fn without_a_terminal_a_pass_phrase_cannot_be_asked_for() {
    let sandbox = sandbox();
    openssl(&sandbox, "pkcs8 -topk8 -in rsa.key -out encrypted -passout pass:secret", b"");
    let command = "--wait veritysetup sign --root-hash-file=root --key=encrypted --certificate=rsa.crt -o s";
    let program = veritysetup();
    let words: Vec<&str> =
        command.split(' ').map(|word| if word == "veritysetup" { program.to_str().unwrap() } else { word }).collect();
    let outcome = Outcome::from(sandbox.command("setsid", &words).output().unwrap());
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(outcome.first_error(), "Private key encrypted needs a pass phrase.");
}

#[test]
fn keys_elsewhere_sign_what_is_prepared() {
    let sandbox = sandbox();
    let prepared = object(&sandbox, "sign --prepare --root-hash-file=root", 0)["prepared"].clone();
    assert_eq!(prepared["content"], root_hash().as_str());
    let digest = hex::encode(openssl(&sandbox, "dgst -sha256 -binary root", b""));
    assert_eq!(prepared["digest"], digest.as_str());
    assert_eq!(prepared["digest_info"], format!("3031300d060960864801650304020105000420{digest}").as_str());
    let text = run(&sandbox, "sign --prepare --root-hash-file=root");
    for (key, field) in [
        ("Content", "content"),
        ("Digest", "digest"),
        ("Digest (base64)", "digest_base64"),
        ("DigestInfo", "digest_info"),
    ] {
        assert_eq!(text.field(key), prepared[field], "{key}");
    }
    for name in ["rsa", "p256"] {
        let raw = openssl(&sandbox, &format!("dgst -sha256 -sign {name}.key root"), b"");
        sandbox.write("raw", &raw);
        let join = format!("sign --root-hash-file=root --certificate={name}.crt -o s --join");
        succeeds(&sandbox, &format!("{join}=raw"));
        let verify =
            format!("cms -verify -binary -inform der -in s -content root -certfile {name}.crt -nointern -noverify");
        openssl(&sandbox, &verify, b"");
        fs::remove_file(sandbox.path("s")).unwrap();
        let command = format!("{join}=-");
        fed(&mut sandbox.command(veritysetup(), &command.split(' ').collect::<Vec<_>>()), hex::encode(&raw).as_bytes());
        openssl(&sandbox, &verify, b"");
        fs::remove_file(sandbox.path("s")).unwrap();
        sandbox.write("raw", &raw[1..]);
        let outcome = run(&sandbox, &format!("{join}=raw"));
        assert_eq!((outcome.code, sandbox.path("s").exists()), (Some(1), false), "{outcome:?}");
    }
    sandbox.write("raw", &openssl(&sandbox, "dgst -sha512 -sign rsa.key root", b""));
    let message = "Cannot sign: the signature of CN=Example rsa is wrong: another key made it, or it is for other \
                   content.\n\
                   hint: sign what --prepare shows, with the same --digest and the key of --certificate.\n";
    refused(&sandbox, "sign --root-hash-file=root --certificate=rsa.crt -o s --join=raw", 2, message);
}

#[test]
fn a_manifest_is_signed_as_it_is() {
    let sandbox = sandbox();
    sandbox.write("d", &vec![7; 40960]);
    let made = run(&sandbox, "format d h --json --salt-seed=x");
    sandbox.write("m", made.stdout.as_bytes());
    succeeds(&sandbox, &format!("sign --manifest=m {RSA} -o s"));
    openssl(&sandbox, "cms -verify -binary -inform der -in s -content m -certfile rsa.crt -nointern -noverify", b"");
    let prepared = object(&sandbox, "sign --manifest=m --prepare", 0);
    assert_eq!((&prepared["root_hash"], &prepared["prepared"]["content"]), (&Value::Null, &json!(made.stdout)));
    for (bytes, hint) in [
        (&b"{}"[..], "it is not the result of a successful format --json."),
        (b"{\"action\": \"format\", \"error\": {}}", "it is not the result of a successful format --json."),
        (b"{\"action\": \"format\"}", "it is not the result of a successful format --json."),
        // What verify would refuse.
        (
            br#"{"action": "format", "action": "format"}"#,
            "it is not a JSON object as format --json prints it: duplicate field `action` at line 1 column 40.",
        ),
    ] {
        sandbox.write("m", bytes);
        let message = format!("Invalid manifest m.\nhint: {hint}\n");
        refused(&sandbox, &format!("sign --manifest=m {RSA} -o s"), 1, &message);
    }
}

#[test]
fn lint_names_readers_and_reasons() {
    let sandbox = sandbox();
    for name in ["cms-nocerts-noattr", "cms-pss", "upper", "newline", "smime-pem", "cms-keyid", "smime-sha3-256"] {
        sandbox.write(name, &vector(&format!("sig/{name}")));
    }
    let lint = |name: &str, code| {
        let command = format!("signature lint {name} --root-hash-file=root --trusted=rsa.crt");
        let object = object(&sandbox, &command, code);
        let text = run(&sandbox, &command);
        let mut answers = Vec::new();
        for reader in object["readers"].as_array().unwrap() {
            let part = |field: &str| reader[field].as_str().unwrap_or_default().to_owned();
            let errno =
                if reader["errno_name"].is_null() { String::new() } else { format!(" with {}", part("errno_name")) };
            let line = format!("{}: {}{errno}\n  {}\n", part("description"), part("answer"), part("reason"));
            assert!(text.stdout.contains(&line), "{line} is not in {}", text.stdout);
            answers.push(format!("{}{errno}", part("answer")));
        }
        assert_eq!(text.code, Some(code));
        (answers.join(", "), object["readers"][2]["reason"].as_str().unwrap().to_owned())
    };
    assert_eq!(lint("cms-nocerts-noattr", 0).0, "taken, taken, taken, taken");
    assert_eq!(lint("cms-keyid", 0).0, "taken, taken, taken, refused");
    assert_eq!(lint("smime-sha3-256", 0).0, "refused with ENOPKG, depends, depends, taken");
    assert_eq!(lint("cms-pss", 2).0, "refused with ENOPKG, refused with ENOPKG, refused with ENOPKG, refused");
    let rejected = "refused with EKEYREJECTED, refused with ENOKEY, refused with EKEYREJECTED, refused";
    let upper = "it was made for the root hash in upper case".to_owned();
    assert_eq!(lint("upper", 2), (rejected.to_owned(), upper));
    let newline = "it was made for the root hash with a newline at its end".to_owned();
    assert_eq!(lint("newline", 2), (rejected.to_owned(), newline));
    let pem = "refused with EBADMSG, refused with EBADMSG, refused with EBADMSG, refused";
    assert_eq!(lint("smime-pem", 2).0, pem);
    // Without a root hash and certificates.
    let object = object(&sandbox, "signature lint cms-nocerts-noattr", 0);
    assert_eq!((&object["root_hash"], &object["chain"]), (&Value::Null, &Value::Null));
    let missing = "Cannot read signature file nosuch.\nhint: No such file or directory.\n";
    refused(&sandbox, "signature lint nosuch", 4, missing);
    sandbox.write("large", &vec![0; (1 << 20) + 1]);
    let large = "Invalid signature file large.\nhint: it has more than 1048576 bytes.\n";
    refused(&sandbox, "signature lint large", 2, large);
}

#[test]
fn verify_checks_signer_and_content() {
    let sandbox = sandbox();
    for name in ["smime-noattr-cert", "chain-leaf2-leaf", "c-expired", "smime-pem"] {
        sandbox.write(name, &vector(&format!("sig/{name}")));
    }
    for name in ["ca", "inter", "expired"] {
        sandbox.write(&format!("{name}.crt"), &vector(&format!("certs/{name}.crt")));
    }
    let verify = |name: &str| format!("signature verify {name} --root-hash-file=root");
    let text = succeeds(&sandbox, &format!("{} --trusted=p256.crt --trusted=rsa.crt", verify("smime-noattr-cert")));
    assert!(text.ends_with("Signed by:       \tCN=Example rsa\n"), "{text}");
    let fingerprint = "E3:15:F0:40:01FEB246D9124406F0A42FB6545DE1D52215AE77F3E5DDD5C3338371";
    succeeds(&sandbox, &format!("{} --trusted=sha256:{fingerprint}", verify("smime-noattr-cert")));
    let chain = object(&sandbox, &format!("{} --ca=ca.crt --intermediate=inter.crt", verify("chain-leaf2-leaf")), 0);
    let subjects: Vec<&Value> = chain["chain"].as_array().unwrap().iter().map(|each| &each["subject"]).collect();
    assert_eq!(subjects, ["CN=Example leaf2", "CN=Example intermediate", "CN=Example verity CA"]);
    let missing = "Signature refused: signed by certificate 6437CE63067BC9A26CF11EFD1C1275A5CF86386B of issuer \
                   CN=Example intermediate, which is not trusted.\n\
                   hint: the certificate of CN=Example intermediate, which issued that of CN=Example leaf2, is \
                   missing.\n";
    refused(&sandbox, &format!("{} --ca=ca.crt", verify("chain-leaf2-leaf")), 2, missing);
    let expired = run(&sandbox, &format!("{} --trusted=expired.crt", verify("c-expired")));
    let warning = "WARNING: the certificate of CN=Example expired expired at 2011-01-01T00:00:00Z.\n";
    assert_eq!((expired.code, expired.stderr.as_str()), (Some(0), warning));
    succeeds(&sandbox, &format!("{} --trusted=expired.crt --at=2010-06-01T00:00:00Z", verify("c-expired")));
    let at = "Signature refused: certificate of CN=Example expired: valid from 2010-01-01T00:00:00Z to \
              2011-01-01T00:00:00Z, not at 2011-01-01T00:00:01Z.\n\
              hint: --at asks for this time; without it dates cause warnings only.\n";
    refused(&sandbox, &format!("{} --trusted=expired.crt --at=@1293840001", verify("c-expired")), 2, at);
    let pem = "Signature refused: not DER: the signature is PEM text.\n\
               hint: convert it: openssl pkcs7 -in FILE -outform der \
               -out NEW_FILE\n";
    refused(&sandbox, &format!("{} --trusted=rsa.crt", verify("smime-pem")), 2, pem);
    let other = root_hash().replace('0', "1");
    let wrong = "Signature refused: the signature of CN=Example rsa is wrong: another key made it, or it is for other \
                   content.\n\
                 hint: a root hash is signed in lower-case digits without a newline; signature lint tells more.\n";
    refused(&sandbox, &format!("signature verify smime-noattr-cert {other} --trusted=rsa.crt"), 2, wrong);
}

#[test]
fn what_cannot_be_signed_is_refused() {
    let sandbox = sandbox();
    sandbox.write("dsa.key", b"-----BEGIN DSA PRIVATE KEY-----\nMAA=\n-----END DSA PRIVATE KEY-----\n");
    let invalid = "Invalid root hash string specified.\nhint: ";
    for (word, hint) in [
        (
            root_hash().to_uppercase(),
            "the kernel checks the signature of the root hash in lower case: use lower-case digits.",
        ),
        ("abcd".to_owned(), "no hash function makes 4 hexadecimal digits."),
        ("xyz".to_owned(), "it is not made of hexadecimal digits."),
    ] {
        refused(&sandbox, &format!("sign {word} {RSA} -o s"), 1, &format!("{invalid}{hint}\n"));
    }
    for (options, code, message) in [
        (
            "--key=rsa.key --certificate=p256.crt",
            1,
            "Cannot sign: the private key does not belong to the certificate of CN=Example \
          p256.\nhint: --key and --certificate have to be a pair.\n",
        ),
        (
            "--key=p256.key --certificate=p256.crt --digest=sha3-256",
            1,
            "Cannot sign: sha3-256 is not used for new signatures with \
          elliptic curve keys.\nhint: sha256, sha384 and sha512 can be used with every key.\n",
        ),
        (
            "--key=rsa.key --certificate=rsa.crt --digest=sha1",
            1,
            "Cannot sign: sha1 is not used for new signatures with RSA keys.\n\
          hint: sha256, sha384 and sha512 can be used with every key.\n",
        ),
        (
            "--key=rsa.key --certificate=rsa.crt --digest=crc",
            1,
            "Unknown digest crc.\nhint: known ones are sha256, sha384, sha512, \
          sha3-256, sha3-512.\n",
        ),
        (
            "--key=rsa.key --certificate=rsa.key",
            1,
            "Invalid certificate file rsa.key.\nhint: no certificate found: neither DER nor \
          PEM with BEGIN CERTIFICATE.\n",
        ),
        (
            "--key=rsa.crt --certificate=rsa.crt",
            1,
            "Invalid private key rsa.crt.\nhint: private key: no PEM block ends with PRIVATE \
          KEY.\nhint: openssl pkcs8 -topk8 converts keys of other forms, with a pass phrase or with -nocrypt.\n",
        ),
        (
            "--key=nosuch --certificate=rsa.crt",
            4,
            "Cannot read private key nosuch.\nhint: No such file or directory.\n",
        ),
        (
            "--key=rsa.key --certificate=nosuch",
            4,
            "Cannot read certificate file nosuch.\nhint: No such file or directory.\n",
        ),
    ] {
        refused(&sandbox, &format!("sign --root-hash-file=root {options} -o s"), code, message);
    }
}

#[test]
fn command_lines_that_lack_something_are_refused() {
    let sandbox = sandbox();
    let usage = "Usage: veritysetup sign [OPTION...] [<root_hash>]\n";
    for (options, message) in [
        ("", "sign: requires option --key"),
        ("--key=rsa.key", "sign: requires option --output"),
        ("--key=rsa.key -o s", "sign: requires option --certificate"),
        ("--key=rsa.key --prepare", "Option --key and --prepare cannot be used together."),
        ("--key=rsa.key --join=raw", "Option --key and --join cannot be used together."),
        ("--prepare -o s", "Option --prepare and --output cannot be used together."),
        ("--manifest=m --prepare", "Option --manifest and --root-hash-file cannot be used together."),
        ("--trusted=rsa.crt --prepare", "Option --trusted is not allowed with sign action."),
    ] {
        refused(
            &sandbox,
            &format!("sign --root-hash-file=root {options}"),
            1,
            &format!("{usage}veritysetup: {message}\n"),
        );
    }
    let usage = "Usage: veritysetup signature [OPTION...] lint|verify <file> [<root_hash>]\n";
    for (words, message) in [
        ("lint", "veritysetup: signature: requires lint|verify <file> [<root_hash>] as arguments"),
        ("check f", "hint: lint and verify are known.\nveritysetup: signature: unknown word check"),
        ("verify f", "veritysetup: signature: verify requires option --trusted or --ca"),
        ("verify f --at=@1", "veritysetup: Option --at must be used with --trusted or --ca."),
    ] {
        refused(&sandbox, &format!("signature {words}"), 1, &format!("{usage}{message}\n"));
    }
    for (options, message) in [
        (
            "--at=yesterday",
            "Invalid time yesterday.\nhint: --at takes a time such as 2026-11-26T12:28:43Z, or @ and seconds since \
          1970.\n",
        ),
        (
            "--trusted=sha256:12",
            "Invalid fingerprint in --trusted.\nhint: after sha256: come 64 hexadecimal digits; colons between \
          them are skipped.\n",
        ),
    ] {
        refused(&sandbox, &format!("signature verify f {options} --ca=rsa.crt"), 1, message);
    }
}
