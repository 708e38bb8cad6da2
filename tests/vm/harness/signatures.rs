//! Signatures of a root hash, made on the host for cases that open an image with one: by a certificate that the kernel
//! shall trust and by one that it does not know.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Error, Result, bail};

use super::{paths, process};
use crate::workspace;

/// The signed root hash: that of `make_signed_image` in `tests/vm/guest/lib.sh`, which checks it.
const ROOT_HASH: &str = "9f5cb4d3fad7bf72e378d81e3cf9c699bb4653bb7b9ed18a00dcfc0e63ba1509";

/// The root hash of no image.
const OTHER_ROOT_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000001";

/// What every case with a signature finds beside it: the certificate to trust, for the kernel, and the root hash.
pub const ALWAYS: &[&str] = &["certificate", "root-hash"];

/// As the kernel wants it: detached, in DER, without signed attributes. The certificate is not in it, because the
/// kernel has it or does not.
const PLAIN: &str = "-outform DER -nocerts -noattr";

/// A signature a case can ask for with `# signatures:`; it finds it as `/signatures/NAME`.
#[derive(Debug)]
pub struct Signature {
    /// What cases call it.
    pub name: &'static str,
    signer: &'static str,
    root_hash: &'static str,
    /// What `openssl cms -sign` is told.
    options: &'static str,
}

/// All of them.
pub const SIGNATURES: &[Signature] = &[
    Signature { name: "good", signer: "trusted", root_hash: ROOT_HASH, options: PLAIN },
    Signature { name: "untrusted", signer: "unknown", root_hash: ROOT_HASH, options: PLAIN },
    Signature { name: "wrong-root-hash", signer: "trusted", root_hash: OTHER_ROOT_HASH, options: PLAIN },
    // openssl's default: with signed attributes, among them S/MIME capabilities.
    attempt("signed-attributes", "-outform DER -nocerts"),
    attempt("pem", "-outform PEM -nocerts -noattr"),
    // A way of signing that no kernel has code for.
    attempt("pss", "-outform DER -nocerts -noattr -keyopt rsa_padding_mode:pss"),
];

/// What a case calls [`forms`], which it finds in the folder `/signatures/forms`.
pub const FORMS: &str = "forms";

/// The rows of `tests/vectors/chain/sig-forms.tsv` and `sig-matrix.tsv` that OpenSSL makes, with what `openssl cms` is
/// told: all by the holder of the certificate `rsa`, over the signed root hash.
const MADE_FORMS: &[(&str, &str)] = &[
    // sig-forms.tsv.
    ("attr-smimecap", "-nocerts"),
    ("cert", "-noattr"),
    ("md5", "-nocerts -noattr -md md5"),
    ("nodetach", "-nocerts -noattr -nodetach"),
    ("plain", "-nocerts -noattr"),
    ("pss", "-nocerts -noattr -keyopt rsa_padding_mode:pss"),
    ("s512-256", "-nocerts -noattr -md sha512-256"),
    ("sha3", "-nocerts -noattr -md sha3-256"),
    // sig-matrix.tsv.
    ("cms-attr-nosmimecap", "-nocerts -nosmimecap"),
    ("cms-cades", "-nocerts -nosmimecap -cades"),
    ("cms-keyid", "-nocerts -noattr -keyid"),
    ("cms-sha1", "-nocerts -noattr -md sha1"),
    ("cms-sha224", "-nocerts -noattr -md sha224"),
    ("cms-sha384", "-nocerts -noattr -md sha384"),
    ("cms-sha512", "-nocerts -noattr -md sha512"),
    // As the kernel finds the way from the built-in certificate to the signer's.
    ("smime-noattr-chain", "-noattr -certfile issuer.pem"),
];

/// The rows of `sig-forms.tsv` whose messages nothing makes: they are kept, by the signer `r2`, and have the same
/// signature as the form `plain`, or none.
const KEPT_FORMS: &[&str] = &[
    "econtent",
    "x-badsig",
    "x-ber",
    "x-digest-other",
    "x-naked",
    "x-no-digestalgs",
    "x-no-null",
    "x-plain",
    "x-sha256WithRSA",
    "x-two",
    "x-unsattr",
    "x-v3v1",
    "x-v4",
    "x-zero",
];

/// A signature that is correct except for its form.
const fn attempt(name: &'static str, options: &'static str) -> Signature {
    Signature { name, signer: "trusted", root_hash: ROOT_HASH, options }
}

/// The configuration for making certificates, independent of the machine's own.
const CONFIGURATION: &str = "[req]\ndistinguished_name = name\nx509_extensions = extensions\n[name]\n[extensions]\n\
                             subjectKeyIdentifier = hash\n[issued]\nsubjectKeyIdentifier = hash\n\
                             authorityKeyIdentifier = keyid\n[authority]\nsubjectKeyIdentifier = hash\n\
                             authorityKeyIdentifier = keyid\nbasicConstraints = critical, CA:TRUE\n";

/// The signers of [`forms`], each with its key, who issued its certificate, and the certificate's subject and number.
/// The kernel takes them into its secondary keyring, or finds their certificates in a signature, because the first
/// issuer's is built in. The kept signatures name the issuer `r2` and the number 1.
const SIGNERS: &[(&str, &str, &str, &str, u32)] = &[
    ("issuer", "rsa:2048", "trusted", "r2", 2),
    ("rsa", "rsa:2048", "issuer", "rsa", 1),
    ("p256", "ec -pkeyopt ec_paramgen_curve:P-256", "issuer", "p256", 2),
];

/// The folder with all signatures, made when it is first asked for; they belong to the certificate beside them.
pub fn folder() -> Result<&'static Path> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| make().map_err(|error| format!("cannot make signatures: {error:#}")));
    made.as_deref().map_err(|error| Error::msg(error.clone()))
}

/// Runs OpenSSL in a folder.
fn openssl(folder: &Path, arguments: &str) -> Result<()> {
    process::output(process::command("openssl")?.current_dir(folder).args(arguments.split_whitespace())).map(drop)
}

fn make() -> Result<PathBuf> {
    let all = paths::cache().join("signatures");
    paths::sweep(&all)?;
    let folder = all.join(paths::temporary("made"));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("configuration"), CONFIGURATION)?;
    let openssl = |arguments: &str| openssl(&folder, arguments);
    for signer in ["trusted", "unknown"] {
        // RSA, because 5.10 has nothing else, and not more bits, because the certificate has to fit in the place of one
        // with a key for an elliptic curve. The dates are not checked.
        openssl(&format!(
            "req -x509 -config configuration -newkey rsa:1024 -nodes -sha256 -set_serial 1 -days 36500 \
             -subj /CN={signer} -keyout {signer}.key -out {signer}.pem"
        ))?;
    }
    openssl("x509 -in trusted.pem -outform DER -out certificate")?;
    fs::write(folder.join("root-hash"), ROOT_HASH)?;
    for Signature { name, signer, root_hash, options } in SIGNATURES {
        fs::write(folder.join("signed"), root_hash)?;
        openssl(&format!(
            "cms -sign -binary -md sha256 -in signed -signer {signer}.pem -inkey {signer}.key {options} -out {name}"
        ))?;
    }
    Ok(folder)
}

/// Every form of signature that was tried on kernels, over the signed root hash; raw signatures by the same keys; keys
/// and certificates, in PEM and in DER, also those of the two signers of [`SIGNATURES`].
pub fn forms() -> Result<Vec<(PathBuf, String)>> {
    static MADE: OnceLock<Result<Vec<PathBuf>, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        folder().and_then(make_forms).map_err(|error| format!("cannot make the forms of signatures: {error:#}"))
    });
    let files = made.as_deref().map_err(|error| Error::msg(error.clone()))?;
    let named = files.iter().filter_map(|file| {
        Some((file.clone(), format!("/signatures/{FORMS}/{}", file.file_name()?.to_string_lossy())))
    });
    Ok(named.collect())
}

fn make_forms(folder: &Path) -> Result<Vec<PathBuf>> {
    let openssl = |arguments: &str| openssl(folder, arguments);
    for (name, key, issuer, subject, number) in SIGNERS {
        let extensions = if *name == "issuer" { "authority" } else { "issued" };
        openssl(&format!(
            "req -x509 -config configuration -extensions {extensions} -newkey {key} -nodes -sha256 \
             -set_serial {number} -days 36500 -subj /CN={subject} -CA {issuer}.pem -CAkey {issuer}.key \
             -keyout {name}.key -out {name}.pem"
        ))?;
    }
    let forms = folder.join(FORMS);
    fs::create_dir(&forms)?;
    for (name, options) in MADE_FORMS {
        let digest = if options.contains("-md") { "" } else { "-md sha256" };
        openssl(&format!(
            "cms -sign -binary -in root-hash -signer rsa.pem -inkey rsa.key -outform DER {digest} {options} \
             -out {FORMS}/{name}"
        ))?;
    }
    for (name, content) in [("upper", ROOT_HASH.to_uppercase()), ("newline", format!("{ROOT_HASH}\n"))] {
        fs::write(folder.join("signed"), content)?;
        openssl(&format!(
            "cms -sign -binary -md sha256 -nocerts -noattr -in signed -signer rsa.pem -inkey rsa.key -outform DER \
             -out {FORMS}/{name}"
        ))?;
    }
    for key in ["rsa", "p256"] {
        openssl(&format!("dgst -sha256 -sign {key}.key -out {FORMS}/raw.{key} root-hash"))?;
    }
    keep_forms(&forms)?;
    for name in ["trusted", "unknown"].into_iter().chain(SIGNERS.iter().map(|signer| signer.0)) {
        openssl(&format!("x509 -in {name}.pem -outform DER -out {FORMS}/{name}.der"))?;
        for kind in ["key", "pem"] {
            let file = format!("{name}.{kind}");
            fs::copy(folder.join(&file), forms.join(file))?;
        }
    }
    fs::read_dir(&forms)?.map(|entry| Ok(entry?.path())).collect()
}

/// Puts our signature in the place of that of the kept forms, over another root hash.
fn keep_forms(forms: &Path) -> Result<()> {
    let kept = workspace().join("tests/vectors/chain/sig/forms-r2");
    // It is at the end of the plain form.
    let signature = |folder: &Path| -> Result<Vec<u8>> {
        let mut plain = fs::read(folder.join("plain"))?;
        Ok(plain.split_off(plain.len().checked_sub(256).context("no signature by RSA with 2048 bits")?))
    };
    let (theirs, ours) = (signature(&kept)?, signature(forms)?);
    for name in KEPT_FORMS {
        let mut bytes = fs::read(kept.join(name))?;
        let places: Vec<usize> =
            bytes.windows(256).enumerate().filter(|(_, window)| *window == theirs).map(|(at, _)| at).collect();
        let expected = match *name {
            "x-badsig" | "x-zero" => 0,
            "x-two" => 2,
            _ => 1,
        };
        if places.len() != expected {
            bail!("the kept form {name} has the signature of the plain form {} times, not {expected}", places.len());
        }
        for at in places {
            bytes[at..at + 256].copy_from_slice(&ours);
        }
        fs::write(forms.join(name), bytes)?;
    }
    Ok(())
}
