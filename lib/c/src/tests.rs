//! What the table says, and the entries as C calls them.

use std::fmt::Write as _;
use std::fs;

use crate::functions::{Answer, FUNCTIONS, version_script, versions};
use crate::guard::guard;

#[test]
fn the_table_is_in_order_and_has_every_name_once() {
    assert_eq!(FUNCTIONS.len(), 147);
    assert!(FUNCTIONS.is_sorted_by(|one, next| one.name < next.name));
    assert!(FUNCTIONS.iter().all(|function| function.versions.is_sorted() && !function.versions.is_empty()));
    assert_eq!(versions(), ["2.0", "2.4", "2.5", "2.6", "2.7", "2.8"]);
    assert!(FUNCTIONS.iter().filter(|function| function.answer == Answer::Works).count() >= 27);
}

#[test]
fn lists_the_version_script_is_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/libcryptsetup.map");
    if std::env::var_os("WRITE_LISTS").is_some() {
        fs::write(path, version_script()).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), version_script(), "make c-lists");
}

/// The list of the manual page, two names a line.
fn manual_list() -> String {
    let works = FUNCTIONS.iter().filter(|function| function.answer == Answer::Works).map(|function| function.name);
    let names: Vec<&str> = works.collect();
    let widest = "crypt_init_by_name_and_header";
    let mut list = format!(".Bl -column -compact \"{widest}\" \"{widest}\"\n");
    for pair in names.chunks(2) {
        let second = pair.get(1).map_or(String::new(), |name| format!(" Fn {name}"));
        writeln!(list, ".It Fn {} Ta{second}", pair[0]).unwrap();
    }
    list + ".El\n"
}

#[test]
fn lists_the_manual_has_what_works() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../man/libcryptsetup-verity.7");
    let page = fs::read_to_string(path).unwrap();
    let (begin, end) = (".\\\" begin of the functions\n", ".\\\" end of the functions\n");
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let written = [before, begin, &manual_list(), end, after].concat();
    if std::env::var_os("WRITE_LISTS").is_some() {
        fs::write(path, &written).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), written, "make c-lists");
}

#[test]
fn a_panic_becomes_a_number() {
    // SAFETY: there is no handle.
    let number = unsafe { guard(std::ptr::null(), || panic!("for the test")) };
    assert_eq!(number, -libc::EFAULT);
}
