//! How long single random blocks take: one request in flight.

use std::time::Instant;

use anyhow::Result;

use super::client::Connection;
use super::random::next;
use super::server::Server;
use super::{Bench, median};

/// Reads of one turn.
const READS: usize = 4000;

/// The bytes of one read.
const BLOCK: u16 = 4096;

/// The rows of a distribution, in thousandths of the reads.
pub(crate) const QUANTILES: [(&str, usize); 6] =
    [("p1", 10), ("p10", 100), ("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)];

/// A server, and how long its reads took.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    /// Microseconds, in order.
    pub(crate) times: Vec<f64>,
    /// The median of each round.
    medians: Vec<f64>,
}

impl Way {
    pub(crate) fn quantile(&self, thousandths: usize) -> f64 {
        self.times[(self.times.len() * thousandths / 1000).min(self.times.len() - 1)]
    }
}

/// All servers, which take turns. "Cold" is a cache of one hash block: a read finds its own hash blocks in it by chance
/// only, and reads and proves them again.
pub(crate) fn ways(bench: &Bench) -> Result<Vec<Way>> {
    let servers: Vec<(&'static str, Server)> = vec![
        ("unverified", bench.plain()?),
        ("nbdkit, unverified", bench.nbdkit()?),
        ("hashes warm, auto", bench.verified(&[])?),
        ("hashes warm, inline", bench.verified(&["--verify=inline"])?),
        ("hashes warm, pool", bench.verified(&["--verify=pool"])?),
        ("hashes cold, inline", bench.verified(&["--verify=inline", "--cache-size=0"])?),
        ("hashes cold, pool", bench.verified(&["--verify=pool", "--cache-size=0"])?),
    ];
    let mut ways: Vec<Way> =
        servers.iter().map(|(name, _)| Way { name, times: Vec::new(), medians: Vec::new() }).collect();
    for (_, server) in &servers {
        super::client::whole(&server.socket, bench.bytes)?;
    }
    for round in 0..bench.rounds {
        for (way, (_, server)) in ways.iter_mut().zip(&servers) {
            let mut times = turn(bench, server, round as u64 + 1)?;
            times.sort_by(f64::total_cmp);
            way.medians.push(times[times.len() / 2]);
            way.times.append(&mut times);
        }
    }
    for way in &mut ways {
        way.times.sort_by(f64::total_cmp);
    }
    for (_, server) in servers {
        server.stop()?;
    }
    Ok(ways)
}

/// The same blocks for each server of a round.
fn turn(bench: &Bench, server: &Server, seed: u64) -> Result<Vec<f64>> {
    let mut connection = Connection::open(&server.socket)?;
    let mut state = seed;
    let mut buffer = [0; BLOCK as usize];
    let mut times = Vec::with_capacity(READS);
    for _ in 0..READS {
        let block = next(&mut state) % (bench.bytes / u64::from(BLOCK));
        let start = Instant::now();
        connection.read(block * u64::from(BLOCK), &mut buffer)?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(times)
}

pub(crate) fn print(ways: &[Way]) {
    println!("\nRandom reads of {BLOCK} bytes, one at a time, in microseconds. The last column is the median over the");
    println!("rounds of the difference to the unverified server's median.\n");
    let names: Vec<&str> = QUANTILES.iter().map(|(name, _)| *name).collect();
    println!("| server | {} | p50 - unverified |", names.join(" | "));
    println!("|---|{}", "---|".repeat(QUANTILES.len() + 1));
    for way in ways {
        let times: Vec<String> = QUANTILES.iter().map(|&(_, at)| format!("{:.1}", way.quantile(at))).collect();
        let more = median(way.medians.iter().zip(&ways[0].medians).map(|(way, plain)| way - plain));
        println!("| {} | {} | {more:+.1} |", way.name, times.join(" | "));
    }
}
