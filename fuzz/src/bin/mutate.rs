//! Runs targets without libFuzzer: `mutate TARGET... [--runs N] [--minutes N] [--seed N] [--file INPUT]`. Without a
//! name it runs all of them in turn.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use dmverity_fuzz::run::Run;
use dmverity_fuzz::{TARGETS, Target};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("mutate: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut targets = Vec::new();
    let (mut runs, mut minutes, mut seed, mut file) = (None, None, 1, None);
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        match word.as_str() {
            "--runs" => runs = Some(number(value()?)?),
            "--minutes" => minutes = Some(number(value()?)?),
            "--seed" => seed = number(value()?)?,
            "--file" => file = Some(value()?),
            name => targets.push(Target::by_name(name).ok_or_else(|| format!("there is no target {name}"))?),
        }
    }
    if targets.is_empty() {
        targets.extend(TARGETS);
    }
    if let Some(file) = file {
        let bytes = std::fs::read(&file).map_err(|error| format!("{file}: {error}"))?;
        for target in targets {
            (target.run)(&bytes);
        }
        return Ok(());
    }
    // One minute for each by default.
    let minutes = if runs.is_none() { minutes.or(Some(1)) } else { minutes };
    let time = minutes.map(|minutes| Duration::from_secs(minutes * 60));
    for target in targets {
        let figures = Run { seed, executions: runs, time, longest: Duration::from_secs(1) }.run(target);
        println!(
            "{}: {} executions in {:.1} s, {:.0} a second, the longest {} ms, at most {} MiB, no finding",
            target.name,
            figures.executions,
            figures.time.as_secs_f64(),
            u32::try_from(figures.executions).map_or(f64::NAN, f64::from) / figures.time.as_secs_f64(),
            figures.longest.as_millis(),
            figures.memory >> 10
        );
    }
    Ok(())
}
