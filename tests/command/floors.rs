//! The library's modules are layered: each uses only those below it, and the files of a module depend on each other in
//! one direction.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use dmverity_tests::workspace;

/// From the lowest layer up.
const ROOMS: [&str; 19] = [
    "error",
    "value",
    "cpu",
    "memory",
    "work",
    "io",
    "hash",
    "format",
    "tree",
    "fec",
    "image",
    "reader",
    "nbd",
    "http",
    "ddi",
    "line",
    "signature",
    "dm",
    "messages",
];

/// The code of a file, without its comments and its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("the source is text");
    let text = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .fold(String::new(), |code, line| code + line + "\n")
}

/// Every file of the library, by its path below `lib/src` without `.rs`, with its code.
fn files() -> BTreeMap<String, String> {
    fn walk(folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).expect("the source is there") {
            let path = entry.expect("the source can be read").path();
            if path.is_dir() {
                walk(&path, found);
            } else if !path.ends_with("tests.rs") {
                let name = path.strip_prefix(workspace().join("lib/src")).expect("it is below it").with_extension("");
                found.insert(name.to_str().expect("names are text").to_owned(), code(&path));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&workspace().join("lib/src"), &mut found);
    assert!(found.len() > 80, "the source was not found");
    found
}

/// The modules that follow `prefix` in paths of the code: `a` and `b` of `prefix::a::X` and `prefix::{b, c::Y}`.
fn named(code: &str, prefix: &str) -> BTreeSet<String> {
    let is_word = |each: char| each.is_alphanumeric() || each == '_';
    let first = |path: &str| path.trim_start().split(|each| !is_word(each)).next().unwrap_or_default().to_owned();
    let mut found = BTreeSet::new();
    for (position, _) in code.match_indices(prefix) {
        // `super::super::` contains the shorter one.
        if code[..position].ends_with("::") {
            continue;
        }
        let rest = &code[position + prefix.len()..];
        match rest.strip_prefix('{') {
            None => _ = found.insert(first(rest)),
            Some(list) => {
                let (mut depth, mut start) = (0, 0);
                for (index, each) in list.char_indices() {
                    match each {
                        '{' => depth += 1,
                        ',' if depth == 0 => {
                            found.insert(first(&list[start..index]));
                            start = index + 1;
                        }
                        '}' if depth == 0 => {
                            found.insert(first(&list[start..index]));
                            break;
                        }
                        '}' => depth -= 1,
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

#[test]
fn names_in_paths_are_found() {
    let code = "use crate::a::{b, c};\nuse crate::{d, e::{F, G}, h};\nfn x() { crate::i::j() }\nsuper::super::k::l";
    assert_eq!(Vec::from_iter(named(code, "crate::")), ["a", "d", "e", "h", "i"]);
    assert_eq!(Vec::from_iter(named(code, "super::super::")), ["k"]);
}

#[test]
fn no_room_knows_one_above_it() {
    let floor = |room: &str| ROOMS.iter().position(|known| *known == room);
    for (file, code) in files().iter().filter(|(file, _)| *file != "lib") {
        let room = file.split('/').next().unwrap();
        let own = floor(room).unwrap_or_else(|| panic!("{file} is in no room of the plan"));
        for known in named(code, "crate::").iter().filter(|known| *known != "Error") {
            let below = floor(known).unwrap_or_else(|| panic!("{file} uses crate::{known}, which is no room"));
            assert!(below <= own, "{file} uses {known}, which is above it");
        }
    }
}

#[test]
fn the_files_of_a_room_know_each_other_in_one_direction() {
    let files = files();
    let mut knows: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (file, code) in &files {
        // A `mod.rs` only re-exports.
        if file == "lib" || file.ends_with("/mod") {
            continue;
        }
        let (folder, _) = file.rsplit_once('/').unwrap_or(("", file));
        let siblings = named(code, "super::").into_iter().map(|name| format!("{folder}/{name}"));
        let named_whole = named(code, "crate::").into_iter().flat_map(|room| {
            named(code, &format!("crate::{room}::")).into_iter().map(move |name| format!("{room}/{name}"))
        });
        let others = siblings.chain(named_whole).filter(|known| files.contains_key(known) && known != file);
        knows.insert(file, others.collect());
    }
    // Repeatedly removes files that depend on none of the remaining ones, until none is left.
    while let Some(leaf) = knows.iter().find(|(_, known)| known.iter().all(|known| !knows.contains_key(known.as_str())))
    {
        let leaf = *leaf.0;
        knows.remove(leaf);
    }
    assert!(knows.is_empty(), "these files know each other: {knows:#?}");
}

#[test]
fn a_mod_rs_is_a_face() {
    for (file, code) in files().iter().filter(|(file, _)| file.ends_with("/mod")) {
        for line in code.lines() {
            let words = line.trim_start().trim_start_matches("pub").trim_start_matches("(crate)");
            let is_item = ["fn ", "struct ", "enum ", "impl", "trait ", "static "]
                .iter()
                .any(|item| words.trim_start().starts_with(item));
            assert!(!is_item, "{file} has code of its own: {line}");
        }
    }
}
