//! The header: it compiles in both languages, and its numbers are those of libcryptsetup's own.

use std::fs;
use std::process::Command;

use crate::{compiler, include, run, text};

const NUMBERS: [&str; 32] = [
    "CRYPT_VERITY_NO_HEADER",
    "CRYPT_VERITY_CHECK_HASH",
    "CRYPT_VERITY_CREATE_HASH",
    "CRYPT_VERITY_ROOT_HASH_SIGNATURE",
    "CRYPT_ACTIVATE_READONLY",
    "CRYPT_ACTIVATE_SHARED",
    "CRYPT_ACTIVATE_CORRUPTED",
    "CRYPT_ACTIVATE_IGNORE_CORRUPTION",
    "CRYPT_ACTIVATE_RESTART_ON_CORRUPTION",
    "CRYPT_ACTIVATE_IGNORE_ZERO_BLOCKS",
    "CRYPT_ACTIVATE_CHECK_AT_MOST_ONCE",
    "CRYPT_ACTIVATE_PANIC_ON_CORRUPTION",
    "CRYPT_ACTIVATE_TASKLETS",
    "CRYPT_DEACTIVATE_DEFERRED",
    "CRYPT_DEACTIVATE_FORCE",
    "CRYPT_DEACTIVATE_DEFERRED_CANCEL",
    "CRYPT_INVALID",
    "CRYPT_INACTIVE",
    "CRYPT_ACTIVE",
    "CRYPT_BUSY",
    "CRYPT_LOG_NORMAL",
    "CRYPT_LOG_ERROR",
    "CRYPT_LOG_VERBOSE",
    "CRYPT_LOG_DEBUG",
    "CRYPT_LOG_DEBUG_JSON",
    "CRYPT_DEBUG_ALL",
    "CRYPT_DEBUG_JSON",
    "CRYPT_DEBUG_NONE",
    "CRYPT_ANY_SLOT",
    "sizeof(struct crypt_params_verity)",
    "sizeof(struct crypt_active_device)",
    "sizeof(CRYPT_VERITY)",
];

const PLACES: [(&str, &[&str]); 2] = [
    (
        "crypt_params_verity",
        &[
            "hash_name",
            "data_device",
            "hash_device",
            "fec_device",
            "salt",
            "salt_size",
            "hash_type",
            "data_block_size",
            "hash_block_size",
            "data_size",
            "hash_area_offset",
            "fec_area_offset",
            "fec_roots",
            "flags",
        ],
    ),
    ("crypt_active_device", &["offset", "iv_offset", "size", "flags"]),
];

const BEGIN: &str = r#"#include <stdio.h>
#include HEADER
#define NUMBER(number) printf(#number " %ld\n", (long)(int)(number))
#define PLACE(type, field) printf(#field " %ld\n", (long)offsetof(struct type, field))
int main(void)
{
"#;

#[test]
fn the_header_is_c_and_cpp() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("only.h"), "#include <dmverity/cryptsetup-verity.h>\n").unwrap();
    for (compiler_name, language, standard) in
        [("cc", "c", "-std=c99"), ("cc", "c", "-std=c17"), ("c++", "c++", "-std=c++11"), ("c++", "c++", "-std=c++20")]
    {
        let mut command = compiler(compiler_name, folder.path());
        run(command.args(["-pedantic", "-fsyntax-only", standard, "-x", language, "only.h"]));
    }
}

#[test]
fn its_numbers_are_those_of_libcryptsetup() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = String::from(BEGIN);
    for number in NUMBERS {
        program.extend(["    NUMBER(", number, ");\n"]);
    }
    for (name, fields) in PLACES {
        for field in fields {
            program.extend(["    PLACE(", name, ", ", field, ");\n"]);
        }
    }
    program += "    return 0;\n}\n";
    fs::write(folder.path().join("numbers.c"), program).unwrap();
    let numbers = |header: &str| {
        let header = format!("-DHEADER=<{header}>");
        run(Command::new("cc")
            .args(["-include", "stddef.h", &header, "-I"])
            .arg(include())
            .args(["numbers.c", "-o", "numbers"])
            .current_dir(folder.path()));
        text(&run(&mut Command::new(folder.path().join("numbers"))).stdout)
    };
    let ours = numbers("dmverity/cryptsetup-verity.h");
    assert_eq!(ours.lines().count(), 50);
    assert_eq!(ours, numbers("libcryptsetup.h"));
}
