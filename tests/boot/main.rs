//! The test `boot`: Debian's kernel with an initramfs made by Debian's initramfs-tools or dracut boots from a root file
//! system on dm-verity, or refuses to, each case a machine of its own named `FRAMEWORK/CASE`. Those that show little
//! more than the same case of another framework are ignored unless `make test-boot` asks for them.

mod cases;
mod disks;
mod shells;
mod signed;
mod tree;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use dmverity_tests::vm::architecture::Architecture;
use dmverity_tests::vm::console::Console;
use dmverity_tests::vm::qemu::{self, Extras, Machine};
use dmverity_tests::vm::{paths, process};
use libtest_mimic::{Arguments, Trial};
use regex_lite::Regex;

use cases::{CASES, Case, End};
use disks::Disks;
use tree::{Built, Framework, Host};

/// The timeout of a machine; usually it needs a tenth of it.
const LIMIT: Duration = Duration::from_secs(240);

/// The last words of a machine that stays on: the kernel's when halted, and those before dracut's emergency shell, with
/// systemd and without.
const ENDS: &[&str] = &["System halted", "Entering emergency mode.", "Dropping to debug shell."];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let workshop = Arc::new(Workshop::new());
    let mut trials = shells::trials();
    for case in CASES.iter().chain(signed::CASES) {
        for framework in case.frameworks {
            let workshop = Arc::clone(&workshop);
            let test = move || workshop.run(case, *framework).map_err(|error| format!("{error:#}").into());
            let trial = Trial::test(format!("{}/{}", framework.name(), case.name), test);
            trials.push(trial.with_ignored_flag(case.long.contains(framework)));
        }
    }
    for framework in [Framework::InitramfsTools, Framework::Dracut] {
        let workshop = Arc::clone(&workshop);
        let test = move || workshop.make_nothing(framework).map_err(|error| format!("{error:#}").into());
        trials.push(Trial::test(format!("{}/no-policy-no-initramfs", framework.name()), test).with_ignored_flag(true));
    }
    let code = libtest_mimic::run(&arguments, trials).exit_code();
    paths::remove(&workshop.folder);
    code
}

/// Shared by the cases, made when the first one needs it.
struct Workshop {
    folder: PathBuf,
    disks: OnceLock<Result<Disks, String>>,
    built: [[OnceLock<Result<Built, String>>; Host::COUNT]; Framework::COUNT],
}

impl Workshop {
    fn new() -> Self {
        let folder = paths::cache().join("boot").join(paths::temporary("run"));
        Self {
            folder,
            disks: OnceLock::new(),
            built: [const { [const { OnceLock::new() }; Host::COUNT] }; Framework::COUNT],
        }
    }

    fn disks(&self) -> Result<&Disks> {
        let made = self.disks.get_or_init(|| {
            let made = paths::sweep(&paths::cache().join("boot")).and_then(|()| {
                fs::create_dir_all(&self.folder)?;
                Disks::make(&self.folder)
            });
            made.map_err(|error| format!("{error:#}"))
        });
        made.as_ref().map_err(|error| anyhow!("{error}")).context("cannot make the disks")
    }

    fn built(&self, framework: Framework, host: Host) -> Result<&Built> {
        let built = self.built[framework as usize][host as usize]
            .get_or_init(|| tree::build(framework, host, &self.folder).map_err(|error| format!("{error:#}")));
        built.as_ref().map_err(|error| anyhow!("{error}")).context("cannot make the initramfs")
    }

    /// A system whose policy cannot be copied has no initramfs made that would boot anything.
    fn make_nothing(&self, framework: Framework) -> Result<()> {
        self.disks()?;
        match self.built(framework, Host::WithoutItsPolicy) {
            Ok(_) => bail!("{} made an initramfs without the policy", framework.name()),
            Err(error) if format!("{error:#}").contains("/etc/dmverity/policy") => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn run(&self, case: &Case, framework: Framework) -> Result<()> {
        process::require(&["qemu-system-x86_64", "setpriv"])?;
        let disks = self.disks()?;
        let built = self.built(framework, case.host)?;
        let own = tempfile::tempdir_in(&self.folder)?;
        let kernel = built.kernel(case.kernel, own.path())?;
        let initramfs = built.with(case.additions, own.path())?;
        let log = paths::logs().join("boot").join(format!("{}-{}.log", framework.name(), case.name));
        fs::create_dir_all(log.parent().context("a log lies in a folder")?)?;
        fs::write(&log, "")?;
        let extras = Extras {
            // Words of the case may continue to the end of the line.
            options: format!("{} {}", always(framework), case.options(framework, disks)),
            disks: [case.disk].iter().chain(case.more_disks).map(|disk| disks.path(*disk)).collect(),
        };
        let file = qemu::Console::File(log.clone());
        // One processor: two machines at a time are as many as most hosts can emulate.
        let mut machine =
            Machine::start(Architecture::Amd64, &kernel, &initramfs, &file, 1, qemu::Clock::Host, &extras)?;
        let console = Console::new(&log);
        let deadline = Instant::now() + LIMIT;
        let is_at_its_end = || ENDS.iter().any(|end| console.text().contains(end));
        while machine.child.try_wait()?.is_none() && !is_at_its_end() {
            if Instant::now() > deadline {
                bail!("the machine did not come to an end and was ended\n{}", console.tail());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        judge(case, framework, &console.text(), disks).with_context(|| format!("{}\n", console.tail()))
    }
}

/// Words for all machines of a framework: power off instead of asking when there is nothing to boot.
fn always(framework: Framework) -> &'static str {
    match framework {
        // Debian's scripts follow the machine's `panic=-1` too.
        Framework::InitramfsTools | Framework::Klibc => "",
        Framework::Dracut | Framework::DracutPlain => "rd.shell=0",
    }
}

/// Checks the console output.
fn judge(case: &Case, framework: Framework, text: &str, disks: &Disks) -> Result<()> {
    // systemd's terminal output can precede it.
    let booted = text.lines().any(|line| line.trim_end().ends_with("BOOTED"));
    if booted != (case.end != End::Refused) {
        bail!("the machine {}", if booted { "booted" } else { "did not boot" });
    }
    if case.end == End::Refused && text.contains("mounted: ") {
        bail!("a root file system was mounted");
    }
    for expected in case.shows {
        let expected = disks.filled(expected);
        if !Regex::new(&format!("(?m){expected}"))?.is_match(text) {
            bail!("the console of {} does not show {expected:?}", framework.name());
        }
    }
    if let Some(wrong) = case.hides.iter().find(|wrong| text.contains(**wrong)) {
        bail!("the console shows {wrong:?}");
    }
    Ok(())
}
