//! Time and memory against the size of a file, one that is a hole and one that is full.

use std::fmt::Write as _;
use std::thread;

use anyhow::{Context as _, Result};
use dmverity_tests::machine::{self, load};
use nix::sys::statvfs::statvfs;

use crate::data::{self, MIB};
use crate::measure::{Bench, DATA, TREES};
use crate::rows::{Action, BASE, Task, size};
use crate::run::Run;
use crate::table::{median, mib, seconds};

/// The heading, in Markdown. `sparse` is a file that is one hole.
pub(crate) const HEADING: &str = "\
| size | format, sparse (s) | MiB | format, full (s) | MiB | verify, sparse (s) | MiB | verify, full (s) | MiB |
|---|---:|---:|---:|---:|---:|---:|---:|---:|";

/// What is in the place of a figure that was not measured.
pub(crate) const NONE: &str = "-";

/// In MiB.
const SIZES: [u64; 8] = [1, 4, 16, 64, 256, 1024, 4096, 16_384];
/// The file that is one hole. The other one is [`DATA`].
const HOLE: &str = "hole";
/// What is left of the free space, in MiB.
const SPARE: u64 = 1024;

/// The runs that make a figure.
type Runs = Vec<Run>;

/// Measures every size; full files up to this one, or as far as they fit the free space.
pub(crate) fn measure(bench: &Bench, largest: Option<u64>) -> Result<String> {
    let threads = u8::try_from(thread::available_parallelism()?.get()).unwrap_or(u8::MAX);
    let before = load()?;
    let (mut lines, mut left_out, mut partly) = (String::new(), Vec::new(), Vec::new());
    for mib in SIZES {
        let full = mib <= largest.unwrap_or(u64::MAX) && fits(bench, mib)?;
        if !full {
            left_out.push(size(mib));
        }
        let (figures, cached) = one_size(bench, mib, full, threads).with_context(|| size(mib))?;
        if full && cached < 99 {
            partly.push(format!("{cached}% of {}", size(mib)));
        }
        let line = line(mib, &figures);
        eprintln!("{line}");
        writeln!(lines, "{line}")?;
    }
    let about = machine::describe()?;
    let mut text = format!(
        "{about}; {threads} threads, medians of {} runs; load average {before} at the start, {} at the end.\n\n\
         {HEADING}\n{lines}\n",
        bench.pairs,
        load()?
    );
    if !left_out.is_empty() {
        writeln!(text, "Full files of these sizes were left out: {}.", left_out.join(", "))?;
    }
    if !partly.is_empty() {
        writeln!(text, "Not all of a full file was in the page cache at the end: {}.", partly.join(", "))?;
    }
    Ok(text)
}

/// Whether a full file and its hash trees, of less than a fiftieth each, fit the free space.
fn fits(bench: &Bench, mib: u64) -> Result<bool> {
    let found = statvfs(&bench.directory)?;
    #[expect(clippy::useless_conversion, reason = "the types are others on 32-bit systems")]
    let free = u64::from(found.blocks_available()) * u64::from(found.fragment_size()) / MIB;
    Ok(mib + mib / 25 + SPARE <= free)
}

/// `format` and `verify` of both files, taking turns; none of those of the full file if it is left out. Also how many
/// percent of it are in the page cache at the end.
fn one_size(bench: &Bench, mib: u64, full: bool, threads: u8) -> Result<([Runs; 4], u64)> {
    data::write_hole(&bench.path(HOLE), mib)?;
    if full {
        data::write_random(&bench.path(DATA), mib)?;
    }
    let task = Task { threads, ..BASE };
    let mut figures: [Runs; 4] = Default::default();
    for round in 0..bench.pairs {
        for turn in 0..2 {
            let (side, name) = [(0, HOLE), (1, DATA)][(round + turn) % 2];
            if name == HOLE || full {
                let (formatted, root) = bench.format(side, &bench.ours, name, &task)?;
                figures[side].push(formatted);
                let task = Task { action: Action::Verify, ..task };
                figures[2 + side].push(bench.verify(side, &bench.ours, name, &root, &task)?);
            }
        }
    }
    let cached = if full { data::cached(&bench.path(DATA))? } else { 0 };
    bench.remove(&[HOLE, DATA, TREES[0], TREES[1]])?;
    Ok((figures, cached * 100 / (mib * MIB)))
}

/// A line of the table, in Markdown.
fn line(size_in_mib: u64, figures: &[Runs; 4]) -> String {
    let mut line = format!("| {} |", size(size_in_mib));
    for runs in figures {
        let times: Vec<_> = runs.iter().map(|run| run.wall).collect();
        let (time, memory) = match runs.iter().map(|run| run.peak_kib).max() {
            Some(peak) => (seconds(median(&times)), mib(peak)),
            None => (NONE.to_owned(), NONE.to_owned()),
        };
        line = line + " " + &time + " | " + &memory + " |";
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_has_as_many_columns_as_the_heading() {
        let run = |milliseconds| Run {
            wall: Duration::from_millis(milliseconds),
            cpu: Duration::ZERO,
            peak_kib: milliseconds,
            stdout: String::new(),
        };
        let runs = || vec![run(2048), run(1024), run(1024)];
        let line = line(4096, &[runs(), Vec::new(), runs(), Vec::new()]);
        assert_eq!(line, "| 4 GiB | 1.024 | 2.0 | - | - | 1.024 | 2.0 | - | - |");
        for heading in HEADING.lines() {
            assert_eq!(heading.matches('|').count(), line.matches('|').count());
        }
    }
}
