//! Starts qemu. The machine has two serial lines: the kernel's console goes to the first, what the harness reads goes
//! to the second, so that no kernel message can interrupt a report.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use super::architecture::Architecture;
use super::process;

/// What the console of the machine is connected to.
#[derive(Debug)]
pub enum Console {
    /// To a file; the second line is the child's standard output.
    File(PathBuf),
    /// To the terminal, for a shell; there is no second line.
    Terminal,
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The host's clock.
    Host,
    /// The instructions it executes, a nanosecond each; waiting takes none of the host's time. Times are then the same
    /// on a busy host, although instructions of a real processor do not all take equally long. For one processor:
    /// kernel 6.1 hangs when it starts a second one with this clock.
    Instructions,
}

/// What only some machines have.
#[derive(Debug, Default, Clone)]
pub struct Extras {
    /// More words for the kernel's command line.
    pub options: String,
    /// Images of disks: `/dev/vda` and so on. The machine cannot write to them.
    pub disks: Vec<PathBuf>,
}

/// A running machine; it is killed when dropped.
#[derive(Debug)]
pub struct Machine {
    /// The qemu process.
    pub child: Child,
}

impl Machine {
    /// Starts a machine with this kernel, initramfs and number of processors.
    pub fn start(
        architecture: Architecture,
        kernel: &Path,
        initramfs: &Path,
        console: &Console,
        processors: u8,
        clock: Clock,
        extras: &Extras,
    ) -> Result<Self> {
        // setpriv becomes qemu, which the kernel kills when this thread ends: a killed harness leaves no machine
        // behind.
        let mut command = Command::new(process::find("setpriv")?);
        command.args(["--pdeathsig", "KILL"]).arg(process::find(architecture.emulator())?);
        // Emulated: machines that build and test software rarely offer KVM. Not more memory, which qemu has hung with.
        command.args(architecture.machine()).args(["-m", "2048", "-smp"]).arg(processors.to_string());
        match clock {
            Clock::Host => command.args(["-accel", "tcg,thread=multi"]),
            Clock::Instructions => command.args(["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]),
        };
        command.args(["-nodefaults", "-display", "none", "-no-reboot"]);
        command.arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs);
        // A kernel bug ends the machine at once (-no-reboot) instead of leaving a crippled one to time out, while the
        // watchdogs would only notice that the emulation is slow.
        // Programs at random addresses would be translated again in each process, which takes longer than all else.
        // What a kernel does against leaks of real processors takes time too, and protects nothing here.
        let options =
            "quiet panic=-1 oops=panic nowatchdog rcupdate.rcu_cpu_stall_suppress=1 norandmaps mitigations=off";
        command.arg("-append");
        command.arg(format!("{} {options} {}", architecture.options(), extras.options).trim_end());
        for disk in &extras.disks {
            let file = escaped(disk);
            command.arg("-drive").arg(format!("file={file},format=raw,if=virtio,readonly=on,file.locking=off"));
        }
        match console {
            Console::File(log) => {
                let chardev = format!("file,id=console,path={}", escaped(log));
                command.args(["-monitor", "none", "-chardev"]).arg(chardev).args(["-serial", "chardev:console"]);
                command.args(["-chardev", "stdio,id=reports"]).args(architecture.second_line());
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            }
            Console::Terminal => {
                command.args(["-serial", "mon:stdio", "-chardev", "null,id=reports"]).args(architecture.second_line());
            }
        }
        let child = command.spawn().context("cannot start qemu")?;
        Ok(Self { child })
    }
}

/// A path for qemu's options, where a comma has to be doubled.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
