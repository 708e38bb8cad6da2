//! The command line, parsed and checked as far as that goes without looking at any device.

use std::ffi::{OsStr, OsString};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use dmverity::{AppendedFec, BlockSize, Fec, FecScope, HashAlgorithm, HashType, Layout, Params, ParamsBuilder, Salt};

use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::help;
use crate::options::{self, ACTIONS, Action, ActionInfo, OPTIONS, OptionInfo};

/// The version of the reference tool whose command line this is: callers compare it.
const COMPATIBLE_VERSION: &str = "2.8.0";

/// The name under which clap keeps everything that is no option.
const REST: &str = "rest";

/// The option of `open` that takes the place of its arguments and of all options about an image.
pub(crate) const FROM_CMDLINE: &str = "from-cmdline";

/// The options that it leaves room for.
const WITH_FROM_CMDLINE: &[&str] = &[FROM_CMDLINE, "usr", "dry-run", "debug", "verbose", "batch-mode"];

/// What `--fec-roots` is without saying so.
const DEFAULT_FEC_ROOTS: u64 = 2;

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
    /// The action's name, not an alias.
    pub(crate) name: &'static str,
    /// What is odd about the command line.
    pub(crate) warnings: Vec<String>,
    rest: Vec<OsString>,
    matches: ArgMatches,
}

/// Parses a command line, program name first.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Request> {
    let mut matches = command().try_get_matches_from(arguments).map_err(|error| parse_failure(&error, arguments))?;
    let mut rest = matches.remove_many::<OsString>(REST).into_iter().flatten().peekable();
    // `help format` is `format --help`.
    let is_help = rest.next_if(|word| word == "help").is_some();
    if matches.get_flag("version") {
        return Ok(Request::Text(version()));
    }
    let name = rest.next();
    let info = name.as_deref().and_then(info_of);
    match (&name, info) {
        (None, _) if is_help => return Ok(Request::Text(help())),
        (_, Some(info)) if is_help || matches.get_flag("help") => {
            return Ok(Request::Text(version() + &help::help_of(info)));
        }
        _ if matches.get_flag("help") => return Ok(Request::Text(help())),
        _ if matches.get_flag("usage") => return Ok(Request::Text(help::usage())),
        _ => {}
    }
    let name = name.ok_or_else(|| Failure::usage("Argument <action> missing."))?;
    let info = info.ok_or_else(|| {
        Failure::usage("Unknown action.").hints(did_you_mean("", help::meant_action(&text_of(&name))))
    })?;
    request(info, &name, rest.collect(), matches).map_err(|failure| Failure { action: Some(info.action), ..failure })
}

/// The action of this name.
fn info_of(name: &OsStr) -> Option<&'static ActionInfo> {
    ACTIONS.iter().find(|info| name == info.name || info.alias.is_some_and(|alias| name == alias))
}

/// A hint at what a mistyped word was to be.
fn did_you_mean(hyphens: &str, meant: Option<&str>) -> Option<String> {
    meant.map(|meant| format!("did you mean {hyphens}{meant}?"))
}

/// What an action is asked to do with the words that follow it.
fn request(info: &'static ActionInfo, name: &OsStr, mut rest: Vec<OsString>, matches: ArgMatches) -> Result<Request> {
    // Data and hash tree are one image then.
    let (needed, taken) = match info.action {
        Action::Format if matches.get_flag("append") => (1, "<image>"),
        // Nothing goes there.
        Action::Format if matches.get_flag("dry-run") => (1, "<data_device> [<hash_device>]"),
        Action::Open if matches.contains_id(FROM_CMDLINE) => (0, ""),
        _ => (info.needed, info.arguments),
    };
    if rest.len() < needed {
        return Err(Failure::usage(format!("{}: requires {taken} as arguments", info.name)));
    }
    if name == "create" && rest.len() > 1 {
        rest.swap(0, 1);
    }
    let mut arguments = Arguments { action: info.action, name: info.name, warnings: Vec::new(), rest, matches };
    arguments.check_options(info)?;
    let taken = taken.split_whitespace().count();
    if let Some(extra) = arguments.rest.get(taken..).filter(|extra| !extra.is_empty()) {
        let extra = extra.join(OsStr::new(" "));
        arguments.warnings.push(format!("ignored arguments: {}", text_of(extra)));
    }
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
fn parse_failure(error: &clap::Error, arguments: &[OsString]) -> Failure {
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
    // The first word that is one: what the words before it are for is not known.
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

impl Arguments {
    /// Whether an option without value was given.
    pub(crate) fn flag(&self, option: &str) -> bool {
        self.matches.get_flag(option)
    }

    /// Argument `index` after the action as a path.
    pub(crate) fn path(&self, index: usize) -> &Path {
        Path::new(&self.rest[index])
    }

    /// The hash device of `format`: the image itself with `--append`; `None` where it has no name yet.
    pub(crate) fn hash_to_format(&self) -> Option<&Path> {
        let index = usize::from(!self.flag("append"));
        self.rest.get(index).map(Path::new)
    }

    /// Argument `index` after the action as it was given.
    pub(crate) fn word(&self, index: usize) -> &OsStr {
        &self.rest[index]
    }

    /// Argument `index` after the action as text, if it was given.
    pub(crate) fn text(&self, index: usize) -> Option<String> {
        self.rest.get(index).map(text_of)
    }

    /// An option's value as a path.
    pub(crate) fn path_option(&self, option: &str) -> Option<PathBuf> {
        self.matches.get_one::<OsString>(option).map(PathBuf::from)
    }

    /// An option's value as text.
    pub(crate) fn text_option(&self, option: &str) -> Option<String> {
        self.matches.get_one::<OsString>(option).map(text_of)
    }

    /// An option's value as text, every character of which counts.
    pub(crate) fn text_option_exact(&self, option: &str) -> Result<Option<String>> {
        let Some(text) = self.matches.get_one::<OsString>(option) else { return Ok(None) };
        let text = text.to_str().map(str::to_owned);
        text.map(Some).ok_or_else(|| {
            Failure::new(Exit::Parameters, format!("Invalid value of option --{option}.")).hint("it is not UTF-8.")
        })
    }

    /// An option's value as a number.
    pub(crate) fn number(&self, option: &str) -> Result<Option<u64>> {
        let Some(text) = self.matches.get_one::<OsString>(option) else { return Ok(None) };
        match text.to_str().and_then(|text| text.parse().ok()) {
            Some(number) if number <= largest(option) => Ok(Some(number)),
            _ => Err(invalid_number(option, text)),
        }
    }

    /// Whether an option was given.
    pub(crate) fn given(&self, option: &str) -> bool {
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
            if matches!(option.value, Some("bytes" | "blocks" | "number" | "secs")) {
                self.number(option.name)?;
            }
        }
        if self.action == Action::Open {
            self.check_from_cmdline()?;
        }
        if self.is_auto("hash-offset") {
            if matches!(self.action, Action::Format | Action::Plan) {
                return Err(Failure::usage(format!(
                    "Option --hash-offset=auto is not allowed with {} action.",
                    info.name
                )));
            }
            if self.flag("no-superblock") {
                return Err(Failure::usage("Option --hash-offset=auto and --no-superblock cannot be used together."));
            }
        } else {
            self.number("hash-offset")?;
        }
        for (first, second) in options::not_together() {
            if self.given(first) && self.given(second) {
                return Err(Failure::usage(format!("Option --{first} and --{second} cannot be used together.")));
            }
        }
        if self.flag("error-as-corruption") && !self.flag("panic-on-corruption") && !self.flag("restart-on-corruption")
        {
            return Err(Failure::usage(
                "Option --error-as-corruption must be used with --panic-on-corruption or --restart-on-corruption.",
            ));
        }
        if self.flag("cancel-deferred") && self.flag("deferred") {
            return Err(Failure::usage("Options --cancel-deferred and --deferred cannot be used at the same time."));
        }
        Ok(())
    }

    /// The command line says all there is to say of the image.
    fn check_from_cmdline(&self) -> Result<()> {
        if !self.given(FROM_CMDLINE) {
            if self.flag("usr") && self.action == Action::Open {
                return Err(Failure::usage("Option --usr must be used with --from-cmdline in open action."));
            }
            if self.flag("dry-run") {
                return Err(Failure::usage("Option --dry-run must be used with --from-cmdline in open action."));
            }
            return Ok(());
        }
        if !self.rest.is_empty() {
            return Err(Failure::usage("open: takes no arguments with --from-cmdline"));
        }
        match OPTIONS.iter().find(|option| !WITH_FROM_CMDLINE.contains(&option.name) && self.given(option.name)) {
            None => Ok(()),
            Some(OptionInfo { name, .. }) => {
                Err(Failure::usage(format!("Option --{name} and --from-cmdline cannot be used together.")))
            }
        }
    }

    /// The parameters that the options give.
    pub(crate) fn params(&self) -> Result<ParamsBuilder> {
        self.with_algorithm(self.plain_params(Params::builder())?)
    }

    /// The same with the algorithm and FEC that they give, which callers expect to be looked at after the devices.
    pub(crate) fn with_algorithm(&self, mut builder: ParamsBuilder) -> Result<ParamsBuilder> {
        if let Some(name) = self.text_option("hash") {
            builder = builder.algorithm(HashAlgorithm::from_name(&name)?);
        }
        if let Some(fec) = self.fec()? {
            builder = builder.fec(fec);
        }
        Ok(builder)
    }

    /// What the options give but for algorithm and FEC; what they do not say is as in `builder`.
    pub(crate) fn plain_params(&self, mut builder: ParamsBuilder) -> Result<ParamsBuilder> {
        if let Some(number) = self.number("format")? {
            builder = builder.hash_type(HashType::new(number)?);
        }
        if self.given("data-block-size") {
            builder = builder.data_block_size(self.data_block_size()?);
        }
        if let Some(bytes) = self.number("hash-block-size")? {
            builder = builder.hash_block_size(BlockSize::new(bytes)?);
        }
        // Zero has always meant the whole device.
        if let Some(blocks) = self.number("data-blocks")?.filter(|&blocks| blocks > 0) {
            builder = builder.data_blocks(blocks);
        }
        if let Some(text) = self.text_option("salt") {
            builder = builder.salt(Salt::from_hex(&text)?);
        }
        if self.flag("no-superblock") {
            builder = builder.no_superblock();
        }
        Ok(builder.hash_offset(self.hash_offset()?))
    }

    /// Size of a data block.
    pub(crate) fn data_block_size(&self) -> Result<BlockSize> {
        Ok(self.number("data-block-size")?.map_or(Ok(BlockSize::default()), BlockSize::new)?)
    }

    /// How many threads are to hash, if that was said.
    pub(crate) fn threads(&self) -> Result<Option<NonZero<usize>>> {
        /// Nobody has more processors, and each needs memory.
        const MOST: u64 = 1024;
        let Some(number) = self.number("threads")? else { return Ok(None) };
        match usize::try_from(number).ok().and_then(NonZero::new) {
            Some(threads) if number <= MOST => Ok(Some(threads)),
            _ => Err(Failure::new(Exit::Parameters, "Invalid number of threads.")
                .hint(format!("--threads is a number from 1 to {MOST}, not {number}."))),
        }
    }

    /// Where the hash area starts, as far as the options say so.
    fn hash_offset(&self) -> Result<u64> {
        if self.is_auto("hash-offset") { Ok(0) } else { Ok(self.number("hash-offset")?.unwrap_or(0)) }
    }

    /// Where the hash area starts on this device, which is searched if that is asked for.
    pub(crate) fn hash_offset_on(&self, hash: &Path) -> Result<u64> {
        if self.is_auto("hash-offset") { Ok(dmverity::find_hash_offset(hash)?) } else { self.hash_offset() }
    }

    /// Whether an option's value is to be found out.
    pub(crate) fn is_auto(&self, option: &str) -> bool {
        self.matches.get_one::<OsString>(option).is_some_and(|text| text == "auto")
    }

    /// The FEC options; they are checked also where there is no FEC device.
    pub(crate) fn fec(&self) -> Result<Option<Fec>> {
        let offset = self.number("fec-offset")?.unwrap_or(0);
        let scope = self.fec_scope()?;
        // Where there need not be a device, asking for parity is enough.
        if self.given("fec-device") || (self.action == Action::Plan && self.given("fec-roots")) {
            Ok(Some(Fec::new(self.fec_roots()?, offset)?.with_scope(scope)))
        } else {
            // The number of roots means nothing then, a wrong offset is still wrong.
            Fec::new(DEFAULT_FEC_ROOTS, offset)?;
            Ok(None)
        }
    }

    /// FEC after the tree, where it shares the hash device and no option says where it is; `params` gives those of the image
    /// with or without FEC, if they are needed.
    pub(crate) fn fec_after_tree(
        &self,
        hash: &Path,
        params: impl FnOnce() -> dmverity::Result<Params>,
    ) -> Result<Option<Fec>> {
        let (Some(device), Some(fec)) = (self.path_option("fec-device"), self.fec()?) else { return Ok(None) };
        if self.given("fec-offset") || !dmverity::is_same_device(&device, hash) {
            return Ok(None);
        }
        Ok(Some(Fec::new(fec.roots.into(), Layout::new(&params()?)?.fec_offset_after_tree())?.with_scope(fec.scope)))
    }

    /// What FEC covers after the data.
    fn fec_scope(&self) -> Result<FecScope> {
        match self.text_option("fec-scope").as_deref() {
            None | Some("device") => Ok(FecScope::Device),
            Some("tree") => Ok(FecScope::Tree),
            Some(other) => Err(Failure::new(Exit::Parameters, "Invalid value of option --fec-scope.")
                .hint(format!("it is tree or device, not {other}."))),
        }
    }

    fn fec_roots(&self) -> Result<u64> {
        Ok(self.number("fec-roots")?.unwrap_or(DEFAULT_FEC_ROOTS))
    }

    /// FEC of an image that is one file: asked for by a number of roots, or by a device, which may be the image itself.
    pub(crate) fn appended_fec(&self, image: &Path) -> Result<Option<AppendedFec>> {
        if !self.given("fec-roots") && !self.given("fec-device") {
            return Ok(None);
        }
        let device = self.path_option("fec-device").filter(|device| !dmverity::is_same_device(device, image));
        Ok(Some(AppendedFec { roots: self.fec_roots()?, device }))
    }

    /// The devices of an image.
    pub(crate) fn devices(&self, data: &Path, hash: &Path) -> dmverity::Devices {
        dmverity::Devices { data: data.to_owned(), hash: hash.to_owned(), fec: self.path_option("fec-device") }
    }
}

/// The largest number that an option takes: the reference keeps these in 32 bits.
fn largest(option: &str) -> u64 {
    match option {
        "data-block-size" | "hash-block-size" | "fec-roots" | "format" => u64::from(u32::MAX),
        _ => u64::MAX,
    }
}

fn invalid_number(option: &str, text: &OsStr) -> Failure {
    Failure::usage("invalid numeric value").hint(format!(
        "--{option} takes a decimal number from 0 to {}, not {}.",
        largest(option),
        text_of(text)
    ))
}
