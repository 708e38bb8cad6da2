//! Fetching Debian packages, and sources of packages, of any suite with the machine's `apt`, which checks the archive's
//! signatures, without touching the machine's own package lists and without installing anything.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

use super::architecture::Architecture;
use super::process;
use super::sources::{self, Source};

/// Which of the archive's lists are read.
#[derive(Debug, Clone, Copy)]
pub enum Lists {
    /// Those of the packages.
    Packages,
    /// Those of their sources.
    Sources,
}

/// Package lists of one suite and architecture in a folder of their own.
#[derive(Debug)]
pub struct Apt {
    folder: PathBuf,
    architecture: Architecture,
}

impl Apt {
    /// Reads the suite's lists into `folder`, which is created and belongs to the caller.
    pub fn update(folder: &Path, suite: &str, architecture: Architecture, lists: Lists) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        fs::write(folder.join("status"), "")?;
        let apt = Self { folder: folder.to_owned(), architecture };
        let mut refused = String::new();
        for attempt in attempts(&sources::debian()?) {
            apt.write_sources(suite, lists, &attempt)?;
            match process::output(apt.command("apt-get")?.args(["-q", "update"])) {
                Ok(_) => return Ok(apt),
                Err(error) => write!(refused, "\n{error:#}")?,
            }
        }
        Err(anyhow!(
            "the package lists of Debian's {suite} for {} cannot be read (DEBIAN_MIRROR can name another \
             archive):{refused}",
            architecture.debian()
        ))
    }

    /// The newest package whose name begins and ends like this.
    pub fn newest(&self, prefix: &str, suffix: &str) -> Result<String> {
        let names = process::output(self.command("apt-cache")?.args(["pkgnames", prefix]))?;
        let mut best: Option<(String, String)> = None;
        for name in
            names.lines().filter(|name| name.ends_with(suffix) && !name.contains("-rt") && !name.contains("-dbg"))
        {
            let version = self.field(name, "Version")?;
            let newer = match &best {
                None => true,
                Some((_, than)) => {
                    process::command("dpkg")?.args(["--compare-versions", &version, "gt", than]).status()?.success()
                }
            };
            if newer {
                best = Some((name.to_owned(), version));
            }
        }
        best.map(|(name, _)| name).ok_or_else(|| anyhow!("the archive has no package {prefix}*{suffix}"))
    }

    /// A field of the package's newest version.
    pub fn field(&self, package: &str, field: &str) -> Result<String> {
        let record = process::output(self.command("apt-cache")?.args(["show", "--no-all-versions", package]))?;
        let start = format!("{field}: ");
        let value = record.lines().find_map(|line| line.strip_prefix(&start));
        Ok(value.unwrap_or_default().to_owned())
    }

    /// Downloads the packages, checks them against the signed lists, and unpacks them over each other into `into`.
    pub fn unpack(&self, packages: &[String], into: &Path) -> Result<()> {
        let downloads = self.folder.join("downloads");
        fs::create_dir_all(&downloads)?;
        fs::create_dir_all(into)?;
        process::output(self.command("apt-get")?.current_dir(&downloads).args(["-q", "download"]).args(packages))
            .with_context(|| format!("cannot download {}", packages.join(", ")))?;
        let mut unpacked = 0;
        for entry in fs::read_dir(&downloads)? {
            process::output(process::command("dpkg-deb")?.arg("-x").arg(entry?.path()).arg(into))?;
            unpacked += 1;
        }
        if unpacked != packages.len() {
            bail!("apt-get downloaded {unpacked} packages instead of {}", packages.join(", "));
        }
        fs::remove_dir_all(&downloads)?;
        Ok(())
    }

    /// Downloads the packages and everything that they depend on, checks them against the signed lists, and unpacks
    /// them over each other into `into`, where a link instead of a folder stays one. None of their scripts runs.
    pub fn unpack_with_dependencies(&self, packages: &[&str], into: &Path) -> Result<()> {
        let mut apt = self.command("apt-get")?;
        apt.args(["-q", "-y", "--no-install-recommends", "--download-only", "-o", "Debug::NoLocking=1", "install"]);
        process::output(apt.args(packages)).with_context(|| format!("cannot download {}", packages.join(", ")))?;
        for entry in fs::read_dir(self.folder.join("cache/archives"))? {
            let archive = entry?.path();
            if archive.extension().is_some_and(|extension| extension == "deb") {
                let mut contents = process::command("dpkg-deb")?;
                let mut contents = contents.arg("--fsys-tarfile").arg(&archive).stdout(Stdio::piped()).spawn()?;
                let pipe = contents.stdout.take().context("dpkg-deb has a standard output")?;
                let mut tar = process::command("tar")?;
                tar.args(["-x", "--keep-directory-symlink", "--no-same-owner", "-C"]).arg(into).stdin(pipe);
                process::output(&mut tar).with_context(|| format!("cannot unpack {}", archive.display()))?;
                if !contents.wait()?.success() {
                    bail!("cannot read {}", archive.display());
                }
            }
        }
        Ok(())
    }

    /// Downloads what a package was made from, as its authors have published it, without what Debian adds, checks it
    /// against the signed lists, and unpacks these of its files into the folder `into`. Returns the version.
    pub fn unpack_source(&self, package: &str, files: &[&str], into: &Path) -> Result<String> {
        let downloads = self.folder.join("downloads");
        fs::create_dir_all(&downloads)?;
        fs::create_dir_all(into)?;
        let mut apt = self.command("apt-get")?;
        apt.current_dir(&downloads).args(["-q", "source", "--download-only", "--tar-only", "--only-source", package]);
        process::output(&mut apt).with_context(|| format!("cannot download the source of {package}"))?;
        let prefix = format!("{package}_");
        for entry in fs::read_dir(&downloads)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name.strip_prefix(&prefix).and_then(|rest| rest.split_once(".orig.tar."));
            let Some((version, _)) = version else {
                continue;
            };
            let mut tar = process::command("tar")?;
            tar.arg("-xf").arg(entry.path()).arg("-C").arg(into).args(["--no-same-owner", "--strip-components=1"]);
            tar.args(["--wildcards", "--no-wildcards-match-slash"]);
            tar.args(files.iter().map(|file| format!("*/{file}")));
            process::output(&mut tar)?;
            fs::remove_dir_all(&downloads)?;
            return Ok(version.to_owned());
        }
        bail!("apt-get downloaded no source of {package}")
    }

    /// An apt program that sees only this folder's lists. The machine's apt.conf stays in force, for its proxies.
    fn command(&self, program: &str) -> Result<Command> {
        let mut command = process::command(program)?;
        let (folder, architecture) = (self.folder.display(), self.architecture.debian());
        for option in [
            format!("Dir::Etc::sourcelist={folder}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            "Dir::Etc::preferences=/dev/null".to_owned(),
            "Dir::Etc::preferencesparts=/dev/null".to_owned(),
            format!("Dir::State={folder}"),
            format!("Dir::State::lists={folder}/lists"),
            format!("Dir::State::status={folder}/status"),
            format!("Dir::Cache={folder}/cache"),
            format!("APT::Architecture={architecture}"),
            format!("APT::Architectures={architecture}"),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
            // A list that could not be fetched is an error, not a warning and an older list.
            "APT::Update::Error-Mode=any".to_owned(),
            // A mirror may lag behind: lists that were signed some time ago name kernels that are as good to test on.
            "Acquire::Check-Valid-Until=false".to_owned(),
            // Overrides the machine's own settings: these kernels are run, so they have to be signed.
            "Acquire::AllowInsecureRepositories=false".to_owned(),
            "Acquire::AllowWeakRepositories=false".to_owned(),
            "APT::Get::AllowUnauthenticated=false".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        Ok(command)
    }

    fn write_sources(&self, suite: &str, lists: Lists, sources: &[Source]) -> Result<()> {
        let mut text = String::new();
        let kind = match lists {
            Lists::Packages => "deb",
            Lists::Sources => "deb-src",
        };
        for source in sources {
            let keyring =
                source.keyring.as_ref().map(|path| format!(" signed-by={}", path.display())).unwrap_or_default();
            let suffix = if source.security { "-security" } else { "" };
            let architecture = self.architecture.debian();
            writeln!(text, "{kind} [arch={architecture}{keyring}] {} {suite}{suffix} main", source.uri)?;
        }
        fs::write(self.folder.join("sources.list"), text).context("cannot write the list of package sources")
    }
}

/// What to try in order: all archives together, for the newest kernel, then each main archive alone, because not every
/// suite has a security archive and not every mirror has every suite.
fn attempts(sources: &[Source]) -> Vec<Vec<Source>> {
    let mut attempts = vec![sources.to_vec()];
    if sources.len() > 1 {
        attempts.extend(sources.iter().filter(|source| !source.security).map(|source| vec![source.clone()]));
    }
    attempts
}
