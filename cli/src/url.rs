//! Names of images that are URLs. A user and a password in one are never shown.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Whether a name means a file on a web server. A local file of such a name is reached as `./http://...`.
pub(crate) fn is_url(name: impl AsRef<OsStr>) -> bool {
    name.as_ref().to_str().is_some_and(|name| after_scheme(name).is_some())
}

/// What follows `http://` or `https://`.
fn after_scheme(name: &str) -> Option<&str> {
    ["http://", "https://"].into_iter().find_map(|scheme| {
        let (start, rest) = name.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// The name without user and password, if it is a URL.
pub(crate) fn without_user(name: OsString) -> OsString {
    let shown = name.to_str().and_then(|text| {
        let rest = after_scheme(text)?;
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let (user, _) = authority.rsplit_once('@')?;
        Some(OsString::from(format!("{}{}", &text[..text.len() - rest.len()], &rest[user.len() + 1..])))
    });
    shown.unwrap_or(name)
}

/// The same for a path.
pub(crate) fn shown(path: PathBuf) -> PathBuf {
    without_user(path.into_os_string()).into()
}

/// Whether two names are those of one file, block device or file on a web server.
pub(crate) fn is_same(first: &Path, second: &Path) -> bool {
    if is_url(first) || is_url(second) { first == second } else { dmverity::is_same_device(first, second) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_passwords_are_left_out() {
        let of = |text: &str| without_user(text.into()).into_string().unwrap();
        assert_eq!(of("https://me:pass@example.org:80/a@b?c@d"), "https://example.org:80/a@b?c@d");
        assert_eq!(of("HTTP://a@b@example.org"), "HTTP://example.org");
        for same in ["http://example.org/a@b", "./http://me@example.org", "me@example.org", "http://", "http:"] {
            assert_eq!(of(same), same);
        }
        assert!(is_url("http://") && is_url("hTTps://a") && !is_url("http:/a") && !is_url("./http://a"));
        assert!(is_same(Path::new("http://a/b"), Path::new("http://a/b")));
        assert!(!is_same(Path::new("http://a/b"), Path::new("/dev/null")));
    }
}
