//! The completion files in the shells they are for. What is expected is the same in all three.
//!
//! bash and zsh run on a pseudo-terminal of `script`: the tab key inserts all candidates, and a function in place of
//! the command records its arguments. fish prints its candidates.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use dmverity_tests::vm::process;
use dmverity_tests::workspace;

use crate::sandbox::Sandbox;

/// The text before the tab key, and the candidates. A word after `=` includes the part before it.
const CASES: &[(&str, &[&str])] = &[
    ("veritysetup fo", &["format"]),
    (
        "veritysetup ",
        &[
            "benchmark",
            "build",
            "close",
            "create",
            "dump",
            "features",
            "format",
            "inspect",
            "keyring",
            "mount-file",
            "open",
            "plan",
            "remove",
            "repair",
            "serve",
            "sign",
            "signature",
            "status",
            "table",
            "update",
            "verify",
        ],
    ),
    ("veritysetup -q --hash=sha1 -s aa --fec-roots 3 di", &[]),
    ("veritysetup -q --hash=sha1 -s aa --fec-roots 3 du", &["dump"]),
    // Mappings, but only those of dm-verity.
    ("veritysetup close ", &["image", "root fs"]),
    ("veritysetup remove i", &["image"]),
    ("veritysetup --debug status r", &["root fs"]),
    ("veritysetup close image ", &[]),
    ("veritysetup open data.img ", &[]),
    // Files, where the option takes one.
    ("veritysetup format d", &["data.img"]),
    ("veritysetup verify data.img h", &["hash.img"]),
    ("veritysetup verify images/", &["images/a.img"]),
    ("veritysetup verify data.img hash.img d", &[]),
    ("veritysetup open data.img name h", &["hash.img"]),
    ("veritysetup create name d", &["data.img"]),
    ("veritysetup create d", &[]),
    ("veritysetup plan d", &["data.img"]),
    ("veritysetup features d", &[]),
    ("veritysetup format --append data.img h", &[]),
    ("veritysetup format -- d", &["data.img"]),
    ("veritysetup format data.img -- h", &["hash.img"]),
    ("veritysetup verify --fec-device=h", &["--fec-device=hash.img"]),
    ("veritysetup verify --fec-device h", &["hash.img"]),
    ("veritysetup verify --root-hash-file=images/", &["--root-hash-file=images/a.img"]),
    // Values.
    ("veritysetup format --hash=sha2", &["--hash=sha224", "--hash=sha256"]),
    ("veritysetup format -h sha51", &["sha512", "sha512-224", "sha512-256"]),
    ("veritysetup format --format=", &["--format=0", "--format=1"]),
    ("veritysetup format --data-block-size=4", &["--data-block-size=4096"]),
    ("veritysetup plan --hash-block-size 5", &["512", "524288"]),
    ("veritysetup format --fec-roots 1", &["10", "11", "12", "13", "14", "15", "16", "17", "18", "19"]),
    ("veritysetup verify --hash-offset=", &["--hash-offset=auto"]),
    ("veritysetup create --hash-offset=", &["--hash-offset=auto"]),
    ("veritysetup format --hash-offset=a", &[]),
    // Options, but only those of the action.
    (
        "veritysetup close --",
        &[
            "--batch-mode",
            "--cancel-deferred",
            "--debug",
            "--deferred",
            "--help",
            "--json",
            "--usage",
            "--verbose",
            "--version",
        ],
    ),
    ("veritysetup remove --d", &["--debug", "--deferred"]),
    ("veritysetup format --st", &[]),
    ("veritysetup verify --st", &["--strict"]),
    ("veritysetup dump --t", &["--tree", "--trusted"]),
    ("veritysetup create --no-", &["--no-fallback", "--no-superblock"]),
    ("veritysetup table --boot-", &["--boot-data-device", "--boot-fec-device", "--boot-hash-device"]),
    ("veritysetup format data.img --sal", &["--salt", "--salt-seed"]),
    ("veritysetup --tr", &["--tree", "--trusted"]),
    ("veritysetup sign --pr", &["--prepare"]),
];

/// Files and mappings for the candidates.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("images")).expect("a new directory");
    for name in ["data.img", "hash.img", "images/a.img"] {
        sandbox.write(name, b"");
    }
    for (device, name, uuid) in [
        ("dm-0", "image", "CRYPT-VERITY-3bc1c38a4d33404fb0e29644e20ffa71-image"),
        ("dm-1", "home", "CRYPT-LUKS2-3bc1c38a4d33404fb0e29644e20ffa71-home"),
        ("dm-2", "root fs", "CRYPT-VERITY-a60c98d2ae9b4865bfcbb4e3ace11033-root fs"),
        ("dm-3", "group-volume", "LVM-abc"),
    ] {
        let folder = format!("sys/block/{device}/dm");
        fs::create_dir_all(sandbox.path(&folder)).expect("new directories");
        sandbox.write(&format!("{folder}/name"), format!("{name}\n").as_bytes());
        sandbox.write(&format!("{folder}/uuid"), format!("{uuid}\n").as_bytes());
    }
    sandbox
}

fn completion(name: &str) -> PathBuf {
    workspace().join("completions").join(name)
}

/// A program with a clean environment.
fn program(sandbox: &Sandbox, name: &str) -> Command {
    let mut command = process::command(name).unwrap_or_else(|error| panic!("{error:#}"));
    let home = sandbox.path("");
    command.current_dir(&home).env("HOME", &home).env("XDG_CONFIG_HOME", &home).env("XDG_DATA_HOME", &home);
    command.env("ZDOTDIR", &home).env("TERM", "dumb").env("VERITYSETUP_SYSFS", sandbox.path("sys"));
    command
}

/// Types every case on a terminal with this shell, and compares the command's arguments.
fn type_cases(sandbox: &Sandbox, shell: &str) {
    // A terminal's input buffer.
    const KEPT: usize = 4096;
    let mut typed: String = CASES.iter().flat_map(|(line, _)| [line, "\t\n"]).collect();
    typed.push_str("exit\n");
    assert!(typed.len() < KEPT, "too many cases for one terminal: {} bytes", typed.len());
    let mut script = program(sandbox, "script");
    script.args(["-qec", shell, "/dev/null"]).env("CAPTURED", sandbox.path("captured"));
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = script.spawn().expect("script runs");
    let mut keys = child.stdin.take().expect("piped");
    keys.write_all(typed.as_bytes()).expect("script reads");
    drop(keys);
    let output = child.wait_with_output().expect("script ends");

    let seen = String::from_utf8_lossy(&output.stdout);
    let captured = fs::read_to_string(sandbox.path("captured")).unwrap_or_else(|error| panic!("{error}: {seen}"));
    let calls: Vec<Vec<&str>> = captured.lines().map(|line| line.split_terminator('\u{1f}').collect()).collect();
    assert_eq!(calls.len(), CASES.len(), "{captured}\n{seen}");
    let mut wrong = String::new();
    for (call, (line, expected)) in calls.iter().zip(CASES) {
        // The last word is completed; without candidates it stays.
        let (before, last) = line.rsplit_once(' ').expect("there is a word");
        let start = before.split(' ').count() - 1;
        let option = last.split_once('=').map(|(option, _)| format!("{option}="));
        let found = call[start..].iter().filter(|word| **word != last || expected.contains(word));
        let found = found.map(|word| match &option {
            Some(option) if !word.starts_with(option.as_str()) => format!("{option}{word}"),
            _ => (*word).to_owned(),
        });
        wrong += &differences(line, found, expected);
    }
    assert!(wrong.is_empty(), "\n{wrong}{seen}");
}

/// The differences from the expected words; none if all match.
fn differences(line: &str, found: impl Iterator<Item = String>, expected: &[&str]) -> String {
    // Options that take a value may end with an equals sign.
    let plain = |word: String| match word.strip_suffix('=') {
        Some(option) => option.to_owned(),
        None => word,
    };
    let found: BTreeSet<String> = found.map(plain).collect();
    let expected: BTreeSet<String> = expected.iter().map(|&word| word.to_owned()).collect();
    if found == expected { String::new() } else { format!("{line:?}: {found:?} and not {expected:?}\n") }
}

#[test]
fn bash_completes() {
    let sandbox = sandbox();
    process::require(&["bash"]).unwrap_or_else(|error| panic!("{error:#}"));
    let settings = format!(
        "source '{}'\n\
         veritysetup() {{ printf '%s\\037' \"$@\" >>\"$CAPTURED\"; echo >>\"$CAPTURED\"; }}\n\
         bind '\"\\t\": insert-completions'\n",
        completion("veritysetup.bash").display()
    );
    sandbox.write("settings", settings.as_bytes());
    type_cases(&sandbox, "bash --noprofile --rcfile settings -i");
}

#[test]
fn zsh_completes() {
    let sandbox = sandbox();
    process::require(&["zsh"]).unwrap_or_else(|error| panic!("{error:#}"));
    let settings = format!(
        "fpath=('{}' $fpath)\n\
         autoload -Uz compinit && compinit -u -D\n\
         veritysetup() {{ printf '%s\\037' \"$@\" >>\"$CAPTURED\"; echo >>\"$CAPTURED\"; }}\n\
         _insert_all() {{ compstate[insert]=all; compstate[list]= }}\n\
         _everything() {{ comppostfuncs+=(_insert_all); _complete }}\n\
         zstyle ':completion:*' completer _everything\n\
         setopt no_beep\n",
        workspace().join("completions").display()
    );
    sandbox.write(".zshrc", settings.as_bytes());
    // No settings of the system, only its functions.
    type_cases(&sandbox, "zsh -d -i");
}

#[test]
fn fish_completes() {
    let sandbox = sandbox();
    let script = format!(
        "source '{}'; for line in $argv; complete -C $line; echo ---; end",
        completion("veritysetup.fish").display()
    );
    let mut command = program(&sandbox, "fish");
    command.args(["--no-config", "-c", &script]).args(CASES.iter().map(|(line, _)| line));
    let output = command.output().expect("fish runs");
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(complaints, "");
    let answers: Vec<&str> = said.split_terminator("---\n").collect();
    assert_eq!(answers.len(), CASES.len(), "{said}");
    let mut wrong = String::new();
    for (answer, (line, expected)) in answers.iter().zip(CASES) {
        // Some versions show similar words too.
        let typed = line.rsplit(' ').next().unwrap_or_default();
        let words = answer.lines().filter(|word| word.starts_with(typed));
        let words = words.map(|word| word.split('\t').next().unwrap_or_default().to_owned());
        wrong += &differences(line, words, expected);
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn each_file_is_read_without_complaint() {
    let sandbox = sandbox();
    for (shell, name) in [("bash", "veritysetup.bash"), ("zsh", "_veritysetup"), ("fish", "veritysetup.fish")] {
        let output = program(&sandbox, shell).arg("-n").arg(completion(name)).output().expect("it runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
    }
}
