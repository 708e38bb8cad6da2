//! `sign`: a signature of a root hash, or of a manifest, with a key in a file or one that is somewhere else.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use base64ct::{Base64, Encoding as _};
use dmverity::HashAlgorithm;
use dmverity::signature::{Certificate, Error, Prepared, PrivateKey, join, sign};
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::root_hash::{self, RootHashText};
use super::sign_image::Unsigned;
use super::trust::certificate;
use super::{expect, invalid, manifest, read_whole, shown};
use crate::arguments::{self, Content, Key, Make, RootHashOptions, Source, Task};
use crate::escape::{escaped, text_of};
use crate::failure::{Exit, Failure, Result};
use crate::output::Fields;
use crate::report::Report;
use crate::root_hash_file::{Kind, RootHashFile};

/// The longest signature and key that are read, in bytes.
pub(super) const SIGNATURE_MAX: u64 = 1 << 20;
const KEY_MAX: u64 = 1 << 20;
/// More than a raw signature in any form.
const RAW_READ: u64 = 32 << 10;
const PASSPHRASE_MAX: usize = 4096;

/// A certificate in an object.
#[derive(Clone, Serialize)]
pub(super) struct CertificateFields {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) serial: String,
    pub(super) fingerprint: String,
    /// `None` for a kind that is not supported.
    pub(super) key: Option<String>,
    pub(super) not_before: String,
    pub(super) not_after: String,
}

impl CertificateFields {
    pub(super) fn new(certificate: &Certificate) -> Self {
        Self {
            subject: certificate.subject(),
            issuer: certificate.issuer(),
            serial: certificate.serial(),
            fingerprint: hex::encode(certificate.fingerprint()),
            key: certificate.key_name().ok(),
            not_before: certificate.not_before().to_string(),
            not_after: certificate.not_after().to_string(),
        }
    }
}

/// What both forms show.
#[derive(Serialize)]
struct SignFields {
    /// `None` for a manifest.
    root_hash: Option<String>,
    /// The disk image that has it.
    image: Option<String>,
    manifest: Option<String>,
    digest_algorithm: &'static str,
    /// `None` if a signature was made.
    prepared: Option<PreparedFields>,
    /// `None` if none was made.
    signature: Option<MadeFields>,
}

/// What another program has to sign.
#[derive(Serialize)]
struct PreparedFields {
    content: String,
    digest: String,
    digest_base64: String,
    digest_info: String,
    digest_info_base64: String,
}

/// A signature that was made.
#[derive(Serialize)]
struct MadeFields {
    /// `None` if it went into the image.
    file: Option<String>,
    bytes: usize,
    certificate_embedded: bool,
    signer: CertificateFields,
}

pub(crate) fn run(arguments: &arguments::Sign) -> Result<Report> {
    let unsigned = unsigned(arguments)?;
    let (content, manifest) = match (&arguments.content, &unsigned) {
        (Content::Manifest(path), _) => (manifest(path)?, Some(shown(path))),
        (Content::RootHash(..), Some((_, image))) => (image.root_hash.to_string(), None),
        (Content::RootHash(options, _), None) => (root_hash_digits(options)?, None),
    };
    let fields = SignFields {
        root_hash: manifest.is_none().then(|| content.clone()),
        image: unsigned.as_ref().map(|(path, _)| shown(path)),
        manifest,
        digest_algorithm: arguments.digest.name(),
        prepared: None,
        signature: None,
    };
    match &arguments.task {
        Task::Prepare => prepare(arguments, content, fields),
        Task::Make(task) => make(&arguments.content, task, &content, unsigned, fields),
    }
}

fn prepare(arguments: &arguments::Sign, content: String, mut fields: SignFields) -> Result<Report> {
    let prepared = Prepared::new(content.as_bytes(), arguments.digest);
    let prepared = prepared.map_err(|error| Failure::new(Exit::Parameters, format!("{error}.")))?;
    let (digest, info) = (prepared.digest(), prepared.digest_info());
    let prepared = PreparedFields {
        content,
        digest: hex::encode(digest),
        digest_base64: Base64::encode_string(digest),
        digest_info: hex::encode(info),
        digest_info_base64: Base64::encode_string(info),
    };
    let mut text = Fields::default();
    match &fields.manifest {
        Some(path) => text.add("Manifest", path),
        None => text.add("Content", &prepared.content),
    }
    text.add("Algorithm", fields.digest_algorithm);
    text.add("Digest", &prepared.digest);
    text.add("Digest (base64)", &prepared.digest_base64);
    text.add("DigestInfo", &prepared.digest_info);
    fields.prepared = Some(prepared);
    Ok(Report::new(text.into_text(), fields))
}

fn make(
    content_of: &Content,
    task: &Make,
    content: &str,
    unsigned: Option<(&Path, Unsigned)>,
    mut fields: SignFields,
) -> Result<Report> {
    let Make { source, certificate: certificate_path, options, embeds_certificate, output } = task;
    let mut inputs = vec![("certificate", certificate_path.as_path())];
    match source {
        Source::Key(key) => inputs.push(("key", &key.path)),
        Source::Raw(path) => inputs.push(("raw signature", path)),
    }
    match content_of {
        Content::Manifest(path) => inputs.push(("manifest", path)),
        Content::RootHash(options, _) => inputs.extend(options.file.as_deref().map(|path| ("root hash", path))),
    }
    let certificate = certificate(certificate_path)?;
    let place = match (output, unsigned) {
        (Some(output), _) => Place::File(RootHashFile::check(output.clone(), Kind::Signature, &inputs)?),
        (None, Some((path, image))) => Place::Partition(path, image),
        (None, None) => return Err(Failure::usage("sign: requires option --output")),
    };
    let is_shown = !matches!(&place, Place::File(file) if !file.is_file());
    let made = match source {
        Source::Key(key) => sign(content.as_bytes(), &private_key(key)?, &certificate, options),
        Source::Raw(path) => join(content.as_bytes(), &certificate, &raw(path)?, options),
    };
    let made = made.map_err(|error| not_made(&error))?;
    let bytes = made.len();
    match place {
        Place::File(file) => file.write(&made)?,
        Place::Partition(path, image) => image.fill(path, certificate.fingerprint(), made)?,
    }
    let made = MadeFields {
        file: output.as_deref().map(shown),
        bytes,
        certificate_embedded: *embeds_certificate,
        signer: CertificateFields::new(&certificate),
    };
    let mut text = Fields::default();
    if is_shown {
        let place = made.file.as_ref().or(fields.image.as_ref()).map_or("", String::as_str);
        text.add("Signature", place);
        text.add("Signed by", &made.signer.subject);
        text.add("Fingerprint", &made.signer.fingerprint);
    }
    fields.signature = Some(made);
    Ok(Report::new(text.into_text(), fields))
}

/// Where a signature goes.
enum Place<'a> {
    File(RootHashFile),
    Partition(&'a Path, Unsigned),
}

/// The disk image whose root hash is signed, if it is one.
fn unsigned(arguments: &arguments::Sign) -> Result<Option<(&Path, Unsigned)>> {
    let Content::RootHash(options, choice) = &arguments.content else { return Ok(None) };
    let Some(path) = disk_image(options) else { return Ok(None) };
    let writes = matches!(&arguments.task, Task::Make(Make { output: None, .. }));
    let image = Unsigned::open(path, choice, writes)?;
    if writes {
        image.check_place(path)?;
    }
    Ok(Some((path, image)))
}

/// The disk image in place of a root hash: a file or block device of this name.
fn disk_image(options: &RootHashOptions) -> Option<&Path> {
    let argument = options.argument.as_deref().filter(|_| options.file.is_none())?;
    let is_root_hash = argument.len() >= 32 && argument.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some(Path::new(argument)).filter(|path| !is_root_hash && path.exists())
}

/// The root hash as it is signed: lower-case digits, as many as some hash function makes.
pub(super) fn root_hash_digits(options: &RootHashOptions) -> Result<String> {
    let (text, is_file) = match root_hash::text(options)? {
        RootHashText::Argument(text) => (text, false),
        RootHashText::File(_, bytes) => (String::from_utf8(bytes).unwrap_or_default(), true),
    };
    // An editor's newline.
    let digits = if is_file { text.trim_end() } else { &text };
    let invalid = |hint: String| Failure::new(Exit::Parameters, "Invalid root hash string specified.").hint(hint);
    if !digits.bytes().all(|each| each.is_ascii_hexdigit()) {
        return Err(invalid("it is not made of hexadecimal digits.".to_owned()));
    }
    if digits.bytes().any(|each| each.is_ascii_uppercase()) {
        return Err(invalid(
            "the kernel checks the signature of the root hash in lower case: use lower-case digits.".to_owned(),
        ));
    }
    if !HashAlgorithm::all().any(|algorithm| digits.len() == 2 * algorithm.digest_size()) {
        return Err(invalid(format!("no hash function makes {} hexadecimal digits.", digits.len())));
    }
    Ok(digits.to_owned())
}

/// The text of a manifest: an object as `format --json` prints it after it has made an image.
fn manifest(path: &Path) -> Result<String> {
    let invalid = |why: &str| manifest::unusable(path, why);
    let bytes = manifest::read(path)?;
    let object = expect::object(&bytes).map_err(|why| invalid(&why))?;
    let is_result = object.get("action").is_some_and(|action| action == "format")
        && object.get("error").is_some_and(Value::is_null)
        && object.get("root_hash").is_some_and(Value::is_string);
    if !is_result {
        return Err(invalid("it is not the result of a successful format --json."));
    }
    String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8."))
}

pub(super) fn private_key(key: &Key) -> Result<PrivateKey> {
    let path = key.path.as_path();
    let invalid = || invalid("private key", path);
    let bytes = Zeroizing::new(read_whole(path, KEY_MAX, "private key")?);
    let text = std::str::from_utf8(&bytes).map_err(|_| invalid().hint("it is not PEM text."))?;
    let passphrase = match &key.passphrase {
        Some(path) => Some(passphrase_of(path)?),
        None if PrivateKey::is_encrypted(text) => Some(asked_passphrase(path)?),
        None => None,
    };
    PrivateKey::from_pem(text, passphrase.as_ref().map(|phrase| &phrase[..])).map_err(|error| match error {
        Error::Passphrase => {
            Failure::new(Exit::Permission, format!("Wrong pass phrase for private key {}.", text_of(path)))
        }
        Error::PrivateKey { .. } => invalid()
            .hint(format!("{error}."))
            .hint("openssl pkcs8 -topk8 converts keys of other forms, with a pass phrase or with -nocrypt."),
        error => invalid().hint(format!("{error}.")),
    })
}

/// The contents of a file or descriptor without the newline at its end.
fn passphrase_of(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * PASSPHRASE_MAX));
    read_start(path, PASSPHRASE_MAX as u64 + 1, &mut bytes, "pass phrase file")?;
    if bytes.len() > PASSPHRASE_MAX {
        return Err(invalid("pass phrase file", path).hint(format!("it has more than {PASSPHRASE_MAX} bytes.")));
    }
    if bytes.ends_with(b"\n") {
        bytes.pop();
    }
    Ok(bytes)
}

/// Asks on the terminal, which does not show what is typed.
fn asked_passphrase(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let phrase = rpassword::prompt_password(format!("Enter pass phrase for {}: ", escaped(&text_of(path))));
    phrase.map(|phrase| Zeroizing::new(phrase.into_bytes())).map_err(|error| {
        Failure::new(Exit::Parameters, format!("Private key {} needs a pass phrase.", text_of(path)))
            .hint("no terminal can be asked for it: name a file with --passphrase-file.")
            .because(&error)
    })
}

/// A raw signature from a file or from standard input; one that is too long is refused when it is joined.
fn raw(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_start(path, RAW_READ, &mut bytes, "raw signature")?;
    Ok(bytes)
}

/// The beginning of a file, or of standard input, which is `-`.
fn read_start(path: &Path, most: u64, bytes: &mut Vec<u8>, what: &str) -> Result<()> {
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(bytes)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_end(bytes))
    };
    read.map(drop)
        .map_err(|error| Failure::new(Exit::Device, format!("Cannot read {what} {}.", text_of(path))).because(&error))
}

pub(super) fn not_made(error: &Error) -> Failure {
    let exit = if matches!(error, Error::Wrong { .. }) { Exit::Permission } else { Exit::Parameters };
    let failure = Failure::new(exit, format!("Cannot sign: {error}."));
    match error {
        Error::Wrong { .. } => {
            failure.hint("sign what --prepare shows, with the same --digest and the key of --certificate.")
        }
        Error::KeyMismatch { .. } => failure.hint("--key and --certificate have to be a pair."),
        Error::Digest { .. } => failure.hint("sha256, sha384 and sha512 can be used with every key."),
        _ => failure,
    }
}
