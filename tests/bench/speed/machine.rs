//! The machine that the figures were measured on.

use std::path::Path;
use std::{fs, thread};

use anyhow::{Context as _, Result};
use dmverity_tests::backends::cpuinfo;
use dmverity_tests::vm::process;

/// How busy the machine was in the last minute.
pub(crate) fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

/// Processor, kernel, the reference tool and the day.
pub(crate) fn describe(reference: &Path) -> Result<String> {
    let cpuinfo = cpuinfo()?;
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    let processors = thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let version = process::output(process::command_at(reference).arg("--version"))?;
    let date = process::output(process::command("date")?.arg("+%F"))?;
    let (kernel, version, date) = (kernel.trim(), version.trim(), date.trim());
    Ok(format!("{model}, {processors} processors, Linux {kernel}, reference {version}, {date}"))
}
