//! The command line.
//!
//! Input: the words after the program's name, with NULs between them.

use std::ffi::OsString;

use veritysetup::fuzzing;

use crate::input::Input;
use crate::json::check_object;

pub(crate) const DICTIONARY: &[&str] = &[
    "format\0",
    "verify\0",
    "repair\0",
    "open\0",
    "create\0",
    "close\0",
    "status\0",
    "dump\0",
    "plan\0",
    "table\0",
    "features\0",
    "benchmark\0",
    "sign\0",
    "signature\0",
    "lint\0",
    "--prepare\0",
    "--digest=",
    "--trusted=",
    "--ca=",
    "--at=",
    "--json\0",
    "--debug\0",
    "--verbose\0",
    "--data-blocks=",
    "--data-size=",
    "--data-block-size=",
    "--hash-block-size=",
    "--hash-offset=",
    "--hash-offset=auto\0",
    "--hash=",
    "--salt=",
    "--salt-seed=",
    "--deterministic\0",
    "--uuid=",
    "--format=",
    "--no-superblock\0",
    "--fec-device=",
    "--fec-offset=",
    "--fec-roots=",
    "--append\0",
    "--threads=",
    "--root-hash-file=",
    "--root-hash-signature=",
    "--ignore-corruption\0",
    "--panic-on-corruption\0",
    "--restart-on-corruption\0",
    "--error-as-corruption\0",
    "--deferred\0",
    "--cancel-deferred\0",
    "--use-tasklets\0",
    "--help\0",
    "--usage\0",
    "--version\0",
    "-v\0",
    "-q\0",
    "-h\0",
    "--\0",
    "18446744073709551615",
    "18446744073709551616",
    "-1",
    "4096",
    "512",
    "524288",
    "0x10",
    "sha256",
    "sha512",
];

/// No argument causes a panic or reaches the terminal as a control sequence, and all JSON output is valid.
pub fn command_line(data: &[u8]) {
    let mut words = vec![OsString::from("veritysetup")];
    words.extend(Input::new(data).words());
    let printed = fuzzing::command_line(&words);
    check_object(&printed.json);
    assert!(!printed.text.chars().any(|each| each.is_control() && !matches!(each, '\n' | '\t')), "{:?}", printed.text);
}
