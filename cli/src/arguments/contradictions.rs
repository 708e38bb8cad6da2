//! Options that contradict each other, and options that need another one: all of it is refused here, before any device
//! is opened.

use super::actions::{Format, Verify};
use super::image::{ImageOptions, Place};
use super::table::Form;
use super::words::Words;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::options::{self, Action, ActionInfo, OPTIONS, OptionInfo};
use crate::root_hash_file;

/// The options that can be combined with `--from-cmdline`: it replaces the arguments and all options about an
/// image.
const WITH_FROM_CMDLINE: &[&str] = &["from-cmdline", "usr", "with-usr", "dry-run", "debug", "verbose", "batch-mode"];

pub(super) fn together(first: &str, second: &str) -> Failure {
    Failure::usage(format!("Option {first} and {second} cannot be used together."))
}

/// Refuses options that the action does not take, and pairs that contradict each other.
pub(super) fn check(words: &Words, info: &ActionInfo) -> Result<()> {
    for option in OPTIONS {
        if !option.is_accepted_by_all && !option.is_used_by(info.action) && words.given(option.name) {
            let (option, action) = (option.name, info.name);
            return Err(Failure::usage(format!("Option --{option} is not allowed with {action} action.")));
        }
        // Numbers are checked whether the action uses them or not.
        if matches!(option.value, Some("bytes" | "blocks" | "number" | "secs")) {
            words.number(option.name)?;
        }
    }
    check_usr_value(words, info)?;
    check_usr(words)?;
    if info.action == Action::Open {
        check_from_cmdline(words)?;
    }
    check_hash_offset(words, info)?;
    for (first, second) in options::not_together() {
        if words.given(first) && words.given(second) {
            return Err(together(&format!("--{first}"), &format!("--{second}")));
        }
    }
    if words.flag("error-as-corruption") && !words.flag("panic-on-corruption") && !words.flag("restart-on-corruption") {
        return Err(Failure::usage(
            "Option --error-as-corruption must be used with --panic-on-corruption or --restart-on-corruption.",
        ));
    }
    if words.flag("cancel-deferred") && words.flag("deferred") {
        return Err(Failure::usage("Options --cancel-deferred and --deferred cannot be used at the same time."));
    }
    Ok(())
}

/// `--usr` has a value in `build` alone.
fn check_usr_value(words: &Words, info: &ActionInfo) -> Result<()> {
    let Some(value) = words.value("usr") else { return Ok(()) };
    match (info.action, value.is_empty()) {
        (Action::Build, true) => Err(Failure::usage("--usr: missing argument")),
        (Action::Build, false) | (_, true) => Ok(()),
        (_, false) => Err(Failure::usage(format!("--usr={}: option does not take an argument", text_of(value)))),
    }
}

/// A file has one root hash.
pub(super) fn check_build(words: &Words) -> Result<()> {
    if words.given("root") && words.given("usr") && words.given("root-hash-file") {
        return Err(Failure::usage("Option --root-hash-file cannot be used with both --root and --usr."));
    }
    let is_stdout = words.path_option("root-hash-file").is_some_and(|path| root_hash_file::is_stdout(&path));
    if words.flag("json") && is_stdout { Err(together("--json", "--root-hash-file=-")) } else { Ok(()) }
}

/// An offset can be found only in an image with a superblock.
fn check_hash_offset(words: &Words, info: &ActionInfo) -> Result<()> {
    if !words.is_auto("hash-offset") {
        return words.number("hash-offset").map(drop);
    }
    if matches!(info.action, Action::Format | Action::Plan) {
        return Err(Failure::usage(format!("Option --hash-offset=auto is not allowed with {} action.", info.name)));
    }
    if words.flag("no-superblock") {
        return Err(together("--hash-offset=auto", "--no-superblock"));
    }
    Ok(())
}

/// The kernel's command line has all parameters of the image.
fn check_from_cmdline(words: &Words) -> Result<()> {
    if !words.given("from-cmdline") {
        let alone = ["with-usr", "dry-run"].into_iter().find(|option| words.flag(option));
        return alone.map_or(Ok(()), |option| {
            Err(Failure::usage(format!("Option --{option} must be used with --from-cmdline in open action.")))
        });
    }
    if !words.rest.is_empty() {
        return Err(Failure::usage("open: takes no arguments with --from-cmdline"));
    }
    match OPTIONS.iter().find(|option| !WITH_FROM_CMDLINE.contains(&option.name) && words.given(option.name)) {
        None => Ok(()),
        Some(OptionInfo { name, .. }) => Err(together(&format!("--{name}"), "--from-cmdline")),
    }
}

/// One image has all of its data, and a root hash on standard output leaves no room for lines or an object.
pub(super) fn check_format(format: &Format, words: &Words) -> Result<()> {
    if words.given("usr") && format.sidecars.is_none() {
        return Err(Failure::usage("Option --usr must be used with --sidecars in format action."));
    }
    if format.signer.is_some() && format.sidecars.is_none() {
        return Err(Failure::usage("Option --key must be used with --sidecars in format action."));
    }
    check_stdin(format, words)?;
    if format.append && format.image.data_blocks().is_some() {
        return Err(together("--append", "--data-blocks"));
    }
    let other_form = ["json", "env"].into_iter().find(|form| words.flag(form));
    match (&format.root_hash_file, other_form) {
        (Some(path), Some(form)) if root_hash_file::is_stdout(path) => {
            Err(together(&format!("--{form}"), "--root-hash-file=-"))
        }
        _ => Ok(()),
    }
}

/// What is checked while it passes cannot be read again, as FEC needs it, nor be looked at before.
pub(super) fn check_verify(verify: &Verify, name: &str) -> Result<()> {
    if !verify.from_stdin {
        return if verify.tee {
            Err(Failure::usage("Option --tee must be used with standard input (-)."))
        } else {
            Ok(())
        };
    }
    if matches!(verify.image.place, Place::One(_)) {
        return Err(Failure::usage(format!("{name}: requires <hash_device> for standard input")));
    }
    let ImageOptions { no_superblock, ref fec, .. } = verify.image.options;
    if no_superblock && verify.image.options.data_blocks().is_none() {
        return Err(Failure::usage("Option --no-superblock must be used with --data-blocks for standard input."));
    }
    if fec.device.is_some() {
        return Err(Failure::usage("Option --fec-device cannot be used with standard input."));
    }
    Ok(())
}

/// Data on standard input have no neighbours, and no size unless it is given; nor is there an output for others.
fn check_stdin(format: &Format, words: &Words) -> Result<()> {
    if !format.from_stdin {
        let alone = ["data-size", "output"].into_iter().find(|option| words.given(option));
        return alone.map_or(Ok(()), |option| {
            Err(Failure::usage(format!("Option --{option} must be used with standard input (-) in format action.")))
        });
    }
    if let Some(form) = ["containerd", "sidecars"].into_iter().find(|form| words.flag(form)) {
        return Err(Failure::usage(format!("Option --{form} cannot be used with standard input.")));
    }
    if words.given("output") && !format.append {
        return Err(Failure::usage("Option --output must be used with --append in format action."));
    }
    if format.append && format.hash.is_none() && !format.dry_run {
        return Err(Failure::usage("format: requires --output for --append to standard input"));
    }
    if format.deterministic && format.data_bytes.is_none() && format.image.data_blocks().is_none() {
        return Err(Failure::usage("Option --deterministic must be used with --data-size for standard input."));
    }
    Ok(())
}

/// The size of the data comes from one place.
pub(super) fn check_plan(words: &Words, has_blocks: bool) -> Result<()> {
    let has_device = !words.rest.is_empty();
    match (has_device, words.given("data-size"), has_blocks) {
        (true, true, _) => Err(together("--data-size", "<data_device>")),
        (false, true, true) => Err(together("--data-size", "--data-blocks")),
        (false, false, false) => Err(Failure::usage("plan: requires <data_device>, --data-size or --data-blocks")),
        (true, false, true) if words.flag("append") => Err(together("--append", "--data-blocks")),
        _ => Ok(()),
    }
}

/// `--usr` chooses an image in a disk, a kernel command line that is written, or one that is read.
fn check_usr(words: &Words) -> Result<()> {
    let has_hash_device = words.hash_argument().is_some_and(|hash| words.rest.len() > hash);
    if !words.given("usr") || !has_hash_device {
        return Ok(());
    }
    Err(Failure::usage(match words.action {
        Action::Table if words.flag("cmdline") => return Ok(()),
        Action::Table => "Option --usr must be used with --cmdline.",
        Action::Open => "Option --usr must be used with --from-cmdline in open action.",
        _ => "Option --usr must be used with an image that is one argument.",
    }))
}

pub(super) fn needs_trust(option: &str) -> Failure {
    Failure::usage(format!("Option --{option} must be used with --trusted or --ca."))
}

/// A signature needs `--trusted` or `--ca` to be checked against, unless it goes to the kernel or into a line.
pub(super) fn check_trust(words: &Words) -> Result<()> {
    let is_trusted = words.given("trusted") || words.given("ca");
    let goes_elsewhere = matches!(words.action, Action::Open | Action::Table);
    if !is_trusted && words.given("root-hash-signature") && !goes_elsewhere {
        return Err(needs_trust("root-hash-signature"));
    }
    if !is_trusted && words.given("manifest") {
        return Err(needs_trust("manifest"));
    }
    if words.given("manifest-signature") && !words.given("manifest") {
        return Err(Failure::usage("Option --manifest-signature must be used with --manifest."));
    }
    Ok(())
}

/// Not every form of a line can express every option.
pub(super) fn check_form(form: &Form, words: &Words) -> Result<()> {
    let refused = |line| Failure::new(Exit::Parameters, line);
    if matches!(form, Form::Table | Form::DmModCreate(_)) && words.given("root-hash-signature") {
        return Err(refused("A table line cannot hold a root hash signature.")
            .hint("--veritytab and --cmdline name the file that holds it."));
    }
    if form.is_for_systemd() {
        if words.given("fec-device") && words.text_option("fec-scope").is_some_and(|scope| scope == "tree") {
            return Err(refused("systemd does not support --fec-scope=tree."));
        }
        if words.flag("error-as-corruption") {
            return Err(refused("systemd does not support --error-as-corruption."));
        }
    }
    Ok(())
}
