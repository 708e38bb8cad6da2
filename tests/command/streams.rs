//! Data on standard input: the bytes are those of a file, and nothing is left of a stream that is not right.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;

use dmverity_tests::vectors::painted;
use dmverity_tests::veritysetup;
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::interrupted::killed_at_each_call;
use crate::sandbox::{Outcome, Sandbox};

fn spawn(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    // The test process itself may ignore signals.
    let mut command = sandbox.command("env", &["--default-signal=HUP,INT,TERM"]);
    command.arg(veritysetup()).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started")
}

/// Runs our `veritysetup` with these bytes on a pipe, until it has ended.
fn piped(sandbox: &Sandbox, bytes: &[u8], arguments: &[&str]) -> (Option<i32>, Vec<u8>, String) {
    let mut child = spawn(sandbox, arguments);
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = thread::scope(|scope| {
        scope.spawn(move || match stdin.write_all(bytes) {
            // It has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written.expect("a pipe takes all"),
        });
        child.wait_with_output().expect("it ends")
    });
    (output.status.code(), output.stdout, String::from_utf8(output.stderr).expect("UTF-8"))
}

fn run(sandbox: &Sandbox, bytes: &[u8], arguments: &[&str]) -> Outcome {
    let (code, stdout, stderr) = piped(sandbox, bytes, arguments);
    Outcome { code, stdout: String::from_utf8(stdout).expect("UTF-8"), stderr }
}

/// The same without the line that names the device.
fn without_title(outcome: Outcome) -> Outcome {
    let (_, rest) = outcome.stdout.split_once('\n').unwrap_or_default();
    Outcome { stdout: rest.to_owned(), ..outcome }
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn the_bytes_and_the_words_are_those_of_a_file() {
    let sandbox = Sandbox::in_memory();
    let mut rng = fastrand::Rng::with_seed(17);
    for round in 0..60 {
        let data = painted(rng.usize(5000..2_000_000));
        sandbox.write("d", &data);
        for name in ["h", "h2", "f", "f2", "image", "image2"] {
            let _ = std::fs::remove_file(sandbox.path(name));
        }
        let mut options = vec!["--salt-seed=a".to_owned(), format!("--threads={}", rng.u8(1..4))];
        options.push(format!("--hash={}", ["sha256", "sha1", "sha512"][rng.usize(..3)]));
        let block = 512 << rng.u32(..5);
        options.extend([format!("--data-block-size={block}"), format!("--hash-block-size={block}")]);
        let options = words(&options);
        let fec = |device: &str| if round % 2 == 0 { vec![format!("--fec-device={device}")] } else { Vec::new() };
        let arguments = |first: &[&str], fec: Vec<String>| -> Vec<String> {
            first.iter().chain(&options).map(|&word| word.to_owned()).chain(fec).collect()
        };
        // Parity on a device of its own, or after the tree.
        let own = round % 4 == 0;
        let file = arguments(&["format", "d", "h"], fec(if own { "f" } else { "h" }));
        let stream = arguments(&["format", "-", "h2"], fec(if own { "f2" } else { "h2" }));
        let expected = without_title(sandbox.run(&words(&file)));
        assert_eq!(expected.code, Some(0), "{round}: {expected:?}");
        assert_eq!(without_title(run(&sandbox, &data, &words(&stream))), expected, "{round}: {stream:?}");
        assert!(sandbox.read("h") == sandbox.read("h2"), "{round}");
        assert!(!own || sandbox.read("f") == sandbox.read("f2"), "{round}");
        let planned = run(&sandbox, &data, &words(&arguments(&["format", "--dry-run", "-"], Vec::new())));
        assert_eq!(planned.field("Root hash"), expected.field("Root hash"), "{round}");

        sandbox.write("image", &data);
        let roots = if round % 2 == 0 { &["--fec-roots=3"][..] } else { &[] };
        let file = arguments(&[&["format", "--append", "image"], roots].concat(), Vec::new());
        let size = format!("--data-size={}", data.len());
        let known = if rng.bool() { &[size.as_str()][..] } else { &[] };
        let stream = [&["format", "--append", "--output=image2", "-"], roots, known].concat();
        let expected = without_title(sandbox.run(&words(&file)));
        let made = without_title(run(&sandbox, &data, &words(&arguments(&stream, Vec::new()))));
        assert_eq!(made, expected, "{round}: {stream:?}");
        assert!(sandbox.read("image") == sandbox.read("image2"), "{round}");
        let planned = [&["format", "--append", "--dry-run", "-"], roots].concat();
        let planned = without_title(run(&sandbox, &data, &words(&arguments(&planned, Vec::new()))));
        assert_eq!(planned, expected, "{round}");
    }
}

#[test]
fn a_size_makes_deterministic_images_and_is_compared() {
    let sandbox = Sandbox::new();
    let data = painted(10_000);
    sandbox.write("d", &data);
    let append = |options: &[&'static str]| [&["format", "--append", "--output=image", "-"], options].concat();
    for (file, stream) in [
        (vec!["format", "d", "h", "--deterministic"], vec!["format", "-", "h", "--deterministic", "--data-size=10000"]),
        (
            vec!["format", "--append", "d", "--deterministic", "--dry-run"],
            append(&["--deterministic", "--data-size=10000"]),
        ),
    ] {
        let [file, stream] = [sandbox.run(&file), run(&sandbox, &data, &stream)];
        assert_eq!(without_title(stream), without_title(file));
    }
    let _ = std::fs::remove_file(sandbox.path("h"));
    let before = sandbox.snapshot();
    for (words, line, hint) in [
        (
            vec!["format", "-", "h", "--data-size=10001"],
            "The data from standard input ended too early.",
            "it has 10000 bytes, but 10001 are needed.",
        ),
        (
            vec!["format", "-", "h", "--data-blocks=3"],
            "The data from standard input ended too early.",
            "it has 10000 bytes, but 12288 are needed.",
        ),
        (
            vec!["format", "-", "h", "--data-size=9999"],
            "The data from standard input go on after their end.",
            "it goes on after 9999 bytes.",
        ),
        (
            vec!["format", "-", "h", "--data-blocks=2"],
            "The data from standard input go on after their end.",
            "it goes on after 8192 bytes.",
        ),
        (
            append(&["--data-size=9999"]),
            "The data from standard input go on after their end.",
            "it goes on after 9999 bytes.",
        ),
        (
            append(&["--data-size=20000", "--fec-roots=2"]),
            "The data from standard input ended too early.",
            "it has 10000 bytes, but 20000 are needed.",
        ),
    ] {
        let stderr = format!("{line}\nhint: {hint}\n");
        assert_eq!(run(&sandbox, &data, &words), Outcome { code: Some(1), stdout: String::new(), stderr }, "{words:?}");
        assert_eq!(sandbox.snapshot(), before, "{words:?}");
    }
}

#[test]
fn an_older_tree_is_replaced_in_a_file() {
    let sandbox = Sandbox::new();
    let data = painted(100_000);
    sandbox.write("image", &data);
    sandbox.run(&["format", "--append", "image", "--salt=01"]);
    let with_tree = sandbox.read("image");
    let expected = without_title(sandbox.run(&[
        "format",
        "--append",
        "image",
        "--salt=02",
        "--uuid=11111111-1111-4111-8111-111111111111",
    ]));
    let options = ["--salt=02", "--uuid=11111111-1111-4111-8111-111111111111"];
    let made = run(&sandbox, &with_tree, &[&["format", "--append", "-", "-o", "image2"], &options[..]].concat());
    assert_eq!(without_title(made), expected);
    assert!(sandbox.read("image") == sandbox.read("image2"));
    let refused = run(&sandbox, &with_tree, &["format", "--append", "-", "--dry-run"]);
    assert_eq!(
        refused.stderr,
        "The data from standard input have a hash tree already.\n\
         hint: it begins at byte 102400; --append replaces it in a file only: make the image there first.\n"
    );
    assert_eq!(refused.code, Some(1));
}

#[test]
fn what_cannot_be_a_stream_is_refused() {
    let sandbox = Sandbox::new();
    let refused = |arguments: &[&str], code, stderr: &str| {
        let outcome = run(&sandbox, b"", arguments);
        let last = outcome.stderr.lines().last().unwrap_or_default();
        assert_eq!((outcome.code, last.trim_start_matches("veritysetup: ")), (Some(code), stderr), "{arguments:?}");
        assert!(sandbox.snapshot().is_empty(), "{arguments:?}");
    };
    refused(&["format", "-", "h"], 1, "hint: it has 0 bytes, but one data block has 4096.");
    refused(&["format", "--append", "-"], 1, "format: requires --output for --append to standard input");
    refused(&["format", "-", "h", "--output=o"], 1, "Option --output must be used with --append in format action.");
    refused(
        &["format", "d", "h", "--output=o"],
        1,
        "Option --output must be used with standard input (-) in format action.",
    );
    refused(
        &["format", "d", "h", "--data-size=5"],
        1,
        "Option --data-size must be used with standard input (-) in format action.",
    );
    refused(&["format", "--sidecars", "-"], 1, "Option --sidecars cannot be used with standard input.");
    refused(&["format", "--containerd", "-"], 1, "Option --containerd cannot be used with standard input.");
    refused(
        &["format", "-", "h", "--deterministic"],
        1,
        "Option --deterministic must be used with --data-size for standard input.",
    );
    refused(&["format", "-", "nowhere/h"], 1, "hint: No such file or directory.");
    refused(
        &["format", "--append", "-", "--output=/dev/nonesuch"],
        4,
        "hint: veritysetup creates no files in a directory of device nodes.",
    );
    refused(&["format", "--append", "-", "--output=/dev/null"], 4, "hint: a block device or a regular file is needed.");
    refused(&["verify", "d", "h", "00", "--tee"], 1, "Option --tee must be used with standard input (-).");
    refused(&["verify", "-"], 1, "verify: requires <hash_device> for standard input");
    refused(
        &["verify", "-", "h", "00", "--fec-device=f"],
        1,
        "Option --fec-device cannot be used with standard input.",
    );
    refused(
        &["verify", "-", "h", "00", "--no-superblock"],
        1,
        "Option --no-superblock must be used with --data-blocks for standard input.",
    );

    let json = run(&sandbox, b"", &["verify", "-", "h", "00", "--tee", "--json"]);
    assert!(
        json.code == Some(1) && json.stdout.contains("Option --json and --tee cannot be used together."),
        "{json:?}"
    );
    let shell = |script: &str| {
        let outcome = sandbox.command("sh", &["-c", script, veritysetup().to_str().expect("UTF-8")]).output();
        Outcome::from(outcome.expect("there is a shell"))
    };
    let closed = shell("exec \"$0\" format - h <&-");
    assert_eq!((closed.code, closed.first_error()), (Some(4), "Cannot read standard input."));
    let directory = shell("exec \"$0\" format - h < .");
    assert_eq!((directory.code, directory.stderr.lines().last()), (Some(1), Some("hint: Is a directory.")));
    assert!(sandbox.snapshot().is_empty());
    sandbox.write("d", &painted(8192));
    for target in ["- d", "--append --output=d -", "- h --fec-device=d"] {
        let refused = shell(&format!("exec \"$0\" format {target} < d"));
        assert_eq!(refused.stderr, "Cannot write to d.\nhint: it is the data on standard input.\n", "{target}");
        assert_eq!(sandbox.read("d"), painted(8192), "{target}");
    }
    let terminal = openpty(None, None).expect("a terminal");
    let refused = sandbox.command(veritysetup(), &["format", "-", "h"]).stdin(terminal.slave).output().unwrap();
    assert_eq!(Outcome::from(refused).first_error(), "Standard input is a terminal.");
}

/// Feeds a command until it waits for more, ends it with a signal, and waits for its end.
fn stalled_and_ended(sandbox: &Sandbox, arguments: &[&str], signal: Signal) {
    let mut child = spawn(sandbox, arguments);
    let mut stdin = child.stdin.take().expect("a pipe");
    // More than a pipe holds: when all is written, it has read some of it.
    stdin.write_all(&painted(4 << 20)).expect("it reads");
    kill(Pid::from_raw(child.id().try_into().expect("a process's number")), signal).expect("it runs");
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(signal as i32), "{arguments:?}");
    drop(stdin);
}

#[test]
fn a_signal_ends_it_while_it_waits_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        for arguments in [
            &["format", "-", "h", "--data-size=100000000"][..],
            &["format", "-", "h", "--fec-device=f", "--threads=1"],
            &["format", "--append", "--output=image", "-", "--fec-roots=2"],
        ] {
            stalled_and_ended(&sandbox, arguments, signal);
            assert!(sandbox.snapshot().is_empty(), "{arguments:?}");
        }
    }
    sandbox.write("h", &painted(1000));
    stalled_and_ended(&sandbox, &["format", "-", "h"], Signal::SIGTERM);
    assert_eq!(sandbox.read("h"), painted(1000));
}

#[test]
fn killed_at_every_call_it_leaves_nothing_that_loads() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(3 << 20));
    let format: &[&str] = &["format", "-", "h", "--salt=aa", "--threads=1"];
    let append: &[&str] = &["format", "--append", "--output=h", "-", "--salt=aa", "--threads=1"];
    for arguments in [&[format, &["--data-size=3145728"]].concat()[..], format, append] {
        let data = if arguments.contains(&"--append") { "h" } else { "d" };
        sandbox.write("h", b"");
        let root_hash = run(&sandbox, &sandbox.read("d"), arguments).field("Root hash").to_owned();
        let prepare = || _ = std::fs::remove_file(sandbox.path("h"));
        killed_at_each_call(&sandbox, arguments, prepare, |index| {
            let loads = || sandbox.run(&["dump", "h", "--hash-offset=auto"]).code == Some(0);
            let loads_at_once = || sandbox.run(&["dump", "h"]).code == Some(0);
            if sandbox.path("h").exists() && (loads() || loads_at_once()) {
                let offset = if data == "h" { "--hash-offset=auto" } else { "--hash-offset=0" };
                let whole = sandbox.run(&["verify", data, "h", &root_hash, offset]);
                assert_eq!(whole.code, Some(0), "call {index} of {arguments:?}: {whole:?}");
            }
        });
    }
}

struct Tee {
    sandbox: Sandbox,
    data: Vec<u8>,
    root_hash: String,
}

impl Tee {
    fn new(blocks: usize) -> Self {
        let sandbox = Sandbox::in_memory();
        let data = painted(blocks * 4096);
        let root_hash = run(&sandbox, &data, &["format", "-", "h"]).field("Root hash").to_owned();
        Self { sandbox, data, root_hash }
    }

    fn run(&self, bytes: &[u8], options: &[&str]) -> (Option<i32>, Vec<u8>, String) {
        piped(&self.sandbox, bytes, &[&["verify", "-", "h", &self.root_hash], options].concat())
    }
}

#[test]
fn tee_hands_on_what_is_proven_and_nothing_else() {
    let tee = Tee::new(300);
    for options in [&["--tee"][..], &["--tee", "--verbose", "--threads=3"]] {
        assert_eq!(tee.run(&tee.data, options), (Some(0), tee.data.clone(), String::new()));
    }
    assert_eq!(tee.run(&tee.data, &[]), (Some(0), Vec::new(), String::new()));
    for block in 0..300 {
        let mut bad = tee.data.clone();
        bad[block * 4096 + block * 13 % 4096] ^= 1 << (block % 8);
        let position = block * 4096;
        let stderr = format!("Verification failed at position {position}.\nVerification of data area failed.\n");
        assert_eq!(tee.run(&bad, &["--tee"]), (Some(2), tee.data[..position].to_owned(), stderr), "{block}");
    }
    let hint = |hint: &str| format!("Verification of data area failed.\nhint: standard input: {hint}\n");
    let early = hint("it has 1000000 bytes, but 1228800 are needed.");
    assert_eq!(tee.run(&tee.data[..1_000_000], &["--tee"]), (Some(1), tee.data[..999_424].to_owned(), early));
    let more = [&tee.data[..], &[0]].concat();
    let late = hint("it goes on after the 1228800 bytes that the hash tree is of.");
    assert_eq!(tee.run(&more, &["--tee"]), (Some(1), tee.data.clone(), late));
    let json = tee.run(&tee.data[4096..], &["--json"]).1;
    let json: serde_json::Value = serde_json::from_slice(&json).expect("an object");
    assert_eq!((&json["verified"], &json["failures_total"]), (&false.into(), &1.into()), "{json}");
    // A tree that is not right proves nothing.
    tee.sandbox.flip("h", 8192 + 5);
    let (code, stdout, stderr) = tee.run(&tee.data, &["--tee"]);
    assert_eq!((code, stdout.len()), (Some(2), 0), "{stderr}");
}

#[test]
fn tee_ends_with_whoever_reads_it() {
    let tee = Tee::new(3000);
    let arguments = ["verify", "-", "h", &tee.root_hash, "--tee"];
    tee.sandbox.write("d", &tee.data);
    let command = |stdout: Stdio| {
        let mut command: Command = tee.sandbox.command(veritysetup(), &arguments);
        command.stdin(File::open(tee.sandbox.path("d")).unwrap()).stdout(stdout).stderr(Stdio::piped());
        command
    };
    let full = command(File::options().write(true).open("/dev/full").unwrap().into()).output().unwrap();
    let expected = "Cannot write to standard output.\nhint: No space left on device.\n";
    assert_eq!(Outcome::from(full), Outcome { code: Some(1), stdout: String::new(), stderr: expected.to_owned() });
    let mut child = command(Stdio::piped()).spawn().unwrap();
    let mut first = vec![0; 100_000];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    assert!(tee.data.starts_with(&first));
    drop(stdout);
    let gone = Outcome::from(child.wait_with_output().unwrap());
    assert_eq!((gone.code, gone.first_error()), (Some(1), "Cannot write to standard output."));
    // A reader that waits does not keep a signal from ending it.
    let mut child = command(Stdio::piped()).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGTERM as i32));
}
