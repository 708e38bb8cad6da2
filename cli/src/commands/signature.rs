//! `signature`: who would take a signature, and whether it is right.

use std::fmt::Write as _;
use std::path::Path;

use dmverity::signature::{Certificate, Lint, Signer, lint};
use serde::Serialize;

use super::sign::{CertificateFields, SIGNATURE_MAX, root_hash_digits};
use super::trust::{self, Trust};
use super::{read_bounded, shown};
use crate::arguments::{self, Question, RootHashOptions, Trusted};
use crate::escape::{escaped, text_of};
use crate::failure::{Exit, Failure, Result};
use crate::output::Fields;
use crate::report::Report;

/// What both forms show.
#[derive(Serialize)]
struct SignatureFields {
    file: String,
    root_hash: Option<String>,
    signers: Vec<SignerFields>,
    certificates: Vec<CertificateFields>,
    /// `None` if that was not asked.
    readers: Option<Vec<ReaderFields>>,
    /// The chain from the signer's certificate to the trusted one; `None` if that was not asked or is not so.
    chain: Option<Vec<CertificateFields>>,
}

#[derive(Serialize)]
struct SignerFields {
    signer: String,
    digest: String,
    algorithm: String,
    has_attributes: bool,
    signing_time: Option<String>,
}

#[derive(Serialize)]
struct ReaderFields {
    reader: &'static str,
    description: &'static str,
    answer: &'static str,
    errno_name: Option<&'static str>,
    reason: String,
    keyrings: &'static [&'static str],
}

pub(crate) fn run(arguments: &arguments::Signature) -> Result<Report> {
    let arguments::Signature { question, file, root_hash, .. } = arguments;
    let bytes = read(file)?;
    let root_hash = match root_hash {
        RootHashOptions { argument: None, file: None } if *question == Question::Lint => None,
        options => Some(root_hash_digits(options)?),
    };
    match (question, root_hash) {
        (Question::Verify, Some(root_hash)) => verify(arguments, &bytes, &root_hash),
        (_, root_hash) => lint_of(arguments, &bytes, root_hash),
    }
}

/// A signature file, unless it is longer than any signature.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    read_bounded(path, SIGNATURE_MAX, "signature file")?.ok_or_else(|| {
        Failure::new(Exit::Permission, format!("Invalid signature file {}.", text_of(path)))
            .hint(format!("it has more than {SIGNATURE_MAX} bytes."))
    })
}

fn verify(arguments: &arguments::Signature, bytes: &[u8], root_hash: &str) -> Result<Report> {
    let trust = Trust::read(&arguments.trust)?.ok_or_else(|| Failure::usage("signature: nothing is trusted"))?;
    let lint = lint(bytes, None, None);
    let mut fields = SignatureFields::new(&arguments.file, Some(root_hash.to_owned()), &lint);
    match trust.check(root_hash.as_bytes(), bytes) {
        Ok(verified) => {
            let text = fields.text() + &verified_text(verified.chain());
            fields.chain = Some(verified.chain().iter().map(CertificateFields::new).collect());
            Ok(Report { warnings: verified.warnings().to_vec(), ..Report::new(text, fields) })
        }
        // In text, the reason alone.
        Err(failure) => Err(Report::new("", fields).failed(failure)),
    }
}

fn verified_text(chain: &[Certificate]) -> String {
    let mut fields = Fields::default();
    fields.add("Signed by", chain[0].subject());
    if let [_, .., last] = chain {
        fields.add("Authority", last.subject());
    }
    fields.into_text()
}

fn lint_of(arguments: &arguments::Signature, bytes: &[u8], root_hash: Option<String>) -> Result<Report> {
    let trusted = given_certificates(arguments)?;
    let trusted = (!trusted.is_empty()).then_some(&trusted[..]);
    let lint = lint(bytes, root_hash.as_deref().map(str::as_bytes), trusted);
    let mut fields = SignatureFields::new(&arguments.file, root_hash, &lint);
    fields.readers = Some(reader_fields(&lint));
    let text = fields.text() + &readers_text(&lint);
    let report = Report { warnings: lint.notes().to_vec(), ..Report::new(text, fields) };
    if lint.is_refused_by_all() {
        return Err(report.failed(Failure::said(Exit::Permission, "Every reader refuses the signature.")));
    }
    Ok(report)
}

/// Certificates that readers are said to trust, whichever option names them.
fn given_certificates(arguments: &arguments::Signature) -> Result<Vec<Certificate>> {
    let mut given = Vec::new();
    for trusted in &arguments.trust.trusted {
        match trusted {
            Trusted::File(path) => given.push(trust::certificate(path)?),
            Trusted::Fingerprint(_) => {
                return Err(Failure::new(Exit::Parameters, "signature lint takes no fingerprints.")
                    .hint("name the file of the certificate with --trusted."));
            }
        }
    }
    for path in &arguments.trust.authorities {
        given.extend(trust::certificates(path)?);
    }
    Ok(given)
}

fn reader_fields(lint: &Lint) -> Vec<ReaderFields> {
    let fields = lint.readings().iter().map(|reading| ReaderFields {
        reader: reading.reader().name(),
        description: reading.reader().description(),
        answer: reading.answer().name(),
        errno_name: reading.errno(),
        reason: reading.reason().to_owned(),
        keyrings: reading.reader().keyrings(),
    });
    fields.collect()
}

fn readers_text(lint: &Lint) -> String {
    let mut text = String::new();
    for reading in lint.readings() {
        let errno = reading.errno().map_or(String::new(), |errno| format!(" with {errno}"));
        let (who, answer, reason) = (reading.reader().description(), reading.answer().name(), reading.reason());
        writeln!(text, "{who}: {answer}{errno}\n  {}", escaped(reason)).expect("a String takes everything");
    }
    text
}

impl SignatureFields {
    fn new(file: &Path, root_hash: Option<String>, lint: &Lint) -> Self {
        Self {
            file: shown(file),
            root_hash,
            signers: lint.signers().iter().map(SignerFields::new).collect(),
            certificates: lint.certificates().iter().map(CertificateFields::new).collect(),
            readers: None,
            chain: None,
        }
    }

    fn text(&self) -> String {
        let mut fields = Fields::titled(&format!("Signature {}", self.file));
        for signer in &self.signers {
            fields.add("Signer", &signer.signer);
            fields.add("Algorithm", format!("{}, digest {}", signer.algorithm, signer.digest));
            if let Some(time) = &signer.signing_time {
                fields.add("Signing time", time);
            }
        }
        for certificate in &self.certificates {
            fields.add("Certificate", &certificate.subject);
        }
        fields.into_text()
    }
}

impl SignerFields {
    fn new(signer: &Signer) -> Self {
        Self {
            signer: signer.to_string(),
            digest: signer.digest(),
            algorithm: signer.algorithm(),
            has_attributes: signer.has_attributes(),
            signing_time: signer.signing_time().map(|time| time.to_string()),
        }
    }
}
