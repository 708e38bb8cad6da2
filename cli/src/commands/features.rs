//! `features`: show what this kernel's dm-verity accepts, as trials have found out.

use std::fmt::Write;

use dmverity::BlockSize;
use dmverity::dm::{KeyringState, TrustedKeyring, features, trusted_keyrings};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::escape::escaped;
use crate::failure::{Failure, Result};
use crate::kernel_options::KernelOption;
use crate::report::Report;

/// What both forms show; the names are those of the JSON form.
#[derive(Serialize)]
struct Shown {
    /// The largest blocks in bytes, and the page size, which usually limits them.
    page_size: Option<u64>,
    data_block_size_max: Option<u64>,
    hash_block_size_max: Option<u64>,
    signature_required: bool,
    kernel_log_readable: bool,
    /// In the order in which the kernel asks them.
    keyrings: Vec<KeyringFields>,
    /// By the kernel's names: whether it accepts them.
    options: Map<String, Value>,
    /// By userland's names: the kernel's name, or null.
    hash_algorithms: Map<String, Value>,
}

/// A keyring that can trust a signature.
#[derive(Serialize)]
struct KeyringFields {
    name: &'static str,
    state: &'static str,
    keys: Vec<String>,
}

impl KeyringFields {
    fn of(keyring: TrustedKeyring) -> Self {
        let state = match keyring.state {
            KeyringState::Absent => "absent",
            KeyringState::Open => "open",
            KeyringState::Sealed => "sealed",
            _ if keyring.keys.is_empty() => "empty",
            _ => "filled",
        };
        Self { name: keyring.name, state, keys: keyring.keys }
    }
}

pub(crate) fn run() -> Result<Report> {
    let found = features()?;
    let (keyrings, warnings) = match trusted_keyrings() {
        Ok(keyrings) => (keyrings, Vec::new()),
        Err(error) => (Vec::new(), Failure::from(error).lines),
    };
    let bytes = |size: Option<BlockSize>| size.map(BlockSize::bytes);
    let options = found.options.iter();
    let algorithms = found.algorithms.iter();
    let shown = Shown {
        page_size: found.page_size,
        data_block_size_max: bytes(found.data_block_size_max),
        hash_block_size_max: bytes(found.hash_block_size_max),
        signature_required: found.signature_required,
        kernel_log_readable: found.kernel_log,
        keyrings: keyrings.into_iter().map(KeyringFields::of).collect(),
        options: options.map(|each| (each.option.word().to_owned(), each.refused.is_none().into())).collect(),
        hash_algorithms: algorithms.map(|each| (each.algorithm.name().to_owned(), each.kernel_name.into())).collect(),
    };
    let mut text = String::from("What this kernel's dm-verity accepts:\n");
    let mut line = |key: &str, value: &str| writeln!(text, "  {key:<25}{value}").expect("a String takes everything");
    let number = |number: Option<u64>| number.map_or_else(|| "none".to_owned(), |number| format!("{number} [bytes]"));
    line("page size:", &number(shown.page_size));
    line("largest data block:", &number(shown.data_block_size_max));
    line("largest hash block:", &number(shown.hash_block_size_max));
    line("signature required:", yes(shown.signature_required));
    line("kernel log readable:", yes(shown.kernel_log_readable));
    text.push_str("Keyrings that can trust a root hash signature:\n");
    for keyring in &shown.keyrings {
        writeln!(text, "  {:<25}{}", keyring.name, keyring.state).expect("a String takes everything");
        for key in &keyring.keys {
            writeln!(text, "    {}", escaped(key)).expect("a String takes everything");
        }
    }
    text.push_str("Options:\n");
    for each in &found.options {
        let (word, option) = (each.option.word(), KernelOption::of(each.option).option);
        writeln!(text, "  {word:<25}{:<5}{option}", yes(each.refused.is_none())).expect("a String takes everything");
    }
    text.push_str("Hash algorithms:\n");
    for each in &found.algorithms {
        let name = each.algorithm.name();
        let other = each.kernel_name.filter(|&kernel_name| kernel_name != name);
        let other = other.map(|other| format!("  as {other}")).unwrap_or_default();
        writeln!(text, "  {name:<25}{}{other}", yes(each.kernel_name.is_some())).expect("a String takes everything");
    }
    Ok(Report { warnings, ..Report::new(text, shown) })
}

fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}
