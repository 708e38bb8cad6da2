//! The object that the command prints, with any text in it, and the one that `--expect` reads.
//!
//! Input: texts with NULs between them; all of it is also a file for `--expect`.

use dmverity::{Expected, Params};
use serde_json::Value;
use veritysetup::fuzzing;

use crate::file::MemoryFile;
use crate::input::Input;

pub(crate) const DICTIONARY: &[&str] = &[
    "\"",
    "\\",
    "\\u0000",
    "\n",
    "\x1b[2K",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "1e999",
    "\"data_blocks\":",
    "\"hash_offset\":",
    "\"uuid\":null",
    "\"salt\":",
    "\"root_hash\":",
    "\"hash_algorithm\":",
    "\"superblock\":",
    "-1",
    "1.0",
    "\u{2028}",
    "\u{feff}",
];

thread_local! {
    static FILE: MemoryFile = MemoryFile::new();
    static PARAMS: Params = Params::builder().build(40960).expect("valid");
}

/// The output is one JSON object that holds the texts unchanged. A file for `--expect` is accepted only if it is a JSON
/// object, and a matching image has its values.
pub fn json(data: &[u8]) {
    FILE.with(|file| {
        file.set(data);
        if let Ok(expected) = fuzzing::expect_file(file.path()) {
            check_expected(&serde_json::from_slice(data).expect("it was read"), &expected);
        }
    });
    let mut input = Input::new(data);
    let mut texts = Vec::new();
    while !input.is_empty() {
        texts.push(input.text());
    }
    let object = check_object(&fuzzing::json(&texts));
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(strings(&object["warnings"]), texts);
    assert_eq!(strings(&object["error"]["hints"]), texts);
    assert_eq!(object["error"]["message"], texts.join("\n"));
}

fn check_expected(object: &Value, expected: &Expected) {
    assert!(object.is_object());
    PARAMS.with(|params| {
        if expected.check(params).is_ok() {
            for (field, value) in [
                ("data_blocks", Value::from(10)),
                ("data_block_size", Value::from(4096)),
                ("hash_block_size", Value::from(4096)),
                ("hash_type", Value::from(1)),
                ("hash_offset", Value::from(0)),
            ] {
                assert!(object.get(field).is_none_or(|expected| *expected == value), "{object}");
            }
        }
    });
}

/// Fails unless this is one object as the command prints it.
pub(crate) fn check_object(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).expect("it is JSON");
    assert!(value.is_object() && text.ends_with('\n'), "{text:?}");
    assert!(!text.bytes().any(|byte| byte < b' ' && byte != b'\n'), "{text:?}");
    value
}
