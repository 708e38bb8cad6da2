//! Help about everything and about one action, the line of usage before a message, and the word that a mistyped one
//! was meant to be.

use std::fmt::Write;

use crate::options::{ACTIONS, Action, ActionInfo, OPTIONS, OptionInfo};

/// The column at which descriptions start, and the width of a line.
const HELP_COLUMN: usize = 39;
const WIDTH: usize = 79;

/// How the options of an action are grouped.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "Parameters of the image",
        &[
            "append",
            "containerd",
            "data-block-size",
            "data-blocks",
            "data-size",
            "deterministic",
            "format",
            "hash",
            "hash-block-size",
            "hash-offset",
            "like",
            "no-superblock",
            "salt",
            "salt-seed",
            "sidecars",
            "uuid",
        ],
    ),
    ("Disk images", &["arch", "defer-signature", "min-size", "policy", "root", "sector-size", "usr"]),
    ("What has changed", &["dirty", "old-data", "range"]),
    ("Forward error correction", &["fec-device", "fec-offset", "fec-roots", "fec-scope"]),
    ("Images on web servers", &["http-cache", "http-cache-size", "http-timeout"]),
    ("What the image has to be", &["expect", "expect-data-blocks"]),
    ("Root hash", &["new-root-hash-file", "partition-uuids", "root-hash", "root-hash-file", "root-hash-signature"]),
    ("Who is trusted to sign", &["at", "ca", "intermediate", "manifest", "manifest-signature", "trusted"]),
    ("Signing", &["certificate", "digest", "embed-certificate", "join", "key", "passphrase-file", "prepare", "smime"]),
    (
        "What the kernel does",
        &[
            "check-at-most-once",
            "check-root",
            "error-as-corruption",
            "ignore-corruption",
            "ignore-zero-blocks",
            "no-fallback",
            "panic-on-corruption",
            "restart-on-corruption",
            "shared",
            "use-tasklets",
        ],
    ),
    (
        "Reading without the kernel",
        &[
            "allow-other",
            "cache-size",
            "direct-io",
            "events-json",
            "exec",
            "listen-fd",
            "on-corruption",
            "socket",
            "verify",
        ],
    ),
    ("Closing", &["cancel-deferred", "deferred"]),
    (
        "Lines for use elsewhere",
        &[
            "boot-data-device",
            "boot-fec-device",
            "boot-hash-device",
            "chromeos",
            "cmdline",
            "dm-mod-create",
            "embed-signature",
            "fit",
            "ipe",
            "kata",
            "veritytab",
        ],
    ),
    ("How it is done", &["batch-mode", "dry-run", "from-cmdline", "strict", "threads", "with-usr"]),
    ("Output", &["debug", "env", "json", "output", "progress-frequency", "progress-json", "tee", "tree", "verbose"]),
    ("Help", &["help", "usage", "version"]),
];

/// Options that are in no group.
const OTHERS: &str = "Other options";

/// A command line for each action.
const EXAMPLES: &[(Action, &str)] = &[
    (Action::Format, "veritysetup format data.img hash.img --root-hash-file=root-hash"),
    (Action::Verify, "veritysetup verify data.img hash.img --root-hash-file=root-hash"),
    (Action::Update, "veritysetup update data.img hash.img --root-hash-file=root-hash --range=1048576:65536"),
    (Action::Repair, "veritysetup repair data.img hash.img --fec-device=fec.img --root-hash-file=root-hash"),
    (Action::Open, "veritysetup open data.img image hash.img --root-hash-file=root-hash"),
    (Action::Close, "veritysetup close image"),
    (Action::Status, "veritysetup status image"),
    (Action::Dump, "veritysetup dump hash.img --tree"),
    (Action::Plan, "veritysetup plan --data-size=1073741824 --fec-roots=2"),
    (Action::Table, "veritysetup table data.img hash.img --root-hash-file=root-hash --veritytab=image"),
    (Action::Features, "veritysetup features --json"),
    (Action::Keyring, "veritysetup keyring add certificate.pem"),
    (Action::Inspect, "veritysetup inspect image.raw --policy=root=signed"),
    (Action::Build, "veritysetup build --output=image.raw --root=root.squashfs --root-hash-file=root-hash"),
    (Action::Benchmark, "veritysetup benchmark --hash=sha512"),
    (Action::Sign, "veritysetup sign --root-hash-file=root-hash --key=key.pem --certificate=cert.pem -o root-hash.p7s"),
    (Action::Signature, "veritysetup signature lint root-hash.p7s --root-hash-file=root-hash"),
    (Action::Serve, "veritysetup serve data.img hash.img --root-hash-file=root-hash --socket=/run/image/nbd"),
    (Action::MountFile, "veritysetup mount-file data.img hash.img --root-hash-file=root-hash directory"),
];

/// What `--help` prints, except the version before and the defaults after it.
pub(crate) fn help() -> String {
    let mut text = String::from("Usage: veritysetup [OPTION...] <action> <action-specific>\n\nHelp options:\n");
    text.extend(OPTIONS.iter().map(described));
    text.push_str("\n<action> is one of:\n");
    for info in ACTIONS {
        let call = format!("{} {}", info.name, info.arguments);
        writeln!(text, "\t{} - {}", call.trim_end(), info.help).expect("a String takes everything");
    }
    text.push_str(
        "\nYou can also use old <action> syntax aliases:\n\
         \tcreate <name> <data_device> <hash_device> [<root_hash>] - open\n\
         \tremove <name> - close\n\
         \nThe options of one action are shown by: veritysetup <action> --help\n\
         \n<name> is the device to create under /dev/mapper\n\
         <data_device> is the data device\n\
         <hash_device> is the device containing verification data\n\
         <root_hash> hash of the root node on <hash_device>\n",
    );
    text
}

/// What `--help` prints about one action: its arguments, its options in groups, an example.
pub(crate) fn help_of(info: &ActionInfo) -> String {
    let mut text = usage_line(Some(info.action));
    if let Some(alias) = info.alias {
        let mut arguments: Vec<&str> = info.arguments.split(' ').collect();
        if alias == "create" {
            arguments.swap(0, 1);
        }
        writeln!(text, "       veritysetup {alias} [OPTION...] {}", arguments.join(" "))
            .expect("a String takes everything");
    }
    writeln!(text, "\n{} - {}", info.name, info.help).expect("a String takes everything");
    for title in GROUPS.iter().map(|(title, _)| *title).chain([OTHERS]) {
        let is_here = |option: &&OptionInfo| option.is_used_by(info.action) && group_of(option) == title;
        let mut here = OPTIONS.iter().filter(is_here).peekable();
        if here.peek().is_some() {
            writeln!(text, "\n{title}:").expect("a String takes everything");
            text.extend(here.map(described));
        }
    }
    let examples = EXAMPLES.iter().filter(|(action, _)| *action == info.action);
    text.extend(examples.map(|(_, example)| format!("\nExample:\n  {example}\n")));
    text
}

/// The title of the group that an option is in.
pub(crate) fn group_of(option: &OptionInfo) -> &'static str {
    GROUPS.iter().find(|(_, names)| names.contains(&option.name)).map_or(OTHERS, |(title, _)| title)
}

/// An option's lines in a help text.
fn described(option: &OptionInfo) -> String {
    let short = option.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
    let head = format!("  {short}--{}{}", option.name, option.shown_value());
    let mut text = String::new();
    for (index, line) in wrap(option.help, WIDTH - HELP_COLUMN).iter().enumerate() {
        let left = if index == 0 { head.as_str() } else { "" };
        writeln!(text, "{left:HELP_COLUMN$}{line}").expect("a String takes everything");
    }
    text
}

/// What `--usage` prints.
pub(crate) fn usage() -> String {
    const INDENT: &str = "        ";
    let mut items = vec!["[-?Vqv]".to_owned()];
    items.extend(OPTIONS.iter().map(|option| {
        let short = option.short.map_or_else(String::new, |short| format!("-{short}|"));
        format!("[{short}--{}{}]", option.name, option.shown_value())
    }));
    items.extend(["[OPTION...] <action> <action-specific>".to_owned()]);
    let mut lines = vec!["Usage: veritysetup".to_owned()];
    for item in items {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + item.len() < WIDTH => *line = format!("{line} {item}"),
            _ => lines.push(format!("{INDENT}{item}")),
        }
    }
    lines.join("\n") + "\n"
}

/// The line before a message about a wrong command line, for the intended action if that is known.
pub(crate) fn usage_line(action: Option<Action>) -> String {
    let info = ACTIONS.iter().find(|info| Some(info.action) == action);
    let rest = info.map_or_else(
        || "[OPTION...] <action> <action-specific>".to_owned(),
        |info| format!("{} [OPTION...] {}", info.name, info.arguments),
    );
    format!("Usage: veritysetup {}\n", rest.trim_end())
}

/// The action that a mistyped word was meant to be.
pub(crate) fn meant_action(word: &str) -> Option<&'static str> {
    nearest(word, ACTIONS.iter().flat_map(|info| [Some(info.name), info.alias]).flatten())
}

/// The option that a mistyped one was meant to be, without hyphens: preferably one that the action uses.
pub(crate) fn meant_option(name: &str, action: Option<Action>) -> Option<&'static str> {
    let used = OPTIONS.iter().filter(|option| action.is_none_or(|action| option.is_used_by(action)));
    nearest(name, used.map(|option| option.name)).or_else(|| nearest(name, OPTIONS.iter().map(|option| option.name)))
}

/// The nearest of the known words: the only one with this beginning, or one that differs in a few letters.
fn nearest(word: &str, known: impl Iterator<Item = &'static str> + Clone) -> Option<&'static str> {
    let word = word.to_ascii_lowercase().replace('_', "-");
    let mut longer = known.clone().filter(|known| word.len() >= 3 && known.starts_with(&word));
    if let (Some(only), None) = (longer.next(), longer.next()) {
        return Some(only);
    }
    let distances = known.map(|known| (strsim::osa_distance(&word, known), known));
    let near = distances.filter(|(distance, known)| *distance <= (known.len() / 5).max(1));
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => *line = format!("{line} {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::arguments::{Request, parse};

    /// The long names of the options that a help text shows.
    fn shown(text: &str) -> Vec<&str> {
        let heads = text.lines().filter_map(|line| line.strip_prefix("  ")?.trim_start().split("  ").next());
        let names = heads.filter_map(|head| head.split_once("--").filter(|(short, _)| short.len() <= 4));
        let mut names: Vec<&str> =
            names.map(|(_, name)| name.split(['=', ' ', '[']).next().unwrap_or_default()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_help_of_an_action_shows_the_options_that_it_takes() {
        for info in ACTIONS {
            let text = help_of(info);
            let (options, example) = text.split_once("\nExample:\n").unwrap();
            let mut wanted: Vec<&str> =
                OPTIONS.iter().filter(|option| option.is_used_by(info.action)).map(|option| option.name).collect();
            wanted.sort_unstable();
            assert_eq!(shown(options), wanted, "{}", info.name);
            assert!(text.lines().all(|line| line.len() <= 100), "{text}");
            let words: Vec<OsString> = example.split_whitespace().map(OsString::from).collect();
            match parse(&words) {
                Ok(Request::Run(arguments)) => assert_eq!(arguments.action, info.action),
                _ => panic!("{example}"),
            }
        }
    }

    #[test]
    fn every_option_is_in_one_group() {
        for option in OPTIONS {
            let groups = GROUPS.iter().filter(|(_, names)| names.contains(&option.name)).count();
            assert_eq!(groups, 1, "--{}", option.name);
        }
        let grouped = GROUPS.iter().flat_map(|(_, names)| *names);
        for name in grouped {
            assert!(OPTIONS.iter().any(|option| option.name == *name), "{name}");
        }
    }

    #[test]
    fn what_is_mistyped_is_near_to_what_was_meant() {
        for (word, meant) in [
            ("formt", Some("format")),
            ("FORMAT", Some("format")),
            ("veriyf", Some("verify")),
            ("opn", Some("open")),
            ("stat", Some("status")),
            ("remve", Some("remove")),
            ("bench", Some("benchmark")),
            ("bogus", None),
            ("", None),
            ("luksFormat", None),
        ] {
            assert_eq!(meant_action(word), meant, "{word}");
        }
        for (word, meant) in [
            ("hash-ofset", Some("hash-offset")),
            ("hash_offset", Some("hash-offset")),
            ("superblock", None),
            ("roothash-file", Some("root-hash-file")),
            ("fec-root", Some("fec-roots")),
            ("Salt", Some("salt")),
            ("nosuch", None),
        ] {
            assert_eq!(meant_option(word, Some(Action::Format)), meant, "{word}");
        }
        // What the action takes comes first.
        assert_eq!(meant_option("defered", Some(Action::Format)), Some("deferred"));
    }
}
