use super::*;
use crate::kernel_options::{KERNEL_OPTIONS, KernelOption};
use crate::options::OPTIONS;

use dmverity::table::{TableFlag, TableOption};

fn invocation(line: &str) -> Invocation {
    let words: Vec<OsString> = ["veritysetup"].into_iter().chain(line.split(' ')).map(OsString::from).collect();
    match parse(&words) {
        Ok(Request::Run(invocation)) => *invocation,
        Ok(Request::Text(text)) => panic!("{line}: {text}"),
        Err(failure) => panic!("{line}: {}", failure.text()),
    }
}

#[track_caller]
fn command(line: &str) -> Command {
    invocation(line).command.unwrap_or_else(|failure| panic!("{line}: {}", failure.text()))
}

/// What is wrong with a command line.
#[track_caller]
fn refused(line: &str) -> String {
    let words: Vec<OsString> = ["veritysetup"].into_iter().chain(line.split(' ')).map(OsString::from).collect();
    let failure = match parse(&words) {
        Ok(Request::Run(invocation)) => invocation.command.err(),
        Ok(Request::Text(_)) => None,
        Err(failure) => Some(failure),
    };
    failure.unwrap_or_else(|| panic!("{line}: not refused")).lines.join("\n")
}

/// An option that is parsed and then forgotten would be accepted and change nothing.
#[test]
fn every_option_of_the_table_is_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/arguments");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let reading = files.filter(|path| !path.ends_with("contradictions.rs") && !path.ends_with("tests.rs"));
    let source: String = reading.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    // These are read by one loop, which the next test is about.
    let by_the_list = |name: &str| {
        KERNEL_OPTIONS
            .iter()
            .any(|known| matches!(known.table_option, TableOption::Flag(_)) && known.option[2..] == *name)
    };
    for option in OPTIONS.iter().filter(|option| !by_the_list(option.name)) {
        assert!(source.contains(&format!("(\"{}\"", option.name)), "nothing reads --{}", option.name);
    }
}

#[test]
fn every_flag_of_the_kernels_is_read() {
    for KernelOption { table_option, option, .. } in &KERNEL_OPTIONS {
        let TableOption::Flag(flag) = *table_option else { continue };
        let words = match flag {
            TableFlag::RestartOnError => "--restart-on-corruption --error-as-corruption",
            TableFlag::PanicOnError => "--panic-on-corruption --error-as-corruption",
            _ => option,
        };
        let Command::Open(open) = command(&format!("open d n h 00 {words}")) else { panic!("it is open") };
        assert!(open.kernel.flags.contains(flag), "{words}");
        assert_eq!(open.kernel.flags.iter().count(), words.split(' ').count(), "{words}");
    }
}

#[test]
fn arguments_have_their_places() {
    let Command::Open(open) = command("open d name h 00") else { panic!("it is open") };
    let Command::Open(created) = command("create name d h 00") else { panic!("it is open") };
    for open in [open, created] {
        assert_eq!((open.mapping.to_str(), open.image.root_hash.argument.as_deref()), (Some("name"), Some("00")));
        let Place::Devices { data, hash } = open.image.place else { panic!("two devices were given") };
        assert_eq!((data, hash), ("d".into(), "h".into()));
    }
    let Command::Format(format) = command("format d --append") else { panic!("it is format") };
    assert_eq!((&format.data, format.hash.as_ref()), (&"d".into(), Some(&"d".into())));
    let Command::Format(format) = command("format d --dry-run") else { panic!("it is format") };
    assert_eq!((format.hash.as_deref(), format.hash_or_data()), (None, std::path::Path::new("d")));
    let invocation = invocation("close name what ever");
    assert_eq!(
        (invocation.name, &invocation.warnings[..]),
        ("close", &["ignored arguments: what ever".to_owned()][..])
    );
}

#[test]
fn the_option_that_protects_more_counts() {
    let kernel = |options: &str| match command(&format!("open d n h 00 {options}")) {
        Command::Open(open) => (open.kernel.flags.iter().collect::<Vec<_>>(), open.kernel.overridden),
        _ => panic!("it is open"),
    };
    assert_eq!(kernel("--ignore-corruption"), (vec![TableFlag::IgnoreCorruption], None));
    let (flags, overridden) = kernel("--ignore-corruption --panic-on-corruption");
    assert_eq!(flags, [TableFlag::PanicOnCorruption]);
    assert!(overridden.is_some());
    let restart = kernel("--restart-on-corruption --error-as-corruption");
    assert_eq!(restart, (vec![TableFlag::RestartOnCorruption, TableFlag::RestartOnError], None));
}

#[test]
fn the_size_that_is_planned_for_comes_from_one_place() {
    let size = |line: &str| match command(line) {
        Command::Plan(Plan { data: Planned::Size(bytes), .. }) => Some(bytes),
        Command::Plan(Plan { data: Planned::Device(_), .. }) => None,
        _ => panic!("it is plan"),
    };
    assert_eq!(size("plan --data-size=5000"), Some(5000));
    assert_eq!(size("plan --data-blocks=3 --data-block-size=512"), Some(1536));
    assert_eq!(size("plan --data-blocks=18446744073709551615"), Some(u64::MAX));
    assert_eq!(size("plan d --data-blocks=3"), None);
    // What is wrong with a value is named before what is wrong with several.
    assert_eq!(refused("plan d --data-size=1 --hash=foo"), "Hash algorithm foo not supported.");
}

/// Fixed by what callers know: options that the action does not take come first, in the table's order, with numbers.
#[test]
fn one_of_several_faults_is_named() {
    for (line, message) in [
        ("dump h --shared --data-blocks=x", "invalid numeric value"),
        ("dump h --append --data-blocks=x", "Option --append is not allowed with dump action."),
        ("open d n h --usr --env", "Option --env is not allowed with open action."),
        ("open d n h --usr --hash-offset=x", "Option --usr must be used with --from-cmdline in open action."),
        ("open --from-cmdline=f d --shared", "open: takes no arguments with --from-cmdline"),
        ("verify d h --hash-offset=auto --no-superblock --threads=x", "invalid numeric value"),
        ("table d h --usr --dm-mod-create=a/b", "Option --usr must be used with --cmdline."),
        ("table d h --dm-mod-create=a/b --root-hash-signature=s", "Name must not contain '/' character."),
        ("format d --append --data-blocks=1 --json --root-hash-file=-", "Option --append and --data-blocks cannot"),
    ] {
        let found = refused(line);
        assert!(found.trim_start_matches("veritysetup: ").starts_with(message), "{line}: {found}");
    }
}
