//! The manual page and the shells' completion files against the table: nothing is missing there, nothing too much.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dmverity::HashAlgorithm;

use super::*;

/// A file of the project.
fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manual() -> String {
    file("man/veritysetup.8")
}

/// The lines of a section of the manual.
fn section<'a>(manual: &'a str, name: &str) -> Vec<&'a str> {
    let heading = format!(".Sh {name}");
    let lines: Vec<&str> = manual
        .lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| !line.starts_with(".Sh "))
        .collect();
    assert!(!lines.is_empty(), "no section {name}");
    lines
}

/// What stands in a line of macros when they are gone; `Ns` joins the words around it.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut is_joined = true;
    for word in line.split_whitespace() {
        match word {
            "Ns" => is_joined = true,
            ".It" | ".Pq" | "Cm" | "Ar" | "Op" | "No" => {}
            "Fl" => {
                text.push_str(if is_joined { "-" } else { " -" });
                is_joined = true;
            }
            word => {
                text.push_str(if is_joined || word == "," { "" } else { " " });
                text.push_str(word.trim_start_matches("\\&"));
                is_joined = false;
            }
        }
    }
    text
}

/// An option as the manual has it.
struct Entry {
    /// The names, and the value behind them: `-h, --hash=string`.
    head: String,
    actions: Vec<String>,
    is_accepted_by_all: bool,
}

/// The entries in OPTIONS, by the long name.
fn entries(manual: &str) -> BTreeMap<String, Entry> {
    let lines = section(manual, "OPTIONS");
    let mut entries = BTreeMap::new();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with(".It ")) {
        let head = plain(line);
        let long = head.split_once("--").unwrap_or_else(|| panic!("no long name: {line}")).1;
        let name = long.split('=').next().unwrap_or_default().to_owned();
        assert!(lines[index + 1].starts_with(".Pq "), "{name}: no actions below the name");
        let below = plain(lines[index + 1]);
        let (actions, is_accepted_by_all) = match below.split_once(" ;") {
            Some((actions, rest)) => {
                assert_eq!(rest, " accepted by all", "{name}");
                (actions, true)
            }
            None => (below.as_str(), below == "all"),
        };
        let actions = actions.split(", ").map(str::to_owned).collect();
        let old = entries.insert(name, Entry { head, actions, is_accepted_by_all });
        assert!(old.is_none(), "twice: {line}");
    }
    entries
}

fn name_of(action: Action) -> &'static str {
    ACTIONS.iter().find(|info| info.action == action).expect("every action is in the table").name
}

/// An action's arguments without the signs around them.
fn arguments_of(info: &ActionInfo) -> Vec<&'static str> {
    info.arguments.split_whitespace().map(|argument| argument.trim_matches(['<', '>', '[', ']'])).collect()
}

/// The same for the other name of an action, if it has one.
fn alias_of(info: &ActionInfo) -> Option<(&'static str, Vec<&'static str>)> {
    let mut arguments = arguments_of(info);
    if info.alias == Some("create") {
        arguments.swap(0, 1);
    }
    Some((info.alias?, arguments))
}

#[test]
fn the_manual_has_every_option_with_its_names_and_value() {
    let manual = manual();
    let entries = entries(&manual);
    for option in OPTIONS {
        let entry = entries.get(option.name).unwrap_or_else(|| panic!("--{} is not in the manual", option.name));
        let short = option.short.map_or_else(String::new, |short| format!("-{short}, "));
        let value = option.value.map_or_else(String::new, |value| format!("={value}"));
        assert_eq!(entry.head, format!("{short}--{}{value}", option.name));
    }
    let known: BTreeSet<&str> = OPTIONS.iter().map(|option| option.name).collect();
    for name in entries.keys() {
        assert!(known.contains(name.as_str()), "the manual has --{name}, which does not exist");
    }
}

#[test]
fn the_manual_speaks_of_no_option_that_does_not_exist() {
    for line in manual().lines().filter(|line| line.starts_with('.')) {
        // `.Fl -one , -two Ns = Ns Ar value`: everything that starts with a hyphen, from the macro on.
        let words = line.split_whitespace().skip_while(|word| !word.trim_start_matches('.').starts_with("Fl"));
        for name in words.filter_map(|word| word.strip_prefix('-')) {
            assert!(OPTIONS.iter().any(|option| option.name == name), "--{name}: {line}");
        }
    }
    for line in section(&manual(), "EXAMPLES") {
        let Some((_, command)) = line.split_once("veritysetup ") else { continue };
        let command = command.replace("\\-", "-");
        for word in command.split_whitespace().take_while(|word| *word != "|") {
            let Some(name) = word.strip_prefix("--") else { continue };
            let name = name.split('=').next().unwrap_or_default();
            assert!(OPTIONS.iter().any(|option| option.name == name), "--{name}: {line}");
        }
    }
}

#[test]
fn the_manual_says_which_actions_an_option_is_for() {
    let manual = manual();
    let entries = entries(&manual);
    for option in OPTIONS {
        let Some(entry) = entries.get(option.name) else { panic!("--{} is not in the manual", option.name) };
        assert_eq!(entry.is_accepted_by_all, option.actions.is_empty(), "--{}", option.name);
        let said: BTreeSet<&str> = entry.actions.iter().map(String::as_str).collect();
        assert_eq!(said.len(), entry.actions.len(), "--{}: an action twice", option.name);
        if !option.actions.is_empty() {
            let taken: BTreeSet<&str> = option.actions.iter().map(|&action| name_of(action)).collect();
            assert_eq!(said, taken, "--{}", option.name);
        } else if entry.actions != ["all"] {
            let known: BTreeSet<&str> = ACTIONS.iter().map(|info| info.name).collect();
            assert!(said.is_subset(&known), "--{}: {said:?}", option.name);
        }
    }
}

/// The help of an action shows what the manual says is for it.
#[test]
fn the_help_says_which_actions_an_option_is_for() {
    let manual = manual();
    for (name, entry) in entries(&manual) {
        let Some(option) = OPTIONS.iter().find(|option| option.name == name) else { panic!("--{name}") };
        for info in ACTIONS {
            let is_said = entry.actions == ["all"] || entry.actions.iter().any(|action| action == info.name);
            assert_eq!(crate::help::is_used_by(option, info.action), is_said, "--{name} and {}", info.name);
        }
    }
}

#[test]
fn the_manual_says_what_cannot_be_combined() {
    let manual = manual();
    let text = section(&manual, "OPTIONS").join("\n");
    let names = |line: &str, name: &str| line.split_whitespace().any(|word| word.strip_prefix('-') == Some(name));
    for (first, second) in not_together() {
        // In the entry of one of them, or in one line for several.
        let in_entry = |of: &str, other: &str| {
            let mut entries = text.split("\n.It ");
            entries.any(|entry| {
                let mut lines = entry.lines();
                lines.next().is_some_and(|head| names(head, of)) && lines.any(|line| names(line, other))
            })
        };
        let is_said = in_entry(first, second)
            || in_entry(second, first)
            || text.lines().any(|line| names(line, first) && names(line, second));
        assert!(is_said, "--{first} and --{second}");
    }
}

#[test]
fn the_manual_has_every_action_with_its_arguments() {
    let manual = manual();
    let said: Vec<Vec<String>> = section(&manual, "ALL ACTIONS")
        .iter()
        .filter(|line| line.starts_with(".It "))
        .map(|line| plain(line).split_whitespace().map(str::to_owned).collect())
        .collect();
    let wanted = ACTIONS.iter().flat_map(|info| [Some((info.name, arguments_of(info))), alias_of(info)]).flatten();
    let wanted: Vec<Vec<&str>> = wanted.map(|(name, arguments)| [&[name], &arguments[..]].concat()).collect();
    for action in &wanted {
        assert!(said.iter().any(|said| said == action), "not in the manual: {action:?}, which has {said:#?}");
    }
    for action in &said {
        assert!(wanted.iter().any(|wanted| wanted[0] == action[0]), "no action: {action:?}");
    }
    let synopsis = section(&manual, "SYNOPSIS");
    for info in ACTIONS {
        assert!(synopsis.contains(&format!(".Cm {}", info.name).as_str()), "{} is not in the synopsis", info.name);
    }
}

#[test]
fn the_manual_has_every_hash_algorithm() {
    let manual = manual();
    let lines = section(&manual, "OPTIONS");
    let mut entry = lines.iter().skip_while(|line| !line.starts_with(".It Fl h ,"));
    let lists: [Vec<HashAlgorithm>; 2] = [HashAlgorithm::all().collect(), HashAlgorithm::also_known().collect()];
    for known in lists {
        let list =
            entry.by_ref().skip_while(|line| !line.starts_with(".Bd ")).skip(1).take_while(|line| **line != ".Ed");
        let lines: Vec<Vec<&str>> = list.map(|line| line.trim_start_matches(".Cm ").split(" , ").collect()).collect();
        for line in &lines {
            let same: Vec<_> = line.iter().map(|name| HashAlgorithm::from_name(name).unwrap()).collect();
            assert!(same.iter().all(|one| *one == same[0]), "{line:?}");
        }
        let mut said: Vec<&str> = lines.into_iter().flatten().collect();
        let mut known: Vec<&str> = known.into_iter().map(HashAlgorithm::name).collect();
        said.sort_unstable();
        known.sort_unstable();
        assert_eq!(said, known);
    }
}

/// What kind of value completion has to find for an option.
fn kind_of(option: &OptionInfo) -> &'static str {
    match (option.name, option.value) {
        (_, None) => "",
        ("hash", _) => "hash",
        ("format", _) => "format",
        ("fec-roots", _) => "roots",
        ("hash-offset", _) => "offset",
        ("like", _) => "device",
        ("data-block-size" | "hash-block-size", _) => "size",
        (name, Some("path")) if name.ends_with("-device") => "device",
        (_, Some("path")) => "file",
        (_, Some(_)) => "text",
    }
}

/// What kind of argument it has to find for an action.
fn argument_kind(action: Action, argument: &str) -> &'static str {
    match (argument, action) {
        ("data_device" | "hash_device", _) => "device",
        ("name", Action::Close | Action::Status) => "mapping",
        _ => "text",
    }
}

/// The tables that each completion file has to hold, from the command's own and, for options that every action takes,
/// from what the manual says of their use.
fn completion_tables() -> [(&'static str, Vec<String>); 3] {
    let entries = entries(&manual());
    let action_line = |info: &ActionInfo, (name, arguments): (&str, Vec<&str>)| {
        let kinds: Vec<&str> = arguments.iter().map(|argument| argument_kind(info.action, argument)).collect();
        format!("{name}|{}|{}", kinds.join(" "), info.help)
    };
    let actions = ACTIONS
        .iter()
        .flat_map(|info| {
            let both = [Some((info.name, arguments_of(info))), alias_of(info)];
            both.into_iter().flatten().map(|named| action_line(info, named)).collect::<Vec<_>>()
        })
        .collect();
    let options = OPTIONS
        .iter()
        .map(|option| {
            let short = option.short.map_or_else(String::new, |short| format!("-{short} "));
            let actions = entries.get(option.name).map(|entry| entry.actions.join(" ")).unwrap_or_default();
            format!("{actions}|{short}--{}|{}|{}", option.name, kind_of(option), option.help)
        })
        .collect();
    let hashes = HashAlgorithm::all().map(|algorithm| algorithm.name().to_owned()).collect();
    [("actions", actions), ("options", options), ("hashes", hashes)]
}

#[test]
fn the_completions_hold_the_same_tables() {
    for name in ["veritysetup.bash", "_veritysetup", "veritysetup.fish"] {
        let completion = file(&format!("completions/{name}"));
        for (table, wanted) in completion_tables() {
            let starts = [format!("veritysetup_{table}=\""), format!("veritysetup_{table} \"")];
            let is_start = |line: &&str| starts.iter().any(|start| line.ends_with(start.as_str()));
            let lines = completion.lines().skip_while(|line| !is_start(line)).skip(1).take_while(|line| *line != "\"");
            let found: Vec<&str> = match table {
                "hashes" => lines.flat_map(str::split_whitespace).collect(),
                _ => lines.collect(),
            };
            assert!(found == wanted, "completions/{name}: the table of {table} has to be\n{}", wanted.join("\n"));
        }
    }
}

#[test]
fn the_completions_tables_mean_nothing_to_a_shell() {
    for (_, lines) in completion_tables() {
        for line in lines {
            assert!(!line.contains(['"', '$', '`', '\\', '\n']), "{line}");
        }
    }
}
