//! Every target with plain mutations, the same on every run. A finding names the file that holds its input.

use std::time::Duration;

use dmverity_fuzz::Target;
use dmverity_fuzz::run::Run;

/// Other mutations: `FUZZ_SEED=2 cargo test -p dmverity-fuzz`.
fn run(name: &str) {
    let seed = std::env::var("FUZZ_SEED").map_or(1, |text| text.parse().expect("FUZZ_SEED is a number"));
    let target = Target::by_name(name).expect("it is in the list");
    // Ten times the limit of `make fuzz`: this build is slower.
    let longest = Duration::from_secs(10);
    let figures = Run { seed, executions: Some(target.executions), time: None, longest }.run(target);
    assert_eq!(figures.executions, target.executions);
    println!("{name}: {figures:?}");
}

macro_rules! targets {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { run(stringify!($name)); })*
    };
}

targets!(superblock_params table_lines command_line kernel_cmdline json image_verify append_find_plan gpt_ddi
    signature_parse nbd_protocol http_headers fec_repair);

#[test]
fn every_target_is_run() {
    let names: Vec<&str> = dmverity_fuzz::TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, NAMES);
}
