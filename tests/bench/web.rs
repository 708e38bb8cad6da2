//! `web-bench`: how fast an image on a web server is read and verified, next to curl, in one run.
//!
//!     web-bench VERITYSETUP FOLDER [MIB [ROUNDS]]
//!
//! VERITYSETUP is the command with the feature `http`. The image of MIB mebibytes is made in FOLDER, is in the page
//! cache, and is served on this machine by this program, with sendfile(2). In each of the ROUNDS all readers take
//! turns, so that drift affects all; ratios are medians over the rounds.

#[path = "web/server.rs"]
mod server;

use std::env;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use dmverity_tests::machine;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("web-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [veritysetup, folder, numbers @ ..] = &arguments[..] else {
        anyhow::bail!("usage: web-bench VERITYSETUP FOLDER [MIB [ROUNDS]]");
    };
    let number = |index: usize, default: u64| numbers.get(index).map_or(Ok(default), |text| text.parse());
    let (mebibytes, rounds) = (number(0, 1024)?, usize::try_from(number(1, 9)?)?);
    let (data, hash) = (Path::new(folder).join("data"), Path::new(folder).join("hash"));
    let root_hash = make_image(veritysetup, &data, &hash, mebibytes << 20)?;
    let port = server::start(folder)?;
    let [data, hash] = ["data", "hash"].map(|name| format!("http://127.0.0.1:{port}/{name}"));
    println!("{}, load {}", machine::describe()?, machine::load()?);

    let verify: [&str; 4] = ["verify", &data, &hash, &root_hash];
    let serve = ["serve", &data, &hash, &root_hash, "-q", "--exec", "sh", "-c", "nbdcopy \"$uri\" null:"];
    let readers: [(&str, &str, &[&str]); 3] = [
        ("curl -o /dev/null", "curl", &["-s", "-f", "-o", "/dev/null", &data]),
        ("verify", veritysetup, &verify),
        ("serve, read by nbdcopy", veritysetup, &serve),
    ];
    // Once for the page cache.
    for (_, program, arguments) in readers {
        seconds(program, arguments)?;
    }
    let mut found = Vec::new();
    for _ in 0..rounds {
        found.push(readers.map(|(_, program, arguments)| seconds(program, arguments)));
    }
    let found = found.into_iter().map(|round| round.into_iter().collect()).collect::<Result<Vec<Vec<f64>>>>()?;
    println!("\nThe whole image of {mebibytes} MiB over HTTP, nothing cached: medians of {rounds} rounds.\n");
    println!("| reader | MiB/s | of curl's |\n|---|---|---|");
    for (index, (name, ..)) in readers.iter().enumerate() {
        let rate = f64::from(u32::try_from(mebibytes)?) / median(found.iter().map(|round| round[index]));
        let ratio = median(found.iter().map(|round| round[0] / round[index]));
        println!("| {name} | {rate:.0} | {ratio:.2} |");
    }
    println!("\nload {}", machine::load()?);
    Ok(())
}

/// Random bytes, and their hash tree.
fn make_image(veritysetup: &str, data: &PathBuf, hash: &PathBuf, bytes: u64) -> Result<String> {
    io::copy(&mut io::Read::take(File::open("/dev/urandom")?, bytes), &mut File::create(data)?)?;
    let made = Command::new(veritysetup).arg("format").arg(data).arg(hash).output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = String::from_utf8(made.stdout)?;
    let line = text.lines().find_map(|line| line.strip_prefix("Root hash:"));
    Ok(line.context("format prints the root hash")?.trim().to_owned())
}

/// How long a command takes.
fn seconds(program: &str, arguments: &[&str]) -> Result<f64> {
    let begun = Instant::now();
    let status = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status();
    ensure!(status.with_context(|| format!("cannot run {program}"))?.success(), "{program} fails");
    Ok(begun.elapsed().as_secs_f64())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
