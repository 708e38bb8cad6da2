//! `open --from-cmdline` as far as it works without a kernel: one line of fixed words for scripts, and the reason on
//! standard error. The library tests how a command line is read, `tests/boot` tests what is opened.

use crate::sandbox::{Outcome, Sandbox};

const HASH: &str = "0123456789ABCDEF0123456789abcdeffedcba9876543210FEDCBA9876543210";
const BECAUSE: &str = "dmverity: cannot open the root device:";

/// Exit code, standard output and standard error.
type Answer = (Option<i32>, String, String);

/// What the command answers to a line in which `{}` is a root hash.
fn answer(line: &str, options: &[&str]) -> Answer {
    let sandbox = Sandbox::new();
    sandbox.write("cmdline", line.replace("{}", HASH).as_bytes());
    let outcome = sandbox.run(&[&["open", "--from-cmdline=cmdline"], options].concat());
    (outcome.code, outcome.stdout, outcome.stderr)
}

/// Success, with this on standard output.
fn said(text: &str) -> Answer {
    (Some(0), text.to_owned(), String::new())
}

#[track_caller]
fn check(line: &str, dry_run: bool, code: i32, stdout: &str, stderr: &str) {
    let options: &[&str] = if dry_run { &["--dry-run"] } else { &[] };
    assert_eq!(answer(line, options), (Some(code), stdout.to_owned(), stderr.to_owned()), "{line:?}");
}

#[test]
fn it_says_whether_the_root_device_is_asked_for() {
    for dry_run in [true, false] {
        check("root=/dev/sda1 ro\n", dry_run, 0, "not-asked\n", "");
        check("usrhash={}", dry_run, 0, "not-asked usr\n", "");
        check("roothash={} systemd.verity=no usrhash={}", dry_run, 0, "switched-off\n", "");
        let reason = format!("{BECAUSE} roothash= is on the kernel command line, but not as a parameter of its own\n");
        check("x.roothash={}", dry_run, 1, "", &reason);
    }
    check("quiet\t'roothash={}'\n", true, 0, "asked\n", "");
    check("quiet roothash={} usrhash={}\n", true, 0, "asked usr\n", "");
}

#[test]
fn the_device_for_usr_is_opened_in_the_same_words() {
    let answers = |line, options: &[&str]| answer(line, &[&["--usr"], options].concat());
    assert_eq!(answers("roothash={}", &[]), said("not-asked\n"));
    assert_eq!(answers("usrhash={} systemd.verity=0", &[]), said("switched-off\n"));
    assert_eq!(answers("roothash={} usrhash={}", &["--dry-run"]), said("asked\n"));
    let (code, stdout, stderr) = answers("usrhash={} systemd.verity_usr_data=/dev/null/x", &[]);
    assert_eq!((code, stdout.as_str()), (Some(4), "missing /dev/null/x\n"));
    assert!(stderr.starts_with("dmverity: cannot open the device for /usr: /dev/null/x does not exist\n"), "{stderr}");
    let (code, _, stderr) = answers("usrhash={} systemd.verity_usr_options=what", &["--dry-run"]);
    let reason = "dmverity: cannot open the device for /usr: systemd.verity_usr_options= has the unknown option what\n";
    assert!(code == Some(1) && stderr.starts_with(reason), "{stderr}");
    let sandbox = Sandbox::new();
    for option in ["usr", "with-usr"] {
        let alone = format!("veritysetup: Option --{option} must be used with --from-cmdline in open action.\n");
        crate::bad_input::misused(&sandbox, &format!("open d v0 h 00 --{option}"), &alone);
    }
    let both = sandbox.run(&["open", "--from-cmdline", "--usr", "--with-usr"]);
    assert!(both.stderr.ends_with("Option --usr and --with-usr cannot be used together.\n"), "{both:?}");
}

#[test]
fn both_devices_are_asked_for_at_once() {
    let answers = |line, options: &[&str]| answer(line, &[&["--with-usr"], options].concat());
    for dry_run in [&[][..], &["--dry-run"]] {
        assert_eq!(answers("quiet", dry_run), said("not-asked\n"));
        assert_eq!(answers("usrhash={} systemd.verity=0", dry_run), said("switched-off\n"));
        let reason = format!("{BECAUSE} usrhash= asks for a verity device for /usr\n");
        let (code, stdout, stderr) = answers("usrhash={}", dry_run);
        assert!(code == Some(1) && stdout.is_empty() && stderr.starts_with(&reason), "{stderr}");
    }
    let (code, _, stderr) = answers("roothash={} usrhash={} systemd.verity_usr_options=what", &["--dry-run"]);
    let reason = "dmverity: cannot open the device for /usr: systemd.verity_usr_options= has the unknown option ";
    assert!(code == Some(1) && stderr.starts_with(reason), "{stderr}");
    assert_eq!(answers("roothash={} usrhash={}", &["--dry-run"]), said("asked\n"));
    assert_eq!(answers("roothash={}", &["--dry-run"]), said("asked\n"));
    let (code, stdout, stderr) = answers("roothash={} usrhash={} systemd.verity_root_data=/dev/null/x", &[]);
    assert_eq!((code, stdout.as_str()), (Some(4), "missing /dev/null/x\n"));
    assert!(stderr.starts_with(&format!("{BECAUSE} /dev/null/x does not exist\n")), "{stderr}");
}

#[test]
fn what_open_would_refuse_is_refused_before() {
    for (options, reason) in [
        ("data-blocks=many", "veritysetup: invalid numeric value\nhint: --data-blocks takes"),
        (
            "ignore-corruption,restart-on-corruption",
            "veritysetup: Option --ignore-corruption and --restart-on-corruption",
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("cmdline", format!("roothash={HASH} systemd.verity_root_options={options}").as_bytes());
        let outcome = sandbox.run(&["open", "--from-cmdline=cmdline", "--dry-run"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
        let expected = format!("{BECAUSE} veritysetup open failed\n{reason}");
        assert!(outcome.stderr.starts_with(&expected), "{}", outcome.stderr);
    }
    check(
        "roothash={} systemd.verity_root_options=root-hash-signature=/no/where",
        true,
        1,
        "",
        &format!("{BECAUSE} the initramfs does not have /no/where, which root-hash-signature= names\n"),
    );
    check(
        "roothash={} systemd.verity_root_options=what",
        true,
        1,
        "",
        &format!(
            "{BECAUSE} systemd.verity_root_options= has the unknown option what\n\
             hint: the options are those of veritytab(5); an unknown one might be there for protection.\n"
        ),
    );
}

#[test]
fn a_device_that_is_not_there_is_named() {
    for (line, device, hint) in [
        ("roothash={} systemd.verity_root_data=/dev/no\"\\x20$(x) \"", "/dev/no\\x20$(x) ", ""),
        (
            "roothash={}",
            "/dev/disk/by-partuuid/01234567-89ab-cdef-0123-456789abcdef",
            "hint: without systemd.verity_root_data= it is the partition with the root hash's first half as UUID\n",
        ),
        (
            "roothash={} systemd.verity_root_data=/dev/null",
            "/dev/disk/by-partuuid/fedcba98-7654-3210-fedc-ba9876543210",
            "hint: without systemd.verity_root_hash= it is the partition with the root hash's last half as UUID\n",
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("cmdline", line.replace("{}", HASH).as_bytes());
        let outcome = sandbox.run(&["open", "--from-cmdline=cmdline"]);
        assert_eq!((outcome.code, outcome.stdout), (Some(4), format!("missing {device}\n")));
        let head = format!("{BECAUSE} {device} does not exist\nhint: block devices that are there:");
        assert!(outcome.stderr.starts_with(&head) && outcome.stderr.ends_with(hint), "{}", outcome.stderr);
    }
}

#[test]
fn what_is_no_command_line_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("long", &vec![b' '; (1 << 20) + 1]);
    for (file, code, reason) in [
        ("nosuch", 4, "Cannot read kernel command line nosuch.\nhint: "),
        ("/dev/zero", 1, "/dev/zero is too long for a kernel command line\n"),
        ("long", 1, "long is too long for a kernel command line\n"),
    ] {
        let outcome = sandbox.run(&["open", &format!("--from-cmdline={file}"), "--dry-run"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(code), ""), "{file}");
        assert!(outcome.stderr.starts_with(&format!("{BECAUSE} {reason}")), "{}", outcome.stderr);
    }
}

#[test]
fn the_kernels_own_command_line_is_the_default() {
    let sandbox = Sandbox::new();
    let run = |words: &str| sandbox.run(&words.split(' ').collect::<Vec<_>>());
    for rest in ["--dry-run", "--usr --dry-run"] {
        let named = run(&format!("open --from-cmdline=/proc/cmdline {rest}"));
        let answers = |outcome: Outcome| (outcome.code, outcome.stdout, outcome.stderr);
        let named = answers(named);
        assert_eq!(answers(run(&format!("open --from-cmdline {rest}"))), named);
        assert_eq!(answers(run(&format!("open {rest} --from-cmdline"))), named);
    }
    // The next word is its value, as with other options.
    sandbox.write("cmdline", b"systemd.verity=maybe roothash=");
    let outcome = run("open --dry-run --from-cmdline cmdline");
    assert!(outcome.stderr.contains("systemd.verity=maybe"), "{outcome:?}");
    let outcome = run("open --from-cmdline --shared");
    assert!(outcome.stderr.ends_with("Option --shared and --from-cmdline cannot be used together.\n"), "{outcome:?}");
}

#[test]
fn it_takes_the_place_of_arguments_and_other_options() {
    let sandbox = Sandbox::new();
    sandbox.write("cmdline", b"");
    for (words, message) in [
        ("open d root h 00 --dry-run", "Option --dry-run must be used with --from-cmdline in open action."),
        ("open d root h 00 --from-cmdline=cmdline", "open: takes no arguments with --from-cmdline"),
        ("create root d h --from-cmdline=cmdline", "open: takes no arguments with --from-cmdline"),
        ("create d --from-cmdline=cmdline", "open: takes no arguments with --from-cmdline"),
        ("open --from-cmdline=cmdline --shared", "Option --shared and --from-cmdline cannot be used together."),
        ("open --from-cmdline=cmdline --salt=-", "Option --salt and --from-cmdline cannot be used together."),
        ("open --from-cmdline=cmdline --json", ""),
    ] {
        let outcome = sandbox.run(&words.split(' ').collect::<Vec<_>>());
        assert_eq!(outcome.code, Some(1), "{words}");
        if !message.is_empty() {
            assert!(outcome.stderr.ends_with(&format!("\nveritysetup: {message}\n")), "{words}: {}", outcome.stderr);
        }
    }
}

#[test]
fn a_policy_decides_what_may_be_booted() {
    let signed = "systemd.image_policy=root=signed";
    // A signed image is looked for.
    check(signed, true, 0, "asked\n", "");
    check("dmverity.image=auto", true, 0, "asked\n", "");
    check("systemd.image_policy=root=verity+unprotected", true, 0, "not-asked\n", "");
    check(&format!("{signed} roothash={{}}"), true, 0, "asked\n", "");
    for (line, code, reason) in [
        (
            "systemd.image_policy=root=signed systemd.verity=no",
            2,
            "the policy does not allow systemd.verity= to switch verity off\nhint: policy: root=signed\n",
        ),
        (
            "systemd.image_policy=root=encrypted dmverity.image=auto",
            2,
            "the policy does not allow a signed image\nhint: policy: root=encrypted\n",
        ),
        ("systemd.image_policy=root=what", 1, "the policy in systemd.image_policy= cannot be followed\nhint: "),
        ("systemd.image_policy=root=signed systemd.image_policy=", 1, "systemd.image_policy= is empty\n"),
        // All of them have to be met.
        (
            "rd.systemd.image-policy=root=signed systemd.image_policy=root=encrypted",
            2,
            "the policy does not allow a signed image\nhint: policy: root=signed and root=encrypted\n",
        ),
        (
            "systemd.image_policy=root=signed roothash={} systemd.verity_root_options=nofail,ignore-corruption",
            2,
            "the policy does not allow ignore-corruption, with which changed blocks are read\nhint: policy: ",
        ),
        (
            "systemd.image_policy=root=verity systemd.verity_root_options=ignore-corruption",
            2,
            "the policy does not allow ignore-corruption, with which changed blocks are read\nhint: policy: ",
        ),
        // Nothing would use them.
        ("dmverity.image=auto systemd.verity_root_data=/dev/a", 1, "systemd.verity_root_data= needs the root hash\n"),
        (
            "dmverity.image=auto systemd.verity_root_options=panic-on-corruptoin",
            1,
            "systemd.verity_root_options= has the unknown option panic-on-corruptoin\n",
        ),
        (
            "dmverity.image=auto systemd.verity_root_options=expect-data-blocks=many",
            1,
            "veritysetup open failed\nveritysetup: invalid numeric value\n",
        ),
    ] {
        for options in [&["--dry-run"][..], &[]] {
            let (found, stdout, stderr) = answer(line, options);
            assert_eq!((found, stdout.as_str()), (Some(code), ""), "{line}");
            assert!(stderr.starts_with(&format!("{BECAUSE} {reason}")), "{line}: {stderr}");
        }
    }
    let ignored = "roothash={} systemd.image_policy=root=unprotected systemd.verity_root_options=ignore-corruption";
    check(ignored, true, 0, "asked\n", "");
    // Nobody is trusted here.
    let (code, stdout, stderr) = answer(signed, &[]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.starts_with(&format!("{BECAUSE} there is no certificate to check a signature with\n")), "{stderr}");
    let (code, stdout, _) = answer("dmverity.image=/dev/null/x", &[]);
    assert_eq!((code, stdout.as_str()), (Some(4), "missing /dev/null/x\n"));
}

/// systemd's generator opens what `usrhash=` asks for, and knows of no policy.
#[test]
fn only_what_satisfies_the_policy_for_usr_is_left_to_others() {
    for (line, expected) in [
        ("systemd.image_policy=root=signed:usr=verity usrhash={}", "asked usr\n"),
        ("systemd.image_policy=root=signed:usr=signed usrhash={}", "asked\n"),
        ("systemd.image_policy=root=signed:usr=verity", "asked\n"),
        ("systemd.image_policy=usr=verity usrhash={}", "not-asked usr\n"),
        ("systemd.image_policy=usr=verity+unprotected", "not-asked\n"),
    ] {
        check(line, true, 0, expected, "");
    }
    for line in ["systemd.image_policy=usr=verity", "systemd.image_policy=usr=signed usrhash={}"] {
        let reason = format!("{BECAUSE} the policy asks for a verity device for /usr\n");
        check(line, true, 1, "", &format!("{reason}hint: the root device has to be one, too\n"));
    }
}
