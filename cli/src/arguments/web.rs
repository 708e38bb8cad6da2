//! The options about images on web servers, and where a URL can be used.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::words::Words;
use crate::failure::{Exit, Failure, Result};
use crate::options::{Action, ActionInfo, WEB};
use crate::url::{is_url, without_user};

/// How images on web servers are read.
#[derive(Default)]
pub(crate) struct WebOptions {
    /// For how many seconds a server may send nothing.
    pub(crate) timeout: Option<u64>,
    /// The file that keeps what was proven.
    pub(crate) cache: Option<PathBuf>,
    /// How many bytes it may have.
    pub(crate) cache_size: Option<u64>,
    /// The URLs as they were given, some with user and password.
    given: Vec<OsString>,
}

impl WebOptions {
    pub(super) fn of(words: &Words) -> Result<Self> {
        let options = Self {
            timeout: words.number("http-timeout")?,
            cache: words.path_option("http-cache"),
            cache_size: words.number("http-cache-size")?,
            given: words.urls.iter().cloned().chain(words.value("fec-device")).collect(),
        };
        if options.cache_size.is_some() && options.cache.is_none() {
            return Err(Failure::usage("Option --http-cache-size must be used with --http-cache."));
        }
        if options.timeout == Some(0) {
            let failure = Failure::new(Exit::Parameters, "Invalid value of option --http-timeout.");
            return Err(failure.hint("a server needs a second at least."));
        }
        let for_urls = ["http-timeout", "http-cache"].into_iter().find(|option| words.given(option));
        match for_urls.filter(|_| !has_url(words)) {
            Some(option) => Err(Failure::usage(format!("Option --{option} is only for images on web servers."))),
            None => Ok(options),
        }
    }

    /// The URL that is shown by this name, with user and password if it has them.
    pub(crate) fn url(&self, name: &Path) -> OsString {
        let given = self.given.iter().find(|given| is_url(given) && without_user((*given).clone()) == name.as_os_str());
        given.cloned().unwrap_or_else(|| name.as_os_str().to_owned())
    }
}

fn has_url(words: &Words) -> bool {
    !words.urls.is_empty() || words.value("fec-device").is_some_and(is_url)
}

/// Refuses URLs where the action cannot use them.
pub(super) fn check(words: &Words, info: &ActionInfo) -> Result<()> {
    if !has_url(words) {
        return Ok(());
    }
    let refused = |what: &str| {
        let failure = Failure::new(Exit::Parameters, format!("Cannot {what} an image on a web server."));
        failure
            .hint("it can be read alone, with serve, mount-file, verify, dump and inspect.")
            .hint("for everything else download it first.")
    };
    if WEB.contains(&info.action) {
        if cfg!(feature = "http") {
            return Ok(());
        }
        let failure = Failure::new(Exit::Parameters, "This veritysetup was built without HTTP.");
        return Err(failure
            .hint("build one that can read images on web servers with `make static FEATURES=http`.")
            .hint("or download the image; a local file of this name is ./http://..."));
    }
    match info.action {
        Action::Table => Err(refused("make a table for")),
        Action::Format | Action::Repair | Action::Open | Action::Plan | Action::Sign | Action::Build => {
            Err(refused(info.name))
        }
        _ => Ok(()),
    }
}
