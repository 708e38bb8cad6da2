//! Threads and descriptors, of the library and of the programs that use it.

use std::process::Command;

use crate::{compiler, library, run, source, text};

/// `threads.c`, compiled with our header, linked to our library.
fn program(folder: &std::path::Path) -> Command {
    let folder_of_library = library().parent().expect("it has a folder").display().to_string();
    let mut cc = compiler("cc", folder);
    run(cc
        .arg(source("threads.c"))
        .arg(library())
        .args(["-o", "threads", "-pthread"])
        .arg(format!("-Wl,-rpath,{folder_of_library}")));
    let mut command = Command::new(folder.join("threads"));
    command.current_dir(folder);
    command
}

#[test]
fn handles_of_their_own_work_in_threads_at_once() {
    let folder = tempfile::tempdir().unwrap();
    run(&mut program(folder.path()));
}

#[test]
fn descriptors_are_closed_on_exec() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path());
    let mut strace = Command::new("strace");
    run(strace
        .args(["-f", "-qq", "-o", "calls", "-e", "trace=open,openat,creat,memfd_create,dup,dup2,fcntl", "./threads"])
        .current_dir(folder.path()));
    let calls = std::fs::read(folder.path().join("calls")).unwrap();
    let calls = text(&calls);
    // The program itself makes its files and looks into /proc; all else is the library's.
    let opened = calls.lines().filter(|line| line.contains("open") && line.contains("hash") && line.contains("O_"));
    let mut count = 0;
    for line in opened.filter(|line| !line.contains("O_WRONLY|O_CREAT|O_TRUNC")) {
        assert!(line.contains("O_CLOEXEC"), "{line}");
        count += 1;
    }
    assert!(count > 10, "{calls}");
    assert!(!calls.contains("memfd_create(") || calls.contains("MFD_CLOEXEC"), "{calls}");
}
