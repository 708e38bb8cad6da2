//! `vm`: the test machines for people. It opens a shell or runs a script in one, or fetches everything for later.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use dmverity_tests::vm::architecture::Architecture;
use dmverity_tests::vm::boot::{Guest, Job};
use dmverity_tests::vm::cases::{self, Nodes};
use dmverity_tests::vm::kernels::{self, KERNELS, Kernel};
use dmverity_tests::vm::qemu::Clock;
use dmverity_tests::vm::{compat, foreign, modules, paths};

const USAGE: &str = "\
Real kernels in virtual machines, for trying things out.

  vm shell --kernel NAME [--udev] [--file HOST:GUEST]...
      a shell on the machine's console
  vm run --kernel NAME [--udev] [--file HOST:GUEST]... [--timeout SECONDS] [--count-instructions] --script FILE
      runs a shell script in the machine and exits with its exit code (or 125); the script can say `. /vm/lib.sh`;
      with --count-instructions each instruction takes a nanosecond of the machine's time, and it has one processor
  vm compat --kernel NAME [--udev] [--timeout SECONDS]
      runs cryptsetup's own tests of veritysetup against ours; COMPAT_SUITE names the Debian suite they are taken from
  vm fetch [--refresh]
      fetches the kernels, busybox and cryptsetup's tests, so that nothing needs the network later; --refresh replaces
      what is there

NAME is 5.10, 6.1, 6.12 or 7, or on 64-bit Arm 6.12-arm64, 6.12-arm64-16k (pages of 16 KiB) or 7-arm64. --udev runs
udevd in the machine; without it only the kernel makes device nodes; on Arm there is none.
In the machine `veritysetup` is the static binary of target/static (or DMVERITY_STATIC_BIN), /ref/veritysetup is the
host's. On Arm they are that of target/arches (or DMVERITY_ARM64_BIN) and Debian's.
";

fn main() -> ExitCode {
    match command(env::args().skip(1).collect()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("vm: {error:#}");
            ExitCode::from(125)
        }
    }
}

/// The options of `shell` and `run`.
#[derive(Default)]
struct Options {
    kernel: Option<&'static Kernel>,
    udev: bool,
    files: Vec<(PathBuf, String)>,
    script: Option<PathBuf>,
    timeout: Option<Duration>,
    count_instructions: bool,
    processors: Option<u8>,
}

fn command(arguments: Vec<String>) -> Result<u8> {
    let mut arguments = arguments.into_iter();
    match arguments.next().as_deref() {
        Some("shell") => shell(&options(arguments)?),
        Some("run") => run(&options(arguments)?),
        Some("compat") => run(&compat_options(options(arguments)?)?),
        Some("fetch") => fetch(arguments.as_slice()),
        Some("--help" | "-h") => {
            print!("{USAGE}");
            Ok(0)
        }
        _ => bail!("say what to do\n\n{USAGE}"),
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options::default();
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| anyhow!("{option} needs a value"));
        match option.as_str() {
            "--udev" => options.udev = true,
            "--count-instructions" => options.count_instructions = true,
            "--kernel" => options.kernel = Some(kernels::by_name(&value()?)?),
            "--script" => options.script = Some(value()?.into()),
            "--timeout" => {
                let seconds = value()?.parse().context("--timeout takes a number of seconds")?;
                options.timeout = Some(Duration::from_secs(seconds));
            }
            "--file" => {
                let value = value()?;
                let (host, guest) =
                    value.rsplit_once(':').filter(|(_, guest)| guest.starts_with('/')).ok_or_else(|| {
                        anyhow!("--file takes HOST:GUEST, and the path in the guest has to be absolute, not {value:?}")
                    })?;
                options.files.push((host.into(), guest.to_owned()));
            }
            _ => bail!("{option:?} is not an option\n\n{USAGE}"),
        }
    }
    Ok(options)
}

impl Options {
    fn guest(&self, job: &Job<'_>) -> Result<Guest> {
        let kernel = self.kernel.context("--kernel is missing")?;
        let nodes = if self.udev { Nodes::Udev } else { Nodes::Bare };
        if !kernel.architecture.nodes().contains(&nodes) {
            bail!("the machines with kernel {} have no udevd", kernel.name);
        }
        let mut guest = Guest::prepare(kernel, nodes, 1, &format!("vm-{}-{}", kernel.name, nodes.name()), job)?;
        guest.processors = self.processors.unwrap_or(guest.processors);
        Ok(guest)
    }
}

fn shell(options: &Options) -> Result<u8> {
    if options.script.is_some() || options.timeout.is_some() || options.count_instructions {
        bail!("--script, --timeout and --count-instructions belong to `vm run`");
    }
    let guest = options.guest(&Job::Shell(&options.files))?;
    eprintln!("Booting. To leave: `exit` (or Ctrl-D) in the shell; Ctrl-A x ends the machine whatever it does.");
    guest.shell()?;
    Ok(0)
}

fn run(options: &Options) -> Result<u8> {
    let script = options.script.as_ref().context("--script is missing")?;
    let mut guest = options.guest(&Job::Script(script, &options.files))?;
    if options.count_instructions {
        guest.clock = Clock::Instructions;
        guest.processors = 1;
    }
    paths::sweep(&paths::logs())?;
    let log = paths::logs().join(paths::temporary("run"));
    let code = guest.script(&log, options.timeout.unwrap_or(Duration::from_secs(600)))?;
    // The log is kept only after a failure.
    paths::remove(&log);
    Ok(code)
}

/// The options to run cryptsetup's tests with.
fn compat_options(mut options: Options) -> Result<Options> {
    if options.script.is_some() {
        bail!("`vm compat` takes no --script: it has its own");
    }
    if options.kernel.is_some_and(|kernel| kernel.architecture != Architecture::Amd64) {
        bail!("`vm compat` needs programs that only the x86 guests have");
    }
    let mut cases = cases::discover("compat")?;
    let case = cases.pop().filter(|_| cases.is_empty()).context("there is more than one script in tests/vm/compat")?;
    options.script = Some(case.script);
    options.files.extend(compat::files()?);
    options.timeout = options.timeout.or(Some(case.timeout));
    options.processors = Some(case.processors);
    Ok(options)
}

fn fetch(arguments: &[String]) -> Result<u8> {
    let refresh = match arguments {
        [] => false,
        [option] if option == "--refresh" => true,
        _ => bail!("`vm fetch` takes no option but --refresh"),
    };
    for architecture in [Architecture::Amd64, Architecture::Arm64] {
        println!("busybox: {}", kernels::busybox(architecture, refresh)?.display());
    }
    println!("programs for 64-bit Arm: {}", foreign::tree(Architecture::Arm64)?.display());
    println!("cryptsetup's tests: {}", compat::fetch(refresh)?.display());
    for kernel in KERNELS {
        let installed = kernels::kernel(kernel, refresh)?;
        modules::selected(kernel, &installed)?;
        println!("kernel {}: {}", kernel.name, installed.release);
    }
    Ok(0)
}
