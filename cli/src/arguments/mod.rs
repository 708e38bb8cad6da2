//! The command line, parsed and checked as far as that goes without looking at any device: a struct for each action,
//! and structs for the options that several of them share.
//!
//! Callers rely on which of several faults is named. If the reference names one only after it has opened the devices,
//! the structs keep the given text, and have a method that parses it at that time.

mod actions;
mod contradictions;
mod disk_image;
mod fec;
mod image;
mod kernel;
mod keyring;
#[cfg(feature = "fuse")]
mod mount_file;
mod output;
mod parser;
mod reading;
mod serve;
mod service;
mod sign;
mod signature;
mod signature_option;
mod table;
mod trust;
mod update;
mod web;
mod words;
mod work;

use std::ffi::{OsStr, OsString};

use dmverity::{BlockSize, HashAlgorithm, HashType, Salt};

pub(crate) use self::actions::{
    Benchmark, Close, Command, Dump, Format, FromCmdline, Open, Plan, Planned, Repair, Status, Verify,
};
pub(crate) use self::disk_image::{Build, Inspect};
pub(crate) use self::image::{
    Choice, Expect, HashOffset, ImageOptions, ImageToCheck, ManifestOptions, Place, RootHashOptions,
};
pub(crate) use self::keyring::Keyring;
#[cfg(feature = "fuse")]
pub(crate) use self::mount_file::MountFile;
pub(crate) use self::output::Output;
use self::parser::{did_you_mean, info_of};
pub(crate) use self::reading::{Events, OnCorruption, ReaderOptions};
pub(crate) use self::serve::{Listen, Serve};
pub(crate) use self::service::ServiceOptions;
pub(crate) use self::sign::{Content, Key, Make, Sign, Source, Task};
pub(crate) use self::signature::{Question, Signature};
pub(crate) use self::signature_option::SignatureOption;
pub(crate) use self::table::{Form, Table};
pub(crate) use self::trust::{TrustOptions, Trusted};
pub(crate) use self::update::Update;
pub(crate) use self::web::WebOptions;
use self::words::Words;
pub(crate) use self::work::{LongWork, Threads};
use crate::escape::text_of;
use crate::failure::{Failure, Result};
use crate::help;
use crate::options::{ACTIONS, Action, ActionInfo};
use crate::url::{is_url, without_user};

/// The version of the reference tool whose command line this is: callers compare it.
const COMPATIBLE_VERSION: &str = "2.8.0";

/// What the command line asks for.
pub(crate) enum Request {
    /// Print a text: help, usage, version.
    Text(String),
    /// Run an action.
    Run(Box<Invocation>),
}

/// A requested action.
pub(crate) struct Invocation {
    pub(crate) action: Action,
    /// The action's name, not an alias.
    pub(crate) name: &'static str,
    pub(crate) output: Output,
    /// What is odd about the command line.
    pub(crate) warnings: Vec<String>,
    /// What the action does; or what is wrong with the command line, reported in the form that `output` selects.
    pub(crate) command: Result<Command>,
}

/// Parses a command line, program name first.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Request> {
    let (options, rest) = parser::divided(arguments)?;
    let mut rest = rest.into_iter().peekable();
    // `help format` is `format --help`, and an option comes before an action.
    let is_help = rest.next_if(|word| word == "help").is_some() && !options.flag("usage");
    if options.flag("version") {
        return Ok(Request::Text(version()));
    }
    let name = rest.next();
    let info = name.as_deref().and_then(info_of);
    match (&name, info) {
        (None, _) if is_help => return Ok(Request::Text(help())),
        (_, Some(info)) if is_help || options.flag("help") => {
            return Ok(Request::Text(version() + &help::help_of(info)));
        }
        _ if options.flag("help") => return Ok(Request::Text(help())),
        _ if options.flag("usage") => return Ok(Request::Text(help::usage())),
        _ => {}
    }
    let name = name.ok_or_else(|| Failure::usage("Argument <action> missing."))?;
    let info = info.ok_or_else(|| {
        Failure::usage("Unknown action.").hints(did_you_mean("", help::meant_action(&text_of(&name))))
    })?;
    let rest: Vec<OsString> = rest.collect();
    let urls = rest.iter().filter(|word| is_url(word)).cloned().collect();
    let rest = rest.into_iter().map(without_user).collect();
    let words = Words { action: info.action, rest, directory: None, options, urls };
    invocation(info, &name, words)
        .map(|invocation| Request::Run(Box::new(invocation)))
        .map_err(|failure| Failure { action: Some(info.action), ..failure })
}

/// What an action is asked to do with the words that follow it.
fn invocation(info: &'static ActionInfo, name: &OsStr, mut words: Words) -> Result<Invocation> {
    let (needed, taken) = match info.action {
        // Data and hash tree are one image then.
        Action::Format if ["append", "containerd", "sidecars"].iter().any(|form| words.flag(form)) => (1, "<image>"),
        // Nothing is written there.
        Action::Format if words.flag("dry-run") => (1, "<data_device> [<hash_device>]"),
        Action::Open if words.given("from-cmdline") => (0, ""),
        // An image whose parts are found is one argument in place of two.
        Action::Verify
        | Action::Update
        | Action::Repair
        | Action::Open
        | Action::Table
        | Action::Serve
        | Action::MountFile => (info.needed - 1, info.arguments),
        _ => (info.needed, info.arguments),
    };
    if words.rest.len() < needed {
        return Err(requires(info.name, taken));
    }
    if name == "create" && words.rest.len() > 1 {
        words.rest.swap(0, 1);
    }
    let taken = if taken.ends_with("...]") { usize::MAX } else { taken.split_whitespace().count() };
    let extra = words.rest.get(taken..).filter(|extra| !extra.is_empty()).map(|extra| extra.join(OsStr::new(" ")));
    if info.action == Action::MountFile {
        words.rest.truncate(taken);
        words.directory = words.rest.pop();
    }
    contradictions::check(&words, info)?;
    Ok(Invocation {
        action: info.action,
        name: info.name,
        output: Output::of(&words),
        warnings: extra.map(|extra| format!("ignored arguments: {}", text_of(extra))).into_iter().collect(),
        command: web::check(&words, info).and_then(|()| Command::of(&words, info.name)),
    })
}

/// The failure of an action without an option that it needs.
fn requires_option(name: &str, option: &str) -> Failure {
    Failure::usage(format!("{name}: requires {option}"))
}

fn requires(name: &str, arguments: &str) -> Failure {
    Failure::usage(format!("{name}: requires {arguments} as arguments"))
}

/// The failure of an action whose only argument is not a complete image.
pub(crate) fn more_arguments(action: Action) -> Failure {
    let info = ACTIONS.iter().find(|info| info.action == action);
    info.map_or_else(|| Failure::usage("Argument <action> missing."), |info| requires(info.name, info.arguments))
}

fn version() -> String {
    format!("veritysetup {COMPATIBLE_VERSION} flags: UDEV KEYRING (dmverity {})\n", env!("CARGO_PKG_VERSION"))
}

fn help() -> String {
    let size = BlockSize::default();
    format!(
        "{}{}\nDefault compiled-in dm-verity parameters:\n\tHash: {}, Data block (bytes): {size}, \
         Hash block (bytes): {size}, Salt size: {}, Hash format: {}\n",
        version(),
        help::help(),
        HashAlgorithm::default(),
        Salt::RANDOM_LEN,
        HashType::default().number(),
    )
}

#[cfg(test)]
mod tests;
