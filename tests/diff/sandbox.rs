//! A directory with the files of a case, and commands run there.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::libc::O_NONBLOCK;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, Whence, lseek, mkfifo};

/// A command that takes this long hangs, and is killed.
const HANGS_AFTER: Duration = Duration::from_secs(30);

/// The user and group for unprivileged commands.
const NOBODY: u32 = 65534;

const SPARSE_BYTES: u64 = 1 << 40;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Code(i32),
    Signal(i32),
    Hung,
}

/// The effects of a command.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
    pub(crate) files: Snapshot,
}

pub(crate) type Snapshot = BTreeMap<OsString, Entry>;

/// The file of a name in the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Type and permissions.
    pub(crate) mode: u32,
    pub(crate) links: u64,
    pub(crate) bytes: u64,
    /// The target of a symbolic link, the content of a FIFO, or a file's data with its offsets.
    pub(crate) content: Arc<Vec<(u64, Vec<u8>)>>,
}

pub(crate) struct Sandbox {
    directory: PathBuf,
    /// Its other end, so that opening it does not wait.
    fifo: File,
}

impl Sandbox {
    /// A directory with all kinds of odd files.
    pub(crate) fn new(directory: &Path) -> Self {
        fs::create_dir(directory).expect("a new directory");
        fs::set_permissions(directory, Permissions::from_mode(0o755)).expect("it is ours");
        let path = |name: &str| directory.join(name);
        fs::create_dir(path("dir")).expect("a new directory");
        fs::create_dir(path("nodes")).expect("a new directory");
        mkfifo(&path("fifo"), Mode::from_bits_truncate(0o644)).expect("a new FIFO");
        let fifo = OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(path("fifo"));
        drop(UnixListener::bind(path("sock")).expect("a new socket"));
        for (target, name) in [
            ("d", "link-d"),
            ("h", "link-h"),
            ("nowhere", "dangling"),
            ("selfloop", "selfloop"),
            ("/dev/zero", "zero"),
            ("/dev/null", "null"),
            ("/dev/full", "full"),
            ("/dev/zero", "nodes/zero"),
        ] {
            symlink(target, path(name)).expect("a new link");
        }
        fs::write(path("empty"), b"").expect("a new file");
        fs::write(path("small"), [7; 100]).expect("a new file");
        fs::write(path("tail"), vec![9; 50_001]).expect("a new file");
        fs::write(path("with blank"), vec![3; 40_960]).expect("a new file");
        fs::write(path("locked"), vec![5; 8192]).expect("a new file");
        fs::set_permissions(path("locked"), Permissions::from_mode(0o600)).expect("it is ours");
        File::create_new(path("sparse")).and_then(|file| file.set_len(SPARSE_BYTES)).expect("a new file");
        Self { directory: directory.to_owned(), fifo: fifo.expect("its owner may") }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn write(&self, name: impl AsRef<OsStr>, bytes: &[u8]) {
        let path = self.directory.join(name.as_ref());
        fs::write(&path, bytes).expect("a file of ours");
        fs::set_permissions(path, Permissions::from_mode(0o644)).expect("a file of ours");
    }

    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.directory.join(name)).ok()
    }

    pub(crate) fn hard_link(&self, of: &str, name: &str) {
        fs::hard_link(self.directory.join(of), self.directory.join(name)).expect("a new link");
    }

    pub(crate) fn fill_fifo(&self, bytes: &[u8]) {
        (&self.fifo).write_all(bytes).expect("a FIFO holds a root hash");
    }

    /// Runs a program and records the files afterwards.
    pub(crate) fn run(&self, program: &Path, arguments: &[OsString], as_nobody: bool) -> Outcome {
        let mut command = Command::new(program);
        command.args(arguments).arg0("veritysetup").current_dir(&self.directory).env("LC_ALL", "C");
        if as_nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        let (end, stdout, stderr) = finish(&mut command);
        let text = |bytes: &[u8]| {
            let chunks = bytes.utf8_chunks();
            let text: String =
                chunks.map(|chunk| chunk.valid().to_owned() + &chunk.invalid().escape_ascii().to_string()).collect();
            let here = self.directory.to_str().expect("a temporary directory's name");
            let text = text.replace(here, "HERE");
            // Newlines that are part of a name.
            let names = ["new\nline", "a\nb"];
            let text = names.iter().fold(text, |text, name| text.replace(name, &name.replace('\n', "\u{240a}")));
            text.lines().map(str::to_owned).collect()
        };
        Outcome { end, stdout: text(&stdout), stderr: text(&stderr), files: self.snapshot() }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::new();
        for (folder, prefix) in [(self.directory.clone(), ""), (self.directory.join("dir"), "dir/")] {
            for entry in fs::read_dir(folder).expect("readable") {
                let entry = entry.expect("readable");
                let mut name = OsString::from(prefix);
                name.push(entry.file_name());
                snapshot.insert(name, self.entry(&entry.path()));
            }
        }
        snapshot
    }

    fn entry(&self, path: &Path) -> Entry {
        let metadata = path.symlink_metadata().expect("it is there");
        let kind = metadata.file_type();
        let (mut bytes, mut content) = (0, Vec::new());
        if kind.is_symlink() {
            content.push((0, fs::read_link(path).expect("a link").as_os_str().as_bytes().to_vec()));
        } else if kind.is_fifo() {
            let mut waiting = vec![0; 1 << 16];
            match (&self.fifo).read(&mut waiting) {
                Ok(length) => waiting.truncate(length),
                Err(error) if error.kind() == ErrorKind::WouldBlock => waiting.clear(),
                Err(error) => panic!("{error}"),
            }
            content.push((0, waiting));
        } else if kind.is_file() {
            bytes = metadata.len();
            content = stretches(path, bytes);
        }
        Entry { mode: metadata.mode(), links: metadata.nlink(), bytes, content: Arc::new(content) }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.directory).expect("ours");
    }
}

/// The data of a file without holes and whole pages of zeros, which a file system may store as either.
fn stretches(path: &Path, length: u64) -> Vec<(u64, Vec<u8>)> {
    const PAGE: usize = 4096;
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut found: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut offset = 0;
    while offset < length {
        let from = i64::try_from(offset).expect("a file's offset");
        let Ok(start) = lseek(&file, from, Whence::SeekData) else { break };
        let end = lseek(&file, start, Whence::SeekHole).expect("every file ends with a hole");
        let (start, end) = (start.cast_unsigned() / PAGE as u64 * PAGE as u64, end.cast_unsigned().min(length));
        let mut bytes = vec![0; usize::try_from(end - start).expect("small")];
        file.read_exact_at(&mut bytes, start).expect("readable");
        for (index, page) in bytes.chunks(PAGE).enumerate() {
            let at = start + (index * PAGE) as u64;
            if page.iter().all(|&byte| byte == 0) {
                continue;
            }
            match found.last_mut() {
                Some((first, bytes)) if *first + bytes.len() as u64 == at => bytes.extend_from_slice(page),
                _ => found.push((at, page.to_vec())),
            }
        }
        offset = end;
    }
    found
}

/// The loop devices that are still attached to something here.
pub(crate) fn loop_devices(directory: &Path) -> Vec<PathBuf> {
    let Ok(devices) = fs::read_dir("/sys/block") else { return Vec::new() };
    let files = devices.filter_map(|device| fs::read_to_string(device.ok()?.path().join("loop/backing_file")).ok());
    files.map(|file| PathBuf::from(file.trim_end())).filter(|file| file.starts_with(directory)).collect()
}

/// Whether a command could activate a mapping here. None may be activated by accident.
pub(crate) fn has_device_mapper() -> bool {
    // The node may exist all the same.
    fs::read_to_string("/proc/misc").is_ok_and(|devices| devices.contains("device-mapper"))
}

/// Whether a command can be run as another user.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn finish(command: &mut Command) -> (End, Vec<u8>, Vec<u8>) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let pid = Pid::from_raw(child.id().cast_signed());
    let (done, is_done) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        // An error means that the sender is gone too.
        let hangs = is_done.recv_timeout(HANGS_AFTER) == Err(mpsc::RecvTimeoutError::Timeout);
        hangs && kill(pid, Signal::SIGKILL).is_ok()
    });
    let output = child.wait_with_output().expect("a child of ours");
    drop(done);
    let end = match (guard.join().expect("it does not panic"), output.status.code(), output.status.signal()) {
        (true, ..) => End::Hung,
        (false, Some(code), _) => End::Code(code),
        (false, None, signal) => End::Signal(signal.unwrap_or_default()),
    };
    (end, output.stdout, output.stderr)
}
