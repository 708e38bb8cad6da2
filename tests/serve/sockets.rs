//! Where clients come from: sockets that are made and removed, inherited ones, and commands; and how serving ends.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::thread;

use dmverity_tests::{chain, schema, veritysetup, workspace};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::client::Client;
use crate::image::{BLOCK, Image};
use crate::server::Server;

const BLOCKS: usize = 20;

fn image() -> Image {
    Image::new(BLOCKS, &[])
}

/// Runs `serve` until it ends, without a signal.
fn serve(image: &Image, options: &[&str]) -> Output {
    image.run(veritysetup(), &[&["serve", "data.img", "hash.img", &image.root_hash], options].concat())
}

/// A refusal: exit code, and standard error.
fn refused(image: &Image, options: &[&str]) -> (Option<i32>, String) {
    let output = serve(image, options);
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

fn mode(path: PathBuf) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn a_socket_is_for_its_owner_and_removed_at_the_end() {
    let image = image();
    let before = image.names();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let server = Server::start(&image, &[]);
        assert_eq!(mode(image.path("nbd")), 0o600);
        server.signal(signal);
        let ended = server.wait();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{signal}");
        assert_eq!(image.names(), before);
    }
    let command =
        image.command(veritysetup(), &["serve", "data.img", "hash.img", &image.root_hash, "--socket=own/nbd"]);
    let server = Server::spawn(command, image.path("own/nbd"));
    assert_eq!((mode(image.path("own")), mode(image.path("own/nbd"))), (0o700, 0o600));
    // What is not its own stays.
    fs::write(image.path("own/other"), "").expect("writable");
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(fs::read_dir(image.path("own")).expect("readable").count(), 1);
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_a_live_one_is_not() {
    let image = image();
    let killed = Server::start(&image, &[]);
    killed.signal(Signal::SIGKILL);
    assert_eq!(killed.wait().code, None);
    assert!(fs::symlink_metadata(image.path("nbd")).expect("it was left").file_type().is_socket());
    let server = Server::start(&image, &[]);
    let busy = "Cannot make socket nbd.\nhint: a process listens on it.\n".to_owned();
    assert_eq!(refused(&image, &["--socket=nbd"]), (Some(5), busy));
    assert_eq!(Client::new(server.socket(), false).read(0, 1).as_deref(), Ok(&image.data[..1]));
    // Another server's socket is not removed.
    fs::remove_file(image.path("nbd")).expect("it is there");
    let other = Server::start(&image, &[]);
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(Client::new(other.socket(), false).read(0, 1).as_deref(), Ok(&image.data[..1]));
}

#[test]
fn of_servers_that_start_together_one_has_the_socket() {
    let image = image();
    for _ in 0..5 {
        drop(UnixListener::bind(image.path("nbd")).expect("a socket that nobody listens on"));
        let arguments = ["serve", "data.img", "hash.img", &image.root_hash, "--socket=nbd"];
        let start = |_| image.command(veritysetup(), &arguments).stderr(Stdio::null()).spawn().expect("it runs");
        let mut servers: Vec<Child> = (0..4).map(start).collect();
        let mut codes = Vec::new();
        // Those that find it taken end; then the one that has it is told to.
        while codes.len() < 3 {
            servers.retain_mut(|server| {
                let status = server.try_wait().expect("it is a child");
                codes.extend(status.map(|status| status.code()));
                status.is_none()
            });
            thread::yield_now();
        }
        let mut client = Client::new(&image.path("nbd"), true);
        assert_eq!(client.read(0, 1).as_deref(), Ok(&image.data[..1]));
        for mut server in servers {
            kill(Pid::from_raw(server.id().cast_signed()), Signal::SIGTERM).expect("it runs");
            codes.push(server.wait().expect("it is a child").code());
        }
        codes.sort();
        assert_eq!(codes, [Some(0), Some(5), Some(5), Some(5)]);
    }
}

#[test]
fn names_that_no_socket_can_have_are_refused() {
    let image = image();
    fs::write(image.path("file"), "mine").expect("writable");
    symlink("file", image.path("link")).expect("writable");
    fs::create_dir(image.path("directory")).expect("writable");
    let before = image.names();
    for name in ["file", "link", "directory"] {
        let words =
            format!("Cannot make socket {name}.\nhint: there is something else than a socket with that name.\n");
        assert_eq!(refused(&image, &[&format!("--socket={name}")]), (Some(1), words));
    }
    let long = "n".repeat(108);
    let (code, words) = refused(&image, &[&format!("--socket={long}")]);
    assert_eq!(code, Some(1));
    assert!(words.ends_with("hint: the path of a socket has at most 107 bytes, this one has 108.\n"), "{words}");
    for (name, why) in
        [("none/none/nbd", "No such file or directory"), ("file/nbd", "Not a directory"), ("", "No such")]
    {
        let (code, words) = refused(&image, &[&format!("--socket={name}")]);
        assert_eq!(code, Some(4), "{words}");
        assert!(words.contains(why), "{words}");
    }
    let (code, words) = refused(&image, &["--socket=/proc/nbd"]);
    assert!(code == Some(4) && words.starts_with("Cannot make socket /proc/nbd.\nhint: "), "{words}");
    assert_eq!(image.names(), before);
    assert_eq!(fs::read(image.path("file")).expect("it is there"), b"mine");
    // A name need not be UTF-8.
    let name = OsStr::from_bytes(b"s\xff");
    let mut command = image.command(veritysetup(), &["serve", "data.img", "hash.img", &image.root_hash, "--socket"]);
    command.arg(name);
    let server = Server::spawn(command, image.directory().join(name));
    assert_eq!(Client::new(server.socket(), true).read(0, 1).as_deref(), Ok(&image.data[..1]));
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let image = image();
    let usage = |words: &str| {
        format!("Usage: veritysetup serve [OPTION...] <data_device> <hash_device> [<root_hash>]\n{words}\n")
    };
    let none = usage("veritysetup: serve: requires --socket, --listen-fd or --exec");
    assert_eq!(refused(&image, &[]), (Some(1), none));
    for (options, words) in [
        (
            &["--socket=nbd", "--listen-fd=3"][..],
            "veritysetup: Option --socket and --listen-fd cannot be used together.",
        ),
        (&["--socket=nbd", "--exec", "true"], "veritysetup: Option --socket and --exec cannot be used together."),
        (&["--exec"], "--exec: missing argument"),
    ] {
        assert_eq!(refused(&image, options), (Some(1), usage(words)), "{options:?}");
    }
    let json = serve(&image, &["--socket=nbd", "--json", "--events-json"]);
    let words = "Option --json and --events-json=- cannot be used together.";
    assert!(String::from_utf8_lossy(&json.stdout).contains(words), "{json:?}");
    for (options, words) in [
        (
            &["--socket=nbd", "--verify=often"][..],
            "Invalid value of option --verify.\nhint: it is auto, inline or pool, not often.\n",
        ),
        (
            &["--socket=nbd", "--on-corruption=panic"],
            "Invalid value of option --on-corruption.\nhint: it is error or stop, not panic.\n",
        ),
        (&["--listen-fd=0"], "File descriptor 0 cannot be used as a socket.\nhint: it is not an open socket.\n"),
        (&["--listen-fd=77"], "File descriptor 77 cannot be used as a socket.\nhint: it is not an open socket.\n"),
        (
            &["--listen-fd=99999999999"],
            "File descriptor 2147483647 cannot be used as a socket.\nhint: it is not an open socket.\n",
        ),
        (&["--exec", "./no such program", "-x"], "Cannot run ./no such program.\nhint: No such file or directory.\n"),
    ] {
        assert_eq!(refused(&image, options), (Some(1), words.to_owned()), "{options:?}");
    }
}

#[test]
fn a_root_hash_that_nothing_proves_is_not_enough() {
    let image = image();
    let sidecars = image.run(veritysetup(), &["format", "--sidecars", "data.img"]);
    assert!(sidecars.status.success(), "{sidecars:?}");
    let refused = image.run(veritysetup(), &["serve", "data.img", "--socket=nbd"]);
    assert_eq!(refused.status.code(), Some(2));
    let words = String::from_utf8(refused.stderr).expect("text");
    assert!(words.starts_with("The image is not served: nothing proves the root hash, which comes from "), "{words}");
    assert!(!image.path("nbd").exists());
    let root_hash = format!("--root-hash={}", image_root_hash(&image));
    let server = Server::of(&image, &["data.img", &root_hash, "--socket=nbd"]);
    assert_eq!(Client::new(server.socket(), true).read(0, 1).as_deref(), Ok(&image.data[..1]));
}

fn image_root_hash(image: &Image) -> String {
    fs::read_to_string(image.path("data.img.roothash"))
        .or_else(|_| fs::read_to_string(image.path("data.roothash")))
        .expect("a root hash")
        .trim()
        .to_owned()
}

#[test]
fn images_are_found_as_by_open() {
    let image = image();
    let append =
        image.run(veritysetup(), &["format", "--append", "data.img", "--root-hash-file=root-hash", "--fec-roots=2"]);
    assert!(append.status.success(), "{append:?}");
    let options = ["data.img", "data.img", "--root-hash-file=root-hash", "--hash-offset=auto", "--socket=nbd"];
    let server = Server::of(&image, &options);
    let copy = image.run("nbdcopy", &[&server.uri(), "-"]);
    assert!(copy.stdout == image.data, "the disk has the data and not the tree");
    drop(server);
    // What is expected is not there.
    let (code, _) = refused_with(&image, &[&options[..], &["--expect-data-blocks=21"]].concat());
    assert_eq!(code, Some(2));
}

#[test]
fn a_disk_image_is_served_if_its_signer_is_trusted() {
    let image = image();
    chain::unpack(image.directory());
    let disk = "ddi/root-signed-257.raw";
    let (code, words) = refused_with(&image, &[disk, "--socket=nbd"]);
    assert_eq!(code, Some(2), "{words}");
    let certificate = workspace().join("tests/vectors/chain/certs/rsa.crt");
    let trusted = format!("--trusted={}", certificate.display());
    let server = Server::of(&image, &[disk, &trusted, "--socket=nbd"]);
    let copy = image.run("nbdcopy", &[&server.uri(), "-"]).stdout;
    // systemd-repart has put the data partition at sector 40.
    let disk = fs::read(image.path(disk)).expect("it is there");
    assert!(!copy.is_empty() && disk[40 * 512..].starts_with(&copy));
}

fn refused_with(image: &Image, arguments: &[&str]) -> (Option<i32>, String) {
    let output = image.run(veritysetup(), &[&["serve"], arguments].concat());
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn a_command_is_served_and_ends_it() {
    let image = image();
    // What is after --exec belongs to the command, and its exit code is ours.
    let script =
        "nbdcopy \"$uri\" copy.img && test -S \"$unixsocket\" && echo \"$unixsocket\" >path; exit ${1#--code=}";
    let output = serve(&image, &["-q", "--exec", "sh", "-c", script, "sh", "--code=7", "--json"]);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(7), 0), "{output:?}");
    assert!(fs::read(image.path("copy.img")).is_ok_and(|copy| copy == image.data));
    let path = fs::read_to_string(image.path("path")).expect("it was run");
    assert!(!PathBuf::from(path.trim()).parent().expect("a directory").exists(), "nothing stays behind");
    // A signal ends it as a shell says it.
    let output = serve(&image, &["--exec", "sh", "-c", "kill -9 $$"]);
    assert_eq!(output.status.code(), Some(137));
    // The directory is where TMPDIR says, whose name may need to be quoted in a URI.
    fs::create_dir(image.path("a b%")).expect("writable");
    let arguments =
        ["serve", "data.img", "hash.img", &image.root_hash, "--exec", "sh", "-c", "nbdinfo --size \"$uri\""];
    let mut command = image.command(veritysetup(), &arguments);
    let output = command.env("TMPDIR", "a b%").env_remove("XDG_RUNTIME_DIR").output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), (BLOCKS * BLOCK).to_string(), "{output:?}");
    assert_eq!(fs::read_dir(image.path("a b%")).expect("readable").count(), 0);
}

#[test]
fn a_command_is_ended_with_the_server() {
    let image = image();
    let start = |script: &str| {
        let arguments = ["serve", "data.img", "hash.img", &image.root_hash, "--exec", "sh", "-c", script];
        let mut command = image.command(veritysetup(), &arguments);
        command.env("TMPDIR", image.directory()).env_remove("XDG_RUNTIME_DIR");
        command
    };
    for (script, signals, code) in [
        ("trap 'exit 3' TERM; touch started; while :; do sleep 0.01; done", &[Signal::SIGTERM][..], 3),
        ("trap '' TERM; touch started; while :; do sleep 0.01; done", &[Signal::SIGTERM, Signal::SIGTERM], 137),
        ("touch started; while :; do sleep 0.01; done", &[Signal::SIGINT, Signal::SIGINT], 143),
    ] {
        let mut process = start(script).spawn().expect("it runs");
        while !image.path("started").exists() {
            assert_eq!(process.try_wait().expect("it is a child"), None);
            thread::yield_now();
        }
        for signal in signals {
            kill(Pid::from_raw(process.id().cast_signed()), *signal).expect("it runs");
            // Two that arrive together are one.
            thread::sleep(std::time::Duration::from_millis(300));
        }
        assert_eq!(process.wait().expect("it is a child").code(), Some(code), "{script}");
        fs::remove_file(image.path("started")).expect("it was made");
        assert_eq!(image.names(), ["data.img", "hash.img"], "{script}");
    }
}

/// Starts `serve` with the socket `nbd` as descriptor 3.
fn with_inherited(image: &Image, address: &str, environment: &str, options: &str) -> Server {
    let program = format!(
        "import os, socket, sys
s = {address}
s.listen()
open('port', 'w').write(str(s.getsockname()))
fd = s.detach()
os.dup2(fd, 3) if fd != 3 else os.set_inheritable(3, True)
{environment}
os.execv(sys.argv[1], sys.argv[1:] + {options})"
    );
    let veritysetup = veritysetup();
    let veritysetup = veritysetup.to_str().expect("UTF-8");
    let arguments = ["-c", &program, veritysetup, "serve", "data.img", "hash.img", &image.root_hash];
    Server::spawn(image.command("python3", &arguments), image.path("nbd"))
}

const UNIX: &str = "socket.socket(socket.AF_UNIX); s.bind('nbd')";
const ACTIVATED: &str = "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))";

#[test]
fn an_inherited_socket_is_served_and_stays() {
    let image = image();
    for (environment, options) in [("", "['--listen-fd=3']"), (ACTIVATED, "[]"), (ACTIVATED, "['--listen-fd=3']")] {
        let server = with_inherited(&image, UNIX, environment, options);
        assert_eq!(Client::new(server.socket(), true).read(0, 1).as_deref(), Ok(&image.data[..1]));
        assert_eq!(server.stop().code, Some(0));
        fs::remove_file(image.path("nbd")).expect("it belongs to somebody else");
    }
    // Passed to another process, or too many.
    for (environment, words) in [
        ("os.environ.update(LISTEN_FDS='1', LISTEN_PID='1')", "serve: requires --socket, --listen-fd or --exec"),
        (
            "os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()))",
            "systemd has passed 2 sockets.\nhint: --listen-fd chooses one of them: the first is 3.",
        ),
    ] {
        let program = format!("import os, sys\n{environment}\nos.execv(sys.argv[1], sys.argv[1:])");
        let veritysetup = veritysetup();
        let arguments = ["-c", &program, veritysetup.to_str().expect("UTF-8"), "serve", "data.img", "hash.img", "00"];
        let output = image.run("python3", &arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{output:?}");
    }
}

#[test]
fn a_tcp_socket_is_served() {
    let image = image();
    // A second socket tells when it has started, and is not used.
    let address = "socket.create_server(('127.0.0.1', 0))
t = socket.socket(socket.AF_UNIX)
t.bind('nbd')
t.listen()
os.set_inheritable(t.fileno(), True)";
    let server = with_inherited(&image, address, "", "['--listen-fd=3']");
    let port = fs::read_to_string(image.path("port")).expect("it was written");
    let port = port.trim_end_matches(')').rsplit(' ').next().expect("a number");
    let copy = image.run("nbdcopy", &[&format!("nbd://127.0.0.1:{port}"), "-"]);
    assert!(copy.stdout == image.data, "{:?}", copy.stderr);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn clients_of_other_users_are_sent_away() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can be somebody else; the mode of the socket is looked at above.
        return;
    }
    let image = image();
    let address = "socket.socket(socket.AF_UNIX); s.bind('nbd'); os.chmod('nbd', 0o666); os.chmod('.', 0o755)";
    let server = with_inherited(&image, address, "", "['--listen-fd=3']");
    let read = |user: &str| {
        let program = "import os, socket, sys
s = socket.socket(socket.AF_UNIX)
os.setuid(int(sys.argv[1]))
s.connect('nbd')
sys.stdout.write(str(len(s.recv(18))))";
        let output = image.run("python3", &["-c", program, user]);
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!((read("0").as_str(), read("65534").as_str()), ("18", "0"));
    let ended = server.stop();
    assert_eq!(ended.counter("refused_connections"), 1);
}

#[test]
fn it_needs_no_standard_output() {
    let image = image();
    let script = "exec \"$@\" >&-";
    let words = ["-c", script, "sh", veritysetup_path(), "serve", "data.img", "hash.img", &image.root_hash];
    let server = Server::spawn(image.command("sh", &[&words[..], &["--socket=nbd"]].concat()), image.path("nbd"));
    assert_eq!(server.stop().code, Some(0));
    let events = image.run("sh", &[&words[..], &["--socket=nbd", "--events-json"]].concat());
    assert_eq!(String::from_utf8_lossy(&events.stderr), "Cannot write to standard output.\nhint: Bad file number.\n");
}

/// The command's path as text.
fn veritysetup_path() -> &'static str {
    Box::leak(veritysetup().into_boxed_path()).to_str().expect("UTF-8")
}

#[test]
fn counters_are_told_at_a_signal_and_at_the_end() {
    let image = image();
    let mut server = Server::start(&image, &[]);
    let mut client = Client::new(server.socket(), false);
    assert!(client.read(0, 5).is_ok() && client.read(u64::MAX, 5).is_err());
    server.signal(Signal::SIGUSR1);
    let line = server.line();
    assert!(line.contains(" requests=2 failed_requests=1 bytes_sent=5 blocks_read=1 blocks_verified=1 "), "{line}");
    let ended = server.stop();
    assert_eq!(ended.counter("requests"), 2);
    assert_eq!(ended.stdout, "");
    let mut server = Server::start(&image, &["--json"]);
    server.signal(Signal::SIGUSR1);
    let now: serde_json::Value = serde_json::from_str(&server.line()).expect("an object in one line");
    assert_eq!((&now["requests"], &now["reader"]["corrupted"]), (&json!(0), &json!(0)));
    let ended = server.stop();
    let object = schema::check(&ended.stdout).expect("it is as published");
    assert_eq!((&object["action"], &object["root_hash"]), (&json!("serve"), &json!(image.root_hash)));
    assert_eq!(ended.stderr, "");
}
