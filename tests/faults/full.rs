//! File systems that are full, and files that may not grow.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use dmverity_tests::veritysetup;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::geteuid;

use crate::scenario::{Scenario, Wanted, memory};
use crate::scenarios::{appended, data, formats, repaired, short};
use crate::tracer::{Fault, Stops, trace};

/// Mounts are visible to the script only. It prints a line for each size, until everything fits.
const SCRIPT: &str = r#"
set -u
mkdir small && mount -t tmpfs -o size=4k tmpfs small || exit 99
pages=1
while [ $pages -le 300 ]; do
    rm -rf small/*
    mount -o remount,size=$((pages * 4))k small || exit 98
    [ -z "$INSIDE" ] || cp i small/i || { pages=$((pages + 1)); continue; }
    "$VERITYSETUP" $COMMAND >out 2>err
    code=$?
    left=$(ls small | tr '\n' ' ')
    loads=no
    "$VERITYSETUP" $LOADS >/dev/null 2>&1 && loads=yes
    data=same
    [ -z "$INSIDE" ] || cmp -n $(stat -c %s i) i small/i >/dev/null || data=changed
    longer=no
    [ -z "$INSIDE" ] || [ $(stat -c %s small/i) = $(stat -c %s i) ] || longer=yes
    echo "$pages:$code:$left:$loads:$data:$longer:$(head -c 300 err | tr '\n:' '  ')"
    [ $code != 0 ] || break
    pages=$((pages + 1))
done
"#;

/// Runs `command` on a file system of one page, two pages and so on until it succeeds. With `inside` the image is one
/// file there; otherwise `d` is elsewhere and only the output is there.
fn fill(name: &str, command: &str, loads: &str, inside: bool) {
    let directory = memory();
    fs::write(directory.path().join("d"), data()).expect("writable");
    fs::write(directory.path().join("i"), short()).expect("writable");
    let mut unshare = Command::new("unshare");
    unshare.arg("--mount").current_dir(directory.path());
    if !geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.args(["sh", "-c", SCRIPT]).env("INSIDE", if inside { "yes" } else { "" });
    unshare.env("VERITYSETUP", veritysetup()).env("COMMAND", command).env("LOADS", loads);
    let output = unshare.output().expect("unshare, of Debian's package util-linux");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{name}: {:?} {text} {}", output.status, String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.splitn(7, ':').collect()).collect();
    let mut failures = 0;
    for fields in &lines {
        let [_, code, left, loads, data, longer, said] = fields[..] else { panic!("{name}: {fields:?}") };
        assert_eq!(data, "same", "{name}: {fields:?}");
        if code == "0" {
            assert_eq!(loads, "yes", "{name}: {fields:?}");
            continue;
        }
        failures += 1;
        assert_eq!((code, loads, longer), ("1", "no", "no"), "{name}: {fields:?}");
        assert_eq!(left.trim(), if inside { "i" } else { "" }, "{name}: {fields:?}");
        assert!(said.contains("No space left on device"), "{name}: {fields:?}");
    }
    assert!(failures > 0 && lines.last().is_some_and(|fields| fields[1] == "0"), "{name}: {text}");
    println!("full: {name}: {failures} sizes too small");
}

#[test]
fn format_on_a_full_file_system() {
    let fixed = "--salt=aa --threads=1";
    fill("format", &format!("format d small/h {fixed} --hash=sha512 --hash-block-size=512"), "dump small/h", false);
    fill("format with FEC", &format!("format d small/h --fec-device=small/f {fixed}"), "dump small/h", false);
}

#[test]
fn append_on_a_full_file_system() {
    for command in ["format --append small/i -q", "format --append small/i -q --fec-roots=3 --threads=2"] {
        fill(command, command, "dump small/i --hash-offset=auto", true);
    }
}

/// The largest that any file may be, in steps. By default the accompanying signal (SIGXFSZ) kills the process.
fn limited(scenario: &Scenario, name: &str) {
    let after = scenario.after()[name].len();
    let (mut runs, mut all) = (0, Vec::new());
    for limit in (0..=after).step_by(4096) {
        scenario.restore();
        let mut command = scenario.command();
        let bytes = limit as u64;
        // SAFETY: between fork and exec only one system call is made.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(move || Ok(setrlimit(Resource::RLIMIT_FSIZE, bytes, bytes)?));
        }
        let ended = trace(&mut command, &Stops::At([].into()), |_, _| Fault::None);
        runs += 1;
        let found = scenario.problems(&ended, Wanted::RightOrFailure);
        let says_why = ended.status == Ok(scenario.code())
            || format!("{}{}", ended.stderr, ended.stdout).contains("File too large");
        if !found.is_empty() || !says_why {
            all.push(format!("{limit} bytes: {found:?} {:?} {:?}", ended.status, ended.stderr));
        }
    }
    println!("limited: {}: {runs} sizes", scenario.name);
    assert!(all.is_empty(), "{}:\n{}", scenario.name, all.join("\n"));
}

#[test]
fn files_that_may_not_grow() {
    for scenario in formats() {
        limited(&scenario, "h");
    }
    limited(&appended("format --append", &[], "format --append i --fec-roots=2"), "i");
    limited(&appended("format --append again", &["format --append i --salt=00"], "format --append i"), "i");
    limited(&repaired(), "d");
}
