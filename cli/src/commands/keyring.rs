//! `keyring`: add certificates to the kernel's keyring of dm-verity, and seal it.

use std::path::PathBuf;

use dmverity::dm::{add_trusted_certificate, seal_keyring};
use serde::Serialize;

use super::trust::certificates;
use crate::arguments::Keyring;
use crate::failure::Result;
use crate::output::Fields;
use crate::report::Report;

#[derive(Serialize)]
struct KeyringFields {
    /// The kernel's names of the certificates that were added.
    added: Vec<String>,
    /// Whether nothing can be added any more.
    sealed: bool,
    /// The names of all certificates in it, if it was sealed.
    keys: Option<Vec<String>>,
}

pub(crate) fn run(keyring: &Keyring) -> Result<Report> {
    match keyring {
        Keyring::Add(files) => add(files),
        Keyring::Seal => seal(),
    }
}

/// All files are read before the first certificate is added.
fn add(files: &[PathBuf]) -> Result<Report> {
    let mut found = Vec::new();
    for file in files {
        found.extend(certificates(file)?);
    }
    let mut fields = KeyringFields { added: Vec::new(), sealed: false, keys: None };
    let mut text = Fields::default();
    for certificate in &found {
        match add_trusted_certificate(certificate.der()) {
            Ok(name) => {
                text.add("Added", &name);
                fields.added.push(name);
            }
            Err(error) => return Err(Report::new(text.into_text(), fields).failed(error.into())),
        }
    }
    Ok(Report::new(text.into_text(), fields))
}

fn seal() -> Result<Report> {
    let keyring = seal_keyring()?;
    let mut text = Fields::default();
    for key in &keyring.keys {
        text.add("Trusted", key);
    }
    let empty = keyring.keys.is_empty().then(|| "the keyring is sealed without any certificate in it.".to_owned());
    let fields = KeyringFields { added: Vec::new(), sealed: true, keys: Some(keyring.keys) };
    Ok(Report { warnings: Vec::from_iter(empty), ..Report::new(text.into_text(), fields) })
}
