//! How many instructions one fixed job takes. The number is the same on a busy machine and on an idle one, so it shows
//! changes of the code that are too small for a clock.
//!
//! callgrind counts the program's own instructions, in the backends that valgrind supports. perf counts in all backends
//! if the processor's counters can be read; few virtual machines have them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use dmverity_tests::vectors::painted;
use dmverity_tests::vm::process;
use dmverity_tests::workspace;

use crate::data;
use crate::measure::{Forced, UUID};
use crate::rows::SALT;
use crate::run::run;

const MIB: usize = 64;
const DATA: &str = "data";
const TREE: &str = "hash";
const COUNTS: &str = "counts";

/// The recorded counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// The compiler at that time.
    rustc: String,
    /// Instructions by the backend's name.
    counts: Vec<(String, u64)>,
}

/// Counts, prints the counts beside the recorded ones, and records them if requested.
pub(crate) fn count(directory: &Path, programs: &[Forced], record: bool) -> Result<()> {
    let recorded = match fs::read_to_string(file()) {
        Ok(text) => Recorded::parse(&text).with_context(|| format!("{}", file().display()))?,
        Err(_) => Recorded::default(),
    };
    fs::write(directory.join(DATA), painted(MIB << 20))?;
    let mut counted = Recorded { rustc: rustc()?, counts: Vec::new() };
    let mut by_perf = Ok(Vec::new());
    for (backend, program) in programs {
        if backend.valgrind {
            eprintln!("counting instructions of {}", backend.name);
            counted.counts.push((backend.name.to_owned(), callgrind(directory, program)?));
        }
        if let Ok(counts) = &mut by_perf {
            match perf(directory, program)? {
                Ok(count) => counts.push((backend.name, count)),
                Err(reason) => by_perf = Err(reason),
            }
        }
    }
    for name in [DATA, TREE, COUNTS] {
        data::remove(&directory.join(name))?;
    }

    println!(
        "\nInstructions of `format` of {MIB} MiB, sha256, 32-byte salt, 1 thread, counted by callgrind; {}.",
        counted.rustc
    );
    match recorded.rustc.as_str() {
        "" => println!("None are recorded yet; --record does that."),
        rustc => println!("The recorded ones: {rustc}."),
    }
    print!("\n{}", recorded.beside(&counted));
    match by_perf {
        Ok(counts) => {
            println!("\nBy perf:\n\n| backend | instructions |\n|---|---:|");
            for (name, count) in counts {
                println!("| {name} | {count} |");
            }
        }
        Err(reason) => println!("\nNot counted by perf: {reason}."),
    }
    if record {
        fs::write(file(), counted.text()).with_context(|| format!("cannot write {}", file().display()))?;
        println!("\nRecorded in {}.", file().display());
    }
    Ok(())
}

/// The job; the words before it start it below something that counts.
fn job<'a>(before: &[&'a str], program: &'a str) -> Vec<&'a str> {
    let mut words = before.to_vec();
    words.extend([program, "format", DATA, TREE, "--hash=sha256", UUID, "--threads=1", "--salt"]);
    words.push(SALT);
    words
}

/// Runs the words in the directory, with a new hash file.
fn run_job(directory: &Path, words: &[&str]) -> Result<()> {
    for name in [TREE, COUNTS] {
        data::remove(&directory.join(name))?;
    }
    run(directory, &process::find(words[0])?, &words[1..])?;
    Ok(())
}

fn callgrind(directory: &Path, program: &Path) -> Result<u64> {
    let out = format!("--callgrind-out-file={COUNTS}");
    let program = program.to_str().context("a path that is not UTF-8")?;
    run_job(directory, &job(&["valgrind", "--quiet", "--tool=callgrind", &out], program))?;
    parse_callgrind(&fs::read_to_string(directory.join(COUNTS))?)
}

/// The count of perf, or the reason why it has none.
fn perf(directory: &Path, program: &Path) -> Result<Result<u64, String>> {
    if process::find("perf").is_err() {
        return Ok(Err("it is not installed (Debian's package is linux-perf)".to_owned()));
    }
    let program = program.to_str().context("a path that is not UTF-8")?;
    // Fails if perf is not permitted to count.
    let words = job(&["perf", "stat", "-x,", "-o", COUNTS, "-e", "instructions:u", "--"], program);
    if run_job(directory, &words).is_err() {
        return Ok(Err("it fails here".to_owned()));
    }
    Ok(parse_perf(&fs::read_to_string(directory.join(COUNTS))?).ok_or_else(|| "the machine has no counter".to_owned()))
}

/// The `summary` of callgrind's file, which counts nothing but instructions unless told to.
fn parse_callgrind(text: &str) -> Result<u64> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if field("events:") != Some("Ir") {
        bail!("callgrind did not count instructions alone: {:?}", field("events:"));
    }
    let summary = field("summary:").context("callgrind wrote no summary")?;
    summary.parse().with_context(|| format!("callgrind's summary is {summary:?}"))
}

/// The count in perf's comma-separated file; it says `<not supported>` or `<not counted>` if there is none.
fn parse_perf(text: &str) -> Option<u64> {
    text.lines().filter(|line| line.contains(",instructions")).find_map(|line| line.split(',').next()?.parse().ok())
}

/// The compiler that built the programs a moment ago.
fn rustc() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Ok(process::output(Command::new(rustc).arg("--version"))?.trim().to_owned())
}

/// Where the counts are recorded.
fn file() -> PathBuf {
    workspace().join("tests/bench/instructions.txt")
}

impl Recorded {
    fn parse(text: &str) -> Result<Self> {
        let mut recorded = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with("rustc ") {
                line.clone_into(&mut recorded.rustc);
                continue;
            }
            let (backend, count) = line.split_once(' ').with_context(|| format!("no count in {line:?}"))?;
            let count = count.trim().parse().with_context(|| format!("no number in {line:?}"))?;
            recorded.counts.push((backend.to_owned(), count));
        }
        Ok(recorded)
    }

    fn text(&self) -> String {
        let mut text = format!(
            "# Instructions of `veritysetup format` of {MIB} MiB, counted by callgrind, by the way to hash.\n\
             # Written by `make bench-instructions OPTIONS=--record`; no test looks at them.\n{}\n",
            self.rustc
        );
        for (backend, count) in &self.counts {
            let _ = writeln!(text, "{backend} {count}");
        }
        text
    }

    /// A table of these and others.
    fn beside(&self, counted: &Self) -> String {
        let mut table = "| backend | recorded | counted | difference |\n|---|---:|---:|---:|\n".to_owned();
        for (backend, now) in &counted.counts {
            let then = self.counts.iter().find(|(name, _)| name == backend).map(|(_, count)| *count);
            let (shown, difference) = match then {
                Some(then) => (then.to_string(), percent(then, *now)),
                None => ("-".to_owned(), "-".to_owned()),
            };
            let _ = writeln!(table, "| {backend} | {shown} | {now} | {difference} |");
        }
        table
    }
}

/// The increase from the first to the second.
fn percent(then: u64, now: u64) -> String {
    let hundredths = (i128::from(now) - i128::from(then)) * 10_000 / i128::from(then.max(1));
    let sign = if hundredths < 0 { '-' } else { '+' };
    let hundredths = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}%", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrinds_summary_is_read() {
        let text = "# callgrind format\npositions: line\nevents: Ir\nsummary: 223932750\n\nfn=(1)\n0 4\ntotals: 5\n";
        assert_eq!(parse_callgrind(text).unwrap(), 223_932_750);
        assert!(parse_callgrind("events: Ir\nfn=(1)\n").is_err());
        assert!(parse_callgrind("events: Ir Dr Dw\nsummary: 1 2 3\n").is_err());
    }

    #[test]
    fn perfs_count_is_read_where_there_is_one() {
        assert_eq!(parse_perf("# started on Sun\n\n4211,,instructions:u,1000,100.00,,\n"), Some(4211));
        assert_eq!(parse_perf("# started on Sun\n\n<not supported>,,instructions:u,0,100.00,,\n"), None);
        assert_eq!(parse_perf("<not counted>,,instructions:u,0,0.00,,\n"), None);
        assert_eq!(parse_perf(""), None);
    }

    #[test]
    fn what_is_recorded_is_read_again() {
        let rustc = "rustc 1.88.0 (6b00bc388 2025-06-23)".to_owned();
        let counts = vec![("avx2".to_owned(), 1_000_000), ("portable".to_owned(), 9_000_000_000)];
        let recorded = Recorded { rustc, counts };
        assert_eq!(Recorded::parse(&recorded.text()).unwrap(), recorded);
        assert!(Recorded::parse("avx2\n").is_err());
        assert!(Recorded::parse("avx2 many\n").is_err());
    }

    #[test]
    fn the_difference_is_in_percent_of_what_was_recorded() {
        assert_eq!(["+0.00%", "+25.00%", "-0.50%"], [1000, 1250, 995].map(|now| percent(1000, now)));
        let recorded = Recorded::parse("avx2 1000\n").unwrap();
        let counted = Recorded::parse("avx2 500\nportable 7\n").unwrap();
        let table = recorded.beside(&counted);
        assert!(table.ends_with("| avx2 | 1000 | 500 | -50.00% |\n| portable | - | 7 | - |\n"), "{table}");
    }
}
