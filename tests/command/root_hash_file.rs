//! `format --root-hash-file`: its effect on existing files, on streams, and on the image itself.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Stdio;

use dmverity_tests::vectors::painted;
use dmverity_tests::{schema, veritysetup};

use crate::bad_input::refused;
use crate::sandbox::{Outcome, Sandbox};

const ROOT_HASH: &str = "4124f9e30fdb0aea1bdff64d02ce75c19507062a0ff83e1ac0810638b99ec188";
const FORMAT: [&str; 4] = ["format", "d", "h", "--salt=aa"];

fn data() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    sandbox
}

/// Runs ours or the reference in the sandbox by a shell, as `$V`.
fn shell(sandbox: &Sandbox, program: &std::path::Path, script: &str) -> Outcome {
    sandbox.command("/bin/sh", &["-c", script]).env("V", program).output().expect("it runs").into()
}

#[track_caller]
fn formats(sandbox: &Sandbox, file: &str) {
    let outcome = sandbox.run(&[&FORMAT[..], &["--root-hash-file", file]].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{file}");
}

#[test]
fn a_file_that_is_there_keeps_owner_mode_and_names() {
    let sandbox = data();
    sandbox.write("r", &[b'x'; 200]);
    fs::set_permissions(sandbox.path("r"), fs::Permissions::from_mode(0o646)).unwrap();
    fs::hard_link(sandbox.path("r"), sandbox.path("hard")).unwrap();
    symlink("hard", sandbox.path("soft")).unwrap();
    let before = fs::metadata(sandbox.path("r")).unwrap();
    let mut reader = File::open(sandbox.path("r")).unwrap();
    for file in ["r", "hard", "soft", "./soft"] {
        sandbox.write("r", &[b'x'; 200]);
        formats(&sandbox, file);
        let after = fs::metadata(sandbox.path("r")).unwrap();
        assert_eq!(
            (after.ino(), after.mode(), after.uid(), after.nlink()),
            (before.ino(), before.mode(), before.uid(), 2)
        );
        assert!(fs::symlink_metadata(sandbox.path("soft")).unwrap().is_symlink());
        let mut read = String::new();
        reader.rewind().unwrap();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, ROOT_HASH, "{file}");
    }
    // A shorter one, and one that cannot be replaced because its directory is closed.
    fs::create_dir(sandbox.path("dir")).unwrap();
    sandbox.write("dir/r", b"x");
    formats(&sandbox, "dir/r");
    assert_eq!(sandbox.read("dir/r"), ROOT_HASH.as_bytes());
}

#[test]
fn a_new_file_is_there_whole_or_not_at_all_and_for_its_owner() {
    let sandbox = data();
    symlink("nowhere", sandbox.path("soft")).unwrap();
    for (file, made) in [("new", "new"), ("soft", "nowhere")] {
        formats(&sandbox, file);
        let metadata = fs::symlink_metadata(sandbox.path(made)).unwrap();
        assert_eq!((metadata.is_file(), metadata.mode() & 0o777, metadata.len()), (true, 0o600, 64), "{file}");
        assert_eq!(sandbox.read(made), ROOT_HASH.as_bytes());
        let ours = fs::metadata(sandbox.path(made)).unwrap().mode();
        fs::remove_file(sandbox.path(made)).unwrap();
        assert_eq!(sandbox.reference(&[&FORMAT[..], &["--root-hash-file", file]].concat()).code, Some(0));
        assert_eq!((sandbox.read(made), fs::metadata(sandbox.path(made)).unwrap().mode()), (ROOT_HASH.into(), ours));
    }
    assert!(fs::symlink_metadata(sandbox.path("soft")).unwrap().is_symlink());
}

/// Before anything else is written, with nothing printed and no file left.
#[test]
fn what_cannot_be_written_is_refused_first() {
    let sandbox = data();
    sandbox.write("old", b"as it was");
    fs::create_dir(sandbox.path("dir")).unwrap();
    symlink("loop", sandbox.path("loop")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(sandbox.path("socket")).unwrap();
    let long = "a".repeat(300);
    let no_file = "No such file or directory";
    for (file, why) in [
        ("nosuch/root", no_file),
        ("dir", "Is a directory"),
        ("new/", "Is a directory"),
        ("d/root", "Not a directory"),
        ("loop", "Too many symbolic links encountered"),
        ("socket", "No such device or address"),
        (long.as_str(), "File name too long"),
        ("/proc/nosuch", no_file),
        ("/proc/self/fd/77", "Bad file number"),
        ("/dev/fd/0", "Bad file number"),
        ("/dev/stdin", "Bad file number"),
    ] {
        let message = format!("Cannot create root hash file {file} for writing.\nhint: {why}.\n");
        let outcome =
            shell(&sandbox, &veritysetup(), &format!("exec $V format d h --root-hash-file={file} </dev/null"));
        assert_eq!(outcome, Outcome { code: Some(1), stdout: String::new(), stderr: message }, "{file}");
        assert!(!sandbox.path("h").exists(), "{file}");
    }
    let message = "Cannot create root hash file  for writing.\nhint: No such file or directory.\n";
    refused(&sandbox, "format d h --root-hash-file=", 1, message);
    let message = "Cannot create root hash file /dev/nosuch for writing.\n\
                   hint: veritysetup creates no files in a directory of device nodes.\n";
    refused(&sandbox, "format d h --root-hash-file=/dev/nosuch", 1, message);
    // A format that is refused for another reason does not change it.
    refused(&sandbox, "format d h --root-hash-file=old --salt=x", 1, "Invalid salt string specified.\n");
    let small = "Device d is too small.\nhint: it has 1228800 bytes, but 40960000 are needed.\n";
    refused(&sandbox, "format d h --root-hash-file=old --data-blocks=10000", 1, small);
    assert_eq!(sandbox.read("old"), b"as it was");
}

#[test]
fn a_closed_directory_or_file_is_refused_first() {
    let sandbox = data();
    fs::create_dir(sandbox.path("closed")).unwrap();
    sandbox.write("closed/open", b"x");
    sandbox.write("closed/shut", b"x");
    for (name, mode) in [("closed", 0o555), ("closed/open", 0o666), ("closed/shut", 0o444), (".", 0o777)] {
        fs::set_permissions(sandbox.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    if !nix::unistd::geteuid().is_root() {
        return_to_owner(&sandbox);
        return;
    }
    let script = |file: &str| {
        format!("exec setpriv --reuid=65534 --clear-groups $V format d h --root-hash-file={file} --salt=aa")
    };
    for file in ["closed/new", "closed/shut"] {
        let message = format!("Cannot create root hash file {file} for writing.\nhint: Permission denied.\n");
        let outcome = shell(&sandbox, &veritysetup(), &script(file));
        assert_eq!(outcome, Outcome { code: Some(1), stdout: String::new(), stderr: message }, "{file}");
        assert!(!sandbox.path("h").exists(), "{file}");
    }
    assert_eq!(shell(&sandbox, &veritysetup(), &script("closed/open")).code, Some(0));
    assert_eq!(sandbox.read("closed/open"), ROOT_HASH.as_bytes());
}

/// The same without root, for whom file modes apply.
fn return_to_owner(sandbox: &Sandbox) {
    for file in ["closed/new", "closed/shut"] {
        let message = format!("Cannot create root hash file {file} for writing.\nhint: Permission denied.\n");
        refused(sandbox, &format!("format d h --root-hash-file={file}"), 1, &message);
    }
    formats(sandbox, "closed/open");
    assert_eq!(sandbox.read("closed/open"), ROOT_HASH.as_bytes());
    fs::set_permissions(sandbox.path("closed"), fs::Permissions::from_mode(0o755)).expect("it is ours");
}

#[test]
fn streams_are_written_in_order_and_logs_grow() {
    let sandbox = data();
    symlink("/dev/stdout", sandbox.path("out")).unwrap();
    let printed = sandbox.run(&FORMAT).stdout;
    for file in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1", "out"] {
        sandbox.write("log", b"before\n");
        let script = format!("$V format d h --salt=aa -v --root-hash-file={file} >>log; echo after >>log");
        let outcome = shell(&sandbox, &veritysetup(), &script);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{file}");
        let uuid = |text: &str| text.lines().filter(|line| !line.starts_with("UUID:")).collect::<Vec<_>>().join("\n");
        let expected = format!("before\n{printed}{ROOT_HASH}Command successful.\nafter\n");
        assert_eq!(uuid(&String::from_utf8(sandbox.read("log")).unwrap()), uuid(&expected), "{file}");
    }
    for file in ["/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"] {
        sandbox.write("log", b"before\n");
        shell(
            &sandbox,
            &veritysetup(),
            &format!("$V format d h --salt=aa --root-hash-file={file} 2>>log; echo . >>log"),
        );
        assert_eq!(String::from_utf8(sandbox.read("log")).unwrap(), format!("before\n{ROOT_HASH}.\n"), "{file}");
    }
    // Another descriptor: at its current position, not from the start.
    for (file, open) in [("/dev/fd/7", "7>log"), ("/proc/self/fd/7", "7>log"), ("/dev/fd/7", "7>>log")] {
        sandbox.write("log", b"");
        let script = format!("exec {open}; echo a >&7; $V format d h --salt=aa --root-hash-file={file} && echo b >&7");
        assert_eq!(shell(&sandbox, &veritysetup(), &script).code, Some(0));
        assert_eq!(String::from_utf8(sandbox.read("log")).unwrap(), format!("a\n{ROOT_HASH}b\n"), "{file} {open}");
    }
    // A pipe, as with the reference.
    for program in [veritysetup(), dmverity_tests::reference()] {
        let script = "$V format d h --salt=aa --root-hash-file=/dev/stderr 2>&1 >/dev/null | cat";
        assert_eq!(shell(&sandbox, &program, script).stdout, ROOT_HASH);
        let script = "mkfifo pipe; cat pipe & $V format d h --salt=aa --root-hash-file=pipe >/dev/null; wait; rm pipe";
        assert_eq!(shell(&sandbox, &program, script).stdout, ROOT_HASH);
    }
    assert!(!sandbox.path("-").exists());
}

#[test]
fn streams_that_are_closed_or_full() {
    let sandbox = data();
    for (script, stderr) in [
        (">&- --root-hash-file=/dev/fd/1", "Cannot write to standard output.\nhint: Bad file number.\n"),
        (
            "2>&- --root-hash-file=/dev/stderr --json",
            "Cannot create root hash file /dev/stderr for writing.\nhint: Bad file number.\n",
        ),
        (
            "5<d --root-hash-file=/dev/fd/5",
            "Cannot create root hash file /dev/fd/5 for writing.\nhint: it is the data device.\n",
        ),
        (
            "5</dev/null --root-hash-file=/dev/fd/5",
            "Cannot create root hash file /dev/fd/5 for writing.\nhint: Bad file number.\n",
        ),
    ] {
        let outcome = shell(&sandbox, &veritysetup(), &format!("exec $V format d h {script}"));
        let said = if script.contains("--json") { stderr.lines().next().unwrap() } else { stderr };
        let found = if script.contains("--json") { &outcome.stdout } else { &outcome.stderr };
        assert_eq!((outcome.code, found.contains(said)), (Some(1), true), "{script} {outcome:?}");
        assert!(!sandbox.path("h").exists(), "{script}");
    }
    let full = shell(&sandbox, &veritysetup(), "exec $V format d h --root-hash-file=/dev/fd/5 5>/dev/full");
    let message = "Cannot write to root hash file /dev/fd/5.\nhint: No space left on device.\n";
    assert_eq!((full.code, full.stderr.as_str()), (Some(1), message));
    // Before any device is looked at.
    let json = sandbox.run(&["format", "nosuch", "new", "--root-hash-file=/dev/fd/../fd/1", "--json"]);
    let object = schema::check(&json.stdout).unwrap();
    let message = "veritysetup: Option --json and --root-hash-file=- cannot be used together.";
    assert_eq!((json.code, json.stderr.as_str(), &object["error"]["message"]), (Some(1), "", &message.into()));
    let env = sandbox.run(&["format", "d", "new", "--root-hash-file=-", "--env"]);
    let message = "veritysetup: Option --env and --root-hash-file=- cannot be used together.\n";
    assert_eq!((env.code, env.stdout.as_str(), env.stderr.ends_with(message)), (Some(1), "", true), "{env:?}");
    assert!(!sandbox.path("new").exists());
}

#[test]
fn the_image_itself_is_not_written_over() {
    let sandbox = data();
    for name in ["h", "f"] {
        sandbox.write(name, b"old");
    }
    fs::create_dir(sandbox.path("dir")).unwrap();
    for (device, what) in [("d", "data"), ("h", "hash"), ("f", "FEC")] {
        fs::hard_link(sandbox.path(device), sandbox.path("hard")).unwrap();
        symlink("hard", sandbox.path("soft")).unwrap();
        for name in [device, "hard", "soft", "dir/../soft"] {
            let message = format!("Cannot create root hash file {name} for writing.\nhint: it is the {what} device.\n");
            refused(&sandbox, &format!("format d h --fec-device=f --root-hash-file={name}"), 1, &message);
        }
        // Through a stream that leads to it.
        let before = sandbox.read(device);
        for (file, stream) in [("-", "1"), ("/dev/stderr", "2"), ("/dev/fd/8", "8")] {
            let script = format!("exec $V format d h --fec-device=f --root-hash-file={file} {stream}>>{device}");
            assert_eq!(shell(&sandbox, &veritysetup(), &script).code, Some(1), "{script}");
            if stream != "2" {
                assert!(sandbox.read(device) == before, "{script}");
            }
            sandbox.write(device, &before);
        }
        fs::remove_file(sandbox.path("hard")).unwrap();
        fs::remove_file(sandbox.path("soft")).unwrap();
    }
    // Files that do not exist yet.
    for (name, what) in
        [("new", "hash"), ("./new", "hash"), ("dir/../new", "hash"), ("newer", "FEC"), ("./newer", "FEC")]
    {
        let message = format!("Cannot create root hash file {name} for writing.\nhint: it is the {what} device.\n");
        refused(&sandbox, &format!("format d new --fec-device=newer --root-hash-file={name}"), 1, &message);
    }
    let message = "Cannot create root hash file d for writing.\nhint: it is the data device.\n";
    refused(&sandbox, "format --append d --root-hash-file=d", 1, message);
}

/// A pseudo-terminal is not a regular file, and is not closed after a write.
#[test]
fn it_appears_after_the_rest_is_printed() {
    let sandbox = data();
    sandbox.write("r", b"older");
    let mut child = sandbox
        .command(veritysetup(), &[&FORMAT[..], &["--root-hash-file=r"]].concat())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
    // A file that cannot grow: the output before reports it, and the tree stays.
    let mut log = OpenOptions::new().append(true).open(sandbox.path("r")).unwrap();
    log.write_all(b"\n").unwrap();
    assert_eq!(sandbox.read("r"), format!("{ROOT_HASH}\n").as_bytes());
    let outcome = sandbox.run(&["verify", "d", "h", "--root-hash-file=r"]);
    assert_eq!(outcome, Outcome { code: Some(0), stdout: String::new(), stderr: String::new() });
}
