//! Mappings named by a path that does not exist: inactive, with and without device-mapper. Existing paths are tested on
//! real kernels, by the case `paths`.

use crate::sandbox::{Outcome, Sandbox};

#[test]
fn a_path_to_nothing_is_an_inactive_mapping() {
    let sandbox = Sandbox::new();
    std::os::unix::fs::symlink("nowhere", sandbox.path("link")).unwrap();
    let long = format!("./{}", "a".repeat(300));
    for path in ["../dmverity-nosuch", "./x", "x/", "a/b", "./link", "/dev/nosuch", &long] {
        let status = sandbox.run(&["status", path]);
        let inactive = format!("/dev/mapper/{path} is inactive.\n");
        assert_eq!(status, Outcome { code: Some(4), stdout: inactive, stderr: String::new() }, "{path}");
        for close in [&["close", path][..], &["close", path, "--deferred"], &["remove", path, "--cancel-deferred"]] {
            let stderr = format!("Device {path} is not active.\n");
            assert_eq!(sandbox.run(close), Outcome { code: Some(4), stdout: String::new(), stderr }, "{close:?}");
        }
        assert_eq!(status, sandbox.reference(&["status", path]));
        assert_eq!(sandbox.run(&["close", path]), sandbox.reference(&["close", path]));
    }
    // The reference names the directory twice.
    for path in ["/dev/mapper/dmverity-nosuch", "/dev/mapper/../mapper/dmverity-nosuch"] {
        let (ours, theirs) = (sandbox.run(&["status", path]), sandbox.reference(&["status", path]));
        assert_eq!((ours.code, ours.stdout), (Some(4), format!("{path} is inactive.\n")));
        assert_eq!((theirs.code, theirs.stdout), (Some(4), format!("/dev/mapper/{path} is inactive.\n")));
    }
    let object =
        dmverity_tests::schema::check(&sandbox.run(&["status", "../dmverity-nosuch", "--json"]).stdout).unwrap();
    assert_eq!((&object["name"], &object["active"]), (&"../dmverity-nosuch".into(), &false.into()));
}
