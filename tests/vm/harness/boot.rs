//! One machine from start to end: packs the guest, runs the cases or a script, and reports the outcome of each.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::architecture::Architecture;
use super::cases::{Case, Nodes, PROCESSORS};
use super::console::Console;
use super::initramfs::Initramfs;
use super::kernels::{self, Kernel};
use super::protocol::{self, Event, Parser};
use super::qemu::{self, Machine};
use super::{builtin, compat, debian, hosttools, images, modules, paths, process, signatures};

/// From the machine's start to its first report; usually it takes a twentieth of this.
const BOOT_LIMIT: Duration = Duration::from_secs(180);

/// What the guest may take on top of a case's own limit: to end the case, look for leftovers and clean up.
pub const SPARE: Duration = Duration::from_secs(60);

/// What the cases' scripts use, below `/vm`.
const SCRIPTS: [&str; 6] = ["clients.sh", "debian.sh", "images.sh", "leftovers.sh", "lib.sh", "signed.sh"];

/// What the guest does once it is up.
#[derive(Debug)]
pub enum Job<'a> {
    /// Runs the cases and powers off.
    Cases(&'a [Case]),
    /// Runs one script, with these files of the host, and powers off.
    Script(&'a Path, &'a [(PathBuf, String)]),
    /// A shell on the console.
    Shell(&'a [(PathBuf, String)]),
}

/// A machine ready to be started.
#[derive(Debug)]
pub struct Guest {
    /// The machine's processors.
    pub processors: u8,
    /// Its clock: the host's, unless the caller chooses another.
    pub clock: qemu::Clock,
    architecture: Architecture,
    /// Its disks: `/dev/vda` and so on.
    disks: Vec<PathBuf>,
    kernel: PathBuf,
    initramfs: PathBuf,
    /// Whether the kernel was made for this machine.
    own_kernel: bool,
    word: String,
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Some 20 MB that are no longer needed, and a kernel of 50.
        paths::remove(&self.initramfs);
        if self.own_kernel {
            paths::remove(&self.kernel);
        }
    }
}

impl Guest {
    /// Fetches what is missing and packs the guest, which is the `attempt`th for its job; `label` names its files in
    /// the cache.
    pub fn prepare(kernel: &'static Kernel, nodes: Nodes, attempt: u32, label: &str, job: &Job<'_>) -> Result<Self> {
        let cases: &[Case] = if let Job::Cases(cases) = job { cases } else { &[] };
        let own_kernel = cases.iter().any(|case| case.built_in);
        require_programs(kernel.architecture, nodes, cases)?;
        let binary = kernel.architecture.binary()?;
        let installed = kernels::kernel(kernel, false)?;
        let folder = paths::cache().join("initramfs");
        paths::sweep(&folder)?;
        let published = installed.folder.join("vmlinuz");
        let kernel_file =
            if own_kernel { folder.join(paths::temporary(&format!("{label}-kernel"))) } else { published.clone() };
        let processors = match job {
            Job::Cases(cases) => cases.iter().map(|case| case.processors).max().unwrap_or(PROCESSORS),
            Job::Script(..) | Job::Shell(_) => PROCESSORS,
        };
        let suites = cases.iter().filter_map(|case| case.debian.as_deref());
        let guest = Self {
            architecture: kernel.architecture,
            processors,
            clock: qemu::Clock::Host,
            disks: suites.map(debian::clients_disk).collect::<Result<_>>()?,
            kernel: kernel_file,
            own_kernel,
            initramfs: folder.join(paths::temporary(label)),
            word: protocol::word(),
        };
        if own_kernel {
            builtin::replace_certificate(&published, &signatures::folder()?.join("certificate"), &guest.kernel)?;
        }

        let mut archive = Initramfs::create(&guest.initramfs)?;
        archive.copy("/bin/busybox", &kernels::busybox(kernel.architecture, false)?)?;
        archive.copy("/bin/veritysetup", &binary)?;
        archive.copy_tree("/lib/modules", &modules::selected(kernel, &installed)?.join("lib/modules"))?;
        let mut tools = hosttools::tools(kernel.architecture)?;
        if nodes == Nodes::Udev {
            tools.extend(hosttools::udev()?);
        }
        for (guest, host) in &tools {
            archive.copy(guest, host)?;
        }
        let users = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";
        archive.put("/etc/passwd", users, false)?;
        // Groups that udev's rules and the programs hand device nodes to.
        archive.put("/etc/group", b"root:x:0:\ntty:x:5:\ndisk:x:6:\nkmem:x:15:\ncdrom:x:24:\n", false)?;
        archive.put("/init", &fs::read(paths::vm("guest").join("init"))?, true)?;
        for script in SCRIPTS {
            archive.copy(&format!("/vm/{script}"), &paths::vm("guest").join(script))?;
        }
        let (mode, files) = match job {
            Job::Cases(cases) => ("cases", pack_cases(&mut archive, cases)?),
            Job::Script(script, files) => {
                archive.copy("/vm/script", script)?;
                ("script", files.to_vec())
            }
            Job::Shell(files) => ("shell", files.to_vec()),
        };
        for (host, guest) in files {
            archive.copy(&guest, &host)?;
        }
        let config = format!(
            "mode={mode}\nword={}\nreports={}\nkernel={}\nkernel_name={}\nnodes={}\nattempt={attempt}\n",
            guest.word,
            kernel.architecture.reports(),
            kernel.generation,
            kernel.name,
            nodes.name()
        );
        archive.put("/vm/config", config.as_bytes(), false)?;
        archive.finish()?;
        Ok(guest)
    }

    /// Hands the machine's console to the terminal and waits for its end.
    pub fn shell(&self) -> Result<()> {
        let mut machine = self.machine(&qemu::Console::Terminal)?;
        machine.child.wait().context("cannot wait for qemu")?;
        Ok(())
    }

    /// Runs the job's script, with its output copied to standard output as it comes, and returns its exit code.
    pub fn script(self, log: &Path, limit: Duration) -> Result<u8> {
        let mut session = self.start(log)?;
        session.deadline = Instant::now() + limit;
        loop {
            match session.event() {
                Ok(Event::Output(bytes)) => {
                    let mut stdout = std::io::stdout().lock();
                    stdout.write_all(&bytes)?;
                    stdout.flush()?;
                }
                Ok(Event::Exit(code)) => return Ok(code),
                Ok(Event::Broken(reason)) => bail!("the guest gave up: {reason}"),
                Ok(other) => bail!("the guest reported something unexpected: {other:?}"),
                Err(reason) => bail!("{reason}\n{}", session.console.tail()),
            }
        }
    }

    fn machine(&self, console: &qemu::Console) -> Result<Machine> {
        let extras = qemu::Extras { disks: self.disks.clone(), ..qemu::Extras::default() };
        let (kernel, initramfs) = (&self.kernel, &self.initramfs);
        Machine::start(self.architecture, kernel, initramfs, console, self.processors, self.clock, &extras)
    }

    /// Starts the machine with its console going to `log`.
    pub fn start(self, log: &Path) -> Result<Session> {
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(log, "")?;
        let mut machine = self.machine(&qemu::Console::File(log.to_owned()))?;
        let mut line = machine.child.stdout.take().context("qemu has a standard output")?;
        let mut parser = Parser::new(&self.word);
        let (sender, events) = mpsc::channel();
        // A thread of its own, because waiting for a report must end at the deadline.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = line.read(&mut buffer) {
                for event in parser.feed(&buffer[..read]) {
                    if sender.send(event).is_err() {
                        return;
                    }
                }
            }
        });
        let deadline = Instant::now() + BOOT_LIMIT;
        Ok(Session { machine, events, guest: Some(self), console: Console::new(log), deadline })
    }
}

/// Fails unless the host has the programs that a machine for these cases is made with.
fn require_programs(architecture: Architecture, nodes: Nodes, cases: &[Case]) -> Result<()> {
    let mut needed = vec![architecture.emulator(), "setpriv", "depmod"];
    match architecture {
        Architecture::Amd64 => needed.extend(["ldd", "veritysetup", "dmsetup", "ipcrm", "keyctl"]),
        Architecture::Arm64 => needed.push("readelf"),
    }
    if nodes == Nodes::Udev {
        needed.push("udevadm");
    }
    if cases.iter().any(|case| !case.signatures.is_empty()) {
        needed.push("openssl");
    }
    if cases.iter().any(|case| case.built_in) {
        needed.extend(["lz4", "zstd"]);
    }
    process::require(&needed)
}

/// Adds the scripts and the list of them; returns the files they ask for.
fn pack_cases(archive: &mut Initramfs, cases: &[Case]) -> Result<Vec<(PathBuf, String)>> {
    let mut list = String::new();
    let mut files = Vec::new();
    for case in cases {
        writeln!(list, "{} {}", case.name, case.timeout.as_secs())?;
        archive.copy(&format!("/vm/cases/{}.sh", case.name), &case.script)?;
        for kind in &case.images {
            files.push((images::image(kind)?, format!("/images/{kind}.img")));
        }
        if !case.signatures.is_empty() {
            let folder = signatures::folder()?;
            let names = case.signatures.iter().map(String::as_str).filter(|name| *name != signatures::FORMS);
            let names = names.chain(signatures::ALWAYS.iter().copied());
            files.extend(names.map(|name| (folder.join(name), format!("/signatures/{name}"))));
            if case.signatures.iter().any(|name| name == signatures::FORMS) {
                files.extend(signatures::forms()?);
            }
        }
        for file in &case.files {
            let name = file.file_name().with_context(|| format!("{} is not a file", file.display()))?;
            files.push((file.clone(), format!("/files/{}", name.to_string_lossy())));
        }
        for program in &case.programs {
            files.extend(hosttools::own(program)?.into_iter().map(|(guest, host)| (host, guest)));
        }
        for name in &case.compiled {
            files.push((hosttools::compiled(name)?, format!("/files/{name}")));
        }
        if case.compat {
            files.extend(compat::files()?);
        }
        if case.api_test {
            files.extend(compat::api_test()?);
        }
        if case.debian.is_some() {
            files.push((crate::c_library()?, "/files/libcryptsetup.so.12".to_owned()));
        }
    }
    archive.put("/vm/list", list.as_bytes(), false)?;
    Ok(files)
}

/// A running machine and what it reports.
#[derive(Debug)]
pub struct Session {
    machine: Machine,
    events: Receiver<Event>,
    /// Its initramfs, until the machine is up and no longer needs it.
    guest: Option<Guest>,
    /// Its console.
    pub console: Console,
    /// When the harness gives it up.
    pub deadline: Instant,
}

impl Session {
    /// The next report, or why there is none: the machine has ended, or was ended at its deadline.
    pub fn event(&mut self) -> Result<Event, String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // A machine that reports without end must end at its deadline too.
        let received = if left.is_zero() { Err(RecvTimeoutError::Timeout) } else { self.events.recv_timeout(left) };
        match received {
            Ok(event) => {
                self.guest = None;
                Ok(event)
            }
            Err(RecvTimeoutError::Disconnected) => {
                let complaint = self.complaint();
                Err(format!("the machine ended{complaint}"))
            }
            Err(RecvTimeoutError::Timeout) => {
                // This reports its end once; later calls see the line closed.
                let _ = self.machine.child.kill();
                Err("the machine did not answer any more and was ended".to_owned())
            }
        }
    }

    /// qemu's own messages, and its exit status if it failed.
    fn complaint(&mut self) -> String {
        let mut text = String::new();
        if let Ok(status) = self.machine.child.wait()
            && !status.success()
        {
            text = format!("qemu: {status}; ");
        }
        if let Some(mut stderr) = self.machine.child.stderr.take() {
            // It may have said nothing.
            let _ = stderr.read_to_string(&mut text);
        }
        let text = text.trim();
        if text.is_empty() { String::new() } else { format!("; {text}") }
    }
}
