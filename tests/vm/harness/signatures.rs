//! Signatures of a root hash, made on the host for cases that open an image with one: by a certificate that the kernel
//! shall trust and by one that it does not know.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Error, Result};

use super::{paths, process};

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

/// A signature that is correct except for its form.
const fn attempt(name: &'static str, options: &'static str) -> Signature {
    Signature { name, signer: "trusted", root_hash: ROOT_HASH, options }
}

/// The configuration for making certificates, independent of the machine's own.
const CONFIGURATION: &str = "[req]\ndistinguished_name = name\nx509_extensions = extensions\n[name]\n[extensions]\n\
                             subjectKeyIdentifier = hash\n";

/// The folder with all signatures, made when it is first asked for; they belong to the certificate beside them.
pub fn folder() -> Result<&'static Path> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| make().map_err(|error| format!("cannot make signatures: {error:#}")));
    made.as_deref().map_err(|error| Error::msg(error.clone()))
}

fn make() -> Result<PathBuf> {
    let all = paths::cache().join("signatures");
    paths::sweep(&all)?;
    let folder = all.join(paths::temporary("made"));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("configuration"), CONFIGURATION)?;
    let openssl = |arguments: &str| {
        process::output(process::command("openssl")?.current_dir(&folder).args(arguments.split_whitespace())).map(drop)
    };
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
