//! `serve-bench`: how fast `veritysetup serve` is, next to a server without verification and to nbdkit, in one run.
//!
//!     serve-bench VERITYSETUP UNVERIFIED FOLDER [MIB [ROUNDS]]
//!
//! VERITYSETUP is the command, UNVERIFIED the library's example `nbd_server`: the same server of the same file, without
//! hashing. The image of MIB mebibytes is made in FOLDER, and is in the page cache. In each of the ROUNDS all servers
//! take turns, so that drift affects all; ratios are medians over the rounds.

#[path = "serve/client.rs"]
mod client;
#[path = "serve/latency.rs"]
mod latency;
mod random;
#[path = "serve/server.rs"]
mod server;
#[path = "serve/svg.rs"]
mod svg;

use std::env;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use dmverity_tests::machine;

use latency::ways;
use server::Server;

/// What is measured.
struct Bench {
    veritysetup: PathBuf,
    unverified: PathBuf,
    folder: PathBuf,
    bytes: u64,
    rounds: usize,
    root_hash: String,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serve-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [veritysetup, unverified, folder, numbers @ ..] = &arguments[..] else {
        anyhow::bail!("usage: serve-bench VERITYSETUP UNVERIFIED FOLDER [MIB [ROUNDS]]");
    };
    let number = |index: usize, default: u64| numbers.get(index).map_or(Ok(default), |text| text.parse());
    let mut bench = Bench {
        veritysetup: veritysetup.into(),
        unverified: unverified.into(),
        folder: folder.into(),
        bytes: number(0, 512)? << 20,
        rounds: usize::try_from(number(1, 9)?)?,
        root_hash: String::new(),
    };
    bench.make_image()?;
    println!("{}, load {}", machine::describe()?, machine::load()?);
    bench.sequential()?;
    let ways = ways(&bench)?;
    latency::print(&ways);
    let chart = bench.folder.join("serve.svg");
    File::create(&chart)?.write_all(svg::draw(&ways).as_bytes())?;
    println!("\nThe chart is {}.", chart.display());
    Ok(())
}

impl Bench {
    /// Random bytes, and their hash tree.
    fn make_image(&mut self) -> Result<()> {
        let mut file = File::create(self.data())?;
        io::copy(&mut io::Read::take(File::open("/dev/urandom")?, self.bytes), &mut file)?;
        let made = Command::new(&self.veritysetup).arg("format").arg(self.data()).arg(self.hash()).output()?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let text = String::from_utf8(made.stdout)?;
        let line = text.lines().find_map(|line| line.strip_prefix("Root hash:"));
        line.context("format prints the root hash")?.trim().clone_into(&mut self.root_hash);
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn hash(&self) -> PathBuf {
        self.folder.join("hash")
    }

    /// The command, with these options.
    fn verified(&self, options: &[&str]) -> Result<Server> {
        let mut command = Command::new(&self.veritysetup);
        command.arg("serve").arg(self.data()).arg(self.hash()).arg(&self.root_hash).args(options);
        Server::start(&self.folder, |socket| {
            let mut option = std::ffi::OsString::from("--socket=");
            option.push(socket);
            command.arg(option);
            command
        })
    }

    /// The same server without verification.
    fn plain(&self) -> Result<Server> {
        Server::start(&self.folder, |socket| {
            let mut command = Command::new(&self.unverified);
            command.arg(self.data()).arg(socket);
            command
        })
    }

    fn nbdkit(&self) -> Result<Server> {
        Server::start(&self.folder, |socket| {
            let mut command = Command::new("nbdkit");
            command.args(["--foreground", "--readonly", "--unix"]).arg(socket).arg("file").arg(self.data());
            command
        })
    }

    /// The whole image from the front to the back, by one connection and by nbdcopy, which makes several.
    fn sequential(&self) -> Result<()> {
        println!("\nThe whole image, MiB/s: medians of {} rounds, and ratios of the same rounds.\n", self.rounds);
        println!("| reader | verified | unverified | nbdkit | verified / unverified | verified / nbdkit |");
        println!("|---|---|---|---|---|---|");
        let (verified, plain, nbdkit) = (self.verified(&[])?, self.plain()?, self.nbdkit()?);
        let servers = [&verified, &plain, &nbdkit];
        let readers: [(&str, Read); 2] =
            [("one connection, 1 MiB at a time", client::whole), ("nbdcopy", client::nbdcopy)];
        for (name, read) in readers {
            let mut rounds = Vec::new();
            for server in servers {
                read(&server.socket, self.bytes)?;
            }
            for _ in 0..self.rounds {
                let mut seconds = [0.0; 3];
                for (seconds, server) in seconds.iter_mut().zip(servers) {
                    *seconds = read(&server.socket, self.bytes)?;
                }
                rounds.push(seconds);
            }
            let mib = f64::from(u32::try_from(self.bytes >> 20)?);
            let rate = |server: usize| mib / median(rounds.iter().map(|round| round[server]));
            let ratio = |other: usize| median(rounds.iter().map(|round| round[other] / round[0]));
            println!(
                "| {name} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} |",
                rate(0),
                rate(1),
                rate(2),
                ratio(1),
                ratio(2)
            );
        }
        for server in [verified, plain, nbdkit] {
            server.stop()?;
        }
        Ok(())
    }
}

type Read = fn(&Path, u64) -> Result<f64>;

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
