//! URLs of images: what is sent, and what may be shown.

use base64ct::{Base64, Encoding as _};

use super::error::Error;

/// The longest URL that is taken, in bytes.
const MOST: usize = 8192;

/// Whether a name is the URL of something on a web server: it begins with `http://` or `https://`, in any case.
pub fn is_url(name: &str) -> bool {
    after_scheme(name).is_some()
}

/// A URL without what must not be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Without user, password and fragment.
    pub(super) url: String,
    /// The header that user and password are sent in.
    pub(super) authorization: Option<String>,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let unusable = |what| Error::Url { what };
        let rest = after_scheme(url).ok_or(unusable("it does not begin with http:// or https://"))?;
        if url.len() > MOST {
            return Err(unusable("it is too long"));
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unusable("it has blanks or characters that have to be written as %XX"));
        }
        let scheme = url[..url.len() - rest.len()].to_ascii_lowercase();
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        if host.is_empty() || host.starts_with(':') {
            return Err(unusable("it names no host"));
        }
        let authorization = user.map(|user| -> Result<String, Error> {
            let decoded = decoded(user).ok_or(unusable("its user or password is not encoded as %XX"))?;
            let decoded = if user.contains(':') { decoded } else { [decoded, vec![b':']].concat() };
            Ok(format!("Basic {}", Base64::encode_string(&decoded)))
        });
        let slash = if path.starts_with('/') { "" } else { "/" };
        let url = format!("{scheme}{host}{slash}{path}");
        Ok(Self { url, authorization: authorization.transpose()? })
    }
}

/// What follows the scheme.
fn after_scheme(url: &str) -> Option<&str> {
    let after = |scheme: &str| {
        let (start, rest) = url.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    after("http://").or_else(|| after("https://"))
}

/// The bytes of a text with %XX.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.push(*hex::decode(digits).ok()?.first()?);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_sent_and_not_shown() {
        let address = Address::parse("HTTPS://me:p%40ss@example.org:8443/a/b?c=d#e").unwrap();
        assert_eq!(address.url, "https://example.org:8443/a/b?c=d");
        assert_eq!(address.authorization.as_deref(), Some("Basic bWU6cEBzcw=="));
        let address = Address::parse("http://me@example.org").unwrap();
        assert_eq!((&*address.url, address.authorization.as_deref()), ("http://example.org/", Some("Basic bWU6")));
        assert_eq!(Address::parse("http://[::1]:80?x").unwrap().url, "http://[::1]:80/?x");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in ["file:///a", "http:/a", "http://", "http:///a", "http://:80/", "http://u@/a", "http://a/ b"] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
        for url in ["http://a/\u{e9}", "http://a%4@b/", "http://a%zz@b/"] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
        assert!(Address::parse(&format!("http://a/{}", "b".repeat(MOST))).is_err());
        assert!(!is_url("./http://a") && !is_url("http:") && is_url("HTTP://a") && is_url("https://a"));
    }
}
