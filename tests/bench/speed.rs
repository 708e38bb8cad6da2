//! `speed`: how fast this command is compared with the reference, and how many instructions it takes.
//!
//! Whole commands are timed, from start to end. The table has medians; the single times go to standard error. A time
//! never makes it fail, but different bytes from the two tools do.

#[path = "speed/chart.rs"]
mod chart;
#[path = "speed/contests.rs"]
mod contests;
#[path = "speed/data.rs"]
mod data;
#[path = "speed/field.rs"]
mod field;
#[path = "speed/growth.rs"]
mod growth;
#[path = "speed/growth_chart.rs"]
mod growth_chart;
#[path = "speed/instructions.rs"]
mod instructions;
#[path = "speed/machine.rs"]
mod machine;
#[path = "speed/measure.rs"]
mod measure;
#[path = "speed/peers.rs"]
mod peers;
mod random;
#[path = "speed/rows.rs"]
mod rows;
#[path = "speed/run.rs"]
mod run;
#[path = "speed/table.rs"]
mod table;

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{self, Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use dmverity_tests::backends::{self, Backend};
use dmverity_tests::machine::load;
use dmverity_tests::vm::{paths, process};
use dmverity_tests::{find_reference, static_binary, workspace};
use regex_lite::Regex;

use chart::Chart;
use field::Contest;
use measure::{Bench, Forced};

const USAGE: &str = "\
How fast this command is next to the reference, as a table: `make bench`.

  speed [--pairs N] [--rows PATTERN] [--size MIB] [--directory DIRECTORY] [--svg FILE]
      N runs of each tool for a row, 5 unless told (figures of fewer are for a try); only the rows whose text the
      pattern, a regular expression, is found in; files of another size than 1024 MiB, a multiple of 16 (what takes the
      reference long has an eighth of it, holes have more); the data in a directory below this one, and not below
      target/; the table as a picture in this file, and not in target/bench.svg. A second table has other programs and
      libraries that are installed (--rows field).
  speed --svg-from FILE [--svg FILE]
      measures nothing: only the picture, of the tables in a Markdown file that this program has printed
  speed --growth [--pairs N] [--size MIB] [--directory DIRECTORY] [--svg FILE]
      time and memory of files of 1 MiB to 16 GiB, one hole and full, as a table and as a picture, target/growth.svg;
      full ones up to this size only, or as far as there is room. With --svg-from FILE only the picture, of such a
      table.
  speed --instructions [--record] [--directory DIRECTORY]
      only counts the instructions of a fixed job, next to those in tests/bench/instructions.txt; with --record writes
      them there. Without --rows they are also counted after the table.

REFERENCE names another reference than /usr/sbin/veritysetup, DMVERITY_STATIC_BIN another binary of ours.
";

/// The fewest pairs for published figures.
const PAIRS: usize = 5;
const MIB: u64 = 1024;

struct Options {
    pairs: usize,
    rows: Option<Regex>,
    /// In MiB, if it was given.
    size: Option<u64>,
    directory: Option<PathBuf>,
    growth: bool,
    instructions: bool,
    record: bool,
    svg: Option<PathBuf>,
    svg_from: Option<PathBuf>,
}

impl Options {
    /// The size of most files.
    fn mib(&self) -> u64 {
        self.size.unwrap_or(MIB)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    // This must come before anything else that needs memory.
    let result = match arguments.split_first() {
        Some((first, rest)) if first == run::MEASURED => run::measured(rest),
        _ => command(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("speed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: Vec<OsString>) -> Result<()> {
    let arguments = arguments
        .into_iter()
        .map(|argument| argument.into_string().map_err(|argument| anyhow!("{} is not UTF-8", argument.display())));
    let arguments = arguments.collect::<Result<Vec<String>>>()?;
    if matches!(arguments.first().map(String::as_str), Some("--help" | "-h")) {
        print!("{USAGE}");
        return Ok(());
    }
    let options = options(arguments.into_iter())?;
    match &options.svg_from {
        Some(recorded) => draw_recorded(recorded, &options),
        None => bench(&options),
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options {
        pairs: PAIRS,
        rows: None,
        size: None,
        directory: None,
        growth: false,
        instructions: false,
        record: false,
        svg: None,
        svg_from: None,
    };
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| anyhow!("{option} needs a value"));
        match option.as_str() {
            "--growth" => options.growth = true,
            "--instructions" => options.instructions = true,
            "--record" => options.record = true,
            "--pairs" => {
                options.pairs = value()?.parse().ok().filter(|pairs| *pairs > 0).context("--pairs takes a number")?;
            }
            "--size" => {
                let mib = value()?.parse::<u64>().ok();
                // A piece of the scattered data is a sixteenth.
                let mib = mib.filter(|mib| *mib > 0 && mib.is_multiple_of(rows::PIECES) && *mib <= 1 << 20);
                options.size = Some(mib.context("--size takes a multiple of 16, in MiB")?);
            }
            "--rows" => options.rows = Some(Regex::new(&value()?).context("--rows takes a regular expression")?),
            "--directory" => options.directory = Some(value()?.into()),
            "--svg" => options.svg = Some(value()?.into()),
            "--svg-from" => options.svg_from = Some(value()?.into()),
            _ => bail!("{option:?} is not an option\n\n{USAGE}"),
        }
    }
    if options.record && !options.instructions {
        bail!("--record belongs to --instructions");
    }
    if options.instructions && options.rows.is_some() {
        bail!("--instructions has no rows");
    }
    if options.instructions && (options.svg.is_some() || options.svg_from.is_some()) {
        bail!("--instructions has no picture");
    }
    if options.growth && (options.instructions || options.rows.is_some()) {
        bail!("--growth has no rows and counts no instructions");
    }
    if options.svg_from.is_some() && (options.rows.is_some() || options.directory.is_some()) {
        bail!("--svg-from measures nothing");
    }
    Ok(options)
}

fn bench(options: &Options) -> Result<()> {
    let cpuinfo = backends::cpuinfo()?;
    let backends: Vec<&'static Backend> = backends::available(&cpuinfo).collect();
    let (rows, contests) = if options.growth { Default::default() } else { selected(options, &backends)? };
    let count = options.instructions || options.rows.is_none() && !options.growth;
    let measure = !options.instructions;

    // All requirements are checked first: before any long work, and before anyone edits the source.
    let programs = [("fincore", measure), ("valgrind", count)];
    process::require(&programs.iter().filter(|(_, needed)| *needed).map(|(program, _)| *program).collect::<Vec<_>>())?;
    let mut forced: Vec<Forced> = Vec::new();
    for backend in backends {
        if count || rows.iter().any(|row| row.backend() == Some(backend)) {
            forced.push((backend, backend.binary()?));
        }
    }
    // They run in another directory.
    let (reference, ours) = (path::absolute(find_reference()?)?, path::absolute(static_binary()?)?);

    let directory = directory(options)?;
    run::clean_up_on_signals(directory.path().to_owned())?;
    let bench = Bench {
        directory: directory.path().to_owned(),
        reference,
        ours,
        forced,
        pairs: options.pairs,
        mib: options.mib(),
    };
    if options.growth {
        let text = growth::measure(&bench, options.size)?;
        print!("{text}");
        draw_growth(&text, options)?;
    } else if measure {
        if !rows.is_empty() {
            measure_rows(&bench, &rows, options)?;
            tell_lacking(&cpuinfo);
        }
        if !contests.is_empty() {
            field::measure(&bench, &contests)?;
        }
    }
    if count {
        instructions::count(&bench.directory, &bench.forced, options.record)?;
    }
    directory.close().context("the data cannot be removed")
}

/// The rows next to the reference, and what is compared with others.
fn selected(options: &Options, backends: &[&'static Backend]) -> Result<(Vec<rows::Row>, Vec<Contest>)> {
    let (rows, contests) = (rows::rows(options.mib(), backends), Contest::ALL.to_vec());
    let Some(pattern) = &options.rows else { return Ok((rows, contests)) };
    let names = rows.iter().map(|row| row.what.as_str()).chain(contests.iter().map(|contest| contest.name()));
    let all: Vec<String> = names.map(|name| format!("  {name}")).collect();
    let rows = rows::select(rows, pattern);
    let contests: Vec<Contest> = contests.into_iter().filter(|contest| pattern.is_match(contest.name())).collect();
    if rows.is_empty() && contests.is_empty() {
        bail!("no row matches; there are\n{}", all.join("\n"));
    }
    Ok((rows, contests))
}

/// Prints and draws the table next to the reference.
fn measure_rows(bench: &Bench, rows: &[rows::Row], options: &Options) -> Result<()> {
    let (text, measured) = table(bench, rows)?;
    print!("{text}");
    let chart = Chart::parse(&text)?;
    if chart.is_empty() {
        eprintln!("no picture: the reference is in none of these rows");
    } else {
        draw(&chart, options)?;
    }
    measured
}

/// Names the backends that have no rows on this processor.
fn tell_lacking(cpuinfo: &str) {
    for backend in backends::BACKENDS {
        let lacks = backend.lacks(cpuinfo);
        if !lacks.is_empty() {
            println!("This processor lacks {}: no rows for {}.", lacks.join(" and "), backend.name);
        }
    }
}

/// A directory for the data, removed when it is dropped.
fn directory(options: &Options) -> Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    let parent = if let Some(parent) = &options.directory {
        builder.prefix("speed-");
        parent.clone()
    } else {
        let parent = workspace().join("target/bench");
        // Left by a killed run.
        paths::sweep(&parent)?;
        parent
    };
    let name = paths::temporary("data");
    if options.directory.is_none() {
        builder.prefix(&name).rand_bytes(0);
    }
    let parent = fs::canonicalize(&parent).with_context(|| format!("no directory {}", parent.display()))?;
    builder.tempdir_in(&parent).with_context(|| format!("cannot make a directory in {}", parent.display()))
}

/// Draws tables that were printed before.
fn draw_recorded(recorded: &Path, options: &Options) -> Result<()> {
    let what = || recorded.display().to_string();
    let text = fs::read_to_string(recorded).with_context(what)?;
    if options.growth {
        return draw_growth(&text, options).with_context(what);
    }
    let chart = Chart::parse(&text).with_context(what)?;
    if chart.is_empty() {
        bail!("{}: there is no table to draw", recorded.display());
    }
    draw(&chart, options)
}

fn draw(chart: &Chart, options: &Options) -> Result<()> {
    write_svg(&chart.svg(), "bench.svg", options)
}

fn draw_growth(text: &str, options: &Options) -> Result<()> {
    write_svg(&growth_chart::draw(text)?.context("there is no table to draw")?, "growth.svg", options)
}

fn write_svg(svg: &str, name: &str, options: &Options) -> Result<()> {
    let path = options.svg.clone().unwrap_or_else(|| workspace().join("target").join(name));
    fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("the picture is {}", path.display());
    Ok(())
}

/// Measures the rows until one fails. The text has all rows that were measured.
fn table(bench: &Bench, rows: &[rows::Row]) -> Result<(String, Result<()>)> {
    let about = machine::describe(&bench.reference)?;
    let before = load()?;
    let mut lines = Vec::new();
    let mut notes = Vec::new();
    let mut failed = Ok(());
    for row in rows {
        match bench.row(row) {
            Ok(outcome) => {
                lines.extend(outcome.line);
                notes.extend(outcome.notes);
            }
            Err(error) => {
                failed = Err(error);
                break;
            }
        }
    }
    let after = load()?;
    let mut text = format!("{about}; load average {before} at the start, {after} at the end; {} pairs.\n", bench.pairs);
    writeln!(text, "\n{}", table::HEADING)?;
    for line in &lines {
        writeln!(text, "{}", line.markdown())?;
    }
    writeln!(text)?;
    if let Some(peak) = lines.iter().map(|line| line.peak_kib).max() {
        writeln!(text, "Ours needed {} MiB of memory at most; less than about 3 cannot be told.", table::mib(peak))?;
    }
    for note in notes {
        writeln!(text, "{note}")?;
    }
    Ok((text, failed))
}
