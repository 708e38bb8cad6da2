//! A good image with parity, damage to it, and the results that the commands must have.

use std::collections::BTreeSet;
use std::iter;
use std::ops::Range;

use crate::fec::{self, Files, Hashing, Image};
use crate::sandbox::{Outcome, Sandbox};
use crate::ways::{THREADS, Way, one_of, ways};

/// Every possible number of roots.
const ROOTS: u64 = 23;

pub(crate) const CANNOT: &str = "Errors cannot be repaired with FEC device.\n";

const NOT_WITH_THE_ROOT_HASH: &str =
    "hint: nothing was written: data and hash tree agree with each other, but not with the root hash.\n";
const NOTHING_WRITTEN: &str =
    "hint: nothing was written: there is more damage than FEC can correct, or the root hash is wrong.\n";

pub(crate) fn silent() -> Outcome {
    Outcome { code: Some(0), stdout: String::new(), stderr: String::new() }
}

/// A good image, and how the commands on it are run.
pub(crate) struct Case {
    pub(crate) image: Image,
    pub(crate) sandbox: Sandbox,
    pub(crate) good: Files,
    pub(crate) root_hash: String,
    way: Way,
    pub(crate) threads: String,
    pub(crate) context: String,
}

impl Case {
    fn new(seed: u64, image: Image, ways: &[Way], rng: &mut fastrand::Rng) -> Self {
        let sandbox = Sandbox::in_memory();
        fec::write(&sandbox, &image.older_files(rng));
        let way = ways[rng.usize(..ways.len())].clone();
        let threads = format!("--threads={}", THREADS[rng.usize(..THREADS.len())]);
        let made = fec::run(&sandbox, &way, &image.format());
        let context = format!("seed {seed}: {way} {threads} {image:?}");
        assert_eq!(made.code, Some(0), "{context}: {made:?}");
        let (good, root_hash) = (image.read(&sandbox), made.field("Root hash").to_owned());
        Self { image, sandbox, good, root_hash, way, threads, context }
    }

    pub(crate) fn run(&self, mut arguments: Vec<String>, options: &[&str]) -> Outcome {
        arguments.push(self.threads.clone());
        arguments.extend(options.iter().map(|&option| option.to_owned()));
        fec::run(&self.sandbox, &self.way, &arguments)
    }

    /// Runs a command with the right root hash and FEC.
    pub(crate) fn check(&self, action: &str, options: &[&str]) -> Outcome {
        self.run(self.image.check(action, &self.root_hash), options)
    }

    #[track_caller]
    pub(crate) fn assert_files(&self, expected: &Files, after: &str) {
        for (name, bytes) in expected {
            assert!(self.sandbox.read(name) == *bytes, "{}: {name} differs after {after}", self.context);
        }
    }

    /// The output of verify for the current files, without FEC.
    pub(crate) fn verify_without_fec(&self) -> Outcome {
        self.run(self.image.check_without_fec("verify", &self.root_hash), &[])
    }

    /// The output of repair that the damage must cause, and the number of wrong bytes.
    pub(crate) fn report(&self, bad: &Files) -> (String, usize) {
        let wrong = |name: &str, range: Range<usize>| {
            let pairs = self.good[name][range.clone()].iter().zip(&bad[name][range]);
            pairs.filter(|(one, other)| one != other).count()
        };
        let areas = (0..self.image.proven()).map(|number| (Some(number), self.image.block(number)));
        let areas = areas.chain([(None, (self.image.fec, self.image.parity()))]);
        let (mut lines, mut sum) = (Vec::new(), 0);
        for (number, (name, range)) in areas {
            let position = range.start;
            let bytes = wrong(name, range);
            sum += bytes;
            lines.push(match number {
                _ if bytes == 0 => continue,
                None => format!("FEC area: {bytes} wrong bytes.\n"),
                Some(number) => {
                    let kind = if number < self.image.data_blocks { "Data" } else { "Hash" };
                    let block = position / self.image.hashing.block;
                    format!("{kind} block {block} at position {position}: {bytes} wrong bytes.\n")
                }
            });
        }
        assert_eq!(sum, fec::different_bytes(&self.good, bad), "{}: damage outside", self.context);
        (lines.concat(), sum)
    }

    /// Checks that the damage is found, named and repaired.
    #[track_caller]
    pub(crate) fn assert_heals(&self, bad: &Files) {
        let context = &self.context;
        let (lines, sum) = self.report(bad);
        assert!(sum > 0, "{context}: nothing is wrong");
        fec::write(&self.sandbox, bad);
        let without_fec = self.verify_without_fec();
        let found = format!("Found {sum} repairable errors with FEC device.\n");
        let failures = Outcome { code: Some(0), stdout: String::new(), stderr: without_fec.stderr.clone() + &found };
        // Verify looks at FEC only if the tree is damaged, or with `--strict`.
        let expected = if without_fec == silent() { &without_fec } else { &failures };
        assert_eq!(&self.check("verify", &[]), expected, "{context}");
        assert_eq!(self.check("verify", &["--strict"]), Outcome { code: Some(2), ..failures }, "{context}");
        let dry = Outcome { code: Some(0), stdout: lines.clone(), stderr: found };
        assert_eq!(self.check("repair", &["--dry-run"]), dry, "{context}");
        self.assert_files(bad, "a dry run");

        let repaired = format!("{lines}Repaired {sum} errors.\n");
        let expected = Outcome { code: Some(0), stdout: repaired, stderr: String::new() };
        assert_eq!(self.check("repair", &[]), expected, "{context}");
        self.assert_files(&self.good, "the repair");
        assert_eq!(self.check("verify", &["--strict"]), silent(), "{context}");
        assert_eq!(self.check("repair", &[]), silent(), "{context}");
        self.assert_files(&self.good, "a repair of nothing");
    }

    /// Changes some bytes of a proven block at random.
    pub(crate) fn spoil(&self, bad: &mut Files, number: usize, rng: &mut fastrand::Rng) {
        let (name, range) = self.image.block(number);
        let block = &mut bad.get_mut(name).expect("a file of the image")[range.clone()];
        match rng.u32(..5) {
            0 => block.fill(0),
            1 => block.iter_mut().for_each(|byte| *byte = !*byte),
            2 => (0..rng.usize(1..20)).for_each(|_| block[rng.usize(..block.len())] ^= rng.u8(1..)),
            _ => rng.fill(block),
        }
        if *block == self.good[name][range] {
            block[0] ^= 1;
        }
    }

    /// The proven blocks of a round, in random order.
    pub(crate) fn blocks_of_round(&self, round: usize, rng: &mut fastrand::Rng) -> Vec<usize> {
        let mut blocks: Vec<usize> = (round..self.image.proven()).step_by(self.image.rounds).collect();
        rng.shuffle(&mut blocks);
        blocks
    }

    /// Damages up to `most` whole blocks of a round out of `candidates`. None is below another in the tree, so that
    /// each is known to be bad from a good digest. Returns them.
    pub(crate) fn spoil_apart(
        &self,
        bad: &mut Files,
        candidates: impl IntoIterator<Item = usize>,
        most: usize,
        rng: &mut fastrand::Rng,
    ) -> Vec<usize> {
        let mut chosen: Vec<usize> = Vec::new();
        for number in candidates {
            if chosen.len() < most && chosen.iter().all(|&other| self.image.are_apart(number, other)) {
                self.spoil(bad, number, rng);
                chosen.push(number);
            }
        }
        chosen
    }

    /// Changes up to `limit` bytes of each of these codewords, in blocks that are `wanted` or, for `None`, in the
    /// parity.
    pub(crate) fn wrong_bytes(
        &self,
        bad: &mut Files,
        codewords: &BTreeSet<usize>,
        limit: usize,
        wanted: impl Fn(Option<usize>) -> bool,
        rng: &mut fastrand::Rng,
    ) {
        for &codeword in codewords {
            let count = if rng.bool() { limit } else { rng.usize(..=limit) };
            let symbols = self.image.symbols(codeword).filter(|symbol| wanted(symbol.block));
            fec::damage_some(bad, symbols, count, rng);
        }
    }

    /// Some codewords of a round: one, a few, a run of them, or all.
    pub(crate) fn codewords(&self, round: usize, rng: &mut fastrand::Rng) -> BTreeSet<usize> {
        let block = self.image.hashing.block;
        let first = rng.usize(..block);
        let bytes: BTreeSet<usize> = match rng.u32(..4) {
            0 => (first..=first).collect(),
            1 => (0..rng.usize(2..10)).map(|_| rng.usize(..block)).collect(),
            2 => (first..block.min(first + rng.usize(2..100))).collect(),
            _ => (0..block).collect(),
        };
        bytes.into_iter().map(|byte| round * block + byte).collect()
    }

    /// Checks that nothing is repaired and nothing changes.
    #[track_caller]
    pub(crate) fn assert_stays(&self, bad: &Files) {
        fec::write(&self.sandbox, bad);
        let found = self.verify_without_fec().stderr;
        // If only the root hash disagrees, it is wrong, and the data has no error.
        let (code, verified, repaired) = if found == "Verification of root hash failed.\n" {
            (1, found.clone(), found + NOT_WITH_THE_ROOT_HASH)
        } else {
            (2, found.clone() + CANNOT, found + CANNOT + NOTHING_WRITTEN)
        };
        for (action, options, stderr) in [
            ("verify", &[][..], &verified),
            ("verify", &["--strict"], &verified),
            ("repair", &["--dry-run"], &repaired),
            ("repair", &[], &repaired),
        ] {
            let outcome = self.check(action, options);
            let expected = Outcome { code: Some(code), stdout: String::new(), stderr: stderr.clone() };
            assert_eq!(outcome, expected, "{}: {action} {options:?}", self.context);
            self.assert_files(bad, action);
        }
    }
}

/// Runs `check` on this many images for each number of roots.
pub(crate) fn each_of(
    first_seed: u64,
    images_for_each: u64,
    image: impl Fn(usize, &mut fastrand::Rng) -> Image,
    check: impl Fn(&mut Case, &mut fastrand::Rng),
) {
    let ways = ways();
    for seed in (first_seed * ROOTS..(first_seed + images_for_each) * ROOTS).step_by(one_of()) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let roots = 2 + usize::try_from(seed % ROOTS).expect("small");
        let image = image(roots, &mut rng);
        let mut case = Case::new(seed, image, &ways, &mut rng);
        check(&mut case, &mut rng);
    }
}

/// Runs `check` on this many `wanted` images for each number of roots. They have many more blocks in each round than a
/// code has roots.
pub(crate) fn each(
    first_seed: u64,
    images_for_each: u64,
    wanted: impl Fn(&Image) -> bool,
    check: impl Fn(&mut Case, &mut fastrand::Rng),
) {
    let image = |roots, rng: &mut fastrand::Rng| {
        let images = iter::repeat_with(|| {
            let (block, most) = [(512, 2000), (512, 400), (512, 400), (1024, 500), (4096, 270)][rng.usize(..5)];
            let (hashing, data_blocks) = (Hashing::random(rng, block), rng.usize(60..most));
            Image::random(rng, hashing, roots, data_blocks)
        });
        images.into_iter().find(&wanted).expect("it goes on until there is one")
    };
    each_of(first_seed, images_for_each, image, check);
}
