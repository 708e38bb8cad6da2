//! Calls a target again and again with mutated input, without libFuzzer.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};

use crate::Target;
use crate::mutate::Mutator;

/// The most memory that the whole process may need, in KiB.
const MOST_MEMORY: i64 = 256 << 10;

/// How much processor time the whole process may use during one call, in multiples of the longest call: other threads
/// may be running targets too.
const OTHERS: u32 = 60;
/// A call that takes this long is stuck.
const IDLE: Duration = Duration::from_secs(3600);

/// How a target is run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The seed of the mutations.
    pub seed: u64,
    /// The number of calls; `None` means until `time` is over.
    pub executions: Option<u64>,
    /// When to end at the latest, whatever the number.
    pub time: Option<Duration>,
    /// A call that uses more processor time is a finding.
    pub longest: Duration,
}

/// The figures of a run without a finding.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// The number of calls.
    pub executions: u64,
    /// The time they took together.
    pub time: Duration,
    /// The most processor time that a call used.
    pub longest: Duration,
    /// The process's peak memory, in KiB.
    pub memory: i64,
}

impl Run {
    /// Calls a target until a finding or the end of the run.
    ///
    /// # Panics
    /// On a finding, with the file that holds its input, the fault, and the seed. A call that does not return ends the
    /// process.
    pub fn run(&self, target: &Target) -> Figures {
        let watched = Watched::default();
        thread::scope(|scope| {
            let (stop, stopped) = mpsc::channel();
            let watched = &watched;
            scope.spawn(move || watched.watch(target, self, &stopped));
            // Dropped also by a panic, so that the watcher ends.
            let _stop: mpsc::Sender<()> = stop;
            self.calls(target, watched)
        })
    }

    fn calls(&self, target: &Target, watched: &Watched) -> Figures {
        let mut mutator = Mutator::new(target, self.seed);
        let mut figures = Figures { executions: 0, time: Duration::ZERO, longest: Duration::ZERO, memory: 0 };
        let start = Instant::now();
        while self.executions.is_none_or(|most| figures.executions < most)
            && self.time.is_none_or(|most| start.elapsed() < most)
        {
            {
                let mut current = watched.lock();
                mutator.next(&mut current.input);
                current.begun = Some((Instant::now(), processor_time(ClockId::CLOCK_PROCESS_CPUTIME_ID)));
            }
            let begun = processor_time(ClockId::CLOCK_THREAD_CPUTIME_ID);
            let input = watched.lock().input.clone();
            let result = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
            watched.lock().begun = None;
            let took = processor_time(ClockId::CLOCK_THREAD_CPUTIME_ID).saturating_sub(begun);
            figures.executions += 1;
            figures.longest = figures.longest.max(took);
            figures.memory = peak_memory();
            let fault = match result {
                Err(_) => "it panics",
                Ok(()) if took > self.longest => "it takes too long",
                Ok(()) if figures.memory > MOST_MEMORY => "it needs too much memory",
                Ok(()) => continue,
            };
            panic!("{}", finding(target, self.seed, &input, fault));
        }
        figures.time = start.elapsed();
        figures
    }
}

/// Other processes, and a pause of this one, do not count.
fn processor_time(clock: ClockId) -> Duration {
    clock_gettime(clock).expect("it is a clock").into()
}

fn peak_memory() -> i64 {
    getrusage(UsageWho::RUSAGE_SELF).expect("it takes no argument that could be wrong").max_rss()
}

/// The call that is running.
#[derive(Debug, Default)]
struct Current {
    input: Vec<u8>,
    /// When it began, and the process's processor time then.
    begun: Option<(Instant, Duration)>,
}

#[derive(Debug, Default)]
struct Watched(Mutex<Current>);

impl Watched {
    fn lock(&self) -> MutexGuard<'_, Current> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the process if a call does not return.
    fn watch(&self, target: &Target, run: &Run, stopped: &mpsc::Receiver<()>) {
        while stopped.recv_timeout(Duration::from_secs(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
            let current = self.lock();
            let process = processor_time(ClockId::CLOCK_PROCESS_CPUTIME_ID);
            let is_endless = |(begun, time): (Instant, Duration)| {
                process.saturating_sub(time) > run.longest * OTHERS || begun.elapsed() > IDLE
            };
            if current.begun.is_some_and(is_endless) {
                eprintln!("{}", finding(target, run.seed, &current.input, "it does not end"));
                std::process::abort();
            }
        }
    }
}

/// Stores the input of a finding and describes it.
fn finding(target: &Target, seed: u64, input: &[u8], fault: &str) -> String {
    let folder = folder();
    let path = folder.join(format!("{}-{seed}", target.name));
    let stored = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, input));
    let stored = stored.map_or_else(|error| format!("not stored: {error}"), |()| path.display().to_string());
    format!(
        "{} with seed {seed}: {fault}\n  input: {stored}\n  as hexadecimal digits: {}\n  \
         again: cargo run -p dmverity-fuzz --bin mutate -- {} --file {stored}",
        target.name,
        hex::encode(input),
        target.name
    )
}

/// The folder for the inputs of findings.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fuzz/findings")
}
