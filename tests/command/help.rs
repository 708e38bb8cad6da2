//! Help for one action, and hints for mistyped words, in addition to the reference's words, which scripts look for.

use crate::bad_input::misused;
use crate::hostile::ACTIONS;
use crate::sandbox::Sandbox;

#[test]
fn every_action_has_help_of_its_own() {
    let sandbox = Sandbox::new();
    for action in ACTIONS {
        let help = sandbox.run(&[action, "--help"]);
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""), "{action}");
        let mut lines = help.stdout.lines();
        assert!(lines.next().is_some_and(|line| line.starts_with("veritysetup 2.8.0 flags: ")), "{action}");
        let usage = help.stdout.lines().take(3).find(|line| line.contains(&format!(" veritysetup {action}")));
        let example = help.stdout.lines().skip_while(|line| *line != "Example:").nth(1);
        assert!(usage.is_some() || ["create", "remove"].contains(&action), "{action}");
        assert!(example.is_some_and(|line| line.starts_with("  veritysetup ")), "{action}");
        for same in [&["help", action][..], &["-?", action], &[action, "x", "y", "--help"], &["help", action, "-q"]] {
            assert_eq!(sandbox.run(same), help, "{same:?}");
        }
    }
}

#[test]
fn the_help_of_an_action_has_its_options_in_groups_and_no_others() {
    let sandbox = Sandbox::new();
    let format = sandbox.run(&["help", "format"]).stdout;
    let close = sandbox.run(&["help", "close"]).stdout;
    for line in ["  -s, --salt=hex string                Salt", "Parameters of the image:", "Forward error correction:"]
    {
        assert!(format.lines().any(|found| found == line), "{line}: {format}");
        assert!(!close.contains(line), "{line}: {close}");
    }
    assert!(close.contains("\nClosing:\n      --cancel-deferred "), "{close}");
    assert!(!format.contains("--deferred") && !format.contains("--panic-on-corruption"), "{format}");
    assert!(
        close.starts_with(&format!("{}Usage: veritysetup close [OPTION...] <name>\n", sandbox.run(&["-V"]).stdout))
    );
    assert!(close.contains("\n       veritysetup remove [OPTION...] <name>\n"), "{close}");
    assert!(close.ends_with("\nExample:\n  veritysetup close image\n"), "{close}");
    let open = sandbox.run(&["create", "--help"]).stdout;
    let swapped = "\n       veritysetup create [OPTION...] <name> <data_device> <hash_device> [<root_hash>]\n";
    assert!(open.contains(swapped), "{open}");
}

#[test]
fn help_without_an_action_is_about_all() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["--help"]);
    assert_eq!(sandbox.run(&["help"]), help);
    assert_eq!(sandbox.run(&["--help", "bogus"]), help);
    // The reference's lines about actions and defaults, which its users look for.
    let theirs = sandbox.reference(&["--help"]);
    for line in theirs.stdout.lines().skip_while(|line| *line != "<action> is one of:") {
        assert!(help.stdout.lines().any(|ours| ours == line), "{line}");
    }
    misused(&sandbox, "help bogus", "veritysetup: Unknown action.\n");
    // An option that prints a text takes precedence over the action.
    for words in [&["help", "--usage"][..], &["help", "format", "--usage"]] {
        assert_eq!(sandbox.run(words), sandbox.run(&["--usage"]), "{words:?}");
    }
}

#[test]
fn the_nearest_action_or_option_is_suggested() {
    let sandbox = Sandbox::new();
    for (command, meant) in [
        ("formt d h", "format"),
        ("Verify d h", "verify"),
        ("luksOpen d h", ""),
        ("help opne", "open"),
        ("delete v0", ""),
        ("remov v0", "remove"),
    ] {
        let hint = if meant.is_empty() { String::new() } else { format!("hint: did you mean {meant}?\n") };
        misused(&sandbox, command, &format!("{hint}veritysetup: Unknown action.\n"));
    }
    for (command, word, meant) in [
        ("format d h --hash-ofset=4096", "--hash-ofset=4096", "--hash-offset"),
        ("--no-superblok verify d h 00", "--no-superblok", "--no-superblock"),
        ("open d v0 h 00 --restart-on-corrupton", "--restart-on-corrupton", "--restart-on-corruption"),
        ("close v0 --force", "--force", ""),
        ("format d h -x", "-x", ""),
    ] {
        let hint = if meant.is_empty() { String::new() } else { format!("hint: did you mean {meant}?\n") };
        misused(&sandbox, command, &format!("{hint}{word}: unknown option\n"));
    }
}

/// The last line and the exit code are always the reference's.
#[test]
fn the_last_line_about_a_wrong_command_line_is_that_of_the_reference() {
    let sandbox = Sandbox::new();
    for command in [
        "",
        "formt",
        "format",
        "format d",
        "verify d",
        "open d v0",
        "close",
        "status",
        "dump",
        "--nosuch",
        "format d h --hash-ofset=1",
        "format d h -x",
        "format d h --salt",
        "format d h --no-superblock=1",
        "format d h --data-blocks=x",
        "format d h --deferred",
        "dump h --ignore-corruption",
        "open d v0 h 00 --ignore-corruption --restart-on-corruption",
        "close v0 --deferred --cancel-deferred",
    ] {
        let arguments: Vec<&str> = command.split_ascii_whitespace().collect();
        let (ours, theirs) = (sandbox.run(&arguments), sandbox.reference(&arguments));
        let last = |text: &str| text.lines().next_back().unwrap_or_default().replace("/usr/sbin/", "");
        assert_eq!((ours.code, last(&ours.stderr)), (theirs.code, last(&theirs.stderr)), "{command}");
        assert!(ours.stderr.lines().count() <= 3, "{}", ours.stderr);
        assert!(ours.stderr.starts_with("Usage: veritysetup ") && theirs.stderr.starts_with("Usage: veritysetup "));
    }
}
