//! The processors of the machines, and everything that differs from one to the other.

use std::path::PathBuf;

use anyhow::Result;

use super::cases::Nodes;

/// A processor architecture that Debian's kernels are run on. Both are emulated on an x86-64 host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86: a PC. Its guests run programs of the host's.
    Amd64,
    /// 64-bit Arm: qemu's machine `virt`. Its guests run programs of Debian's.
    Arm64,
}

impl Architecture {
    /// Debian's name.
    pub fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The folder of its libraries in a Debian system.
    pub fn triplet(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// The command under test: a static program.
    pub fn binary(self) -> Result<PathBuf> {
        match self {
            Self::Amd64 => crate::static_binary(),
            Self::Arm64 => crate::arm64_binary(),
        }
    }

    /// Who can make the device nodes in its guests. udev's rules and programs are the host's.
    pub fn nodes(self) -> &'static [Nodes] {
        match self {
            Self::Amd64 => &Nodes::ALL,
            Self::Arm64 => &[Nodes::Bare],
        }
    }

    /// The emulator.
    pub fn emulator(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-system-x86_64",
            Self::Arm64 => "qemu-system-aarch64",
        }
    }

    /// The emulator's options for the machine and its processors: with every feature that qemu can emulate, except
    /// cmpxchg16b, whose emulation crashes recent kernels at random. Pointers are authenticated by a quick function,
    /// because emulating the real one takes most of a kernel's time.
    pub fn machine(self) -> &'static [&'static str] {
        match self {
            Self::Amd64 => &["-cpu", "max,-cx16"],
            Self::Arm64 => &["-machine", "virt", "-cpu", "max,pauth-impdef=on"],
        }
    }

    /// The emulator's options for the second serial line, to the character device `reports`.
    pub fn second_line(self) -> [&'static str; 2] {
        match self {
            Self::Amd64 => ["-serial", "chardev:reports"],
            // The machine itself has one line.
            Self::Arm64 => ["-device", "pci-serial,chardev=reports"],
        }
    }

    /// Words for the kernel's command line: its console, and on a PC not the check of the timer's interrupt, which
    /// would only notice that the emulation is slow.
    pub fn options(self) -> &'static str {
        match self {
            Self::Amd64 => "console=ttyS0 no_timer_check",
            Self::Arm64 => "console=ttyAMA0",
        }
    }

    /// The guest's name for the second serial line.
    pub fn reports(self) -> &'static str {
        match self {
            Self::Amd64 => "/dev/ttyS1",
            Self::Arm64 => "/dev/ttyS0",
        }
    }
}
