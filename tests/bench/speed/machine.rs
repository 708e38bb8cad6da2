//! What the figures were measured with.

use std::path::Path;

use anyhow::Result;
use dmverity_tests::machine;
use dmverity_tests::vm::process;

/// The machine, the reference tool and the day.
pub(crate) fn describe(reference: &Path) -> Result<String> {
    let version = process::output(process::command_at(reference).arg("--version"))?;
    let date = process::output(process::command("date")?.arg("+%F"))?;
    Ok(format!("{}, reference {}, {}", machine::describe()?, version.trim(), date.trim()))
}
