//! Programs and libraries of others beside ours.
//!
//! In each round all of them take turns, in every other round the other way round, so that drift affects all; a ratio
//! is the median of the ratios of the rounds.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use dmverity_tests::machine::{self, load};

use crate::contests;
use crate::measure::Bench;
use crate::peers::{Peer, Peers};

/// The heading, in Markdown.
const HEADING: &str = "\
| what | theirs | MiB/s | ours | MiB/s | times as fast |
|---|---|---:|---|---:|---:|";

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contest {
    /// Whole commands that read a file.
    Files,
    /// SHA-256 in memory.
    Hashing,
    /// Parity in memory.
    Encoding,
    /// The parity of an image, as a file.
    Parity,
}

/// MiB/s, by the names of what was done.
pub(crate) type Figures = Vec<(String, f64)>;

/// A program runs once.
pub(crate) type Turn<'a> = Box<dyn Fn() -> Result<Figures> + 'a>;

/// A row of the table: two names of figures.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) what: String,
    pub(crate) theirs: String,
    pub(crate) ours: String,
}

impl Contest {
    pub(crate) const ALL: [Self; 4] = [Self::Files, Self::Hashing, Self::Encoding, Self::Parity];

    /// What `--rows` selects it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Files => "field: whole commands",
            Self::Hashing => "field: sha256 in memory",
            Self::Encoding => "field: parity in memory",
            Self::Parity => "field: parity of an image",
        }
    }

    fn peers(self) -> &'static [Peer] {
        match self {
            Self::Files => &[Peer::Dd, Peer::Sha256sum, Peer::Fsverity],
            Self::Hashing => &[Peer::IpsecMb],
            Self::Encoding => &[Peer::IsaL, Peer::Klauspost],
            Self::Parity => &[Peer::IsaL],
        }
    }
}

/// Measures the contests and prints their table. Those whose peers are all absent have no rows.
pub(crate) fn measure(bench: &Bench, wanted: &[Contest]) -> Result<()> {
    let peers = Peers::find(&bench.directory, wanted.iter().flat_map(|contest| contest.peers()).copied())?;
    let before = load()?;
    let (mut lines, mut missing) = (Vec::new(), Vec::new());
    for contest in wanted {
        if contest.peers().iter().all(|peer| peers.program(*peer).is_none()) {
            continue;
        }
        let (turns, pairs) = contests::prepare(*contest, bench, &peers).with_context(|| contest.name())?;
        let rounds = rounds(bench.pairs, &turns).with_context(|| contest.name())?;
        for pair in &pairs {
            match row(pair, &rounds) {
                Some(line) => lines.push(line),
                None => missing.push(format!("{} beside {}", pair.theirs, pair.ours)),
            }
        }
        contests::clean_up(bench)?;
    }
    let about = machine::describe()?;
    println!(
        "{about}; load average {before} at the start, {} at the end; {} rounds.\n\n{HEADING}",
        load()?,
        bench.pairs
    );
    for line in &lines {
        println!("{line}");
    }
    println!();
    if !missing.is_empty() {
        println!("Without figures of both: {}.", missing.join("; "));
    }
    print!("{}", peers.describe());
    Ok(())
}

/// Everything that was measured in each round.
fn rounds(count: usize, turns: &[Turn<'_>]) -> Result<Vec<BTreeMap<String, f64>>> {
    let round = |number: usize| {
        let mut order: Vec<&Turn<'_>> = turns.iter().collect();
        if number % 2 == 1 {
            order.reverse();
        }
        let figures = order.into_iter().map(|turn| turn()).collect::<Result<Vec<Figures>>>()?;
        let figures: BTreeMap<String, f64> = figures.into_iter().flatten().collect();
        let mut text = format!("round {}:", number + 1);
        for (name, figure) in &figures {
            let _ = write!(text, " {name}: {figure:.0};");
        }
        eprintln!("{text}");
        Ok(figures)
    };
    (0..count).map(round).collect()
}

/// A line of the table, in Markdown; none if one of the two has no figure in every round.
fn row(pair: &Pair, rounds: &[BTreeMap<String, f64>]) -> Option<String> {
    let of = |name: &str| rounds.iter().map(|round| round.get(name).copied()).collect::<Option<Vec<f64>>>();
    let (theirs, ours) = (of(&pair.theirs)?, of(&pair.ours)?);
    let ratio = median(theirs.iter().zip(&ours).map(|(theirs, ours)| ours / theirs));
    let ratio = if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.1}") };
    let [of_theirs, of_ours] = [theirs, ours].map(|figures| median(figures.into_iter()));
    Some(format!("| {} | {} | {of_theirs:.0} | {} | {of_ours:.0} | {ratio} |", pair.what, pair.theirs, pair.ours))
}

/// # Panics
/// If there are none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn pair() -> Pair {
        Pair { what: "reading".to_owned(), theirs: "a".to_owned(), ours: "b".to_owned() }
    }

    #[test]
    fn a_ratio_is_the_median_of_those_of_the_rounds() {
        let round = |a: f64, b: f64| BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)]);
        let rounds = [round(100.0, 200.0), round(10.0, 40.0), round(1000.0, 500.0)];
        assert_eq!(row(&pair(), &rounds).unwrap(), "| reading | a | 100 | b | 200 | 2.00 |");
        assert_eq!(row(&pair(), &[round(2.0, 40.0), round(2.0, 44.0)]).unwrap(), "| reading | a | 2 | b | 42 | 21.0 |");
        let columns = |line: &str| line.matches('|').count();
        assert!(HEADING.lines().all(|line| columns(line) == columns("| reading | a | 100 | b | 200 | 2.00 |")));
    }

    #[test]
    fn without_a_figure_there_is_no_row() {
        assert_eq!(row(&pair(), &[BTreeMap::from([("a".to_owned(), 1.0)])]), None);
    }

    #[test]
    fn every_other_round_goes_the_other_way() {
        let seen = RefCell::new(String::new());
        let turn = |name: &'static str| -> Turn<'_> {
            let seen = &seen;
            Box::new(move || {
                seen.borrow_mut().push_str(name);
                Ok(vec![(name.to_owned(), 1.0)])
            })
        };
        assert_eq!(rounds(3, &[turn("a"), turn("b"), turn("c")]).unwrap().len(), 3);
        assert_eq!(*seen.borrow(), "abccbaabc");
    }
}
