//! Differences in the output.

use std::ffi::OsString;

use crate::case::Kind;
use crate::compare::Comparison;
use crate::sandbox::{End, Outcome};

/// Applies to both outcomes.
pub(super) fn both(comparison: &mut Comparison<'_>, mut change: impl FnMut(&mut Outcome) -> bool) -> bool {
    let ours = change(&mut comparison.ours);
    change(&mut comparison.theirs) || ours
}

pub(super) fn remove(lines: &mut Vec<String>, mut wanted: impl FnMut(&str) -> bool) -> bool {
    let before = lines.len();
    lines.retain(|line| !wanted(line));
    lines.len() < before
}

/// Both must print the usage before a message, for any action.
pub(super) fn usage(comparison: &mut Comparison<'_>) -> bool {
    both(comparison, |outcome| {
        let mut is_inside = false;
        for line in &mut outcome.stderr {
            is_inside = line.starts_with("Usage: ") || (is_inside && line.starts_with("        "));
            if is_inside {
                "usage".clone_into(line);
            }
        }
        outcome.stderr.dedup();
        outcome.stderr.first().is_some_and(|line| line == "usage")
    })
}

pub(super) fn debug(comparison: &mut Comparison<'_>) -> bool {
    both(comparison, |outcome| {
        let found = remove(&mut outcome.stdout, |line| line.starts_with("# "));
        remove(&mut outcome.stderr, |line| line.starts_with("# ")) || found
    })
}

pub(super) fn hints(comparison: &mut Comparison<'_>) -> bool {
    remove(&mut comparison.ours.stderr, |line| line.starts_with("hint: "))
}

pub(super) fn warnings(comparison: &mut Comparison<'_>) -> bool {
    if comparison.ours.end != End::Code(0) {
        // A refusal has no other output.
        remove(&mut comparison.theirs.stderr, |line| line.starts_with("WARNING: Kernel cannot activate device "));
        remove(&mut comparison.ours.stderr, |line| line.starts_with("WARNING: Kernel cannot activate device "));
    }
    let theirs = &comparison.theirs.stderr;
    let is_more = |line: &str| line.starts_with("WARNING: ") && !theirs.iter().any(|other| other == line);
    remove(&mut comparison.ours.stderr, is_more)
}

/// Before 2.8 the reference had no units here.
pub(super) fn units(comparison: &mut Comparison<'_>) -> bool {
    both(comparison, |outcome| {
        let mut changed = false;
        for line in &mut outcome.stdout {
            let is_block_size = line.starts_with("Data block size:") || line.starts_with("Hash block size:");
            let short = match line.strip_suffix(" [bytes]").filter(|_| is_block_size) {
                Some(short) => short,
                None if line.starts_with("VERITY header information for ") => line.trim_end_matches('.'),
                None => continue,
            };
            if *line != short {
                *line = short.to_owned();
                changed = true;
            }
        }
        changed
    })
}

pub(super) fn help(comparison: &mut Comparison<'_>) -> bool {
    let is_text = |outcome: &Outcome| {
        outcome.stdout.first().is_some_and(|line| line.starts_with("Usage: ") || line.starts_with("veritysetup 2."))
    };
    if !is_text(&comparison.ours) || !is_text(&comparison.theirs) {
        return false;
    }
    both(comparison, |outcome| {
        outcome.stdout.truncate(1);
        let word = outcome.stdout[0].split([' ', ':']).next().unwrap_or_default().to_owned();
        outcome.stdout = vec![word];
        true
    })
}

/// `help` is a word that the reference does not know.
pub(super) fn help_action(comparison: &mut Comparison<'_>) -> bool {
    let differs = comparison.ours.end == End::Code(0)
        && comparison.arguments.iter().any(|argument| argument == "help")
        && comparison.ours.stdout.get(1).is_some_and(|line| line.starts_with("Usage: "))
        && comparison.ours.files == *comparison.before
        && comparison.theirs.stderr.iter().any(|line| line == "veritysetup: Unknown action.");
    if differs {
        comparison.ours = comparison.theirs.clone();
    }
    differs
}

/// Ours names the first twenty, the reference the first one.
pub(super) fn every_bad_block(comparison: &mut Comparison<'_>) -> bool {
    let is_position = |line: &str| line.contains(" at position ") || line.ends_with(" more positions.");
    let mut first = true;
    let ours = &mut comparison.ours.stderr;
    remove(ours, |line| is_position(line) && !std::mem::take(&mut first))
}

pub(super) fn wrong_root_hash(comparison: &mut Comparison<'_>) -> bool {
    let says = |outcome: &Outcome| outcome.stderr.iter().any(|line| line == "Verification of root hash failed.");
    let (ours, theirs) = (&mut comparison.ours, &mut comparison.theirs);
    let differs = says(ours) && says(theirs) && ours.end == End::Code(1) && theirs.end == End::Code(2);
    if differs {
        ours.end = End::Code(2);
        // Whether a repair would help is not considered.
        let about_fec = ["Failed to repair parity for block ", "Errors cannot be repaired with FEC device.", "Found "];
        theirs.stderr.retain(|line| ours.stderr.contains(line) || !about_fec.iter().any(|fec| line.starts_with(fec)));
        for line in &mut ours.stdout {
            *line = line.replace("code -1 (wrong or missing parameters)", "code -2 (no permission or bad passphrase)");
        }
    }
    differs
}

/// An option before `--salt` may have taken it for its value. Then each draws one.
pub(super) fn drawn_salt(comparison: &mut Comparison<'_>) -> bool {
    let salt = |outcome: &Outcome| {
        let salt = outcome.stdout.iter().find_map(|line| line.strip_prefix("Salt:"))?.trim().to_owned();
        let is_given = |argument: &OsString| argument.to_str().is_some_and(|argument| argument.contains(&salt));
        (salt.len() == 64 && !comparison.arguments.iter().any(is_given)).then_some(salt)
    };
    let is_drawn = |line: &&String| line.starts_with("Salt:") || line.starts_with("Root hash:");
    let rest = |outcome: &Outcome| outcome.stdout.iter().filter(|line| !is_drawn(line)).cloned().collect::<Vec<_>>();
    let is_explained = comparison.kind == Kind::Format
        && comparison.both_took_it()
        && salt(&comparison.ours).zip(salt(&comparison.theirs)).is_some_and(|(ours, theirs)| ours != theirs)
        && rest(&comparison.ours) == rest(&comparison.theirs);
    comparison.take_if(is_explained)
}

/// With some offsets on the hash device, the reference ignores the FEC options.
pub(super) fn dump_of_fec(comparison: &mut Comparison<'_>) -> bool {
    let is_about_fec = |line: &str| line.starts_with("FEC ");
    comparison.kind == Kind::Dump
        && comparison.has("--fec-device")
        && !comparison.theirs.stdout.iter().any(|line| is_about_fec(line))
        && remove(&mut comparison.ours.stdout, is_about_fec)
}

/// `--usage` is requested output, and goes to standard output.
pub(super) fn usage_is_output(comparison: &mut Comparison<'_>) -> bool {
    let (ours, theirs) = (&mut comparison.ours, &mut comparison.theirs);
    let differs = ours.end == End::Code(0)
        && theirs.end == End::Code(0)
        && ours.stdout.first().is_some_and(|line| line.starts_with("Usage: "))
        && theirs.stderr == ["usage"]
        && theirs.stdout.is_empty();
    if differs {
        ours.stdout.clear();
        theirs.stderr.clear();
    }
    differs
}

/// The reference prints a help text, usage or version before it reads the rest of the line.
pub(super) fn help_comes_last(comparison: &mut Comparison<'_>) -> bool {
    let asks = ["--help", "--usage", "--version", "-V", "-?", "-Vx"].iter().any(|option| comparison.has(option));
    let differs = asks
        && comparison.theirs.end == End::Code(0)
        && comparison.ours.end == End::Code(1)
        && comparison.ours.stderr.first().is_some_and(|line| line == "usage")
        && comparison.ours.files == *comparison.before;
    if differs {
        comparison.ours = comparison.theirs.clone();
    }
    differs
}

/// Options that are newer than the reference.
pub(super) fn newer_options(comparison: &mut Comparison<'_>) -> bool {
    const NEWER: &[&str] = &["--shared", "--error-as-corruption", "--batch-mode", "-q"];
    let says = |option: &&str| comparison.theirs.stderr.iter().any(|line| *line == format!("{option}: unknown option"));
    let differs = comparison.theirs.end == End::Code(1) && NEWER.iter().any(says);
    if differs {
        comparison.ours = comparison.theirs.clone();
    }
    differs
}

/// Control characters, and bytes that a terminal might take for them.
pub(super) fn escaped(comparison: &mut Comparison<'_>) -> bool {
    let plain = |text: &str| -> String {
        let text = unescaped(text);
        let is_odd = |letter: char| (letter.is_control() && letter != '\t') || "\u{240a}\u{fffd}".contains(letter);
        text.chars().map(|letter| if is_odd(letter) { '?' } else { letter }).collect()
    };
    both(comparison, |outcome| {
        let mut changed = false;
        for line in outcome.stdout.iter_mut().chain(&mut outcome.stderr) {
            let same = plain(line);
            changed |= same != *line;
            *line = same;
        }
        changed
    })
}

/// With a question mark for everything that is escaped, by the sandbox or by ours.
fn unescaped(text: &str) -> String {
    let mut pieces = text.split('\\');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = usize::from(piece.starts_with('x'));
        let is_escape = piece.get(digits..3).is_some_and(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        plain.push(if is_escape { '?' } else { '\\' });
        plain.push_str(if is_escape { &piece[3..] } else { piece });
    }
    plain
}

/// Sizes of overlapping areas from a damaged superblock.
pub(super) fn sizes_of_overlapping_areas(comparison: &mut Comparison<'_>) -> bool {
    let is_size = |line: &str| line.starts_with("FEC blocks:") || line.contains(" device size:");
    let is_explained = comparison.kind == Kind::Dump
        && comparison.has("--fec-device")
        && comparison.ours.end == comparison.theirs.end
        && comparison.faults > 0
        && comparison.ours.stdout != comparison.theirs.stdout;
    is_explained && both(comparison, |outcome| remove(&mut outcome.stdout, is_size))
}
