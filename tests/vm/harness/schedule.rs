//! Boots the machines for the selected cases, two at a time, and delivers one outcome for each case.

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

/// How many machines a boot may use: each but the last may be lost. Emulation fails at random, most of all under load:
/// kernels have hung or crashed in it before any of our code ran. A failure that a case causes happens again.
const ATTEMPTS: u32 = 3;

/// The outcome of a case: passed, or the text to show.
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
                let (begin, label, cases) = (Instant::now(), boot.label.clone(), boot.cases.len());
                run(boot);
                // Shows which machines take long.
                eprintln!("vm: {label}: {cases} in {} s", begin.elapsed().as_secs());
            }
        });
    }
}

fn pop(queue: &Mutex<VecDeque<Boot>>) -> Option<Boot> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// Runs the cases in one machine. If it is lost, the cases without an outcome run in another machine.
fn run(boot: Boot) {
    let (cases, senders): (Vec<Case>, Vec<Sender<Outcome>>) = boot.cases.into_iter().unzip();
    let logs = paths::logs().join(&boot.label);
    // Otherwise output of cases in an earlier boot of this label would look like this one's.
    let _ = fs::remove_dir_all(&logs);
    let mut run = Run { cases, senders, logs, reported: 0, held: None };
    for attempt in 1..=ATTEMPTS {
        let log = run.logs.join(format!("console-{attempt}.log"));
        let job = Job::Cases(&run.cases[run.reported..]);
        let guest = Guest::prepare(boot.kernel, boot.nodes, attempt, &boot.label, &job);
        let lost = match guest.and_then(|guest| guest.start(&log)) {
            Ok(mut session) => match run.follow(&mut session) {
                Ok(()) => return,
                Err(reason) => run.lose(&mut session, &reason, attempt == ATTEMPTS),
            },
            Err(error) => return run.fail_rest(&format!("the machine could not be started: {error:#}")),
        };
        let then = if attempt == ATTEMPTS { "the last one" } else { "another one is started" };
        eprintln!("vm: machine {attempt} of {} was lost, {then}: {lost}", boot.label);
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
    /// Follows the machine until all cases have reported, or says why it is no longer usable.
    fn follow(&mut self, session: &mut Session) -> Result<(), String> {
        let mut output = Vec::new();
        let mut running = false;
        loop {
            match session.event() {
                Ok(Event::Output(bytes)) => output.extend(bytes),
                Ok(Event::Begin(name)) => {
                    if self.held.is_some() {
                        self.settle(session.console.trouble());
                    } else if session.console.is_in_trouble() {
                        return Err("the kernel was in trouble before any case".to_owned());
                    }
                    let Some(case) = self.cases.get(self.reported).filter(|case| case.name == name) else {
                        return Err(format!("the guest began {name:?}, which is not its turn"));
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
                        return Err(format!("the guest ended {:?}, which is not its turn", end.name));
                    };
                    // Kept for people; the report below does not depend on it.
                    let _ = fs::write(self.logs.join(format!("{}.log", case.name)), &text);
                    self.held = Some(judge(case, &end, &text));
                }
                Ok(Event::Off) => {
                    session.deadline = Instant::now() + Duration::from_secs(30);
                    // It reports no more, but its end counts for the last case.
                    let _ = session.event();
                    let hangs = Instant::now() >= session.deadline;
                    let hangs = hangs.then(|| format!("it does not go off:\n{}", session.console.tail()));
                    self.settle(session.console.trouble().or(hangs));
                    self.fail_rest("the machine went off before this case's turn");
                    return Ok(());
                }
                Ok(other) => return Err(format!("the guest reported {other:?}")),
                Err(_) if running && self.ended_as_wanted(session) => {
                    self.report(Ok(()));
                    return Ok(());
                }
                Err(reason) => return Err(reason),
            }
        }
    }

    /// Whether the machine's end is what the running case is about.
    fn ended_as_wanted(&self, session: &Session) -> bool {
        let console = session.console.text();
        match self.cases.get(self.reported).map(|case| &case.finish) {
            Some(Finish::Panics(expect)) => console.contains("Kernel panic") && expect.is_match(&console),
            Some(Finish::Reboots(expect)) => {
                console.contains("reboot: Restarting system")
                    && !session.console.is_in_trouble()
                    && expect.as_ref().is_none_or(|expect| expect.is_match(&console))
            }
            _ => false,
        }
    }

    /// The machine is lost: says how, for people. The case during whose time that happened and those after it have no
    /// outcome, unless this was the `last` machine.
    fn lose(&mut self, session: &mut Session, reason: &str, last: bool) -> String {
        let trouble = session.console.trouble();
        let shown = trouble.clone().unwrap_or_else(|| session.console.tail());
        let reason = format!("{reason}; its console:\n{shown}");
        if last {
            self.settle(trouble);
            self.fail_rest(&reason);
        } else if trouble.is_some() {
            self.held = None;
        } else {
            self.settle(None);
        }
        reason
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
            // No test waits for it if the whole run is being given up.
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
    for object in output.lines().filter_map(|line| line.strip_prefix("json-object: ")) {
        if let Err(error) = crate::schema::check(object) {
            reasons.push(format!("printed an object that its schema does not allow: {error:#}"));
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(format!("{}; its output:\n{output}", reasons.join(", "))) }
}
