//! The machine that figures are measured on.

use std::{fs, thread};

use anyhow::{Context as _, Result};

use crate::backends::cpuinfo;

/// How busy the machine was in the last minute.
pub fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

/// Its processors and its kernel.
pub fn describe() -> Result<String> {
    let cpuinfo = cpuinfo()?;
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    let processors = thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!("{model}, {processors} processors, Linux {}", kernel.trim()))
}
