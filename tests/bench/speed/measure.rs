//! Measures one row: the two tools take turns in the order A B B A and so on, so that drift affects both.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dmverity_tests::backends::Backend;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::data;
use crate::rows::{Action, BASE, Input, Job, PIECES, Row, SCATTERED, Task, size};
use crate::run::{Run, run};
use crate::table::{Line, median, mib, seconds};

/// How often each tool runs `dump`.
const START_UPS: usize = 200;
pub(crate) const UUID: &str = "--uuid=00000000-0000-4000-8000-000000000001";
pub(crate) const DATA: &str = "data";
const SCATTERED_DATA: &str = "scattered";
/// The hash files of the two sides, the reference's first.
pub(crate) const TREES: [&str; 2] = ["hash-of-left", "hash-of-right"];
/// Their FEC files.
pub(crate) const FECS: [&str; 2] = ["fec-of-left", "fec-of-right"];
const REFERENCE_AND_OURS: [&str; 2] = ["reference", "ours"];

/// The environment of a measurement.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Where the data is.
    pub(crate) directory: PathBuf,
    pub(crate) reference: PathBuf,
    /// The released binary.
    pub(crate) ours: PathBuf,
    /// The binaries that are forced to one backend.
    pub(crate) forced: Vec<Forced>,
    pub(crate) pairs: usize,
    /// The size of most files.
    pub(crate) mib: u64,
}

/// A hash backend, and the binary that is forced to use it.
pub(crate) type Forced = (&'static Backend, PathBuf);

/// One side of a comparison.
#[derive(Debug)]
struct Side<'a> {
    name: &'static str,
    program: &'a Path,
    task: &'a Task,
}

/// The result of a row.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// None if it cannot be measured here.
    pub(crate) line: Option<Line>,
    /// Remarks.
    pub(crate) notes: Vec<String>,
}

impl Bench {
    pub(crate) fn row(&self, row: &Row) -> Result<Outcome> {
        let outcome = match &row.job {
            Job::Both(task) => self.both(&row.what, task),
            Job::Ours(other, task) => self.side_by_side(
                &row.what,
                [
                    Side { name: "left", program: &self.ours, task: other },
                    Side { name: "right", program: &self.ours, task },
                ],
            ),
            Job::Scattered => self.scattered(&row.what),
            Job::StartUp => self.start_up(&row.what),
        };
        outcome.with_context(|| row.what.clone())
    }

    fn both(&self, what: &str, task: &Task) -> Result<Outcome> {
        let ours = match task.backend {
            None => &self.ours,
            Some(backend) => {
                let forced = self.forced.iter().find(|(of, _)| *of == backend);
                &forced.with_context(|| format!("no binary for {}", backend.name))?.1
            }
        };
        let [reference, name] = REFERENCE_AND_OURS;
        let reference = Side { name: reference, program: &self.reference, task };
        self.side_by_side(what, [reference, Side { name, program: ours, task }])
    }

    /// Both sides format, or both verify, the same data.
    fn side_by_side(&self, what: &str, sides: [Side<'_>; 2]) -> Result<Outcome> {
        let Task { input, action, .. } = *sides[1].task;
        let formats = action == Action::Format;
        let data = self.path(DATA);
        match input {
            // A hole is not read beforehand: it has no data to be cached.
            Input::Hole => data::write_hole(&data, input.mib(self.mib))?,
            Input::Cached | Input::Small | Input::Cold => data::write_random(&data, input.mib(self.mib))?,
        }
        let mut root = String::new();
        if !formats {
            root = self.format(0, sides[0].program, DATA, sides[1].task)?.1;
        }

        let mut runs = [Vec::new(), Vec::new()];
        for pair in 0..self.pairs {
            let mut roots = [None, None];
            for turn in 0..2 {
                let index = (pair + turn) % 2;
                let side = &sides[index];
                // The reference reads a hole as if it were data, which takes long.
                if index == 0 && input == Input::Hole && !runs[0].is_empty() {
                    continue;
                }
                if input == Input::Cold && !self.drop_cached(action)? {
                    let note = format!("Left out, because files here stay in the page cache: {what}.");
                    return Ok(Outcome { line: None, notes: vec![note] });
                }
                let run = if formats {
                    let (run, root) = self.format(index, side.program, DATA, side.task)?;
                    roots[index] = Some(root);
                    run
                } else {
                    self.verify(0, side.program, DATA, &root, side.task)?
                };
                runs[index].push(run);
            }
            if let [Some(left), Some(right)] = roots {
                self.same([(sides[0].name, &left), (sides[1].name, &right)], sides[1].task)?;
                root = left;
            }
        }
        if formats {
            // Each verifies the other's image; parity that is equal needs no further check.
            let [left, right] = sides.each_ref().map(|side| (side.program, Task { fec: None, ..*side.task }));
            self.verify(0, right.0, DATA, &root, &right.1)?;
            if input != Input::Hole {
                self.verify(1, left.0, DATA, &root, &left.1)?;
            }
        }
        self.remove(&[DATA, TREES[0], TREES[1], FECS[0], FECS[1]])?;
        Ok(Outcome { line: Some(line(what, sides.map(|side| side.name), &runs)), notes: Vec::new() })
    }

    /// Both sides are ours: the same amount of data alone, and with holes around it. Another row shows that our output
    /// for holes equals the reference's.
    fn scattered(&self, what: &str) -> Result<Outcome> {
        let total = self.mib * SCATTERED;
        data::write_random(&self.path(DATA), self.mib)?;
        data::write_scattered(&self.path(SCATTERED_DATA), total, PIECES, self.mib / PIECES)?;
        let mut runs = [Vec::new(), Vec::new()];
        let mut writing = [Vec::new(), Vec::new()];
        let mut sizes = [0, 0];
        for pair in 0..self.pairs {
            for turn in 0..2 {
                let side = (pair + turn) % 2;
                runs[side].push(self.format(side, &self.ours, [DATA, SCATTERED_DATA][side], &BASE)?.0);
                sizes[side] = fs::metadata(self.path(TREES[side]))?.len();
                self.remove(&[TREES[side]])?;
                writing[side].push(data::time_to_write(&self.path("written"), sizes[side])?);
            }
        }
        self.remove(&[DATA, SCATTERED_DATA])?;
        let line = line(what, ["the data alone", "with holes"], &runs);
        let [of_data, of_holes] = [0, 1].map(|side| median(&writing[side]));
        let [rest_data, rest_holes] = [line.reference.saturating_sub(of_data), line.ours.saturating_sub(of_holes)];
        let note = format!(
            "The {} file: writing and syncing a file as large as its hash tree ({} MiB) took {} s in the same run, one \
             as large as that of the data alone ({} MiB) {} s. The rest is {} s, and {} s for the data alone.",
            size(total),
            mib(sizes[1] / 1024),
            seconds(of_holes),
            mib(sizes[0] / 1024),
            seconds(of_data),
            seconds(rest_holes),
            seconds(rest_data),
        );
        Ok(Outcome { line: Some(line), notes: vec![note] })
    }

    fn start_up(&self, what: &str) -> Result<Outcome> {
        data::write_random(&self.path(DATA), 1)?;
        data::remove(&self.path(TREES[0]))?;
        run(&self.directory, &self.reference, &["format", DATA, TREES[0], "--salt=-", UUID])?;
        // On one processor: waking another would take about as long as the work to be measured.
        let all = sched_getaffinity(Pid::from_raw(0))?;
        let mut one = CpuSet::new();
        let last = (0..CpuSet::count()).rev().find(|cpu| all.is_set(*cpu) == Ok(true)).context("no processor")?;
        one.set(last)?;
        sched_setaffinity(Pid::from_raw(0), &one)?;
        let mut runs = [Vec::new(), Vec::new()];
        // The time that any program takes to start and exit, and the time that ours takes beyond that.
        let mut starts = [Vec::new(), Vec::new()];
        for pair in 0..START_UPS {
            starts[0].push(run(&self.directory, Path::new("true"), &[])?.wall);
            starts[1].push(run(&self.directory, &self.ours, &["--version"])?.wall);
            for turn in 0..2 {
                let side = (pair + turn) % 2;
                runs[side].push(run(&self.directory, [&self.reference, &self.ours][side], &["dump", TREES[0]])?);
            }
        }
        sched_setaffinity(Pid::from_raw(0), &all)?;
        let [reference, ours] = [&runs[0][0].stdout, &runs[1][0].stdout];
        if fields(reference) != fields(ours) {
            bail!("the reference printed\n{reference}ours printed\n{ours}");
        }
        self.remove(&[DATA, TREES[0]])?;
        let [nothing, ours] = starts.map(|times| median(&times));
        let note = format!(
            "Starting and ending: `veritysetup --version` takes {} s, `true` {} s.",
            seconds(ours),
            seconds(nothing)
        );
        Ok(Outcome { line: Some(line(what, REFERENCE_AND_OURS, &runs)), notes: vec![note] })
    }

    /// Formats into new files of a side; returns the root hash that was printed.
    pub(crate) fn format(&self, side: usize, program: &Path, data: &str, task: &Task) -> Result<(Run, String)> {
        self.remove(&[TREES[side], FECS[side]])?;
        let (hash, salt) = (format!("--hash={}", task.hash), format!("--salt={}", task.salt));
        let mut arguments = vec!["format", data, TREES[side], &hash, &salt, UUID];
        let options = self.options(side, program, task);
        arguments.extend(options.iter().map(String::as_str));
        let run = run(&self.directory, program, &arguments)?;
        let root =
            run.stdout.lines().find_map(|line| line.strip_prefix("Root hash:")).map(|root| root.trim().to_owned());
        let root = root.with_context(|| format!("no root hash in {:?}", run.stdout))?;
        Ok((run, root))
    }

    /// Verifies with the files that were made for a side.
    pub(crate) fn verify(&self, side: usize, program: &Path, data: &str, root: &str, task: &Task) -> Result<Run> {
        let mut arguments = vec!["verify", data, TREES[side], root];
        arguments.extend((task.action == Action::Strict).then_some("--strict"));
        let options = self.options(side, program, task);
        arguments.extend(options.iter().map(String::as_str));
        run(&self.directory, program, &arguments)
    }

    /// The options of both `format` and `verify`.
    fn options(&self, side: usize, program: &Path, task: &Task) -> Vec<String> {
        let mut options = Vec::new();
        if let Some(roots) = task.fec {
            options.extend([format!("--fec-device={}", FECS[side]), format!("--fec-roots={roots}")]);
        }
        // Only ours has threads.
        if program != self.reference {
            options.push(format!("--threads={}", task.threads));
        }
        options
    }

    /// Fails unless both sides, with their names and root hashes, made the same.
    fn same(&self, [(left, of_left), (right, of_right)]: [(&str, &str); 2], task: &Task) -> Result<()> {
        if of_left != of_right {
            bail!("the root hash of {left} is {of_left}, that of {right} is {of_right}");
        }
        let made = [("hash", TREES), ("FEC", FECS)];
        for (kind, files) in made.into_iter().take(1 + usize::from(task.fec.is_some())) {
            if fs::read(self.path(files[0]))? != fs::read(self.path(files[1]))? {
                bail!("the {kind} files of {left} and of {right} differ, although the root hash is the same");
            }
        }
        Ok(())
    }

    fn drop_cached(&self, action: Action) -> Result<bool> {
        let tree = action == Action::Format || data::drop_cached(&self.path(TREES[0]))?;
        Ok(tree && data::drop_cached(&self.path(DATA))?)
    }

    pub(crate) fn remove(&self, names: &[&str]) -> Result<()> {
        names.iter().try_for_each(|name| data::remove(&self.path(name)))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// The values that `dump` prints, without their units, which older reference tools leave out.
fn fields(dump: &str) -> Vec<(&str, &str)> {
    let field = |line| str::split_once(line, ':').map(|(key, value)| (key, value.split_whitespace().next()));
    dump.lines().filter_map(field).map(|(key, value)| (key, value.unwrap_or_default())).collect()
}

/// The medians; the single times go to standard error.
fn line(what: &str, names: [&str; 2], runs: &[Vec<Run>; 2]) -> Line {
    let of = |side: usize, part: fn(&Run) -> Duration| -> Vec<Duration> { runs[side].iter().map(part).collect() };
    let wall = |side| median(&of(side, |run| run.wall));
    eprintln!("{what}");
    for (side, name) in names.into_iter().enumerate() {
        let times = of(side, |run| run.wall);
        let [least, most] = [times.iter().min(), times.iter().max()].map(|time| seconds(*time.expect("it ran")));
        let cpu = seconds(median(&of(side, |run| run.cpu)));
        eprintln!("    {name}: {} s of {least} to {most}, {cpu} s of processors", seconds(wall(side)));
    }
    let peak_kib = runs[1].iter().map(|run| run.peak_kib).max().unwrap_or_default();
    Line { what: what.to_owned(), reference: wall(0), ours: wall(1), peak_kib }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_dump_are_compared_without_their_units() {
        let newer = "VERITY header information for h.\nData blocks:     \t256\nData block size: \t4096 [bytes]\n";
        let older = "VERITY header information for h\nData blocks:     \t256\nData block size: \t4096\n";
        assert_eq!(fields(newer), fields(older));
        assert_eq!(fields(newer), [("Data blocks", "256"), ("Data block size", "4096")]);
        assert_ne!(fields(newer), fields(&older.replace("256", "257")));
    }
}
