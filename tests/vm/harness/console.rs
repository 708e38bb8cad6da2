//! Reads the console's log: finds the kernel's complaints, and the last lines for a report.

use std::fs;
use std::path::{Path, PathBuf};

/// What a kernel prints when it is in trouble, anywhere in a line.
const TROUBLES: &[&str] = &[
    "Kernel panic",
    "BUG:",
    "kernel BUG at",
    "Oops",
    "general protection fault",
    "unable to handle",
    "Unable to handle",
];

/// How many lines a report shows.
const LINES: usize = 30;

/// The console of one machine, read in steps.
#[derive(Debug)]
pub struct Console {
    path: PathBuf,
    seen: usize,
}

impl Console {
    /// The console whose log is, or will be, at this path.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), seen: 0 }
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.path).unwrap_or_default()).replace('\r', "")
    }

    /// The last lines.
    pub fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// The trouble printed since the last call, if any, with the lines that follow it.
    pub fn trouble(&mut self) -> Option<String> {
        let (trouble, seen) = self.unseen_trouble();
        self.seen = seen;
        trouble
    }

    /// Whether trouble was printed since the last call of [`trouble`](Self::trouble).
    pub fn is_in_trouble(&self) -> bool {
        self.unseen_trouble().0.is_some()
    }

    fn unseen_trouble(&self) -> (Option<String>, usize) {
        let bytes = fs::read(&self.path).unwrap_or_default();
        let new = String::from_utf8_lossy(bytes.get(self.seen..).unwrap_or_default()).replace('\r', "");
        (trouble(&new), bytes.len())
    }
}

fn trouble(text: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| !TROUBLES.iter().any(|trouble| line.contains(trouble))).peekable();
    lines.peek()?;
    Some(lines.take(LINES).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn trouble_is_found_and_shown_from_its_first_line() {
        let text = "[1] fine\n[2] BUG: unable to handle page fault\n[3] RIP\n";
        assert_eq!(super::trouble(text).as_deref(), Some("[2] BUG: unable to handle page fault\n[3] RIP"));
        assert_eq!(super::trouble("device-mapper: verity: 7:0: data block 1 is corrupted\n"), None);
    }
}
