//! The tests that cryptsetup's source brings for its `veritysetup`, run against ours as they are: fetched as the
//! kernels are, never part of this project. `tests/vm/compat/` holds what runs them.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};

use super::apt::{Apt, Lists};
use super::cache::cached;
use super::{hosttools, paths, process, sources};

/// The script in the package's source; it needs no other file of it.
const SCRIPT: &str = "tests/verity-compat-test";

/// The Debian suite whose cryptsetup is taken unless `COMPAT_SUITE` names another. This one has 2.8, which our command
/// replaces; it will be released and then stay as it is.
const SUITE: &str = "forky";

/// Where everything is in the guest.
const GUEST: &str = "/compat";

/// Makes sure the script is in the cache; `refresh` fetches it even so. Returns its folder, `target/vm/compat/SUITE`; a
/// file `package` in it says where the script is from.
pub fn fetch(refresh: bool) -> Result<PathBuf> {
    let suite = env::var("COMPAT_SUITE").ok().filter(|suite| !suite.is_empty()).unwrap_or_else(|| SUITE.to_owned());
    if !sources::SUITES.contains(&suite.as_str()) {
        bail!("COMPAT_SUITE is {suite:?}, which is none of Debian's suites: {}", sources::SUITES.join(", "));
    }
    let folder = paths::cache().join("compat").join(&suite);
    cached(&folder, refresh, |work, out| {
        let apt = Apt::update(&work.join("apt"), &suite, Lists::Sources)?;
        let version = apt.unpack_source("cryptsetup", SCRIPT, out)?;
        fs::write(out.join("package"), format!("cryptsetup {version} of {suite}\n"))?;
        Ok(())
    })
    .with_context(|| format!("cannot fetch cryptsetup's source of {suite}"))?;
    Ok(folder)
}

/// What the guest needs for it: host's file and place.
pub fn files() -> Result<Vec<(PathBuf, String)>> {
    process::require(hosttools::USERLAND)?;
    let fetched = fetch(false)?;
    let mut files = Vec::new();
    for name in ["verity-compat-test", "package"] {
        files.push((fetched.join(name), format!("{GUEST}/{name}")));
    }
    for name in ["veritysetup", "missing.bash"] {
        files.push((paths::vm("compat").join(name), format!("{GUEST}/{name}")));
    }
    files.extend(hosttools::userland(&format!("{GUEST}/bin"))?.into_iter().map(|(guest, host)| (host, guest)));
    Ok(files)
}
