//! The command line, parsed and checked as far as that goes without looking at any device.

use std::ffi::{OsStr, OsString};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use dmverity::{BlockSize, Fec, HashAlgorithm, HashType, Params, ParamsBuilder, Salt};

use crate::failure::{Exit, Failure, Result};
use crate::options::{self, ACTIONS, Action, ActionInfo, OPTIONS};
use crate::output;

/// The version of the reference tool whose command line this is: callers compare it.
const COMPATIBLE_VERSION: &str = "2.8.0";

/// The name under which clap keeps everything that is no option.
const REST: &str = "rest";

/// What the command line asks for.
pub(crate) enum Request {
    /// Print a text: help, usage, version.
    Text(String),
    /// Run an action.
    Run(Box<Arguments>),
}

/// An action, its arguments, and the options.
pub(crate) struct Arguments {
    pub(crate) action: Action,
    rest: Vec<OsString>,
    matches: ArgMatches,
}

/// Parses a command line, program name first.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Request> {
    let mut matches = command().try_get_matches_from(arguments).map_err(|error| parse_failure(&error))?;
    for (option, text) in [("version", version as fn() -> String), ("help", help), ("usage", options::usage)] {
        if matches.get_flag(option) {
            return Ok(Request::Text(text()));
        }
    }
    let mut rest = matches.remove_many::<OsString>(REST).into_iter().flatten();
    let name = rest.next().ok_or_else(|| Failure::usage("Argument <action> missing."))?;
    let info = ACTIONS
        .iter()
        .find(|info| name == info.name || info.alias.is_some_and(|alias| name == alias))
        .ok_or_else(|| Failure::usage("Unknown action."))?;
    let mut rest: Vec<OsString> = rest.collect();
    if rest.len() < info.needed {
        return Err(Failure::usage(format!("{}: requires {} as arguments", info.name, info.arguments)));
    }
    if name == "create" {
        rest.swap(0, 1);
    }
    let arguments = Arguments { action: info.action, rest, matches };
    arguments.check_options(info)?;
    Ok(Request::Run(Box::new(arguments)))
}

/// clap's view of the option table.
fn command() -> Command {
    let command = Command::new("veritysetup")
        .disable_help_flag(true)
        .disable_version_flag(true)
        // The last one counts, as callers that append options rely on.
        .args_override_self(true)
        .arg(Arg::new(REST).num_args(0..).action(ArgAction::Append).value_parser(clap::value_parser!(OsString)));
    OPTIONS.iter().fold(command, |command, option| {
        let mut arg = Arg::new(option.name).long(option.name);
        if let Some(short) = option.short {
            arg = arg.short(short);
        }
        command.arg(match option.value {
            None => arg.action(ArgAction::SetTrue),
            Some(_) => arg
                .action(ArgAction::Set)
                // `--data-blocks -1` is a wrong number and not a missing one.
                .allow_hyphen_values(true)
                .value_parser(clap::value_parser!(OsString)),
        })
    })
}

/// What clap found wrong, in the words callers know.
fn parse_failure(error: &clap::Error) -> Failure {
    let option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => text.split([' ', '=']).next().unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    match error.kind() {
        ErrorKind::UnknownArgument => Failure::usage(format!("{option}: unknown option")),
        ErrorKind::InvalidValue => Failure::usage(format!("{option}: missing argument")),
        ErrorKind::TooManyValues => Failure::usage(format!("{option}: option does not take an argument")),
        _ => Failure::usage(error.to_string().trim_end()),
    }
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
        options::help(),
        HashAlgorithm::default(),
        Salt::RANDOM_LEN,
        HashType::default().number(),
    )
}

impl Arguments {
    /// Whether an option without value was given.
    pub(crate) fn flag(&self, option: &str) -> bool {
        self.matches.get_flag(option)
    }

    /// Argument `index` after the action as a path.
    pub(crate) fn path(&self, index: usize) -> &Path {
        Path::new(&self.rest[index])
    }

    /// Argument `index` after the action as text, if it was given.
    pub(crate) fn text(&self, index: usize) -> Option<String> {
        self.rest.get(index).map(|text| text.to_string_lossy().into_owned())
    }

    /// An option's value as a path.
    pub(crate) fn path_option(&self, option: &str) -> Option<PathBuf> {
        self.matches.get_one::<OsString>(option).map(PathBuf::from)
    }

    /// An option's value as text.
    pub(crate) fn text_option(&self, option: &str) -> Option<String> {
        self.matches.get_one::<OsString>(option).map(|text| text.to_string_lossy().into_owned())
    }

    fn number_option(&self, option: &str) -> Result<Option<u64>> {
        let Some(text) = self.matches.get_one::<OsString>(option) else { return Ok(None) };
        match text.to_str().and_then(|text| text.parse().ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(invalid_number(option, text)),
        }
    }

    fn given(&self, option: &str) -> bool {
        self.matches.value_source(option) == Some(clap::parser::ValueSource::CommandLine)
    }

    /// Refuses options that the action does not take, and pairs that contradict each other.
    fn check_options(&self, info: &ActionInfo) -> Result<()> {
        for option in OPTIONS {
            if !option.actions.is_empty() && !option.actions.contains(&self.action) && self.given(option.name) {
                let (option, action) = (option.name, info.name);
                return Err(Failure::usage(format!("Option --{option} is not allowed with {action} action.")));
            }
            // Numbers are checked whether the action uses them or not.
            if matches!(option.value, Some("bytes" | "blocks" | "number")) {
                self.number_option(option.name)?;
            }
        }
        let both = |first, second| self.flag(first) && self.flag(second);
        for (first, second) in
            [("ignore-corruption", "restart-on-corruption"), ("panic-on-corruption", "restart-on-corruption")]
        {
            if both(first, second) {
                return Err(Failure::usage(format!("Option --{first} and --{second} cannot be used together.")));
            }
        }
        if self.flag("error-as-corruption") && !self.flag("panic-on-corruption") && !self.flag("restart-on-corruption")
        {
            return Err(Failure::usage(
                "Option --error-as-corruption must be used with --panic-on-corruption or --restart-on-corruption.",
            ));
        }
        if both("cancel-deferred", "deferred") {
            return Err(Failure::usage("Options --cancel-deferred and --deferred cannot be used at the same time."));
        }
        let taken = info.arguments.split_whitespace().count();
        if let Some(extra) = self.rest.get(taken..).filter(|extra| !extra.is_empty()) {
            output::warn(&format!("ignored arguments: {}", extra.join(OsStr::new(" ")).to_string_lossy()));
        }
        Ok(())
    }

    /// The parameters that the options give.
    pub(crate) fn params(&self) -> Result<ParamsBuilder> {
        let mut builder = Params::builder();
        if let Some(name) = self.text_option("hash") {
            builder = builder.algorithm(HashAlgorithm::from_name(&name)?);
        }
        if let Some(number) = self.number_option("format")? {
            builder = builder.hash_type(HashType::new(number)?);
        }
        if let Some(bytes) = self.number_option("data-block-size")? {
            builder = builder.data_block_size(BlockSize::new(bytes)?);
        }
        if let Some(bytes) = self.number_option("hash-block-size")? {
            builder = builder.hash_block_size(BlockSize::new(bytes)?);
        }
        // Zero has always meant the whole device.
        if let Some(blocks) = self.number_option("data-blocks")?.filter(|&blocks| blocks > 0) {
            builder = builder.data_blocks(blocks);
        }
        if let Some(text) = self.text_option("salt") {
            builder = builder.salt(Salt::from_hex(&text)?);
        }
        if let Some(fec) = self.fec()? {
            builder = builder.fec(fec);
        }
        if self.flag("no-superblock") {
            builder = builder.no_superblock();
        }
        Ok(builder.hash_offset(self.hash_offset()?))
    }

    /// How many threads are to hash, if that was said.
    pub(crate) fn threads(&self) -> Result<Option<NonZero<usize>>> {
        /// Nobody has more processors, and each needs memory.
        const MOST: u64 = 1024;
        let Some(number) = self.number_option("threads")? else { return Ok(None) };
        match usize::try_from(number).ok().and_then(NonZero::new) {
            Some(threads) if number <= MOST => Ok(Some(threads)),
            _ => Err(Failure::new(Exit::Parameters, "Invalid number of threads.")
                .hint(format!("--threads is a number from 1 to {MOST}, not {number}."))),
        }
    }

    /// Where the hash area starts.
    pub(crate) fn hash_offset(&self) -> Result<u64> {
        Ok(self.number_option("hash-offset")?.unwrap_or(0))
    }

    /// The FEC options; they are checked also where there is no FEC device.
    pub(crate) fn fec(&self) -> Result<Option<Fec>> {
        const DEFAULT_ROOTS: u64 = 2;
        let offset = self.number_option("fec-offset")?.unwrap_or(0);
        let roots = self.number_option("fec-roots")?.unwrap_or(DEFAULT_ROOTS);
        if self.given("fec-device") {
            Ok(Some(Fec::new(roots, offset)?))
        } else {
            // The number of roots means nothing then, a wrong offset is still wrong.
            Fec::new(DEFAULT_ROOTS, offset)?;
            Ok(None)
        }
    }

    /// The devices of an image.
    pub(crate) fn devices(&self, data: &Path, hash: &Path) -> dmverity::Devices {
        dmverity::Devices { data: data.to_owned(), hash: hash.to_owned(), fec: self.path_option("fec-device") }
    }
}

fn invalid_number(option: &str, text: &OsStr) -> Failure {
    Failure::usage("invalid numeric value").hint(format!(
        "--{option} takes a decimal number from 0 to {}, not {}.",
        u64::MAX,
        text.to_string_lossy()
    ))
}
