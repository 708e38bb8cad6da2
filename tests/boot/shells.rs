//! How the boot scripts handle the command's answers, in each shell that an initramfs may have, without a machine. How
//! a kernel command line is read is tested in the library, which does it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use dmverity_tests::vm::architecture::Architecture;
use dmverity_tests::vm::{kernels, process};
use dmverity_tests::{static_binary, workspace};
use libtest_mimic::Trial;

const HASH: &str = "0123456789ABCDEF0123456789abcdeffedcba9876543210FEDCBA9876543210";

/// Prints the results of the functions of script `$1`, with command `$2`, command line `$3`, something that opens
/// `/usr` if `$4` is not empty, and the file `$5` with a policy. `set -u` catches variables that are read but not set.
const SCRIPT: &str = r#"
set -u
verity_line() {
    printf '%s\n' "$line"
}
line=$3
verity_usr=$4
. "$1"
verity_command=$2
verity_policy=$5
modprobe() { :; }
if ! verity_wanted; then
    echo 'not wanted'
elif [ -n "$verity_refused" ]; then
    echo refused
    verity_report
elif verity_open; then
    echo opened
    verity_report
elif [ -n "$verity_missing" ]; then
    printf 'waits for %s\n' "$verity_missing"
    verity_waited 3
    verity_report
else
    echo failed
    verity_report
fi
"#;

/// The scripts' message about an answer that they do not know.
const NO_ANSWER: &str = "dmverity: cannot open the root device: COMMAND gives no answer that is understood\n";

/// A command: its behaviour with `--dry-run` and without.
struct Fake<'a>(&'a str, &'a str);

/// One test for each shell.
pub(crate) fn trials() -> Vec<Trial> {
    ["dash", "bash", "busybox"]
        .map(|shell| {
            Trial::test(format!("shells/{shell}"), move || all(shell).map_err(|error| format!("{error:#}").into()))
        })
        .into()
}

fn all(shell: &'static str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let fakes = Shell { shell, folder: folder.path() };
    fakes.real()?;
    fakes.unknown_answers()?;
    fakes.known_answers()?;
    fakes.policies()?;
    fakes.root_and_usr()
}

/// A shell, and the folder of the commands that it calls.
struct Shell<'a> {
    shell: &'static str,
    folder: &'a Path,
}

impl Shell<'_> {
    /// With the command itself.
    fn real(&self) -> Result<()> {
        let command = static_binary()?;
        let real = |line: &str, usr, expected: &str| self.check(&command, &line.replace("{}", HASH), usr, expected);
        real("", "", "not wanted\n")?;
        real("root=/dev/sda quiet", "", "not wanted\n")?;
        real("roothash={} 'systemd.verity=no'", "", "not wanted\n")?;
        real(
            "quiet\n'roothash={}'\tsystemd.verity_root_data=/dev/null/$(echo${IFS}x)\\n",
            "",
            "waits for /dev/null/$(echo${IFS}x)\\n\n\
             dmverity: cannot open the root device: /dev/null/$(echo${IFS}x)\\n does not exist (waited for 3 \
             seconds)\n",
        )?;
        real(
            "r\"\"oothash=$(x)",
            "",
            "refused\ndmverity: cannot open the root device: roothash=$(x) is not hexadecimal\n",
        )?;
        real("systemd.image_policy=root=singed", "", "refused\ndmverity: cannot open the root device: the policy in")?;
        real("* roothash={} \"", "", "refused\ndmverity: cannot open the root device: a quotation mark on the kernel")?;
        let usr = "refused\ndmverity: cannot open the root device: usrhash= asks for a verity device for /usr\nhint: ";
        real("usrhash={}", "", usr)?;
        // Both are opened, the root device first.
        real("roothash={} usrhash={} systemd.verity_root_data=/dev/null/x", "", "waits for /dev/null/x\n")?;
        real(
            "roothash={} usrhash={} systemd.verity_usr_options=what",
            "",
            "refused\ndmverity: cannot open the device for /usr: systemd.verity_usr_options= has the unknown option \
             what\n",
        )?;
        real("usrhash={}", "1", "not wanted\n")?;
        real("roothash={} usrhash={} systemd.verity_root_data=/dev/null/x", "1", "waits for /dev/null/x\n")
    }

    /// With something that is not the command, or is broken: only a command line without a root hash boots.
    fn unknown_answers(&self) -> Result<()> {
        for (answer, said) in [
            ("exit 0", ""),
            ("exit 1", ""),
            ("kill -SEGV $$", ""),
            ("echo asked; exit 1", "asked\n"),
            ("echo asked; echo asked", "asked\nasked\n"),
            ("echo asked; echo what >&2", "asked\nwhat\n"),
            ("echo Asked", "Asked\n"),
            ("echo not-asked", "not-asked\n"),
            ("echo opened", "opened\n"),
            ("echo '$(touch x) * `'; exit 3", "$(touch x) * `\n"),
        ] {
            let command = self.fake(&Fake(answer, "exit 9"))?;
            for line in [
                "roothash=00",
                "x.roothash=00",
                "\"x usrhash=00\"",
                "rd.usrhash=",
                "quiet 'r'\"oot\"hash=00 *",
                "systemd.image-policy=root=signed",
                "rd.systemd.image\"_\"policy='root=signed'",
                "\tdmverity.image=auto",
            ] {
                self.check(&command, line, "1", &format!("refused\n{NO_ANSWER}{said}"))?;
            }
            self.check(&command, "root=/dev/sda", "", "not wanted\n")?;
        }
        self.check(
            Path::new("/no/where"),
            "roothash=00",
            "",
            &format!("refused\n{}", NO_ANSWER.replace("COMMAND", "/no/where")),
        )?;
        self.check(Path::new("/no/where"), "quiet", "", "not wanted\n")?;
        for (answer, said) in [
            ("exit 0", ""),
            ("kill -SEGV $$", ""),
            ("echo opened; exit 1", "opened\n"),
            ("echo opened; echo what", "opened\nwhat\n"),
            ("echo unopened", "unopened\n"),
            ("echo missing /dev/sda", "missing /dev/sda\n"),
            ("echo missing; exit 4", "missing\n"),
            ("echo switched-off", "switched-off\n"),
        ] {
            let command = self.fake(&Fake("echo asked", answer))?;
            self.check(&command, "roothash=00", "", &format!("failed\n{NO_ANSWER}{said}"))?;
        }
        Ok(())
    }

    /// A policy in the initramfs is not overlooked, even if it is a link to nowhere, and leaves the shell as it was.
    fn policies(&self) -> Result<()> {
        let policy = self.folder.join("policy");
        let broken = self.fake(&Fake("exit 9", "exit 9"))?;
        for is_link in [false, true] {
            if is_link {
                fs::remove_file(&policy)?;
                symlink("/no/where", &policy)?;
            } else {
                fs::write(&policy, "")?;
            }
            self.check(&broken, "root=/dev/sda", "1", &format!("refused\n{NO_ANSWER}"))?;
        }
        let because = "dmverity: cannot open the root device: the policy does not allow a signed image";
        let refuses = self.fake(&Fake(&format!("echo '{because}' >&2; exit 2"), "exit 9"))?;
        self.check(&refuses, "root=/dev/sda", "", &format!("refused\n{because}\n"))?;
        let waits = "echo missing /dev; echo 'dmverity: cannot open the root device: a' >&2; echo hint: b >&2; exit 4";
        let waits = self.fake(&Fake("echo asked", waits))?;
        let expected = "waits for /dev\ndmverity: cannot open the root device: a (waited for 3 seconds)\nhint: b\n";
        self.check(&waits, "systemd.image_policy=root=signed", "", expected)?;
        fs::remove_file(&policy)?;
        Ok(())
    }

    /// The device for `/usr` is opened with the root device, unless something else does so.
    fn root_and_usr(&self) -> Result<()> {
        let missing = "echo missing /dev/c; echo 'dmverity: cannot open the device for /usr: /dev/c' >&2; \
                       echo hint: y >&2; exit 4";
        let because = "dmverity: cannot open the device for /usr:";
        for (with_usr, usr, expected) in [
            ("echo WARNING: u >&2; echo opened", "", "opened\nWARNING: u\n".to_owned()),
            (missing, "", format!("waits for /dev/c\n{because} /dev/c (waited for 3 seconds)\nhint: y\n")),
            (missing, "1", "opened\nWARNING: r\n".to_owned()),
            ("exit 0", "", format!("failed\n{NO_ANSWER}")),
        ] {
            let open = format!("case $* in *--with-usr*) {with_usr} ;; *) echo WARNING: r >&2; echo opened ;; esac");
            let dry_run = "case $* in *--with-usr*) echo asked ;; *) echo asked usr ;; esac";
            let command = self.fake(&Fake(dry_run, &open))?;
            self.check(&command, "roothash=00 usrhash=00", usr, &expected)?;
        }
        Ok(())
    }

    fn known_answers(&self) -> Result<()> {
        let known = |answer, expected: &str| {
            let command = self.fake(&Fake("echo asked", answer))?;
            self.check(&command, "roothash=00", "", expected)
        };
        known("echo opened", "opened\n\n")?;
        known("echo WARNING: a >&2; echo b >&2; echo opened", "opened\nWARNING: a\nb\n")?;
        let because = "dmverity: cannot open the root device:";
        known(
            "printf '%s\\n' 'missing /dev/a b\\c'; printf 'x b\\\\c\\nhint: y\\n' >&2; exit 4",
            "waits for /dev/a b\\c\nx b\\c (waited for 3 seconds)\nhint: y\n",
        )?;
        known(
            "echo WARNING: a >&2; echo 'dmverity: cannot open the root device: $(x)' >&2; exit 2",
            &format!("failed\nWARNING: a\n{because} $(x)\n"),
        )
    }

    fn fake(&self, Fake(dry_run, open): &Fake<'_>) -> Result<std::path::PathBuf> {
        let path = self.folder.join("command");
        let script = format!("#!/bin/sh\ncase $* in\n*--dry-run*) {dry_run} ;;\n*) {open} ;;\nesac\n");
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    fn check(&self, verity: &Path, line: &str, usr: &str, expected: &str) -> Result<()> {
        let mut command = if self.shell == "busybox" {
            let mut command = process::command_at(&kernels::busybox(Architecture::Amd64, false)?);
            command.arg("sh");
            command
        } else {
            process::command(self.shell)?
        };
        let library = workspace().join("cli/boot/dracut/verity-root.sh");
        command.arg("-c").arg(SCRIPT).arg("sh").arg(library).arg(verity).arg(line).arg(usr);
        command.arg(self.folder.join("policy"));
        let found = process::output(&mut command).with_context(|| format!("{} with {line:?}", self.shell))?;
        // The shell's own message about a command that was killed or is missing follows.
        let expected = expected.replace("COMMAND", &verity.display().to_string());
        if !found.starts_with(&expected) {
            bail!("{} makes of {line:?}:\n{found}instead of:\n{expected}", self.shell);
        }
        Ok(())
    }
}
