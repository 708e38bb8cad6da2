//! The progress bar, on a terminal of our own.

use std::fs::File;
use std::io::Read as _;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use dmverity_tests::vectors::painted;
use dmverity_tests::veritysetup;
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sandbox::Sandbox;

/// Longer than the delay of the bar.
const LONG: Duration = Duration::from_millis(1100);

/// A command that is running, and what it writes to the terminal that is its standard error.
struct Running {
    child: Child,
    terminal: File,
}

impl Running {
    /// Makes an image of `d`, with this `TERM`.
    fn format(sandbox: &Sandbox, term: Option<&str>, more: &[&str]) -> Self {
        let pair = openpty(None, None).expect("a terminal");
        let arguments = ["format", "d", "h", "--hash=streebog512", "--threads=1"];
        let mut command = sandbox.command(veritysetup(), &[&arguments, more].concat());
        command.env_remove("TERM").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(pair.slave));
        if let Some(term) = term {
            command.env("TERM", term);
        }
        Self { child: command.spawn().expect("it has been built"), terminal: File::from(pair.master) }
    }

    fn signal(&self, signal: Signal) {
        let process = Pid::from_raw(self.child.id().try_into().expect("a process"));
        kill(process, signal).expect("it has not been waited for");
    }

    /// Makes the work take more than a second on any machine.
    fn take_long(&mut self, sandbox: &Sandbox) {
        // The file is made when the work begins.
        while !sandbox.path("h").exists() {
            assert_eq!(self.child.try_wait().expect("a child"), None, "it ended without a file");
            sleep(Duration::from_millis(1));
        }
        self.signal(Signal::SIGSTOP);
        sleep(LONG);
        self.signal(Signal::SIGCONT);
    }

    /// All that it writes until it ends, or until it has written `wanted`.
    fn written(&mut self, wanted: &str) -> String {
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        // After the last byte, the read fails: the terminal's other end is closed.
        while let Ok(read @ 1..) = self.terminal.read(&mut buffer) {
            text += &String::from_utf8_lossy(&buffer[..read]);
            if !wanted.is_empty() && text.contains(wanted) {
                break;
            }
        }
        text
    }
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::in_memory();
    sandbox.write("d", &painted(96 << 20));
    sandbox
}

#[test]
fn a_bar_shows_how_far_long_work_is() {
    let sandbox = sandbox();
    let mut running = Running::format(&sandbox, Some("xterm"), &[]);
    running.take_long(&sandbox);
    let text = running.written("format [");
    assert!(text.contains("format ["), "{text:?}");
    running.signal(Signal::SIGTERM);
    assert!(!running.child.wait().unwrap().success());
    assert!(!sandbox.path("h").exists());
}

#[test]
fn a_terminal_that_cannot_draw_gets_no_bar_nor_one_that_is_to_be_quiet() {
    let sandbox = sandbox();
    for (term, more) in [(None, &[][..]), (Some("dumb"), &[]), (Some("xterm"), &["-q"])] {
        let mut running = Running::format(&sandbox, term, more);
        running.take_long(&sandbox);
        assert_eq!(running.written(""), "", "{term:?} {more:?}");
        assert!(running.child.wait().unwrap().success());
        std::fs::remove_file(sandbox.path("h")).unwrap();
    }
}

#[test]
fn quick_work_gets_no_bar() {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(4096));
    let mut running = Running::format(&sandbox, Some("xterm"), &[]);
    assert_eq!(running.written(""), "");
    assert!(running.child.wait().unwrap().success());
}
