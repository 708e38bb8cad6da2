//! `read-latency`: how long a read of one 4096-byte block takes on each of two devices, side by side.
//!
//! They take turns in the order A B B A and so on, so that drift affects both. In the two turns of a round both read
//! the same random blocks, past the page cache, on one processor.

mod random;

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{Error, Result, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use random::next;

const USAGE: &str = "usage: read-latency CPU ROUNDS READS-IN-A-TURN SEED DEVICE-A DEVICE-B";

/// The rows of the distribution, in thousandths of the reads.
const QUANTILES: [(&str, usize); 7] =
    [("p1", 10), ("p10", 100), ("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999), ("max", 1000)];

/// The kernel's counters: file, line, and the row of the output. Unlike times, they are the same on a slow machine.
const COUNTERS: [(&str, &str, &str); 3] = [
    ("/proc/self/status", "voluntary_ctxt_switches", "waits of the reader"),
    ("/proc/stat", "ctxt", "context switches"),
    // The softirq of tasklets and of bottom-half workqueues.
    ("/proc/softirqs", "TASKLET", "tasklet softirqs"),
];

/// A block in memory, aligned for direct I/O.
#[repr(align(4096))]
struct Block([u8; 4096]);

/// A device and its measurements.
struct Device {
    name: String,
    file: File,
    blocks: u64,
    times: Vec<Duration>,
    /// The median of each turn.
    medians: Vec<Duration>,
    /// All turns together.
    elapsed: Duration,
    counted: [u64; COUNTERS.len()],
}

impl Device {
    fn open(path: &str) -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_DIRECT.bits())
            .open(path)
            .map_err(|error| Error::other(format!("cannot open {path}: {error}")))?;
        let blocks = file.seek(SeekFrom::End(0))? / 4096;
        if blocks == 0 {
            return Err(Error::other(format!("{path} is smaller than a block")));
        }
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (times, medians) = (Vec::new(), Vec::new());
        Ok(Self { name, file, blocks, times, medians, elapsed: Duration::ZERO, counted: [0; COUNTERS.len()] })
    }

    fn turn(&mut self, reads: usize, mut random: u64, buffer: &mut Block) -> Result<()> {
        let first = self.times.len();
        // Nothing is allocated between the reads.
        self.times.reserve(reads);
        let before = counters()?;
        let begin = Instant::now();
        for _ in 0..reads {
            let block = next(&mut random) % self.blocks;
            let start = Instant::now();
            self.file.read_exact_at(&mut buffer.0, block * 4096)?;
            self.times.push(start.elapsed());
        }
        self.elapsed += begin.elapsed();
        for ((sum, before), after) in self.counted.iter_mut().zip(before).zip(counters()?) {
            *sum += after - before;
        }
        let mut turn = self.times[first..].to_vec();
        turn.sort_unstable();
        self.medians.push(quantile(&turn, 500));
        Ok(())
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match measure(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("read-latency: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[String]) -> Result<()> {
    let [cpu, rounds, reads, seed, path_a, path_b] = arguments else { return Err(Error::other(USAGE)) };
    let number = |text: &str| text.parse::<usize>().map_err(|_| Error::other(format!("{text} is not a number")));
    let (cpu, rounds, reads, seed) = (number(cpu)?, number(rounds)?, number(reads)?, number(seed)?);
    if rounds == 0 || reads == 0 {
        return Err(Error::other("there has to be something to read"));
    }

    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)?;
    let mut buffer = Box::new(Block([0; 4096]));
    let mut devices = [Device::open(path_a)?, Device::open(path_b)?];
    for round in 0..rounds {
        // Each round has its own sequence, which starts with the next number of the seed's sequence.
        let mut random = (seed + round) as u64;
        let random = next(&mut random);
        for turn in 0..2 {
            devices[(round + turn) % 2].turn(reads, random, &mut buffer)?;
        }
    }
    print(&mut devices);
    Ok(())
}

fn print([a, b]: &mut [Device; 2]) {
    row("", &a.name, &b.name, "ratio");
    row("reads", a.times.len(), b.times.len(), "");
    let count = |device: &Device| u32::try_from(device.times.len()).map_or(f64::INFINITY, f64::from);
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let mean = |device: &Device| micros(device.times.iter().sum()) / count(device);
    figures("mean, us", mean(a), mean(b));
    a.times.sort_unstable();
    b.times.sort_unstable();
    for (name, thousandths) in QUANTILES {
        let [a, b] = [&a, &b].map(|device| micros(quantile(&device.times, thousandths)));
        figures(&format!("{name}, us"), a, b);
    }
    let [rate_a, rate_b] = [&a, &b].map(|device| count(device) / device.elapsed.as_secs_f64());
    figures("reads per second", rate_a, rate_b);
    println!("for each read:");
    for (index, (_, _, name)) in COUNTERS.into_iter().enumerate() {
        let [a, b] = [&a, &b]
            .map(|device| u32::try_from(device.counted[index]).map_or(f64::INFINITY, f64::from) / count(device));
        figures(name, a, b);
    }
    let lower = a.medians.iter().zip(&b.medians).filter(|(a, b)| b < a).count();
    println!("{} had the lower median in {lower} of {} rounds", b.name, a.medians.len());
}

fn figures(name: &str, a: f64, b: f64) {
    let ratio = if a == 0.0 { "-".to_owned() } else { format!("{:.3}", b / a) };
    row(name, format!("{a:.2}"), format!("{b:.2}"), ratio);
}

fn row(name: &str, a: impl Display, b: impl Display, ratio: impl Display) {
    println!("{name:<24}{a:>12}{b:>12}{ratio:>9}");
}

/// The smallest of the sorted times that at least this many thousandths of them do not exceed.
fn quantile(sorted: &[Duration], thousandths: usize) -> Duration {
    sorted[(sorted.len() * thousandths).div_ceil(1000).max(1) - 1]
}

/// The counters' values, summed over all processors.
fn counters() -> Result<[u64; COUNTERS.len()]> {
    let mut values = [0; COUNTERS.len()];
    for (value, (file, name, _)) in values.iter_mut().zip(COUNTERS) {
        let text = fs::read_to_string(file)?;
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name));
        let line = line.ok_or_else(|| Error::other(format!("{file} has no {name}")))?;
        *value = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).sum();
    }
    Ok(values)
}
