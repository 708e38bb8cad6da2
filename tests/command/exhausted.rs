//! Limits of the system: whenever memory runs out or a file may not grow, the command ends with its own exit code and
//! leaves nothing unfinished.

use std::process::Output;

use dmverity_tests::vectors::painted;

use crate::sandbox::Sandbox;

/// Runs ours with limits as `prlimit` takes them.
fn limited(sandbox: &Sandbox, limit: &str, command: &str) -> Output {
    let line = format!("exec prlimit {limit} \"$V\" {command}");
    let mut shell = sandbox.command("/bin/sh", &["-c", &line]);
    shell.env("V", dmverity_tests::veritysetup()).output().expect("it runs")
}

#[test]
fn a_command_without_memory_cleans_up() {
    let sandbox = Sandbox::in_memory();
    sandbox.write("d", &painted(6 << 20));
    let made = sandbox.run(&["format", "d", "h", "--fec-device=f", "--fec-roots=24"]);
    let root_hash = made.field("Root hash").to_owned();
    sandbox.flip("d", 5000);
    let before = sandbox.snapshot();
    let fec = "--fec-device=f --fec-roots=24";
    let commands = [
        "format d new --threads=3".to_owned(),
        "format d new --fec-device=newer --fec-roots=24 --threads=2".to_owned(),
        "format --append image --fec-roots=2".to_owned(),
        format!("verify d h {root_hash}"),
        format!("verify d h {root_hash} {fec}"),
        format!("repair --dry-run d h {root_hash} {fec}"),
    ];
    let (mut refused, mut done) = (0, 0);
    for command in &commands {
        for kib in (3000..20_000).step_by(300).chain([24_000, 40_000, 80_000]) {
            if command.contains("image") {
                sandbox.write("image", &painted(6 << 20));
            }
            let output = limited(&sandbox, &format!("--as={}", kib * 1024), command);
            let stderr = String::from_utf8_lossy(&output.stderr);
            match output.status.code() {
                // It could not even be started.
                None | Some(126 | 127)
                    if output.stderr.is_empty()
                        || stderr.contains("prlimit")
                        || stderr.starts_with("Fatal glibc error: Cannot allocate TLS block") => {}
                Some(3) => {
                    refused += 1;
                    if command.contains("image") {
                        assert!(sandbox.read("image") == painted(6 << 20), "{command} with {kib} KiB");
                        std::fs::remove_file(sandbox.path("image")).expect("it is there");
                    }
                    assert!(sandbox.snapshot() == before, "{command} with {kib} KiB: {stderr}");
                }
                Some(0 | 2) => done += 1,
                other => panic!("{command} with {kib} KiB: {other:?} {} {stderr}", output.status),
            }
            for file in ["new", "newer", "image"] {
                let _ = std::fs::remove_file(sandbox.path(file));
            }
        }
    }
    assert!(refused > 0 && done > 0, "{refused} {done}");
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_goes() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(2 << 20));
    let before = sandbox.snapshot();
    for (limit, command) in
        [(4096, "format d new"), (20_000, "format d new --fec-device=newer"), (2_097_152, "format --append d")]
    {
        let output = limited(&sandbox, &format!("--fsize={limit}"), command);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {} {stderr}", output.status);
        assert!(stderr.contains("hint: File too large."), "{command}: {stderr}");
        assert!(sandbox.snapshot() == before, "{command}");
    }
}

#[test]
fn a_benchmark_with_more_threads_than_can_be_started_says_so() {
    let sandbox = Sandbox::new();
    // Depending on the limit, the room ends between two threads, or during the start of one.
    for mib in (150..250).step_by(3) {
        let output = limited(&sandbox, &format!("--as={}", mib << 20), "benchmark --threads=1024 --hash=md5");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{mib} MiB: {stderr}");
        assert!(stderr.starts_with("Cannot start 1024 threads."), "{mib} MiB: {stderr}");
    }
}
