//! The programs and libraries of others: which of them are here, and their versions.
//!
//! A library is called by a small program of ours in `tests/bench/field/`, which is compiled here. None of them is
//! needed: one that is absent is named with the reason.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use dmverity_tests::vm::process;
use dmverity_tests::workspace;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Dd,
    Sha256sum,
    Fsverity,
    IpsecMb,
    IsaL,
    Klauspost,
}

/// Those that no package of Debian and no registry of Rust crates has, so that there are no rows for them.
const OUT_OF_REACH: [(&str, &str); 2] = [
    ("avbroot", "neither a Debian package nor a crate of the registry"),
    ("go-dmverity", "not a Debian package, and Go modules are not downloaded"),
];

/// Where Debian's packages have the source of Go libraries.
const GO_SOURCES: &str = "/usr/share/gocode";
const KLAUSPOST: &str = "github.com/klauspost/reedsolomon";

/// Whether a peer is here: its program and version, or why not.
type Presence = Result<(PathBuf, String), String>;

/// What is known about those that were looked for.
#[derive(Debug)]
pub(crate) struct Peers(Vec<(Peer, Presence)>);

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Self::Dd => "dd",
            Self::Sha256sum => "sha256sum",
            Self::Fsverity => "fsverity",
            Self::IpsecMb => "ipsec-mb",
            Self::IsaL => "ISA-L",
            Self::Klauspost => "klauspost/reedsolomon",
        }
    }

    /// Looks for it; a library's program is built in the directory.
    fn look(self, directory: &Path) -> Result<Presence> {
        match self {
            Self::Dd | Self::Sha256sum | Self::Fsverity => command(self.name()),
            Self::IpsecMb => c_program(directory, "ipsec_mb", ["intel-ipsec-mb.h", "-lIPSec_MB", "libipsec-mb-dev"]),
            Self::IsaL => c_program(directory, "isa_l", ["isa-l.h", "-lisal", "libisal-dev"]),
            Self::Klauspost => go_program(directory),
        }
    }
}

impl Peers {
    pub(crate) fn find(directory: &Path, wanted: impl Iterator<Item = Peer>) -> Result<Self> {
        let mut wanted: Vec<Peer> = wanted.collect();
        wanted.sort_unstable();
        wanted.dedup();
        let look = |peer: Peer| Ok((peer, peer.look(directory).with_context(|| peer.name().to_owned())?));
        wanted.into_iter().map(look).collect::<Result<_>>().map(Self)
    }

    /// The program of a peer that is here.
    pub(crate) fn program(&self, wanted: Peer) -> Option<&Path> {
        let (_, presence) = self.0.iter().find(|(peer, _)| *peer == wanted)?;
        presence.as_ref().ok().map(|(program, _)| program.as_path())
    }

    /// The versions of those that are here, and why the others are not.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        let present = self.0.iter().filter_map(|(_, presence)| presence.as_ref().ok());
        let versions: Vec<&str> = present.map(|(_, version)| version.as_str()).collect();
        if !versions.is_empty() {
            let _ = writeln!(text, "The others: {}.", versions.join("; "));
        }
        let absent =
            self.0.iter().filter_map(|(peer, presence)| Some((peer.name(), presence.as_ref().err()?.as_str())));
        let absent: Vec<String> =
            absent.chain(OUT_OF_REACH).map(|(name, reason)| format!("{name} ({reason})")).collect();
        let _ = writeln!(text, "Absent: {}.", absent.join("; "));
        text
    }
}

/// A program that is installed or not.
fn command(name: &str) -> Result<Presence> {
    let Ok(program) = process::find(name) else { return Ok(Err("not installed".to_owned())) };
    let version = process::output(process::command_at(&program).arg("--version"))?;
    let version = version.lines().next().unwrap_or_default().trim().to_owned();
    Ok(Ok((program, version)))
}

/// A program in C. It is there if the header of its library is, from this package; then it must compile.
fn c_program(directory: &Path, name: &str, [header, library, package]: [&str; 3]) -> Result<Presence> {
    let Ok(compiler) = process::find("cc") else { return Ok(Err("no C compiler".to_owned())) };
    let mut includes = process::command_at(&compiler);
    includes.args(["-x", "c", "-fsyntax-only", "-include", header, "/dev/null"]);
    if !includes.output().context("cc")?.status.success() {
        return Ok(Err(format!("{package} is not installed")));
    }
    let (source, program) = (workspace().join(format!("tests/bench/field/{name}.c")), directory.join(name));
    let mut compile = process::command_at(&compiler);
    compile.args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(source).arg(library);
    process::output(&mut compile)?;
    let version = process::output(Command::new(&program).arg("version"))?;
    let peer = if name == "isa_l" { "ISA-L" } else { "ipsec-mb" };
    Ok(Ok((program, format!("{peer} {}", version.trim()))))
}

/// The program in Go, from the source that a Debian package brings; nothing is downloaded.
fn go_program(directory: &Path) -> Result<Presence> {
    const PACKAGE: &str = "golang-github-klauspost-reedsolomon-dev";
    let Ok(compiler) = process::find("go") else { return Ok(Err("golang-go is not installed".to_owned())) };
    if !Path::new(GO_SOURCES).join("src").join(KLAUSPOST).is_dir() {
        return Ok(Err(format!("{PACKAGE} is not installed")));
    }
    let program = directory.join("klauspost");
    let mut compile = process::command_at(&compiler);
    compile.envs([("GO111MODULE", "off"), ("GOPATH", GO_SOURCES), ("GOFLAGS", ""), ("GOPROXY", "off")]);
    compile.env("GOCACHE", directory.join("go-cache")).args(["build", "-o"]).arg(&program);
    process::output(compile.arg(workspace().join("tests/bench/field/klauspost/main.go")))?;
    let version = process::output(process::command("dpkg-query")?.args(["-W", "-f", "${Version}", PACKAGE]))?;
    let go = process::output(process::command_at(&compiler).arg("version"))?;
    let go = go.split_whitespace().nth(2).unwrap_or_default();
    Ok(Ok((program, format!("klauspost/reedsolomon {} with {go}", version.trim()))))
}
