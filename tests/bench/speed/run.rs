//! Runs one program and measures it; removes the data when a signal ends the benchmark.
//!
//! Only `wait4`, which has no safe wrapper, reports the resources of a single child; `getrusage` reports those of all
//! children together. So every program is started by a process of its own (this program again, [`measured`]), which has
//! no other child. That process is small for a reason: until exec, the kernel counts the parent's memory as the
//! child's.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::time::TimeValLike as _;
use nix::unistd::Pid;

/// The first argument of this program when it is to start another.
pub(crate) const MEASURED: &str = "measured";
/// The text before the figures, which follow the program's own standard output.
const MARK: &str = "\nspeed measured: ";

/// The process group of the program that runs now.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

/// How a program ran.
#[derive(Debug)]
pub(crate) struct Run {
    /// From before its start until its exit was reported.
    pub(crate) wall: Duration,
    /// User and system time of all its threads.
    pub(crate) cpu: Duration,
    /// The largest resident memory.
    pub(crate) peak_kib: u64,
    /// What it printed.
    pub(crate) stdout: String,
}

/// Runs a program in a directory; its failure is an error with its messages.
pub(crate) fn run(directory: &Path, program: &Path, arguments: &[&str]) -> Result<Run> {
    let mut command = Command::new(env::current_exe().context("where is this program?")?);
    command.arg(MEASURED).arg(program).args(arguments).current_dir(directory);
    // The same environment everywhere: going through it takes instructions.
    command.env_clear().envs([("LC_ALL", "C"), ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")]);
    // A group, so that a signal can end the program with the process that started it.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let child = {
        let mut running = running();
        let child = command.spawn().context("cannot start this program again")?;
        *running = Some(Pid::from_raw(child.id().try_into()?));
        child
    };
    let output = child.wait_with_output();
    *running() = None;
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let what = || format!("{} {}", program.display(), arguments.join(" "));
    let (stdout, figures) = stdout.rsplit_once(MARK).ok_or_else(|| anyhow!("{}: {}", what(), stderr.trim()))?;
    let (run, code) = parse(stdout, figures).with_context(|| format!("{}: {figures:?}", what()))?;
    if code != 0 {
        bail!("{} ended with {code}: {}{}", what(), run.stdout, stderr.trim());
    }
    Ok(run)
}

/// Runs the program that the arguments name, and prints its figures after its output.
pub(crate) fn measured(arguments: &[OsString]) -> Result<()> {
    // The process that waits for signals has blocked them, and children inherit that.
    SigSet::all().thread_unblock()?;
    let (program, arguments) = arguments.split_first().context("no program")?;
    let mut command = Command::new(program);
    command.args(arguments);
    let start = Instant::now();
    let status = command.status().with_context(|| format!("cannot run {}", program.display()))?;
    let wall = start.elapsed().as_nanos();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = (usage.user_time() + usage.system_time()).num_microseconds();
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).context("it has not ended")?;
    println!("{MARK}{wall} {cpu} {} {code}", usage.max_rss());
    Ok(())
}

/// The figures that [`measured`] printed, and the exit code.
fn parse(stdout: &str, figures: &str) -> Result<(Run, u64)> {
    let numbers = figures.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    let &[wall, cpu, peak_kib, code] = numbers.as_slice() else { bail!("these are not four numbers") };
    let (wall, cpu) = (Duration::from_nanos(wall), Duration::from_micros(cpu));
    Ok((Run { wall, cpu, peak_kib, stdout: stdout.to_owned() }, code))
}

/// From now on a signal that terminates this process also terminates the program that it runs, and removes the
/// directory.
pub(crate) fn clean_up_on_signals(directory: PathBuf) -> Result<()> {
    let signals: SigSet = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    // Threads and processes that are started later inherit the blocked signals, so only the thread below receives them.
    signals.thread_block()?;
    thread::spawn(move || {
        let signal = signals.wait().unwrap_or(Signal::SIGTERM);
        // Held to the end, so that no more programs are started.
        let running = running();
        if let Some(group) = *running {
            // It may have ended already.
            let _ = killpg(group, Signal::SIGKILL);
        }
        // The killed program may still be creating a file.
        for _ in 0..10 {
            if fs::remove_dir_all(&directory).is_ok() || !directory.exists() {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        eprintln!("speed: ended by {signal}");
        exit(128 + signal as i32)
    });
    Ok(())
}

fn running() -> MutexGuard<'static, Option<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_four_numbers() {
        let (run, code) = parse("printed", "1500000000 2000000 4096 2\n").unwrap();
        assert_eq!((run.wall, run.cpu), (Duration::from_millis(1500), Duration::from_secs(2)));
        assert_eq!((run.peak_kib, run.stdout.as_str(), code), (4096, "printed", 2));
        for wrong in ["", "1 2 3", "1 2 3 4 5", "1 2 3 -4"] {
            assert!(parse("", wrong).is_err(), "{wrong}");
        }
    }
}
