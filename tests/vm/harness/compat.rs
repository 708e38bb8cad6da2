//! The tests that cryptsetup's source brings for its `veritysetup` and its library, run against ours: fetched as the
//! kernels are, never part of this project. `tests/vm/compat/` holds the scripts that run them in machines.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};

use super::apt::{Apt, Lists};
use super::architecture::Architecture;
use super::cache::cached;
use super::{hosttools, paths, process, sources};

/// What is taken of the package's source: the script for `veritysetup`, which needs no other file, and the tests of the
/// library with their headers, list of symbols and an image.
const FILES: &[&str] = &[
    SCRIPT,
    "tests/all-symbols-test.c",
    "tests/api-test.c",
    "tests/api_test.h",
    "tests/compatimage.img.xz",
    "tests/generate-symbols-list",
    "tests/test_utils.c",
    "lib/libcryptsetup.h",
    "lib/libcryptsetup.sym",
    "lib/luks1/luks.h",
];

const SCRIPT: &str = "tests/verity-compat-test";

/// The Debian suite whose cryptsetup is taken unless `COMPAT_SUITE` names another. It has 2.8, which our command
/// replaces; once released, the suite no longer changes.
const SUITE: &str = "forky";

/// Where everything is in the guest.
const GUEST: &str = "/compat";

/// Makes sure the source is in the cache; `refresh` fetches it again. Returns its folder,
/// `target/vm/cryptsetup/SUITE`; a file `package` in it says where it is from.
pub fn fetch(refresh: bool) -> Result<PathBuf> {
    let suite = env::var("COMPAT_SUITE").ok().filter(|suite| !suite.is_empty()).unwrap_or_else(|| SUITE.to_owned());
    if !sources::SUITES.contains(&suite.as_str()) {
        bail!("COMPAT_SUITE is {suite:?}, which is none of Debian's suites: {}", sources::SUITES.join(", "));
    }
    let folder = paths::cache().join("cryptsetup").join(&suite);
    cached(&folder, refresh, |work, out| {
        let apt = Apt::update(&work.join("apt"), &suite, Architecture::Amd64, Lists::Sources)?;
        let version = apt.unpack_source("cryptsetup", FILES, out)?;
        fs::write(out.join("package"), format!("cryptsetup {version} of {suite}\n"))?;
        Ok(())
    })
    .with_context(|| format!("cannot fetch cryptsetup's source of {suite}"))?;
    Ok(folder)
}

/// The files that the guest needs for the script: the host's path and the guest's.
pub fn files() -> Result<Vec<(PathBuf, String)>> {
    process::require(hosttools::USERLAND)?;
    let fetched = fetch(false)?;
    let mut files = Vec::new();
    files.push((fetched.join(SCRIPT), format!("{GUEST}/verity-compat-test")));
    files.push((fetched.join("package"), format!("{GUEST}/package")));
    for name in ["veritysetup", "missing.bash"] {
        files.push((paths::vm("compat").join(name), format!("{GUEST}/{name}")));
    }
    files.extend(hosttools::userland(&format!("{GUEST}/bin"))?.into_iter().map(|(guest, host)| (host, guest)));
    Ok(files)
}

/// The verity part of the library's own test, compiled here, and the image that it needs.
///
/// The test's other parts are for types of devices that the library does not have; they and the files that only they
/// need are left out.
pub fn api_test() -> Result<Vec<(PathBuf, String)>> {
    process::require(&["cc"])?;
    let (source, work) = (fetch(false)?, paths::cache().join("api-test"));
    paths::sweep(&work)?;
    let tests = source.join("tests");
    let whole = fs::read_to_string(tests.join("api-test.c"))?;
    let left_out = |line: &str| {
        let other_part = line.contains("RUN_(") && !line.contains("RUN_(VerityTest,");
        other_part || (line.contains("_system(") && line.contains(".xz") && !line.contains("IMAGE1"))
    };
    let kept = whole.lines().filter(|line| !left_out(line)).fold(String::new(), |text, line| text + line + "\n");
    let (part, program) = (work.join("api-test.c"), work.join("api-test"));
    fs::write(&part, kept)?;
    let mut cc = process::command("cc")?;
    // What is left out is not used, and some of it is not in the library's older headers.
    cc.args(["-O1", "-w", "-D_GNU_SOURCE", "-DHAVE_DECL_DM_TASK_RETRY_REMOVE=1", "-DHAVE_SYS_SYSMACROS_H"]);
    cc.arg("-I").arg(&tests).arg("-I").arg(source.join("lib"));
    cc.arg(&part).arg(tests.join("test_utils.c")).arg(crate::c_library()?).arg("-ldevmapper").arg("-o").arg(&program);
    process::output(&mut cc).context("cannot compile cryptsetup's api-test")?;
    let image = tests.join("compatimage.img.xz");
    Ok(vec![(program, format!("{GUEST}/api-test")), (image, format!("{GUEST}/compatimage.img.xz"))])
}
