//! The commands whose calls fail.

use crate::matrix::check;
use crate::scenario::{FIXED, Scenario, random};

const BLOCK: usize = 4096;

/// Two levels of hash blocks, and a tail that no block covers.
pub(crate) fn data() -> Vec<u8> {
    random(1, 140 * BLOCK + 1000)
}

/// Little data, so that parity is quick.
pub(crate) fn short() -> Vec<u8> {
    random(2, 21 * BLOCK)
}

pub(crate) fn fixed(command: &str) -> String {
    format!("{command} {} --threads=1", FIXED.join(" "))
}

/// All ways to format two files.
pub(crate) fn formats() -> Vec<Scenario> {
    let over = &["format d h --salt=00 --hash=sha512"][..];
    let over_fec = &["format d h --salt=00 --fec-device=f"][..];
    let scenario = |name, data: Vec<u8>, setup, command| {
        let older_root_hash = ("r", b"older".to_vec());
        Scenario::new(name, &[("d", data), older_root_hash], setup, &fixed(command)).outputs("h f r").loads("dump h")
    };
    vec![
        scenario("format", data(), &[], "format d h"),
        scenario("format over an older image", data(), over, "format d h"),
        scenario("format with FEC", short(), &[], "format d h --fec-device=f"),
        scenario("format with FEC over an older image", short(), over_fec, "format d h --fec-device=f --fec-roots=3"),
        scenario("format with FEC on the hash device", short(), &[], "format d h --fec-device=h --fec-offset=8192"),
        scenario("format without superblock", data(), over, "format d h --no-superblock"),
        scenario("format with a root hash file", data(), &[], "format d h --root-hash-file=r"),
        scenario("format --json", data(), &[], "format d h --json"),
    ]
}

#[test]
fn format() {
    formats().iter().for_each(check);
}

pub(crate) fn appended(name: &str, setup: &[&str], command: &str) -> Scenario {
    let data = data();
    let len = data.len();
    let scenario = Scenario::new(name, &[("i", data.clone())], setup, &fixed(command));
    // An older tree goes first: what is left are its data blocks.
    let mut padded = data.clone();
    padded.resize(len.next_multiple_of(BLOCK), 0);
    let scenario = if setup.is_empty() { scenario } else { scenario.tolerates("i", padded) };
    scenario.outputs("i f").keeps("i", len).loads("dump i --hash-offset=auto")
}

#[test]
fn append() {
    check(&appended("format --append", &[], "format --append i"));
}

#[test]
fn append_again() {
    check(&appended("format --append again", &["format --append i --salt=00"], "format --append i"));
}

#[test]
fn append_with_fec() {
    check(&appended("format --append with FEC", &[], "format --append i --fec-roots=2"));
}

#[test]
fn append_with_fec_in_a_file_of_its_own() {
    let setup = ["format --append i --salt=00 --fec-roots=4"];
    let name = "format --append with FEC in a file of its own";
    check(&appended(name, &setup, "format --append i --fec-roots=2 --fec-device=f"));
}

/// An image with parity and its root hash in a file; some of it is damaged.
fn with_fec(name: &str, damages: &[(&str, usize)], command: &str) -> Scenario {
    let setup = [fixed("format d h --fec-device=f --root-hash-file=r")];
    let good = Scenario::new(name, &[("d", short())], &[], &setup[0]);
    let mut files: Vec<(&str, Vec<u8>)> =
        ["d", "h", "f", "r"].map(|name| (name, std::fs::read(good.path(name)).expect("made"))).to_vec();
    for (name, offset) in damages {
        let file = files.iter_mut().find(|(file, _)| file == name).expect("one of them");
        file.1[*offset] ^= 1;
    }
    Scenario::new(name, &files, &[], &format!("{command} --root-hash-file=r --threads=1"))
}

const DAMAGES: [(&str, usize); 4] = [("d", 5), ("d", 9 * BLOCK), ("h", BLOCK + 33), ("f", 77)];

#[test]
fn verify() {
    check(&with_fec("verify", &[], "verify d h"));
}

/// Uncached data is read with direct I/O, or through the page cache if that fails.
#[test]
fn verify_of_what_is_on_disk() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = [("d", random(4, 3 << 20))];
    let made = Scenario::new("made", &data, &[], "format d h --salt=00 --root-hash-file=r");
    let files = ["d", "h", "r"].map(|name| (name, std::fs::read(made.path(name)).expect("made")));
    let name = "verify of what is on disk";
    let scenario = Scenario::within(directory, name, &files, &[], "verify d h --root-hash-file=r --threads=2");
    check(&scenario.cold());
}

#[test]
fn verify_of_damaged_data() {
    check(&with_fec("verify of damaged data", &DAMAGES, "verify d h"));
}

#[test]
fn verify_with_fec() {
    check(&with_fec("verify with FEC", &DAMAGES, "verify d h --fec-device=f"));
}

#[test]
fn verify_strictly_with_fec() {
    check(&with_fec("verify --strict with FEC", &[], "verify d h --fec-device=f --strict"));
}

pub(crate) fn repaired() -> Scenario {
    with_fec("repair", &DAMAGES, "repair d h --fec-device=f").outputs("d h f").piecemeal()
}

#[test]
fn repair() {
    check(&repaired());
}

#[test]
fn repair_that_only_tells() {
    check(&with_fec("repair --dry-run", &DAMAGES, "repair d h --fec-device=f --dry-run"));
}

#[test]
fn table() {
    let data = [("d", data())];
    let made = Scenario::new("table", &data, &["format d h"], "format --salt=00 d h --root-hash-file=r");
    let root_hash = std::fs::read_to_string(made.path("r")).expect("made");
    check(&Scenario::new(
        "table",
        &data,
        &["format d h --salt=00 --fec-device=f"],
        &format!("table d h {root_hash} --fec-device=f"),
    ));
}

#[test]
fn dump() {
    let scenario = Scenario::new("dump", &[("d", data())], &["format d h"], "dump h");
    check(&scenario);
}

#[test]
fn dump_that_looks_for_the_superblock() {
    let setup = ["format --append i --fec-roots=2"];
    check(&Scenario::new("dump --hash-offset=auto", &[("i", data())], &setup, "dump i --hash-offset=auto --json"));
}

#[test]
fn plan() {
    check(&Scenario::new("plan", &[("d", data())], &[], "plan d"));
}

#[test]
fn plan_append() {
    let setup = ["format --append i"];
    check(&Scenario::new("plan --append", &[("i", data())], &setup, "plan --append i --fec-roots=2"));
}
