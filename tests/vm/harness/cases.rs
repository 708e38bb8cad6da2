//! The cases: shell scripts, found by looking into a folder. Comment lines `# key: value` at a script's top say where
//! and how it runs; `tests/vm/guest/lib.sh` is what it can use.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use regex_lite::Regex;

use super::architecture::Architecture::{Amd64, Arm64};
use super::images;
use super::kernels::{self, Kernel};
use super::paths;
use super::signatures::{FORMS, SIGNATURES};

/// Who makes the device nodes in the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nodes {
    /// The kernel alone: as in an initramfs or a container.
    Bare,
    /// udevd with its rules: as on an installed system.
    Udev,
}

impl Nodes {
    /// Both configurations.
    pub const ALL: [Self; 2] = [Self::Bare, Self::Udev];

    /// The name used in headers and test names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Udev => "udev",
        }
    }
}

/// Where a case runs only if the tests that take long are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Long {
    /// It always runs.
    Nowhere,
    /// On the kernels between the oldest and the newest: what it shows depends little on the kernel.
    Between,
    /// On all its kernels.
    Everywhere,
}

/// How the machine is expected to be after the case.
#[derive(Debug, Clone)]
pub enum Finish {
    /// Running, ready for the next case.
    Runs,
    /// Ended by a panic whose console output matches.
    Panics(Regex),
    /// Rebooted without a panic, with console output that matches if something is expected there.
    Reboots(Option<Regex>),
}

/// A case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The script's name without `.sh`.
    pub name: String,
    /// The script.
    pub script: PathBuf,
    /// The configurations it runs in.
    pub boots: Vec<Nodes>,
    /// The kernels it runs on.
    pub kernels: Vec<&'static Kernel>,
    /// Those of 64-bit Arm among them on which it always runs: on the others, only if the tests that take long are
    /// asked for.
    pub always: Vec<&'static Kernel>,
    /// What becomes of the machine; anything but [`Finish::Runs`] gives the case a machine of its own.
    pub finish: Finish,
    /// The time it may take.
    pub timeout: Duration,
    /// The processors its machine has; in one that several cases share, as many as any of them asks for.
    pub processors: u8,
    /// Images it finds as `/images/KIND.img`.
    pub images: Vec<String>,
    /// Signatures it finds as `/signatures/NAME`, beside the certificate to trust and the root hash they sign; `forms`
    /// are those of [`super::signatures::forms`].
    pub signatures: Vec<String>,
    /// Whether the kernel is to have that certificate among its own; this gives the case a machine of its own.
    pub built_in: bool,
    /// Files of the workspace it finds as `/files/NAME`.
    pub files: Vec<PathBuf>,
    /// This package's own programs that it finds on its `PATH`.
    pub programs: Vec<String>,
    /// Programs of `tests/c/` that it finds as `/files/NAME`.
    pub compiled: Vec<String>,
    /// It finds the files of [`super::compat`].
    pub compat: bool,
    /// It finds the files of [`super::compat::api_test`].
    pub api_test: bool,
    /// The Debian suite whose [`super::debian::clients`] it finds on the disk `/dev/vda`, beside the C library as
    /// `/files/libcryptsetup.so.12`; this gives the case a machine of its own.
    pub debian: Option<String>,
    /// Where it runs only if the tests that take long are asked for.
    pub long: Long,
    /// For the harness's own test: what its report has to match, or `ok`.
    pub reports: Option<String>,
}

impl Case {
    /// Whether it runs on this kernel, with device nodes made like this, only if the tests that take long are asked
    /// for.
    pub fn is_long(&self, kernel: &'static Kernel, nodes: Nodes) -> bool {
        if kernel.architecture == Arm64 {
            return !self.always.contains(&kernel);
        }
        let is = |end: Option<&Kernel>| end.is_some_and(|end| end.name == kernel.name);
        let (is_oldest, is_newest) = (is(kernels::of(Amd64).next()), is(kernels::of(Amd64).next_back()));
        // udevd is the same one on all kernels.
        let is_shown_elsewhere = nodes == Nodes::Udev && !is_newest;
        match self.long {
            Long::Nowhere => is_shown_elsewhere,
            Long::Between => is_shown_elsewhere || !(is_oldest || is_newest),
            Long::Everywhere => true,
        }
    }

    fn new(name: &str, script: &Path) -> Self {
        Self {
            name: name.to_owned(),
            script: script.to_owned(),
            boots: vec![Nodes::Bare],
            kernels: kernels::of(Amd64).collect(),
            always: Vec::new(),
            finish: Finish::Runs,
            timeout: TIMEOUT,
            processors: PROCESSORS,
            images: Vec::new(),
            signatures: Vec::new(),
            built_in: false,
            files: Vec::new(),
            programs: Vec::new(),
            compiled: Vec::new(),
            compat: false,
            api_test: false,
            debian: None,
            long: Long::Nowhere,
            reports: None,
        }
    }

    /// Whether it needs programs that there are only for the host's architecture: this project's, compiled for it, and
    /// those of a complete Debian.
    fn needs_the_hosts_architecture(&self) -> bool {
        self.compat
            || self.api_test
            || self.debian.is_some()
            || !(self.programs.is_empty() && self.compiled.is_empty())
            || self.boots == [Nodes::Udev]
    }

    /// Adds the kernels for 64-bit Arm: those of the same generations, unless its header names some.
    fn add_arm64(&mut self) -> Result<()> {
        let generations: Vec<&str> = self.kernels.iter().map(|kernel| kernel.generation).collect();
        let names_some = self.kernels.iter().any(|kernel| kernel.architecture == Arm64);
        if !names_some && !self.needs_the_hosts_architecture() {
            self.kernels.extend(kernels::of(Arm64).filter(|kernel| generations.contains(&kernel.generation)));
        }
        let runs = |kernel: &Kernel| kernel.architecture == Arm64 && self.kernels.contains(&kernel);
        match self.always.iter().find(|kernel| !runs(kernel)) {
            Some(kernel) => bail!("`arm64` names {}, where this case cannot run", kernel.name),
            None => Ok(()),
        }
    }

    /// Whether it can run in one machine with others.
    pub fn shares_machine(&self) -> bool {
        matches!(self.finish, Finish::Runs) && !self.built_in && self.debian.is_none()
    }
}

/// How long a case may take that does not say: ample for anything sensible under emulation on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(180);

/// A machine's processors where nothing else is said: two, because much goes wrong only when things happen together.
pub const PROCESSORS: u8 = 2;

/// The cases in a folder of `tests/vm/`, by name.
pub fn discover(folder: &str) -> Result<Vec<Case>> {
    let folder = paths::vm(folder);
    let mut cases = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let script = entry?.path();
        if script.extension().is_some_and(|extension| extension == "sh") {
            let text = fs::read_to_string(&script)?;
            cases.push(parse(&script, &text).with_context(|| format!("in the header of {}", script.display()))?);
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

/// Reads a script's header.
fn parse(script: &Path, text: &str) -> Result<Case> {
    let name = script.file_stem().and_then(|stem| stem.to_str()).context("a script's name has to be UTF-8")?;
    if name.contains(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)) {
        bail!("a script's name may only contain letters, digits and -_.");
    }
    let mut case = Case::new(name, script);
    let (mut end, mut expect) = (None, None);
    for (key, value) in header(text) {
        let words = || value.split_whitespace().map(str::to_owned);
        match key {
            "boots" => case.boots = words().map(|word| nodes(&word)).collect::<Result<_>>()?,
            "kernels" => {
                case.kernels = words().map(|word| kernels::by_name(&word)).collect::<Result<_>>()?;
            }
            "arm64" => case.always = words().map(|word| kernels::by_name(&word)).collect::<Result<_>>()?,
            "timeout" => {
                case.timeout = Duration::from_secs(value.parse().context("`timeout` takes a number of seconds")?);
            }
            "processors" => case.processors = value.parse().context("`processors` takes a number")?,
            "images" => case.images = words().collect(),
            "signatures" => case.signatures = words().collect(),
            "certificate" if value == "built-in" => case.built_in = true,
            "certificate" => bail!("`certificate` can only be `built-in`, not {value:?}"),
            "files" => case.files.extend(words().map(|word| crate::workspace().join(word))),
            "programs" => case.programs = words().collect(),
            "compiled" => case.compiled = words().collect(),
            "needs" if value == "compat" => case.compat = true,
            "needs" if value == "api-test" => case.api_test = true,
            "needs" => bail!("`needs` takes compat and api-test, not {value:?}"),
            "debian" => case.debian = Some(value.to_owned()),
            "long" if value == "everywhere" => case.long = Long::Everywhere,
            "long" if value == "between" => case.long = Long::Between,
            "long" => bail!("`long` takes everywhere and between, not {value:?}"),
            "reports" => case.reports = Some(value.to_owned()),
            "end" => end = Some(value),
            "expect" => {
                expect = Some(Regex::new(value).context("`expect` takes a regular expression")?);
            }
            _ => bail!("`# {key}:` is not known; is it a remark? Then write it without the colon"),
        }
    }
    if let Some(kind) = case.images.iter().find(|kind| !images::KINDS.contains(&kind.as_str())) {
        bail!("there is no image of kind {kind:?}, only {}", images::KINDS.join(", "));
    }
    let unknown =
        |name: &&String| *name != FORMS && !SIGNATURES.iter().any(|signature| signature.name == name.as_str());
    if let Some(name) = case.signatures.iter().find(unknown) {
        let known: Vec<_> = SIGNATURES.iter().map(|signature| signature.name).collect();
        bail!("there is no signature {name:?}, only {}", known.join(", "));
    }
    if case.built_in && case.signatures.is_empty() {
        bail!("a certificate is of no use without `signatures`");
    }
    if case.boots.is_empty() || case.kernels.is_empty() {
        bail!("`boots` and `kernels` need at least one name: a case that never runs tests nothing");
    }
    case.finish = match (end, expect) {
        (None, None) => Finish::Runs,
        (Some("panic"), Some(expect)) => Finish::Panics(expect),
        (Some("reboot"), expect) => Finish::Reboots(expect),
        (Some("panic"), None) => bail!("`end: panic` needs `expect: REGEX`, or any panic would do"),
        (Some(other), _) => bail!("`end` is `panic` or `reboot`, not {other:?}"),
        (None, Some(_)) => bail!("`expect` belongs to `end: panic` or `end: reboot`"),
    };
    case.add_arm64()?;
    Ok(case)
}

/// The lines `# key: value` among the comments a script begins with; a key is one word of small letters and digits.
fn header(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let comments = text.lines().take_while(|line| line.starts_with('#'));
    comments.filter_map(|line| {
        let (key, value) = line.strip_prefix("# ")?.split_once(':')?;
        let word = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        word.then(|| (key, value.trim()))
    })
}

fn nodes(name: &str) -> Result<Nodes> {
    Nodes::ALL
        .into_iter()
        .find(|nodes| nodes.name() == name)
        .ok_or_else(|| anyhow!("`boots` takes bare and udev, not {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Result<Case> {
        parse(Path::new("/x/some-case.sh"), text)
    }

    #[test]
    fn a_header_says_where_and_how() {
        let found = case(
            "# What this is: a remark.\n# boots: bare udev\n# kernels: 6.1 7\n# timeout: 5\n\n# end: never\nrun\n",
        );
        let found = found.expect("a good header");
        assert_eq!(found.name, "some-case");
        assert_eq!(found.boots, Nodes::ALL);
        assert_eq!(found.kernels.iter().map(|kernel| kernel.name).collect::<Vec<_>>(), ["6.1", "7", "7-arm64"]);
        assert_eq!(found.timeout, Duration::from_secs(5));
        assert!(matches!(found.finish, Finish::Runs));
    }

    #[test]
    fn without_a_header_a_case_runs_bare_on_every_kernel() {
        let found = case("vs --version\n").expect("no header is a good header");
        assert_eq!(
            (found.boots, found.kernels.len(), found.timeout),
            (vec![Nodes::Bare], kernels::KERNELS.len(), TIMEOUT)
        );
    }

    #[test]
    fn cases_run_on_64_bit_arm_if_they_can() {
        let names = |text: &str| {
            let found = case(text).expect("a good header");
            found
                .kernels
                .iter()
                .filter(|kernel| kernel.architecture == Arm64)
                .map(|kernel| kernel.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names("# kernels: 6.12\n"), ["6.12-arm64", "6.12-arm64-16k"]);
        assert_eq!(names("# kernels: 6.12-arm64-16k\n"), ["6.12-arm64-16k"]);
        for elsewhere in
            ["kernels: 5.10", "boots: udev", "programs: vm", "compiled: probe", "needs: compat", "debian: sid"]
        {
            assert!(names(&format!("# {elsewhere}\n")).is_empty(), "{elsewhere}");
        }
        let found = case("# arm64: 7-arm64\n").expect("a good header");
        let long = |name| found.is_long(kernels::by_name(name).expect("a kernel"), Nodes::Bare);
        assert_eq!((long("7-arm64"), long("6.12-arm64"), long("7")), (false, true, false));
    }

    #[test]
    fn ends_of_the_machine_are_read() {
        let panics = case("# end: panic\n# expect: corrupted$\n").map(|case| case.finish);
        assert!(matches!(panics, Ok(Finish::Panics(regex)) if regex.is_match("dm-verity device corrupted")));
        assert!(matches!(case("# end: reboot\n").map(|case| case.finish), Ok(Finish::Reboots(None))));
    }

    #[test]
    fn mistakes_are_errors() {
        for text in [
            "# kernel: 6.1\n",
            "# kernels: 6.0\n",
            "# kernels:\n",
            "# boots: both\n",
            "# timeout: soon\n",
            "# end: panic\n",
            "# end: halt\n",
            "# expect: x\n",
            "# end: panic\n# expect: (\n",
            "# images: fat\n",
            "# signatures: forged\n",
            "# certificate: built-in\n",
            "# certificate: own\n# signatures: good\n",
            "# needs: more\n",
            "# long: no\n",
            "# processors: one\n",
            "# arm64: 7\n",
            "# arm64: 7-arm64\n# debian: sid\n",
        ] {
            assert!(case(text).is_err(), "{text}");
        }
    }
}
