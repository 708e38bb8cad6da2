//! Which machines to boot for the cases that were selected, two at a time, and one outcome for each case.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::boot::{Guest, Job, SPARE, Session};
use super::cases::{Case, Finish, Nodes};
use super::kernels::Kernel;
use super::paths;
use super::protocol::{End, Event};

/// Machines at the same time: each has two processors of its own to emulate.
const MACHINES: usize = 2;

/// How a case came out: passed, or what to show.
pub type Outcome = Result<(), String>;

/// One machine and the cases that run in it, each with the place that waits for its outcome.
#[derive(Debug)]
pub struct Boot {
    /// The kernel it runs.
    pub kernel: &'static Kernel,
    /// Who makes its device nodes.
    pub nodes: Nodes,
    /// Names its logs.
    pub label: String,
    /// The cases.
    pub cases: Vec<(Case, Sender<Outcome>)>,
}

/// Runs the boots in the background; each case's outcome arrives at its sender's other end.
pub fn start(boots: Vec<Boot>) {
    let queue = Arc::new(Mutex::new(VecDeque::from(boots)));
    for _ in 0..MACHINES {
        let queue = Arc::clone(&queue);
        thread::spawn(move || {
            while let Some(boot) = pop(&queue) {
                run(boot);
            }
        });
    }
}

fn pop(queue: &Mutex<VecDeque<Boot>>) -> Option<Boot> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// Runs one machine.
fn run(boot: Boot) {
    let (cases, senders): (Vec<Case>, Vec<Sender<Outcome>>) = boot.cases.into_iter().unzip();
    let logs = paths::logs().join(&boot.label);
    // Outputs of cases that ran in an earlier boot of this label would be taken for this one's.
    let _ = fs::remove_dir_all(&logs);
    let log = logs.join("console.log");
    let mut run = Run { cases, senders, logs, reported: 0, held: None };
    let guest = Guest::prepare(boot.kernel, boot.nodes, &boot.label, &Job::Cases(&run.cases));
    let session = guest.and_then(|guest| guest.start(&log));
    match session {
        Ok(session) => run.follow(session),
        Err(error) => run.fail_rest(&format!("the machine could not be started: {error:#}")),
    }
}

/// The state of a boot whose cases report one after the other, in their order.
struct Run {
    cases: Vec<Case>,
    senders: Vec<Sender<Outcome>>,
    logs: PathBuf,
    /// How many cases have an outcome.
    reported: usize,
    /// The outcome of the case before, held back until the next case begins or the machine is off: what the kernel
    /// complains about until then is still that case's doing.
    held: Option<Outcome>,
}

impl Run {
    fn follow(&mut self, mut session: Session) {
        let mut output = Vec::new();
        let mut running = false;
        loop {
            match session.event() {
                Ok(Event::Output(bytes)) => output.extend(bytes),
                Ok(Event::Begin(name)) => {
                    let trouble = session.console.trouble();
                    if let Some(trouble) = trouble.as_ref().filter(|_| self.held.is_none()) {
                        return self.fail_rest(&format!("the kernel was in trouble before any case:\n{trouble}"));
                    }
                    self.settle(trouble);
                    let Some(case) = self.cases.get(self.reported).filter(|case| case.name == name) else {
                        return self.fail_rest(&format!("the guest began {name:?}, which is not its turn"));
                    };
                    session.deadline = Instant::now() + case.timeout + SPARE;
                    output.clear();
                    running = true;
                }
                Ok(Event::End(end)) => {
                    running = false;
                    session.deadline = Instant::now() + SPARE;
                    let text = String::from_utf8_lossy(&output).into_owned();
                    let Some(case) = self.cases.get(self.reported).filter(|case| case.name == end.name) else {
                        return self.fail_rest(&format!("the guest ended {:?}, which is not its turn", end.name));
                    };
                    // Kept for people; the report below does not depend on it.
                    let _ = fs::write(self.logs.join(format!("{}.log", case.name)), &text);
                    self.held = Some(judge(case, &end, &text));
                }
                Ok(Event::Off) => {
                    session.deadline = Instant::now() + Duration::from_secs(30);
                    // It says no more, but its end belongs to the last case too.
                    let _ = session.event();
                    let hangs = Instant::now() >= session.deadline;
                    let hangs = hangs.then(|| format!("it does not go off:\n{}", session.console.tail()));
                    self.settle(session.console.trouble().or(hangs));
                    return self.fail_rest("the machine went off before this case's turn");
                }
                Ok(other) => {
                    return self.give_up(&mut session, running, &format!("the guest reported {other:?}"));
                }
                Err(reason) => return self.give_up(&mut session, running, &reason),
            }
        }
    }

    /// The machine has ended or is of no use: this is what was wanted, or the end of all cases that are left.
    fn give_up(&mut self, session: &mut Session, running: bool, reason: &str) {
        let console = session.console.text();
        let wanted = running.then(|| self.cases.get(self.reported)).flatten().map(|case| case.finish.clone());
        match wanted {
            Some(Finish::Panics(expect)) if console.contains("Kernel panic") && expect.is_match(&console) => {
                self.report(Ok(()));
            }
            Some(Finish::Reboots(expect))
                if console.contains("reboot: Restarting system")
                    && session.console.trouble().is_none()
                    && expect.as_ref().is_none_or(|expect| expect.is_match(&console)) =>
            {
                self.report(Ok(()));
            }
            _ => {
                let trouble = session.console.trouble();
                let shown = trouble.clone().unwrap_or_else(|| session.console.tail());
                self.settle(trouble);
                self.fail_rest(&format!("{reason}; its console:\n{shown}"));
            }
        }
    }

    /// Reports the outcome that was held back, unless the kernel has complained meanwhile.
    fn settle(&mut self, trouble: Option<String>) {
        if let Some(outcome) = self.held.take() {
            self.report(match trouble {
                Some(trouble) => {
                    Err(format!("the kernel is in trouble:\n{trouble}\n{}", outcome.err().unwrap_or_default()))
                }
                None => outcome,
            });
        }
    }

    fn report(&mut self, outcome: Outcome) {
        if let Some(sender) = self.senders.get(self.reported) {
            // Nobody waits any more when the whole run is being given up.
            let _ = sender.send(outcome);
        }
        self.reported += 1;
    }

    fn fail_rest(&mut self, reason: &str) {
        if let Some(outcome) = self.held.take() {
            self.report(outcome);
        }
        while self.reported < self.senders.len() {
            self.report(Err(reason.to_owned()));
        }
    }
}

/// The outcome of a case that has reported its end.
fn judge(case: &Case, end: &End, output: &str) -> Outcome {
    let mut reasons = Vec::new();
    if end.timed_out {
        reasons.push(format!("timed out after {} seconds", case.timeout.as_secs()));
    } else if end.code != 0 {
        reasons.push(format!("failed with exit code {}", end.code));
    } else if !matches!(case.finish, Finish::Runs) {
        reasons.push("was to end the machine, but has ended and left it running".to_owned());
    }
    if end.leaked {
        reasons.push("left something behind".to_owned());
    }
    if reasons.is_empty() { Ok(()) } else { Err(format!("{}; its output:\n{output}", reasons.join(", "))) }
}
