//! What the manual page has from the tables: `make man` writes it. These are the first two lines of each option's
//! entry, the names of the hash algorithms, the first line of each action's entry, the list of what `format` takes, and
//! the forms of `table`. The text between them is the manual's own.

use super::*;
use crate::help;

/// The width of a line of the manual's source with a list.
const WIDTH: usize = 100;

/// Values that are given literally; the others are placeholders.
const LITERAL: &[&str] = &["auto", "tree", "device", "error", "stop", "inline", "pool"];

/// The groups of options in the help of `format` that are not named in its entry, because most actions have them.
const GENERAL: &[&str] = &["Output", "Help"];

fn manual() -> String {
    file("man/veritysetup.8")
}

/// The first two lines of an option's entry: its names and value, the actions.
fn entry(option: &OptionInfo) -> [String; 2] {
    let short = match option.short {
        None => String::new(),
        Some('?') => "\\&? , Fl ".to_owned(),
        Some(short) => format!("{short} , Fl "),
    };
    let part = |part: &&str| format!("{} {part}", if LITERAL.contains(part) { "Cm" } else { "Ar" });
    let value = option.value.map(|value| value.split('|').collect::<Vec<_>>());
    let value = value.map(|parts| parts.iter().map(part).collect::<Vec<_>>().join(" Ns | Ns "));
    if option.is_rest {
        // The dots stand alone.
        let word = option.value.unwrap_or_default().trim_end_matches('.');
        return [
            format!(".It Fl -{} Ar {word} ...", option.name),
            format!(".Pq Cm {}", actions_of(option).join(" , ")),
        ];
    }
    let op = if option.default.is_some() { "Op " } else { "" };
    let value = value.map_or_else(String::new, |value| format!(" Ns {op}= Ns {value}"));
    let actions = match &actions_of(option)[..] {
        [] => "all".to_owned(),
        actions => format!("Cm {}", actions.join(" , ")),
    };
    let by_all = if option.is_accepted_by_all { " ; No accepted by all" } else { "" };
    [format!(".It Fl {short}-{}{value}", option.name), format!(".Pq {actions}{by_all}")]
}

/// The option that an entry in OPTIONS is of.
fn option_of(line: &str) -> Option<&'static OptionInfo> {
    let name = line.strip_prefix(".It ")?.split_whitespace().find_map(|word| word.strip_prefix('-'))?;
    OPTIONS.iter().find(|option| option.name == name)
}

/// The first line of an action's entry, under each of its names.
fn action_line(name: &str, info: &ActionInfo) -> String {
    let mut arguments: Vec<&str> = info.arguments.split_whitespace().collect();
    if name == "create" {
        arguments.swap(0, 1);
    }
    let mut words = vec![".It Cm", name];
    let mut macro_before = "";
    let mut arguments = arguments.into_iter().peekable();
    while let Some(argument) = arguments.next() {
        // What follows the brackets in a line would otherwise be in them.
        if argument.starts_with('[') && arguments.peek().is_some() {
            words.extend(["Oo Ar", argument.trim_matches(['<', '>', '[', ']']), "Oc"]);
            macro_before = "";
            continue;
        }
        // Without signs around it, it is one of these words.
        let macro_here = match argument.chars().next() {
            Some('[') => "Op Ar",
            Some('<') => "Ar",
            _ => "Cm",
        };
        if macro_here != macro_before {
            words.push(macro_here);
            macro_before = macro_here;
        }
        for (index, alternative) in argument.trim_matches(['<', '>', '[', ']']).split('|').enumerate() {
            if index > 0 {
                words.push("|");
            }
            // Of several, the dots stand alone.
            match alternative.strip_suffix(">...") {
                Some(one) => words.extend([one, "..."]),
                None => words.push(alternative),
            }
        }
    }
    words.join(" ")
}

/// The names of algorithms, those of one algorithm in a line.
fn names(algorithms: impl Iterator<Item = HashAlgorithm>) -> Vec<String> {
    let mut lines: Vec<(HashAlgorithm, Vec<&str>)> = Vec::new();
    for algorithm in algorithms {
        let name = algorithm.name();
        match lines.iter_mut().find(|(known, _)| *known == algorithm) {
            Some((_, names)) => names.push(name),
            None => lines.push((algorithm, vec![name])),
        }
    }
    lines.into_iter().map(|(_, names)| format!(".Cm {}", names.join(" , "))).collect()
}

/// A list of options, which ends a sentence.
fn list(names: impl Iterator<Item = &'static str>) -> Vec<String> {
    let names: Vec<String> = names.map(|name| format!("-{name} ,")).collect();
    let lines = wrapped(names.iter().map(String::as_str), WIDTH);
    let mut lines: Vec<String> = lines.into_iter().map(|line| format!(".Fl {line}")).collect();
    if let Some(last) = lines.last_mut() {
        *last = format!("{}.", last.trim_end_matches(','));
    }
    lines
}

/// What `format` takes.
fn options_of_format() -> Vec<String> {
    let is_general = |option: &OptionInfo| GENERAL.contains(&help::group_of(option));
    let used = OPTIONS.iter().filter(|option| option.is_used_by(Action::Format) && !is_general(option));
    list(used.map(|option| option.name).filter(|name| !matches!(*name, "append" | "batch-mode")))
}

/// Lines, of which some have been replaced.
struct Written<'a> {
    old: std::iter::Peekable<std::str::Lines<'a>>,
    new: Vec<String>,
}

impl Written<'_> {
    /// The next lines take the place of those for which `is_old` holds.
    fn replace(&mut self, lines: Vec<String>, is_old: impl Fn(&str) -> bool) {
        while self.old.next_if(|line| is_old(line)).is_some() {}
        self.new.extend(lines);
    }
}

/// The manual as it has to be.
fn written(manual: &str) -> String {
    let mut written = Written { old: manual.lines().peekable(), new: Vec::new() };
    let (mut section, mut hashes) = ("", 0);
    while let Some(line) = written.old.next() {
        if let Some(name) = line.strip_prefix(".Sh ") {
            section = name;
        }
        if let Some(option) = option_of(line).filter(|_| section == "OPTIONS") {
            written.replace(entry(option).into(), |line| line.starts_with(".Pq "));
            continue;
        }
        let action = line.strip_prefix(".It Cm ").filter(|rest| section == "ALL ACTIONS" && !rest.contains(" Fl "));
        let name = action.and_then(|rest| rest.split(' ').next());
        if let Some((name, info)) = name.and_then(|name| Some((name, info_of(name)?))) {
            written.new.push(action_line(name, info));
            continue;
        }
        written.new.push(line.to_owned());
        let is_list = |line: &str| line.starts_with(".Fl -");
        match line {
            ".Bd -unfilled -offset indent" if section == "OPTIONS" && hashes < 2 => {
                let lines = if hashes == 0 { names(HashAlgorithm::all()) } else { names(HashAlgorithm::also_known()) };
                hashes += 1;
                written.replace(lines, |line| line.starts_with(".Cm "));
            }
            "Options:" if section == "ALL ACTIONS" => written.replace(options_of_format(), is_list),
            "Only one of these can be given:" => written.replace(list(TABLE_FORMS.iter().copied()), is_list),
            _ => {}
        }
    }
    assert_eq!(hashes, 2, "the lists of hash algorithms are not where they were");
    for option in OPTIONS {
        if !written.new.contains(&entry(option)[0]) {
            add_entry(&mut written.new, option);
        }
    }
    written.new.join("\n") + "\n"
}

/// Adds an entry for an option that has none, with the words of the help, where the manual has others of its group.
fn add_entry(lines: &mut Vec<String>, option: &OptionInfo) {
    let is_of_group =
        |line: &String| option_of(line).is_some_and(|other| help::group_of(other) == help::group_of(option));
    let first = lines.iter().position(is_of_group).unwrap_or_else(|| panic!("--{} is in a new group", option.name));
    let mut depth = 1;
    let end = lines[first..].iter().position(|line| {
        depth += i32::from(line.starts_with(".Bl")) - i32::from(line.starts_with(".El"));
        depth == 0
    });
    let end = first + end.expect("a list has an end");
    let [head, actions] = entry(option);
    lines.splice(end..end, [head, actions, format!("{}.", option.help)]);
}

/// With `WRITE_MANUAL`, writes the manual from the tables instead of comparing them.
#[test]
fn the_manual_has_what_the_tables_say() {
    up_to_date("man/veritysetup.8", "WRITE_MANUAL", "make man", written);
}

#[test]
fn an_option_without_an_entry_gets_one_among_its_like() {
    let manual = manual();
    let option = OPTIONS.iter().find(|option| option.name == "fec-scope").unwrap();
    let [head, actions] = entry(option);
    let (before, rest) = manual.split_once(&format!("{head}\n{actions}\n")).unwrap();
    let (text, after) = rest.split_once(".El\n").unwrap();
    let made = written(&format!("{before}.El\n{after}"));
    assert_ne!(text, "");
    assert_eq!(made, format!("{before}{head}\n{actions}\n{}.\n.El\n{after}", option.help));
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

#[test]
fn the_manual_has_one_entry_for_each_option_and_action() {
    let manual = manual();
    let count = |name: &str, head: &str| section(&manual, name).into_iter().filter(|line| *line == head).count();
    for option in OPTIONS {
        assert_eq!(count("OPTIONS", &entry(option)[0]), 1, "--{}", option.name);
    }
    for info in ACTIONS {
        for name in [Some(info.name), info.alias].into_iter().flatten() {
            assert_eq!(count("ALL ACTIONS", &action_line(name, info)), 1, "{name}");
        }
        assert!(section(&manual, "SYNOPSIS").contains(&format!(".Cm {}", info.name).as_str()), "{}", info.name);
    }
    for name in section(&manual, "ALL ACTIONS").into_iter().filter_map(|line| line.strip_prefix(".It Cm ")) {
        assert!(name.split(' ').next().and_then(info_of).is_some(), "no action: {name}");
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
