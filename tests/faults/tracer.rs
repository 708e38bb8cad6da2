//! Runs a command and stops it at its system calls, each of which can then fail, run with other arguments, or be
//! preceded by a signal.
//!
//! A seccomp filter picks the calls, so that the command runs at full speed between them: a run with a fault takes a
//! few milliseconds.

#![allow(unsafe_code)] // Code between fork and exec, and the filter, have no safe wrapper.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::libc::{self, c_long, sock_filter, sock_fprog};
use nix::sys::prctl::set_no_new_privs;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// The tracer waits for its own children and their threads only, not for those of another test's thread.
const OURS: WaitPidFlag = WaitPidFlag::__WALL.union(WaitPidFlag::__WNOTHREAD);

/// A system call that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) number: c_long,
    pub(crate) arguments: [u64; 6],
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is made unchanged.
    None,
    /// It is not made, and fails.
    Fails(Errno),
    /// It is not made, and returns this.
    Returns(u64),
    /// It is made with another argument: its index and value.
    Argument(usize, u64),
    /// A signal comes first. One that is caught is handled when the call is done.
    Signal(Signal),
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code, or the signal that has ended it.
    pub(crate) status: Result<i32, Signal>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The calls at which it was stopped.
    pub(crate) calls: Vec<Call>,
}

/// Which calls a command is stopped at.
#[derive(Clone, Debug)]
pub(crate) enum Stops {
    All,
    At(BTreeSet<c_long>),
}

/// Runs a command and has `fault` decide about each call at which it is stopped, from the number of earlier calls and
/// the call itself. The command is stopped meanwhile.
pub(crate) fn trace(command: &mut Command, stops: &Stops, mut fault: impl FnMut(usize, &Call) -> Fault) -> Ended {
    let filter = filter(stops);
    // SAFETY: between fork and exec only system calls are made, and no memory is allocated.
    unsafe {
        command.pre_exec(move || {
            ptrace::traceme()?;
            set_no_new_privs()?;
            install(&filter)
        });
    }
    // The loop below waits for it, as for all traced threads.
    #[allow(clippy::zombie_processes)]
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let pid = Pid::from_raw(child.id().cast_signed());
    // The exec has been made, and nothing after it.
    assert!(matches!(waitpid(pid, Some(OURS)), Ok(WaitStatus::Stopped(_, Signal::SIGTRAP))));
    let children = Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK;
    let stops = Options::PTRACE_O_TRACESECCOMP | Options::PTRACE_O_TRACESYSGOOD;
    ptrace::setoptions(pid, children | stops | Options::PTRACE_O_EXITKILL).expect("a traced child takes them");
    let _ = ptrace::cont(pid, None);
    let (mut calls, mut changed) = (Vec::new(), BTreeMap::new());
    let status = loop {
        match waitpid(None, Some(OURS)).expect("a child or a thread of it") {
            WaitStatus::Exited(ended, code) if ended == pid => break Ok(code),
            WaitStatus::Signaled(ended, signal, _) if ended == pid => break Err(signal),
            WaitStatus::PtraceEvent(thread, _, libc::PTRACE_EVENT_SECCOMP) => {
                let mut then: fn(Pid, Option<Signal>) -> nix::Result<()> = ptrace::cont;
                if let Some(call) = call_of(thread) {
                    let fault = fault(calls.len(), &call);
                    calls.push(call);
                    // It may have been killed meanwhile.
                    let _ = apply(fault, pid, thread);
                    if let Fault::Argument(index, _) = fault {
                        changed.insert(thread, (index, call.arguments[index]));
                        then = ptrace::syscall;
                    }
                }
                let _ = then(thread, None);
            }
            // The call has been made: only the result's register has changed for it.
            WaitStatus::PtraceSyscall(thread) => {
                if let Some((index, value)) = changed.remove(&thread) {
                    let _ = set_argument(thread, index, value);
                }
                let _ = ptrace::cont(thread, None);
            }
            // Threads begin with this one.
            WaitStatus::Stopped(thread, Signal::SIGSTOP) | WaitStatus::PtraceEvent(thread, ..) => {
                let _ = ptrace::cont(thread, None);
            }
            WaitStatus::Stopped(thread, signal) => {
                let _ = ptrace::cont(thread, signal);
            }
            _ => {}
        }
    };
    let text = |stream: Option<&mut dyn Read>| {
        let mut bytes = Vec::new();
        stream.expect("a pipe").read_to_end(&mut bytes).expect("read");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let stdout = text(child.stdout.as_mut().map(|stream| stream as _));
    let stderr = text(child.stderr.as_mut().map(|stream| stream as _));
    Ended { status, stdout, stderr, calls }
}

fn call_of(thread: Pid) -> Option<Call> {
    let registers = ptrace::getregs(thread).ok()?;
    let arguments = [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9];
    Some(Call { number: registers.orig_rax.cast_signed(), arguments })
}

/// At the stop before the call. Without a number it is skipped, and the result set here stays.
fn apply(fault: Fault, process: Pid, thread: Pid) -> nix::Result<()> {
    let returned = match fault {
        Fault::None => return Ok(()),
        Fault::Signal(signal) => return kill(process, signal),
        Fault::Argument(index, value) => return set_argument(thread, index, value),
        Fault::Fails(errno) => i64::from(-(errno as i32)).cast_unsigned(),
        Fault::Returns(value) => value,
    };
    let mut registers = ptrace::getregs(thread)?;
    registers.orig_rax = u64::MAX;
    registers.rax = returned;
    ptrace::setregs(thread, registers)
}

/// One of the first three.
fn set_argument(thread: Pid, index: usize, value: u64) -> nix::Result<()> {
    let mut registers = ptrace::getregs(thread)?;
    *[&mut registers.rdi, &mut registers.rsi, &mut registers.rdx][index] = value;
    ptrace::setregs(thread, registers)
}

/// A filter that stops at these calls, except at the exec that starts the program, before the tracer is ready.
fn filter(stops: &Stops) -> Vec<sock_filter> {
    let operation = |code: u32, k: u32, jt: u8| sock_filter {
        code: u16::try_from(code).expect("operations have 16 bits"),
        jt,
        jf: 0,
        k,
    };
    let execve = BTreeSet::from([libc::SYS_execve]);
    let (numbers, [answer, other]) = match stops {
        Stops::All => (&execve, [libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_TRACE]),
        Stops::At(numbers) => (numbers, [libc::SECCOMP_RET_TRACE, libc::SECCOMP_RET_ALLOW]),
    };
    // The number is the first field of a filter's data.
    let mut filter = vec![operation(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (index, &number) in numbers.iter().enumerate() {
        let number = u32::try_from(number).expect("numbers of calls are small");
        let behind_the_others = u8::try_from(numbers.len() - index).expect("there are fewer calls");
        filter.push(operation(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number, behind_the_others));
    }
    filter.extend([other, answer].map(|answer| operation(libc::BPF_RET | libc::BPF_K, answer, 0)));
    filter
}

fn install(filter: &[sock_filter]) -> std::io::Result<()> {
    let len = u16::try_from(filter.len()).map_err(|_| Errno::EINVAL)?;
    let program = sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the kernel copies a program of that many instructions, and writes nothing.
    let answer = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    Errno::result(answer).map(drop).map_err(Into::into)
}
