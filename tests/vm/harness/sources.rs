//! The machine's own package sources, which say where it gets Debian from: no server is named here.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Result, bail};

/// Where the package `debian-archive-keyring` puts the keys of all suites.
const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The names under which Debian publishes itself; a third party's or Ubuntu's suite is not among them.
pub const SUITES: &[&str] = &[
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// A place that serves Debian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The address as apt takes it.
    pub uri: String,
    /// Whether it serves the security suites instead of the main ones.
    pub security: bool,
    /// The keyring the signatures are checked with; none means apt's own trusted keys.
    pub keyring: Option<PathBuf>,
}

/// One entry of a sources file, of either format.
#[derive(Debug, Default)]
struct Entry {
    binary: bool,
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
}

/// The places to try for Debian: `DEBIAN_MIRROR` alone when it is set, else what the machine's configuration names.
pub fn debian() -> Result<Vec<Source>> {
    if let Some(uri) = env::var("DEBIAN_MIRROR").ok().filter(|uri| !uri.is_empty()) {
        if !Path::new(DEBIAN_KEYRING).is_file() {
            bail!(
                "{DEBIAN_KEYRING} is missing, the archive's signature cannot be checked: apt-get install \
                 debian-archive-keyring"
            );
        }
        return Ok(vec![Source { uri, security: false, keyring: Some(DEBIAN_KEYRING.into()) }]);
    }
    let mut entries = Vec::new();
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let mut parts: Vec<PathBuf> =
        fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    parts.sort();
    files.extend(parts);
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => entries.extend(parse_deb822(&text)),
            Some("list") => entries.extend(text.lines().filter_map(parse_line)),
            _ => {}
        }
    }
    let sources = choose(&entries);
    if !sources.iter().any(|source| !source.security) {
        bail!(
            "nothing of Debian's can be fetched: the machine's package sources (/etc/apt/sources.list, \
             /etc/apt/sources.list.d) name no \
             Debian archive with the component main; set DEBIAN_MIRROR to the address of one"
        );
    }
    Ok(sources)
}

/// Keeps the entries that serve Debian.
fn choose(entries: &[Entry]) -> Vec<Source> {
    let mut sources = Vec::new();
    for entry in entries {
        if !entry.binary || !entry.components.iter().any(|component| component == "main") {
            continue;
        }
        let keyring = match entry.signed_by.as_deref() {
            // Another publisher's keyring: another publisher's archive, whatever it calls its suites.
            Some(keyring) if keyring.starts_with('/') && !keyring.contains("debian-archive") => {
                continue;
            }
            Some(keyring) if keyring.starts_with('/') => Some(PathBuf::from(keyring)),
            // A key written into the entry itself, or only its fingerprint.
            Some(_) => Some(DEBIAN_KEYRING.into()),
            None => Some(PathBuf::from(DEBIAN_KEYRING)).filter(|keyring| keyring.is_file()),
        };
        for suite in &entry.suites {
            let (base, security) = match suite.strip_suffix("-security") {
                Some(base) => (base, true),
                None => (suite.as_str(), false),
            };
            if !SUITES.contains(&base) {
                continue;
            }
            for uri in &entry.uris {
                // Without a keyring the address is all there is to tell Debian from others that use its suite names.
                if entry.signed_by.is_none() && !uri.contains("debian") || uri.starts_with("cdrom:") {
                    continue;
                }
                let source = Source { uri: uri.clone(), security, keyring: keyring.clone() };
                if !sources.contains(&source) {
                    sources.push(source);
                }
            }
        }
    }
    sources
}

/// A line of the one-line format: `deb [options] uri suite component...`.
fn parse_line(line: &str) -> Option<Entry> {
    let line = line.split('#').next()?.trim();
    let mut entry = Entry { binary: true, ..Entry::default() };
    let mut rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    if let Some(options) = rest.strip_prefix('[') {
        let (options, after) = options.split_once(']')?;
        entry.signed_by =
            options.split_whitespace().find_map(|option| option.strip_prefix("signed-by=")).map(str::to_owned);
        rest = after;
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    entry.uris.extend(words.next());
    entry.suites.extend(words.next());
    entry.components.extend(words);
    Some(entry)
}

/// The stanzas of a `.sources` file.
fn parse_deb822(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let lines = || text.lines().filter(|line| !line.starts_with('#'));
    let mut stanza: Vec<(String, String)> = Vec::new();
    for line in lines().chain([""]) {
        if line.trim().is_empty() {
            entries.extend(entry_of(&stanza));
            stanza.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            stanza.push((key.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    entries
}

/// The entry a stanza describes, unless it is switched off or empty.
fn entry_of(stanza: &[(String, String)]) -> Option<Entry> {
    let field = |key: &str| stanza.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let words = |key: &str| field(key).unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    if stanza.is_empty() || field("enabled").is_some_and(|value| matches!(value, "no" | "false" | "0" | "off")) {
        return None;
    }
    Some(Entry {
        binary: words("types").iter().any(|kind| kind == "deb"),
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signed_by: field("signed-by").filter(|value| !value.is_empty()).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uris(entries: &[Entry]) -> Vec<(String, bool)> {
        choose(entries).into_iter().map(|source| (source.uri, source.security)).collect()
    }

    #[test]
    fn stanzas_of_debian_are_taken_and_others_left() {
        let text = "# comment\nTypes: deb deb-src\nURIs: http://a.example/debian\nSuites: bookworm bookworm-updates\n\
                    Components: main\n\
                    Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\nTypes: deb\n\
                    URIs: http://a.example/sec\n\
                    Suites: bookworm-security\nComponents: main contrib\n\
                    Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n\
                    Types: deb\nURIs: http://b.example/debian\nSuites: bookworm\nComponents: main\n\
                    Signed-By: /usr/share/keyrings/other.gpg\n\n\
                    Enabled: no\nTypes: deb\nURIs: http://c.example/debian\nSuites: bookworm\nComponents: main\n\n\
                    Types: deb\nURIs: http://d.example/debian\nSuites: bookworm\nComponents: main\n\
                    Signed-By:\n -----BEGIN\n .\n -----END\n";
        assert_eq!(
            uris(&parse_deb822(text)),
            [
                ("http://a.example/debian".to_owned(), false),
                ("http://a.example/sec".to_owned(), true),
                ("http://d.example/debian".to_owned(), false)
            ]
        );
    }

    #[test]
    fn lines_of_debian_are_taken_and_others_left() {
        let text = "deb http://a.example/debian/ bullseye main contrib # why\n\
                    deb-src http://x.example/debian bullseye main\n\
                    deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://b.example/mirror \
                    stable main\n\
                    deb http://c.example/ubuntu noble main\ndeb http://d.example/ bookworm main\n\
                    # deb http://e.example/debian sid main\n\
                    deb http://f.example/debian bookworm-pgdg main\n";
        let entries: Vec<Entry> = text.lines().filter_map(parse_line).collect();
        assert_eq!(
            uris(&entries),
            [("http://a.example/debian/".to_owned(), false), ("http://b.example/mirror".to_owned(), false)]
        );
    }
}
