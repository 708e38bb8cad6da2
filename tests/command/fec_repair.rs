//! `repair` over seeded random damage to random images: repairable damage is named and repaired byte for byte; other
//! damage is left unchanged.

use std::collections::BTreeSet;

use crate::fec::{self, Hashing, Image};
use crate::fec_case::{CANNOT, each, each_of, silent};
use crate::interrupted::traced;
use crate::sandbox::Outcome;

fn any(_: &Image) -> bool {
    true
}

fn has_rounds(image: &Image) -> bool {
    image.rounds > 1
}

/// Whether FEC covers blocks after the tree.
fn has_foreign_blocks(image: &Image) -> bool {
    image.covered > image.proven()
}

fn has_nothing_foreign(image: &Image) -> bool {
    !has_foreign_blocks(image)
}

#[test]
fn wrong_bytes_anywhere() {
    each(0, 13, any, |case, rng| {
        let image = &case.image;
        let mut bad = case.good.clone();
        let mut codewords = BTreeSet::new();
        for _ in 0..rng.usize(1..=2) {
            codewords.extend(case.codewords(rng.usize(..image.rounds), rng));
        }
        let most = image.roots / 2;
        let level = rng.choice(image.levels()).expect("there are data");
        match rng.u32(..3) {
            0 => case.wrong_bytes(&mut bad, &codewords, most, |block| block.is_some_and(|it| level.contains(&it)), rng),
            1 => case.wrong_bytes(&mut bad, &codewords, most, |block| block.is_none(), rng),
            _ => {}
        }
        while bad == case.good {
            case.wrong_bytes(&mut bad, &codewords, most, |block| block.is_none_or(|it| it < image.proven()), rng);
        }
        case.assert_heals(&bad);
    });
}

#[test]
fn whole_blocks_that_the_tree_knows() {
    each(100, 13, any, |case, rng| {
        let image = &case.image;
        let mut bad = case.good.clone();
        let blocks = case.blocks_of_round(rng.usize(..image.rounds), rng);
        // Of any level, or of one.
        let level = rng.choice(image.levels()).expect("there are data");
        let any = rng.bool() || !blocks.iter().any(|number| level.contains(number));
        let most = if rng.u32(..3) == 0 { rng.usize(1..=image.roots) } else { image.roots };
        case.spoil_apart(&mut bad, blocks.into_iter().filter(|number| any || level.contains(number)), most, rng);
        case.assert_heals(&bad);
    });
}

#[test]
fn whole_blocks_and_bytes_at_once() {
    each(200, 9, any, |case, rng| {
        let image = &case.image;
        let mut bad = case.good.clone();
        let mut spoilt: Vec<usize> = Vec::new();
        for round in 0..image.rounds {
            // A known position uses half the capacity of an unknown one. Data blocks prove nothing about others.
            let known = if rng.bool() { rng.usize(1..=image.roots) } else { 0 };
            let unknown = (image.roots - known) / 2;
            let wanted = |block: Option<usize>| block.is_none_or(|it| known == 0 && it < image.data_blocks);
            case.wrong_bytes(&mut bad, &case.codewords(round, rng), unknown, wanted, rng);
            let blocks = case.blocks_of_round(round, rng);
            let apart = blocks.into_iter().filter(|&number| spoilt.iter().all(|&other| image.are_apart(number, other)));
            let chosen = case.spoil_apart(&mut bad, apart.collect::<Vec<_>>(), known, rng);
            spoilt.extend(chosen);
        }
        while bad == case.good {
            case.wrong_bytes(&mut bad, &case.codewords(0, rng), image.roots / 2, |block| block.is_none(), rng);
        }
        case.assert_heals(&bad);
    });
}

#[test]
fn hash_blocks_together_with_what_they_prove() {
    each(300, 6, has_rounds, |case, rng| {
        let image = &case.image;
        let mut bad = case.good.clone();
        let mut spoilt: BTreeSet<usize> = BTreeSet::new();
        if rng.u32(..3) == 0 {
            // In one round, as many as the code can locate without any digest.
            let blocks = case.blocks_of_round(rng.usize(..image.rounds), rng);
            let family: Vec<usize> = rng
                .choice(&blocks)
                .map(|&number| image.ancestors(number).filter(|above| blocks.contains(above)).chain([number]).collect())
                .expect("a round has blocks");
            spoilt.extend(family.into_iter().chain(blocks).take(image.roots / 2));
        } else {
            // Round by round: each is known to be bad once the earlier ones are repaired.
            let mut rounds: Vec<usize> = (0..image.rounds).collect();
            rng.shuffle(&mut rounds);
            for round in rounds {
                let mut blocks = case.blocks_of_round(round, rng);
                // Children of bad blocks first, then hash blocks.
                let has_bad_parent = |number: usize| image.ancestors(number).any(|above| spoilt.contains(&above));
                blocks.sort_by_key(|&number| (!has_bad_parent(number), number < image.data_blocks));
                let not_above =
                    |number: &usize| !spoilt.iter().any(|&other| image.ancestors(other).any(|above| above == *number));
                let candidates: Vec<usize> = blocks.into_iter().filter(not_above).collect();
                let mut discarded = case.good.clone();
                spoilt.extend(case.spoil_apart(&mut discarded, candidates, image.roots, rng));
            }
        }
        for &number in &spoilt {
            case.spoil(&mut bad, number, rng);
        }
        case.assert_heals(&bad);
    });
}

/// Without any tree too, and with blocks too large for a single pass.
#[test]
fn few_blocks_of_any_size() {
    let image = |roots, rng: &mut fastrand::Rng| {
        let block = 512 << rng.u32(..=8);
        let hashing = Hashing::random(rng, block);
        let data_blocks = if rng.u32(..3) == 0 { 1 } else { rng.usize(2..=20) };
        Image::random(rng, hashing, roots, data_blocks)
    };
    each_of(1000, 2, image, |case, rng| {
        let mut bad = case.good.clone();
        let known = rng.usize(1..=case.image.roots);
        let blocks = case.blocks_of_round(0, rng);
        case.spoil_apart(&mut bad, blocks, known, rng);
        let unknown = (case.image.roots - known) / 2;
        case.wrong_bytes(&mut bad, &case.codewords(0, rng), unknown, |block| block.is_none(), rng);
        case.assert_heals(&bad);
    });
}

#[test]
fn one_block_more_than_can_be_repaired() {
    each(400, 4, any, |case, rng| {
        let mut bad = case.good.clone();
        let beyond = rng.usize(..case.image.rounds);
        for round in 0..case.image.rounds {
            let blocks = case.blocks_of_round(round, rng);
            if round == beyond {
                for number in &blocks[..=case.image.roots] {
                    let (name, range) = case.image.block(*number);
                    range.for_each(|at| fec::damage(&mut bad, (name, at), rng));
                }
            } else if rng.bool() {
                // Another round that could be repaired does not help.
                case.spoil_apart(&mut bad, blocks, 1, rng);
            }
        }
        case.assert_stays(&bad);
    });
}

#[test]
fn a_wrong_root_hash_repairs_nothing() {
    each(500, 2, any, |case, rng| {
        let first = if case.root_hash.starts_with('0') { "1" } else { "0" };
        case.root_hash.replace_range(..1, first);
        case.assert_stays(&case.good);
        let mut bad = case.good.clone();
        case.spoil(&mut bad, rng.usize(..case.image.proven()), rng);
        case.assert_stays(&bad);
    });
}

#[test]
fn a_lost_fec_area_is_made_anew() {
    each(600, 1, has_nothing_foreign, |case, rng| {
        let mut bad = case.good.clone();
        rng.fill(&mut bad.get_mut(case.image.fec).expect("a file of the image")[case.image.parity()]);
        case.assert_heals(&bad);
    });
}

/// Nothing proves what is after the tree.
#[test]
fn foreign_bytes_are_never_written() {
    each(700, 3, has_foreign_blocks, |case, rng| {
        let image = &case.image;
        // Some foreign bytes, and as few others of the same codewords as let the code locate them.
        let foreign = rng.usize(image.proven()..image.covered);
        let codewords = case.codewords(foreign % image.rounds, rng);
        let mut others = case.good.clone();
        if image.roots >= 4 && rng.bool() {
            let wanted = |block: Option<usize>| block.is_none_or(|it| it < image.proven());
            case.wrong_bytes(&mut others, &codewords, image.roots / 2 - 1, wanted, rng);
        }
        let mut bad = others.clone();
        for codeword in codewords {
            let symbol = image.symbols(codeword).find(|symbol| symbol.block == Some(foreign));
            fec::damage_some(&mut bad, symbol.into_iter(), 1, rng);
        }
        let outside = fec::different_bytes(&others, &bad);
        let (lines, inside) = case.report(&others);

        let context = &case.context;
        fec::write(&case.sandbox, &bad);
        let without_fec = case.verify_without_fec();
        let found = format!("Found {} repairable errors with FEC device.\n", inside + outside);
        let strict = Outcome { code: Some(2), stdout: String::new(), stderr: without_fec.stderr + &found };
        assert_eq!(case.check("verify", &["--strict"]), strict, "{context}");
        let left = format!(
            "{CANNOT}hint: after the hash tree FEC finds {outside} wrong bytes and 0 codewords that cannot be \
             corrected: the root hash does not prove their contents, so they are left as they are.\n"
        );
        let dry = Outcome { code: Some(2), stdout: lines.clone(), stderr: found + &left };
        assert_eq!(case.check("repair", &["--dry-run"]), dry, "{context}");
        case.assert_files(&bad, "a dry run");

        let repaired = if inside > 0 { format!("{lines}Repaired {inside} errors.\n") } else { String::new() };
        for stdout in [repaired, String::new()] {
            let expected = Outcome { code: Some(2), stdout, stderr: left.clone() };
            assert_eq!(case.check("repair", &[]), expected, "{context}");
            for (name, bytes) in &case.good {
                let mut expected = bytes.clone();
                for (byte, (bad, other)) in expected.iter_mut().zip(bad[name].iter().zip(&others[name])) {
                    *byte = if bad == other { *byte } else { *bad };
                }
                assert!(case.sandbox.read(name) == expected, "{context}: {name} differs");
            }
        }
        // The tree is in order.
        assert_eq!(case.check("verify", &[]), silent(), "{context}");
    });
}

#[test]
fn foreign_bytes_beyond_correction_are_never_written() {
    let wanted = |image: &Image| image.covered >= image.proven() + image.rounds * (image.roots / 2 + 1);
    each(1100, 1, wanted, |case, rng| {
        let mut bad = case.good.clone();
        for number in case.image.proven()..case.image.covered {
            let (name, range) = case.image.block(number);
            rng.fill(&mut bad.get_mut(name).expect("a file of the image")[range]);
        }
        let mut expected = bad.clone();
        case.spoil(&mut bad, rng.usize(..case.image.proven()), rng);
        fec::write(&case.sandbox, &bad);
        let outcome = case.check("repair", &[]);
        assert_eq!(outcome.code, Some(2), "{}: {outcome:?}", case.context);
        assert!(outcome.stderr.starts_with(CANNOT) || outcome.stderr.contains(&format!("\n{CANNOT}")), "{outcome:?}");
        // Errors in such codewords cannot be located: the repair may make the parity agree with the wrong bytes.
        let after = case.image.read(&case.sandbox);
        let parity = case.image.parity();
        let made = after[case.image.fec][parity.clone()].to_vec();
        expected.get_mut(case.image.fec).expect("a file of the image").splice(parity, made);
        if case.image.read(&case.sandbox) != bad {
            case.assert_files(&expected, "the repair");
        }
        // A second repair changes nothing.
        assert_eq!(case.check("repair", &[]).code, Some(2), "{}", case.context);
        case.assert_files(&after, "another repair");
    });
}

#[test]
fn a_root_hash_file_serves_as_well() {
    each(800, 1, any, |case, rng| {
        let mut bad = case.good.clone();
        case.spoil(&mut bad, rng.usize(..case.image.proven()), rng);
        fec::write(&case.sandbox, &bad);
        case.sandbox.write("root", case.root_hash.as_bytes());
        let mut repair = case.image.check("repair", &case.root_hash);
        repair.retain(|argument| *argument != case.root_hash);
        let outcome = case.run(repair, &["--root-hash-file=root"]);
        assert_eq!(outcome.code, Some(0), "{}: {outcome:?}", case.context);
        case.assert_files(&case.good, "the repair");
    });
}

/// Killed at each call that writes or syncs: everything written is correct, and repair can be run again.
#[test]
fn a_repair_that_was_killed_can_be_done_again() {
    each(900, 1, any, |case, rng| {
        let image = &case.image;
        let mut bad = case.good.clone();
        // A known bad block in each level hides no other one if they are apart; the parity has a round of its own.
        let blocks = case.blocks_of_round(0, rng);
        case.spoil_apart(&mut bad, blocks, image.roots.min(4), rng);
        if image.rounds > 1 {
            case.wrong_bytes(&mut bad, &case.codewords(1, rng), image.roots / 2, |block| block.is_none(), rng);
        }
        let repair = image.check("repair", &case.root_hash);
        let repair: Vec<&str> = repair.iter().map(String::as_str).chain([case.threads.as_str()]).collect();
        fec::write(&case.sandbox, &bad);
        let calls = traced(&case.sandbox, &repair, &[]);
        case.assert_files(&case.good, "the repair");
        for (index, name) in calls.iter().enumerate() {
            fec::write(&case.sandbox, &bad);
            // strace counts the calls by name.
            let nth = calls[..=index].iter().filter(|other| *other == name).count();
            let kill = format!("inject={name}:signal=KILL:when={nth}");
            let until_then = traced(&case.sandbox, &repair, &["-e", &kill]);
            assert_eq!(until_then, calls[..=index], "{}: killed at the call", case.context);
            let outcome = case.check("repair", &[]);
            assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""), "{}: {outcome:?}", case.context);
            case.assert_files(&case.good, "another repair");
            assert_eq!(case.check("verify", &["--strict"]), silent(), "{}", case.context);
        }
    });
}
