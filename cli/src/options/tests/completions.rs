//! The tables in the shells' completion files: `make completions` writes them.

use super::*;

const FILES: &[&str] = &["veritysetup.bash", "_veritysetup", "veritysetup.fish"];

/// The width of the lines with names of hash algorithms.
const WIDTH: usize = 96;

/// An action's arguments without the signs around them.
fn arguments_of(info: &ActionInfo) -> Vec<&'static str> {
    info.arguments.split_whitespace().map(|argument| argument.trim_matches(['<', '>', '[', ']', '.'])).collect()
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
        ("data_device" | "hash_device" | "image", _) => "device",
        ("file" | "certificate" | "directory", _) => "file",
        ("name", Action::Close | Action::Status) => "mapping",
        _ => "text",
    }
}

/// An action under each of its names: name, kinds of arguments, description.
fn action_lines(info: &ActionInfo) -> Vec<String> {
    let kinds = |arguments: Vec<&str>| -> Vec<&str> {
        arguments.into_iter().map(|argument| argument_kind(info.action, argument)).collect()
    };
    let line = |name, arguments| format!("{name}|{}|{}", kinds(arguments).join(" "), info.help);
    let alias = info.alias.map(|alias| {
        let mut arguments = arguments_of(info);
        if alias == "create" {
            arguments.swap(0, 1);
        }
        line(alias, arguments)
    });
    [Some(line(info.name, arguments_of(info))), alias].into_iter().flatten().collect()
}

/// An option: actions, names, kind of value, description.
fn option_line(option: &OptionInfo) -> String {
    let actions = actions_of(option).join(" ");
    let actions = if actions.is_empty() { "all" } else { &actions };
    let short = option.short.map_or_else(String::new, |short| format!("-{short} "));
    format!("{actions}|{short}--{}|{}|{}", option.name, kind_of(option), option.help)
}

/// The lines of a table.
fn table(name: &str) -> String {
    let mut lines = match name {
        "actions" => ACTIONS.iter().flat_map(action_lines).collect(),
        "options" => OPTIONS.iter().map(option_line).collect(),
        "hashes" => wrapped(HashAlgorithm::all().map(HashAlgorithm::name), WIDTH),
        other => panic!("no table of {other}"),
    };
    lines.push(String::new());
    lines.join("\n")
}

/// The file with the tables as they have to be.
fn written(file: &str) -> String {
    ["actions", "options", "hashes"].iter().fold(file.to_owned(), |file, name| {
        let starts = [format!("veritysetup_{name}=\"\n"), format!("veritysetup_{name} \"\n")];
        let start = starts.iter().find_map(|start| Some(file.find(start.as_str())? + start.len()));
        let start = start.unwrap_or_else(|| panic!("no table of {name}"));
        let end = start + file[start..].find("\"\n").unwrap_or_else(|| panic!("the table of {name} has no end"));
        format!("{}{}{}", &file[..start], table(name), &file[end..])
    })
}

/// With `WRITE_COMPLETIONS`, writes the tables instead of comparing them.
#[test]
fn the_completions_have_the_tables() {
    for name in FILES {
        up_to_date(&format!("completions/{name}"), "WRITE_COMPLETIONS", "make completions", written);
    }
}

#[test]
fn the_completions_tables_mean_nothing_to_a_shell() {
    for name in ["actions", "options", "hashes"] {
        assert!(!table(name).contains(['"', '$', '`', '\\']), "{name}");
    }
}
