//! A program that uses the library with the default release profile hashes and encodes as fast as the command, which is
//! built with link-time optimization. These tests inspect the compiled code and measure no time.
//!
//! A leaf is slow if one of its helpers or closures is not inlined: vectors then go through memory.

#![cfg(target_arch = "x86_64")]

use std::collections::BTreeMap;
use std::env;
use std::process::Command;

use dmverity_tests::{built, workspace};
use regex_lite::Regex;

/// The functions that need processor features, how many of each there are (one for each number of outputs), and the
/// least number of working instructions that they have together if everything is unrolled.
const LEAVES: [(&str, usize, &str, usize); 13] = [
    // Two times 16 rounds of six rotations, and 16 times four of the schedule.
    ("hash::lanes::avx512::sha256", 1, "vpro[lr]d", 256),
    ("hash::lanes::avx512::sha512", 1, "vpro[lr]q", 256),
    ("hash::lanes::avx2::sha256", 1, "vpsrlv?d", 256),
    ("hash::lanes::avx2::sha512", 1, "vpsrlv?q", 256),
    // 80 rounds of two rotations, and 64 of the schedule.
    ("hash::lanes::avx512::sha1", 1, "vpro[lr]d", 224),
    ("hash::lanes::avx2::sha1", 1, "vpsrlv?d", 224),
    // One for each two rounds of four messages.
    ("hash::lanes::sha_ni::sha256", 1, "sha256rnds2", 128),
    // One for each output and half, or two of them, and with AVX-512 also two rows at a time.
    ("fec::lanes::avx512::group", 8, "vgf2p8affineqb", 216),
    ("fec::lanes::avx512::mix", 1, "vgf2p8affineqb", 1),
    ("fec::lanes::avx2::group", 4, "vpshufb", 40),
    ("fec::lanes::avx2::mix", 1, "vpshufb", 2),
    ("fec::lanes::ssse3::group", 4, "pshufb", 40),
    ("fec::lanes::ssse3::mix", 1, "pshufb", 2),
];

/// The functions of the leaves with their instructions, and the symbols that each refers to.
fn functions() -> Vec<(String, Vec<String>)> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments =
        ["build", "--locked", "--quiet", "--profile", "plain", "-p", "dmverity", "--lib", "--no-default-features"];
    let status = Command::new(cargo)
        .args(arguments)
        .arg("--target-dir")
        .arg(built())
        .envs([("CARGO_PROFILE_PLAIN_LTO", "false"), ("CARGO_PROFILE_PLAIN_CODEGEN_UNITS", "16")])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(workspace())
        .status();
    assert!(status.expect("cargo is there").success());
    let library = built().join("plain/libdmverity.rlib");
    let output = Command::new("objdump").args(["-drC", "--no-show-raw-insn"]).arg(library).output();
    let output = output.expect("objdump is there, as wherever there is a linker");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let start = Regex::new(r"^[0-9a-f]+ <(.*)>:$").expect("a regular expression");
    let leaf =
        Regex::new(r"^<?dmverity::(hash|fec)::lanes::(avx512|avx2|sha_ni|ssse3)::").expect("a regular expression");
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        if let Some(start) = start.captures(line) {
            found.push((start[1].to_owned(), Vec::new()));
        } else if let Some((_, instructions)) = found.last_mut() {
            match (line.contains("\tR_X86_64_") || line.contains(": R_X86_64_"), instructions.last_mut()) {
                (true, Some(last)) => *last += line.split_whitespace().last().unwrap_or_default(),
                (true, None) => (),
                (false, _) => {
                    instructions.extend(line.split_once(":\t").map(|(_, instruction)| instruction.to_owned()));
                }
            }
        }
    }
    found.retain(|(name, _)| leaf.is_match(name));
    found
}

#[test]
fn leaves_are_whole_without_optimizations_at_link_time() {
    let functions = functions();
    let mut seen = BTreeMap::new();
    for (name, instructions) in &functions {
        // The caller of a leaf, which is called once for many chunks, needs no feature.
        if name.contains("<impl ") {
            continue;
        }
        let plain = name.strip_prefix("dmverity::").unwrap_or(name);
        let leaf = LEAVES.iter().find(|(leaf, ..)| plain == *leaf || plain.strip_prefix(leaf).is_some_and(is_instance));
        let Some((leaf, _, work, _)) = leaf else { panic!("{name} is not part of the function that uses it") };
        let calls: Vec<_> = instructions.iter().filter(|it| it.starts_with("call") && !is_panic(it)).collect();
        assert!(calls.is_empty(), "{name} calls something: {calls:?}");
        let work = Regex::new(&format!("^{work}\\b")).expect("a regular expression");
        let (times, works) = seen.entry(*leaf).or_insert((0, 0));
        *times += 1;
        *works += instructions.iter().filter(|it| work.is_match(it)).count();
    }
    for (leaf, expected, work, least) in LEAVES {
        let (times, works) = seen.get(leaf).copied().unwrap_or_default();
        assert_eq!(times, expected, "{leaf}");
        assert!(works >= least, "{leaf} has {work} {works} times, not {least}");
    }
}

/// Whether this is what a compiler adds to the name of one of several functions.
fn is_instance(rest: &str) -> bool {
    rest.starts_with("::<") || rest.starts_with("::h") || rest.starts_with('<')
}

fn is_panic(call: &str) -> bool {
    call.contains("core::panicking::") || call.contains("slice_index") || call.contains("_index_len_fail")
}
