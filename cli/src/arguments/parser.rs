//! clap's view of the option table, and its findings in the words callers know.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::failure::{Failure, Result};
use crate::help;
use crate::options::{ACTIONS, ActionInfo, OPTIONS, OptionInfo};

/// The name under which clap keeps everything that is not an option.
const REST: &str = "rest";

/// The options that a command line has. Their names are those of the option table.
pub(super) struct Given(ArgMatches);

impl Given {
    /// Whether an option without value is among them.
    pub(super) fn flag(&self, option: &str) -> bool {
        self.one::<bool>(option).is_some_and(|&is_set| is_set)
    }

    /// Whether an option is among them.
    pub(super) fn has(&self, option: &str) -> bool {
        let is_known = self.0.try_contains_id(option).unwrap_or(false);
        is_known && self.0.value_source(option) == Some(ValueSource::CommandLine)
    }

    /// An option's value as it was given.
    pub(super) fn value(&self, option: &str) -> Option<OsString> {
        self.one::<OsString>(option).cloned()
    }

    /// The values of an option that can be given several times.
    pub(super) fn values(&self, option: &str) -> Vec<OsString> {
        let values = self.0.try_get_many::<OsString>(option);
        values.ok().flatten().into_iter().flatten().cloned().collect()
    }

    /// clap says that it does not know an option which is not there.
    fn one<T: Clone + Send + Sync + 'static>(&self, option: &str) -> Option<&T> {
        debug_assert!(OPTIONS.iter().any(|info| info.name == option), "--{option} is no option");
        self.0.try_get_one(option).ok().flatten()
    }
}

/// The options of a command line, program name first, and everything that is not an option.
pub(super) fn divided(arguments: &[OsString]) -> Result<(Given, Vec<OsString>)> {
    let mut matches = command(arguments).try_get_matches_from(arguments).map_err(|error| failure(&error, arguments))?;
    let rest = matches.remove_many::<OsString>(REST).into_iter().flatten().collect();
    Ok((Given(matches), rest))
}

/// The action of this name.
pub(super) fn info_of(name: &OsStr) -> Option<&'static ActionInfo> {
    ACTIONS.iter().find(|info| name == info.name || info.alias.is_some_and(|alias| name == alias))
}

/// A hint at the word that a mistyped one was meant to be.
pub(super) fn did_you_mean(hyphens: &str, meant: Option<&str>) -> Option<String> {
    meant.map(|meant| format!("did you mean {hyphens}{meant}?"))
}

/// Whether an option can be what one of the words means, whatever words before it mean.
fn may_be_among(option: &OptionInfo, arguments: &[OsString]) -> bool {
    arguments.iter().filter_map(|word| word.as_encoded_bytes().strip_prefix(b"-")).any(|word| match word {
        [b'-', name @ ..] => name.split(|&byte| byte == b'=').next() == Some(option.name.as_bytes()),
        letters => option.short.is_some_and(|short| letters.contains(&(short as u8))),
    })
}

/// What clap is to look for. Telling it of all options would take longer than most of what the command does at its
/// start.
fn command(arguments: &[OsString]) -> Command {
    let command = Command::new("veritysetup")
        .disable_help_flag(true)
        .disable_version_flag(true)
        // A later value overrides an earlier one: callers that append options rely on it.
        .args_override_self(true)
        .arg(Arg::new(REST).num_args(0..).action(ArgAction::Append).value_parser(clap::value_parser!(OsString)));
    OPTIONS.iter().filter(|option| may_be_among(option, arguments)).fold(command, |command, option| {
        let mut arg = Arg::new(option.name).long(option.name);
        if let Some(short) = option.short {
            arg = arg.short(short);
        }
        if option.is_rest {
            return command.arg(
                arg.num_args(1..)
                    .allow_hyphen_values(true)
                    .action(ArgAction::Append)
                    .value_parser(clap::value_parser!(OsString)),
            );
        }
        if option.value.is_none() {
            return command.arg(arg.action(ArgAction::SetTrue));
        }
        let action = if option.is_repeatable { ArgAction::Append } else { ArgAction::Set };
        let arg = arg.action(action).value_parser(clap::value_parser!(OsString));
        command.arg(match option.default {
            // `--data-blocks -1` is a wrong number and not a missing one.
            None => arg.allow_hyphen_values(true),
            // One that is also used without any value does not take the next word.
            Some(value) => arg.num_args(0..=1).require_equals(value.is_empty()).default_missing_value(value),
        })
    })
}

fn failure(error: &clap::Error, arguments: &[OsString]) -> Failure {
    let option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => text.split([' ', '=']).next().unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    // The whole word, with a value, or with other short options before it that have none.
    let is_it = |text: &&str| match option.strip_prefix('-') {
        Some(letter) if letter.chars().count() == 1 && letter != "-" => text
            .strip_prefix('-')
            .and_then(|letters| letters.split_once(letter))
            .is_some_and(|(before, _)| before.chars().all(|letter| "?Vqv".contains(letter))),
        _ => text.strip_prefix(&option).is_some_and(|value| value.starts_with('=')),
    };
    let mut given = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    let given = match error.kind() {
        // Its value would have come next.
        ErrorKind::InvalidValue => given.next_back().filter(|last| last.starts_with('-')),
        _ => given.find(is_it),
    };
    let option = given.unwrap_or(&option);
    // The first word that is one: the meaning of the words before it is not known.
    let action = arguments.iter().skip(1).find_map(|word| info_of(word)).map(|info| info.action);
    let failure = match error.kind() {
        ErrorKind::UnknownArgument => {
            let name = option.strip_prefix("--").and_then(|word| word.split('=').next());
            let meant = name.and_then(|name| help::meant_option(name, action));
            Failure::usage(format!("{option}: unknown option")).hints(did_you_mean("--", meant))
        }
        ErrorKind::InvalidValue => Failure::usage(format!("{option}: missing argument")),
        ErrorKind::TooManyValues => Failure::usage(format!("{option}: option does not take an argument")),
        _ => Failure::usage(error.to_string().trim_end()),
    };
    Failure { action, ..failure }
}
