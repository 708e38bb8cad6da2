//! Every system call of a command, failing in every possible way.

use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::libc::{self, c_long};
use nix::sys::signal::Signal;

use crate::scenario::{Scenario, Wanted};
use crate::tracer::{Call, Fault, Stops};

/// The calls under test: all that can fail for an external reason.
const CALLS: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_brk,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_close,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getrandom,
    libc::SYS_ioctl,
    libc::SYS_link,
    libc::SYS_linkat,
    libc::SYS_lseek,
    libc::SYS_lstat,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_mmap,
    libc::SYS_mremap,
    libc::SYS_newfstatat,
    libc::SYS_open,
    libc::SYS_openat,
    libc::SYS_poll,
    libc::SYS_pread64,
    libc::SYS_prlimit64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_rt_sigaction,
    libc::SYS_sched_getaffinity,
    libc::SYS_stat,
    libc::SYS_statx,
    libc::SYS_sync_file_range,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_write,
    // Where the command's own part begins.
    libc::SYS_sigaltstack,
];

/// Whether every fault is tried, or only one of each call and a sample of many calls in a row.
pub(crate) fn is_whole() -> bool {
    std::env::var_os("FAULTS").is_some_and(|value| value == "all")
}

/// A signal stack holds a guard page and the signal frame: it is smaller than any thread's stack.
const SECOND_STACK: u64 = 64 << 10;

/// Each of these errors.
fn fails(errors: &[Errno], wanted: Wanted) -> Vec<(Fault, Wanted)> {
    errors.iter().map(|&error| (Fault::Fails(error), wanted)).collect()
}

/// How a call can fail, and the expected outcome.
fn faults(call: &Call, whole_write: u64) -> Vec<(Fault, Wanted)> {
    use Wanted::{Failure, Right, RightOrFailure};
    // After an interruption by a signal, the call is repeated.
    let fails_or_again = |errors: &[Errno], wanted| {
        let mut faults = fails(errors, wanted);
        faults.push((Fault::Fails(Errno::EINTR), Right));
        faults
    };
    // A short read or write.
    let shorter = |most: u64| (Fault::Argument(2, most), Right);
    let half = (whole_write / 2).max(1);
    match call.number {
        libc::SYS_read | libc::SYS_pread64 => vec![
            (Fault::Fails(Errno::EIO), RightOrFailure),
            (Fault::Fails(Errno::EAGAIN), RightOrFailure),
            (Fault::Fails(Errno::EINTR), Right),
            shorter(half),
            shorter(1),
            // The end of a file that has become shorter.
            (Fault::Returns(0), RightOrFailure),
        ],
        libc::SYS_write => {
            let lost = if call.arguments[0] == 2 { Wanted::Speechless } else { Failure };
            let failures = [Errno::EIO, Errno::ENOSPC, Errno::EAGAIN].map(|errno| (Fault::Fails(errno), lost));
            let mut faults = failures.to_vec();
            faults.extend([(Fault::Fails(Errno::EINTR), Right), (Fault::Returns(0), lost), shorter(half), shorter(1)]);
            faults
        }
        libc::SYS_pwrite64 => {
            let mut faults = fails_or_again(&[Errno::EIO, Errno::ENOSPC, Errno::EDQUOT, Errno::EFBIG], Failure);
            faults.extend([(Fault::Returns(0), Failure), shorter(half), shorter(1)]);
            faults
        }
        libc::SYS_fsync | libc::SYS_fdatasync | libc::SYS_ftruncate | libc::SYS_fallocate => {
            fails_or_again(&[Errno::EIO, Errno::ENOSPC, Errno::EFBIG], Failure)
        }
        libc::SYS_open | libc::SYS_openat => {
            let is_direct = call.arguments[2] & libc::O_DIRECT as u64 != 0;
            let wanted = if is_direct { Right } else { RightOrFailure };
            fails_or_again(&[Errno::EMFILE, Errno::EIO, Errno::EACCES, Errno::ENOSPC], wanted)
        }
        libc::SYS_lseek => {
            let is_about_holes =
                [libc::SEEK_DATA, libc::SEEK_HOLE].map(i64::from).contains(&call.arguments[2].cast_signed());
            fails(&[Errno::EIO, Errno::EINVAL], if is_about_holes { Right } else { RightOrFailure })
        }
        _ => faults_of_others(call),
    }
}

/// The same for calls that neither read nor write nor make files.
fn faults_of_others(call: &Call) -> Vec<(Fault, Wanted)> {
    use Wanted::{Right, RightOrFailure};
    match call.number {
        // A thread's second stack, for signals: Rust's runtime aborts without it. Whether there is room for a thread is
        // asked before it is started, by a request of its own.
        libc::SYS_mmap if call.arguments[1] <= SECOND_STACK && call.arguments[3] & libc::MAP_STACK as u64 != 0 => {
            Vec::new()
        }
        // Of a file, only to ask what is in the page cache.
        libc::SYS_mmap => {
            let is_of_a_file = call.arguments[4].cast_signed() >= 0 && call.arguments[4] != u64::from(u32::MAX);
            fails(&[Errno::ENOMEM], if is_of_a_file { Right } else { RightOrFailure })
        }
        libc::SYS_mremap => fails(&[Errno::ENOMEM], RightOrFailure),
        // The end of the heap does not move, which is how brk fails.
        libc::SYS_brk => vec![(Fault::Argument(0, 0), RightOrFailure)],
        libc::SYS_statx | libc::SYS_fstat | libc::SYS_stat | libc::SYS_lstat | libc::SYS_newfstatat => {
            fails(&[Errno::EIO, Errno::ENOMEM, Errno::EACCES], RightOrFailure)
        }
        libc::SYS_ioctl => fails(&[Errno::EIO, Errno::EINTR], RightOrFailure),
        libc::SYS_getrandom => fails(&[Errno::ENOSYS, Errno::EINTR, Errno::EAGAIN], RightOrFailure),
        // Closing unlocks.
        libc::SYS_flock if call.arguments[1] == libc::LOCK_UN as u64 => fails(&[Errno::EIO, Errno::EINTR], Right),
        libc::SYS_flock => {
            let mut faults = fails(&[Errno::EIO, Errno::ENOLCK], RightOrFailure);
            // Even a file that was just created belongs to the process that has locked it.
            faults.push((Fault::Fails(Errno::EWOULDBLOCK), Wanted::FailureThatLeavesFiles));
            faults.push((Fault::Fails(Errno::EINTR), Right));
            faults
        }
        libc::SYS_unlink | libc::SYS_unlinkat => fails(&[Errno::EIO], Wanted::FailureThatLeavesFiles),
        // Hints, and queries that are optional.
        libc::SYS_sync_file_range | libc::SYS_fadvise64 | libc::SYS_madvise | libc::SYS_mincore => {
            fails(&[Errno::EIO, Errno::ENOSYS], Right)
        }
        libc::SYS_sched_getaffinity | libc::SYS_close => fails(&[Errno::EINTR, Errno::EIO], Right),
        libc::SYS_clone3 => fails(&[Errno::EAGAIN, Errno::ENOSYS], Right),
        libc::SYS_clone => fails(&[Errno::EAGAIN], Right),
        libc::SYS_rt_sigaction => fails(&[Errno::EINVAL], Right),
        libc::SYS_sigaltstack => Vec::new(),
        _ => fails(&[Errno::EIO, Errno::EACCES], RightOrFailure),
    }
}

/// Whether a call moves the end of the heap up; moving it down never fails.
fn grows(earlier: &[Call], call: &Call) -> bool {
    let mut ends = earlier.iter().filter(|call| call.number == libc::SYS_brk).map(|call| call.arguments[0]);
    ends.rfind(|&end| end > 0).is_some_and(|end| end < call.arguments[0])
}

/// A second fault, while a command cleans up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// No file can be resized or removed any more.
    NothingCanBeTakenBack,
    /// Nothing can be written any more.
    NothingCanBeWritten,
    /// It is killed before it has cleaned up anything.
    Kill,
}

impl Then {
    fn of(self, call: &Call) -> Fault {
        let takes_back = [libc::SYS_ftruncate, libc::SYS_unlink, libc::SYS_unlinkat].contains(&call.number);
        let writes = [libc::SYS_pwrite64, libc::SYS_fdatasync].contains(&call.number);
        match self {
            Self::NothingCanBeTakenBack if takes_back => Fault::Fails(Errno::EIO),
            Self::NothingCanBeWritten if writes => Fault::Fails(Errno::ENOSPC),
            Self::Kill if takes_back => Fault::Signal(Signal::SIGKILL),
            _ => Fault::None,
        }
    }
}

/// The calls that change something, each with what can go wrong after it has failed.
fn second_faults(calls: &[Call], begun: usize) -> Vec<(usize, Then)> {
    let changes = [libc::SYS_ftruncate, libc::SYS_pwrite64, libc::SYS_fdatasync];
    let first = |index: &usize| *index > begun && changes.contains(&calls[*index].number);
    let then = [Then::NothingCanBeTakenBack, Then::NothingCanBeWritten, Then::Kill];
    (0..calls.len()).filter(first).flat_map(|index| then.map(|then| (index, then))).collect()
}

/// The sample of calls of one kind in a row, without `FAULTS=all`: this many of the first, and every n-th of the rest.
const FIRST: usize = 4;
const EVERY: usize = 9;

/// Makes every call of the scenario's command fail in every way.
pub(crate) fn check(scenario: &Scenario) {
    let stops = Stops::At(CALLS.iter().copied().collect());
    let calls = scenario.record(&stops);
    let begun = calls.iter().position(|call| call.number == libc::SYS_sigaltstack && call.arguments[0] != 0);
    let begun = begun.expect("the runtime sets it up before main");
    let mut seen: BTreeMap<c_long, usize> = BTreeMap::new();
    let (mut positions, mut runs, mut problems) = (0, 0, Vec::new());
    for (index, call) in calls.iter().enumerate() {
        let mut all = faults(call, call.arguments[2]);
        if call.number == libc::SYS_brk && (index < begun || !grows(&calls[..index], call)) {
            continue;
        }
        if index < begun {
            all.truncate(1);
            for fault in &mut all {
                fault.1 = Wanted::NotBegun;
            }
        }
        let nth = seen.entry(call.number).or_default();
        *nth += 1;
        if !is_whole() && !all.is_empty() {
            if *nth > FIRST && !nth.is_multiple_of(EVERY) {
                continue;
            }
            // Another one for each of these calls.
            all = vec![all[*nth % all.len()]];
        }
        positions += usize::from(!all.is_empty());
        for (fault, wanted) in all {
            runs += 1;
            // With threads, this number may belong to another call.
            let is_it = |at, call: &Call| {
                at == index && (at < begun || faults(call, call.arguments[2]).contains(&(fault, wanted)))
            };
            let ended = scenario.run_with(&stops, |at, call| if is_it(at, call) { fault } else { Fault::None });
            let mut found = scenario.problems(&ended, wanted);
            // A failed attempt must not prevent a retry.
            if found.is_empty() && ended.status != Ok(0) && wanted != Wanted::NotBegun {
                found = scenario.problems_of_the_next_run();
            }
            if !found.is_empty() {
                let (status, said) = (ended.status, ended.stderr);
                problems.push(format!("call {index} {call:?} {fault:?} {wanted:?}: {found:?} {status:?} {said:?}"));
            }
        }
    }
    for (first, then) in second_faults(&calls, begun) {
        runs += 1;
        let mut failed = false;
        let ended = scenario.run_with(&stops, |at, call| {
            let (is_first, is_later) = (at == first, failed);
            failed |= is_first;
            if is_first {
                Fault::Fails(Errno::EIO)
            } else if is_later {
                then.of(call)
            } else {
                Fault::None
            }
        });
        let wanted = if then == Then::Kill { Wanted::Killed } else { Wanted::FailureThatLeavesFiles };
        let mut found = scenario.problems(&ended, wanted);
        if found.is_empty() && ended.status != Ok(0) {
            found = scenario.problems_of_the_next_run();
        }
        if !found.is_empty() {
            let (status, said) = (ended.status, ended.stderr);
            problems.push(format!("call {first} {:?} EIO and {then:?}: {found:?} {status:?} {said:?}", calls[first]));
        }
    }
    println!("faults: {}: {positions} of {} calls, {runs} runs", scenario.name, calls.len());
    assert!(problems.is_empty(), "{}: {} problems:\n{}", scenario.name, problems.len(), problems.join("\n"));
}
