//! `table` in forms other than the kernel's table: `/usr`, Chrome OS, IPE, FIT images.

use dmverity_tests::schema;
use dmverity_tests::vectors::painted;

use crate::bad_input::{misused, refused};
use crate::sandbox::Sandbox;

const BYTES: usize = 40960;

/// Data with the tree after it, made with these options; returns the root hash.
fn appended(options: &[&str]) -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.write("i", &painted(BYTES));
    let format = ["format", "i", "i", "--no-superblock", "--salt=aa", "--data-blocks=10", "--hash-offset=40960"];
    let root_hash = sandbox.run(&[&format, options].concat()).field("Root hash").to_owned();
    (sandbox, root_hash)
}

const SAME: &str = "--no-superblock --salt=aa --data-blocks=10 --hash-offset=40960";

#[track_caller]
fn prints(sandbox: &Sandbox, command: &str, line: &str) {
    let arguments: Vec<&str> = command.split_whitespace().collect();
    let outcome = sandbox.run(&arguments);
    assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (Some(0), line, ""), "{command}");
    let object = sandbox.run(&[&arguments[..], &["--json"]].concat());
    let object = schema::check(&object.stdout).expect("an object of the schema");
    assert_eq!(object["line"].as_str(), line.strip_suffix('\n'));
}

#[test]
fn the_line_for_usr_is_systemds() {
    let (sandbox, root) = appended(&[]);
    let call = format!("table i i {root} {SAME} --cmdline --usr --boot-data-device=/dev/vda3");
    let options = "superblock=no,format=1,hash=sha256,data-block-size=4096,hash-block-size=4096,data-blocks=10,salt=aa,\
                   hash-offset=40960";
    prints(
        &sandbox,
        &format!("{call} --panic-on-corruption"),
        &format!(
            "usrhash={root} systemd.verity_usr_data=/dev/vda3 systemd.verity_usr_hash=/dev/vda3 \
             systemd.verity_usr_options={options},panic-on-corruption\n"
        ),
    );
    // A boot can read the printed line.
    let line = sandbox.run(&call.split(' ').collect::<Vec<_>>()).stdout;
    sandbox.write("cmdline", line.as_bytes());
    let asked = sandbox.run(&["open", "--from-cmdline=cmdline", "--usr", "--dry-run"]);
    assert_eq!((asked.code, asked.stdout.as_str()), (Some(0), "asked\n"), "{asked:?}");
    misused(
        &sandbox,
        &format!("table i i {root} {SAME} --usr"),
        "veritysetup: Option --usr must be used with --cmdline.\n",
    );
    misused(
        &sandbox,
        &format!("table i i {root} {SAME} --usr --veritytab=usr"),
        "veritysetup: Option --usr must be used with --cmdline.\n",
    );
}

#[test]
fn chromiumos_has_its_own_words() {
    let (sandbox, root) = appended(&["--format=0"]);
    let call = format!("table i i {root} {SAME} --format=0 --chromeos --boot-data-device=PARTUUID=%U/PARTNROFF=1");
    let device = "PARTUUID=%U/PARTNROFF=1";
    prints(
        &sandbox,
        &call,
        &format!(
            "dm=\"1 vroot none ro 1,0 80 verity payload={device} hashtree={device} hashstart=80 alg=sha256 \
             root_hexdigest={root} salt=aa\"\n"
        ),
    );
    let hint = "hint: this form cannot express it, or the characters have another meaning there.\n";
    let refuses = |command: &str, value: &str| {
        refused(&sandbox, command, 1, &format!("Cannot write \"{value}\" in ChromiumOS's dm=.\n{hint}"));
    };
    refuses(&format!("{call} --check-at-most-once"), "check_at_most_once");
    refuses(&format!("{call} --boot-data-device=vda3"), "vda3");
    refuses(&call.replace("--format=0", "--format=1"), "hash type 1");
    refuses(&call.replace("--hash-offset=40960", "--hash-offset=45056"), "hash offset 45056 with 40960 bytes of data");
}

#[test]
fn a_rule_for_ipe_names_the_root_hash_alone() {
    let (sandbox, root) = appended(&[]);
    let call = format!("table i i {root} {SAME} --ipe");
    prints(&sandbox, &call, &format!("op=EXECUTE dmverity_roothash=sha256:{root} action=ALLOW\n"));
    let (sandbox, root) = appended(&["--hash=sha1"]);
    refused(
        &sandbox,
        &format!("table i i {root} {SAME} --hash=sha1 --ipe"),
        1,
        "Cannot write \"sha1\" in an IPE policy.\n\
         hint: this form cannot express it, or the characters have another meaning there.\n",
    );
}

#[test]
fn a_fit_image_has_the_parameters_as_a_node() {
    let (sandbox, root) = appended(&[]);
    let call = format!("table i i {root} {SAME} --fit");
    prints(
        &sandbox,
        &format!("{call} --restart-on-corruption --check-at-most-once"),
        &format!(
            "dm-verity {{\n\talgo = \"sha256\";\n\tdata-block-size = <4096>;\n\thash-block-size = <4096>;\n\
             \tnum-data-blocks = <10>;\n\thash-start-block = <10>;\n\tdigest = [{root}];\n\tsalt = [aa];\n\
             \trestart-on-corruption;\n\tcheck-at-most-once;\n}};\n"
        ),
    );
    sandbox.write("d", &painted(BYTES));
    sandbox.run(&["format", "d", "h", "--salt=aa"]);
    refused(
        &sandbox,
        &format!("table d h {root} --fit"),
        1,
        "A FIT image has data and hash tree in one file.\nhint: name that file twice, with --hash-offset.\n",
    );
    let hint = "hint: this form cannot express it, or the characters have another meaning there.\n";
    refused(
        &sandbox,
        &format!("{call} --ignore-corruption"),
        1,
        &format!("Cannot write \"ignore_corruption\" in a FIT image.\n{hint}"),
    );
}
