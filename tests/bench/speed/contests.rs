//! What is compared with others: who takes turns, which two figures make a row, and that both made the same bytes.

use std::fs;
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};

use crate::data;
use crate::field::{Contest, Figures, Pair, Turn};
use crate::measure::{Bench, DATA, FECS, TREES};
use crate::peers::{Peer, Peers};
use crate::rows::{Action, BASE, Input, Task, size};
use crate::run::{Run, run};

/// What the others write.
const THEIRS: &str = "theirs";
/// The size of a block, and where the tree starts, after the superblock.
const BLOCK: usize = 4096;
const DIGEST: usize = 32;
/// The file whose digests are compared, in MiB: a whole number of hash blocks is needed for them.
const DIGESTS_OF: u64 = 16;
/// The backends for which ipsec-mb has something of the same kind.
const BACKENDS: [&str; 3] = ["avx512", "sha_ni", "avx2"];
const ROOTS: [u8; 3] = [2, 8, 24];

/// Makes the files of a contest, and says who takes turns and which pairs of figures make its rows.
pub(crate) fn prepare<'a>(contest: Contest, bench: &'a Bench, peers: &'a Peers) -> Result<(Vec<Turn<'a>>, Vec<Pair>)> {
    match contest {
        Contest::Files => files(bench, peers),
        Contest::Hashing => hashing(bench, peers),
        Contest::Encoding => Ok(encoding(bench, peers)),
        Contest::Parity => parity(bench, peers),
    }
}

pub(crate) fn clean_up(bench: &Bench) -> Result<()> {
    ROOTS.iter().try_for_each(|roots| bench.remove(&[&first_parity(*roots)]))?;
    bench.remove(&[DATA, THEIRS, TREES[0], TREES[1], FECS[0], FECS[1]])
}

/// One thread, and one for each processor.
fn threads() -> Result<Vec<u8>> {
    let all = u8::try_from(thread::available_parallelism()?.get()).unwrap_or(u8::MAX);
    Ok(if all == 1 { vec![1] } else { vec![1, all] })
}

fn with_threads(what: &str, threads: u8) -> String {
    if threads == 1 { format!("{what}, 1 thread") } else { format!("{what}, {threads} threads") }
}

fn with_roots(what: &str, roots: &str) -> String {
    format!("{what}, {roots} roots")
}

/// Whole commands that read a file in the page cache, beside `format` and `verify`.
fn files<'a>(bench: &'a Bench, peers: &'a Peers) -> Result<(Vec<Turn<'a>>, Vec<Pair>)> {
    data::write_random(&bench.path(DATA), bench.mib)?;
    let root = bench.format(0, &bench.ours, DATA, &BASE)?.1;
    let (mut turns, mut pairs): (Vec<Turn<'a>>, Vec<Pair>) = (Vec::new(), Vec::new());
    let tree = format!("--out-merkle-tree={THEIRS}");
    // At the end, which of ours: `fsverity` writes a tree as `format` does, or none as `verify` does.
    let theirs: [(Peer, &str, Vec<String>, &[&str]); 4] = [
        (Peer::Dd, "dd bs=1M", [&format!("if={DATA}"), "of=/dev/null", "bs=1M"].map(str::to_owned).into(), &[]),
        (Peer::Sha256sum, "sha256sum", vec![DATA.to_owned()], &[]),
        (Peer::Fsverity, "fsverity digest, with its tree", vec!["digest".into(), DATA.into(), tree], &["format"]),
        (Peer::Fsverity, "fsverity digest", vec!["digest".into(), DATA.into()], &["verify"]),
    ];
    for (peer, name, arguments, with) in theirs {
        let Some(program) = peers.program(peer) else { continue };
        let writes = arguments.iter().any(|argument| argument.starts_with("--out"));
        turns.push(Box::new(move || {
            bench.remove(&[THEIRS])?;
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let run = run(&bench.directory, program, &arguments)?;
            if writes {
                same(&fs::read(bench.path(THEIRS))?, &fs::read(bench.path(TREES[0]))?[BLOCK..], "the hash tree")?;
            }
            Ok(per_second(name, bench.mib, &run))
        }));
        for action in ["format", "verify"].into_iter().filter(|action| with.is_empty() || with.contains(action)) {
            for threads in threads()? {
                let what = format!("{} in the page cache", size(bench.mib));
                pairs.push(Pair { what, theirs: name.to_owned(), ours: with_threads(action, threads) });
            }
        }
    }
    for threads in threads()? {
        turns.extend(ours_on_file(bench, threads, root.clone()));
    }
    Ok((turns, pairs))
}

/// `format`, and `verify` of what was formatted first, with this root hash.
fn ours_on_file(bench: &Bench, threads: u8, root: String) -> [Turn<'_>; 2] {
    let task = Task { threads, ..BASE };
    let format = move || {
        let run = bench.format(1, &bench.ours, DATA, &task)?.0;
        Ok(per_second(&with_threads("format", threads), bench.mib, &run))
    };
    let task = Task { action: Action::Verify, ..task };
    let verify = move || {
        let run = bench.verify(0, &bench.ours, DATA, &root, &task)?;
        Ok(per_second(&with_threads("verify", threads), bench.mib, &run))
    };
    [Box::new(format), Box::new(verify)]
}

/// Blocks in memory, by one thread, with each instruction set. Before that it has hashed those of a file, whose digests
/// must be the leaves of our tree.
fn hashing<'a>(bench: &'a Bench, peers: &'a Peers) -> Result<(Vec<Turn<'a>>, Vec<Pair>)> {
    let program = peers.program(Peer::IpsecMb).context("no ipsec-mb")?;
    data::write_random(&bench.path(DATA), DIGESTS_OF)?;
    bench.format(0, &bench.ours, DATA, &BASE)?;
    run(&bench.directory, program, &["digests", DATA, THEIRS])?;
    let (digests, tree) = (fs::read(bench.path(THEIRS))?, fs::read(bench.path(TREES[0]))?);
    ensure!(digests.len() == usize::try_from(DIGESTS_OF * data::MIB)? / BLOCK * DIGEST, "digests are missing");
    same(&digests, &tree[tree.len() - digests.len()..], "the digests of the blocks")?;
    let turns: Vec<Turn<'a>> = vec![
        Box::new(move || {
            figures(&run(&bench.directory, program, &["speed"])?.stdout, |name| format!("ipsec-mb {name}"))
        }),
        Box::new(move || {
            let run = run(&bench.directory, &bench.ours, &["benchmark", "--hash=sha256"])?;
            let lines = run.stdout.lines().filter_map(|line| line.strip_prefix("sha256"));
            figures(&lines.collect::<Vec<_>>().join("\n"), |name| format!("benchmark, {name}"))
        }),
    ];
    let pair = |backend: &&str| Pair {
        what: "sha256 of 4096-byte blocks in memory, 1 thread".to_owned(),
        theirs: format!("ipsec-mb {backend}"),
        ours: format!("benchmark, {backend}"),
    };
    Ok((turns, BACKENDS.iter().map(pair).collect()))
}

/// Parity in memory, by one thread: what `benchmark` shows, beside libraries.
fn encoding<'a>(bench: &'a Bench, peers: &'a Peers) -> (Vec<Turn<'a>>, Vec<Pair>) {
    let (mut turns, mut pairs): (Vec<Turn<'a>>, Vec<Pair>) = (Vec::new(), Vec::new());
    for (peer, name, arguments) in [(Peer::IsaL, "ISA-L", &["speed"][..]), (Peer::Klauspost, "klauspost", &[])] {
        let Some(program) = peers.program(peer) else { continue };
        turns.push(Box::new(move || {
            figures(&run(&bench.directory, program, arguments)?.stdout, |roots| with_roots(name, roots))
        }));
        pairs.extend(ROOTS.map(|roots| Pair {
            what: "parity in memory, 1 thread".to_owned(),
            theirs: with_roots(name, &roots.to_string()),
            ours: with_roots("benchmark", &roots.to_string()),
        }));
    }
    turns.push(Box::new(move || parity_of_benchmark(&run(&bench.directory, &bench.ours, &["benchmark"])?.stdout)));
    (turns, pairs)
}

/// The figure of the fastest backend, which is the first, for each number of roots.
fn parity_of_benchmark(printed: &str) -> Result<Figures> {
    let parity = printed.split_once("\nParity").map_or("", |(_, parity)| parity);
    let mut found = Figures::new();
    for line in parity.lines() {
        let [roots, _, figure] = line.split_whitespace().collect::<Vec<_>>()[..] else { continue };
        let name = with_roots("benchmark", roots);
        if roots.parse::<u8>().is_ok() && found.iter().all(|(known, _)| *known != name) {
            found.push((name, figure.parse().with_context(|| line.to_owned())?));
        }
    }
    Ok(found)
}

/// The parity of an image as a file. Ours makes the hash tree too; the others find it there.
fn parity<'a>(bench: &'a Bench, peers: &'a Peers) -> Result<(Vec<Turn<'a>>, Vec<Pair>)> {
    let program = peers.program(Peer::IsaL).context("no ISA-L")?;
    let mib = Input::Small.mib(bench.mib);
    data::write_random(&bench.path(DATA), mib)?;
    // The tree covers the data whatever the parity is.
    bench.format(0, &bench.ours, DATA, &BASE)?;
    let (mut turns, mut pairs): (Vec<Turn<'a>>, Vec<Pair>) = (Vec::new(), Vec::new());
    for roots in ROOTS {
        let theirs = format!("ISA-L, {roots} roots, 1 thread");
        let (name, number) = (theirs.clone(), roots.to_string());
        turns.push(Box::new(move || {
            let run = run(&bench.directory, program, &["parity", DATA, TREES[0], &number, THEIRS])?;
            same_parity(bench, THEIRS, roots)?;
            Ok(per_second(&name, mib, &run))
        }));
        for threads in threads()? {
            let ours = with_threads(&format!("format with FEC, {roots} roots"), threads);
            pairs.push(Pair { what: format!("parity of {}", size(mib)), theirs: theirs.clone(), ours: ours.clone() });
            let task = Task { fec: Some(roots), threads, input: Input::Small, ..BASE };
            turns.push(Box::new(move || {
                let run = bench.format(1, &bench.ours, DATA, &task)?.0;
                same_parity(bench, FECS[1], roots)?;
                Ok(per_second(&ours, mib, &run))
            }));
        }
    }
    Ok((turns, pairs))
}

/// Compares parity with the first that was made for this number of roots, by theirs or by ours.
fn same_parity(bench: &Bench, name: &str, roots: u8) -> Result<()> {
    let first = bench.path(&first_parity(roots));
    let made = fs::read(bench.path(name))?;
    if !first.exists() {
        return fs::write(&first, made).context("cannot keep the parity");
    }
    same(&made, &fs::read(&first)?, &format!("the parity of {roots} roots"))
}

/// The file that keeps it.
fn first_parity(roots: u8) -> String {
    format!("parity-{roots}")
}

/// Fails unless theirs and ours are the same bytes.
fn same(theirs: &[u8], ours: &[u8], what: &str) -> Result<()> {
    if theirs != ours {
        let sizes = [theirs.len(), ours.len()];
        let at = theirs.iter().zip(ours).position(|(theirs, ours)| theirs != ours);
        bail!("{what} of theirs and of ours differ: {sizes:?} bytes, first at {at:?}");
    }
    Ok(())
}

fn per_second(name: &str, mib: u64, run: &Run) -> Figures {
    #[expect(clippy::cast_precision_loss, reason = "sizes of files that are measured")]
    let mib = mib as f64;
    vec![(name.to_owned(), mib / run.wall.as_secs_f64())]
}

/// Reads lines of a name and MiB/s, and names them in full.
fn figures(printed: &str, named: impl Fn(&str) -> String) -> Result<Figures> {
    let figure = |line: &str| {
        let (name, figure) = line.trim().split_once(' ').with_context(|| format!("{line:?} is no figure"))?;
        Ok((named(name), figure.trim().parse().with_context(|| line.to_owned())?))
    };
    printed.lines().filter(|line| !line.trim().is_empty()).map(figure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_named() {
        let named = |name: &str| with_roots("x", name);
        let found = figures("2 10.5\n  8    7.0 \n", named).unwrap();
        assert_eq!(found, [("x, 2 roots".into(), 10.5), ("x, 8 roots".into(), 7.0)]);
        assert!(figures("2\n", named).is_err());
        assert!(figures("2 fast\n", named).is_err());
    }

    #[test]
    fn the_fastest_backend_is_the_first() {
        let printed = "Hashing blocks\nAlgorithm Backend MiB/s\nsha256 avx2 2.0\n\n\
                       Parity of data in memory, threads: 1\nRoots           Backend              MiB/s\n\
                       2   avx512   9.5\n2   avx2   3.0\n24   avx512   4.0\n";
        let expected = [("benchmark, 2 roots".to_owned(), 9.5), ("benchmark, 24 roots".to_owned(), 4.0)];
        assert_eq!(parity_of_benchmark(printed).unwrap(), expected);
        assert_eq!(parity_of_benchmark("Hashing blocks\nsha256 avx2 2.0\n").unwrap(), []);
    }

    #[test]
    fn other_bytes_are_an_error() {
        assert!(same(b"ab", b"ab", "it").is_ok());
        let error = same(b"ab", b"ac", "the tree").unwrap_err().to_string();
        assert_eq!(error, "the tree of theirs and of ours differ: [2, 2] bytes, first at Some(1)");
        assert!(same(b"ab", b"abc", "it").is_err());
    }
}
