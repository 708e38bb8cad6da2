//! The rules of `deny.toml` for dependencies, checked without building cargo-deny first. `make deny` has cargo-deny
//! read the same file and look for advisories.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

use dmverity_tests::workspace;
use serde::Deserialize;
use spdx::{Expression, LicenseReq, ParseMode};

/// The default source of a package.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// `deny.toml`. A field that is missing here is a rule that would not be checked, so it is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    #[allow(dead_code)] // Needs a database from the network: `make deny`.
    advisories: HashMap<String, String>,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    allow: Vec<String>,
    #[serde(rename = "crate")]
    package: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bans {
    multiple_versions: String,
    wildcards: String,
    allow_wildcard_paths: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    unknown_registry: String,
    unknown_git: String,
}

/// The output of `cargo metadata`.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// None for a package of this workspace.
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    req: String,
    path: Option<String>,
}

fn rules() -> Rules {
    let text = fs::read_to_string(workspace().join("deny.toml")).expect("it is there");
    toml::from_str(&text).expect("it has these fields alone")
}

/// The packages that a build for this machine may use; nothing is fetched.
fn packages() -> Vec<Package> {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(workspace()).output().expect("it starts");
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let version = run("rustc", &["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc knows it");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let metadata = ["metadata", "--offline", "--locked", "--format-version=1", "--filter-platform", host];
    let metadata: Metadata = serde_json::from_str(&run(&cargo, &metadata)).expect("cargo's own format");
    assert!(metadata.packages.len() > 100, "{} packages are too few to be all", metadata.packages.len());
    metadata.packages
}

/// Whether a requirement, such as `Apache-2.0 WITH LLVM-exception`, is one of these licences.
fn is_one_of(requirement: &LicenseReq, allowed: &[String]) -> bool {
    allowed.contains(&requirement.to_string())
}

fn is_allowed(license: &str, package: &str, rules: &Licenses) -> bool {
    let expression = Expression::parse_mode(license, ParseMode::LAX).expect("an SPDX expression");
    expression.evaluate(|requirement| {
        let excepted = |exception: &Exception| exception.package == package && is_one_of(requirement, &exception.allow);
        is_one_of(requirement, &rules.allow) || rules.exceptions.iter().any(excepted)
    })
}

#[test]
fn every_licence_is_one_that_deny_toml_allows() {
    let rules = rules().licenses;
    let packages = packages();
    for package in &packages {
        let license = package.license.as_deref().unwrap_or_else(|| panic!("{} says no licence", package.name));
        assert!(is_allowed(license, &package.name, &rules), "{} {}: {license}", package.name, package.version);
    }
    // Some are used by no build but a fuzzer's.
    let lock = fs::read_to_string(workspace().join("Cargo.lock")).unwrap();
    for exception in &rules.exceptions {
        let is_used = lock.contains(&format!("name = \"{}\"\n", exception.package));
        assert!(is_used, "deny.toml makes an exception for {}, which is no dependency", exception.package);
    }
    // The check itself works: these are refused.
    for (license, package) in [("GPL-3.0-only", "a"), ("MIT AND MPL-2.0", "a"), ("MPL-2.0", "devicemapper-other")] {
        assert!(!is_allowed(license, package, &rules), "{license} of {package} is allowed");
    }
    assert!(is_allowed("GPL-2.0-only OR MIT/Apache-2.0", "a", &rules));
}

#[test]
fn every_package_comes_from_the_one_registry() {
    let rules = rules().sources;
    assert_eq!([&rules.unknown_registry[..], &rules.unknown_git[..]], ["deny", "deny"]);
    for package in packages() {
        let source = package.source.as_deref();
        assert!(source.is_none_or(|source| source == REGISTRY), "{} comes from {source:?}", package.name);
    }
}

#[test]
fn no_dependency_takes_any_version() {
    let rules = rules().bans;
    assert_eq!((&rules.wildcards[..], rules.allow_wildcard_paths), ("deny", true));
    assert_eq!(rules.multiple_versions, "warn", "this test would have to look for them");
    for package in packages() {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_none()) {
            assert_ne!(dependency.req, "*", "{} takes any version of {}", package.name, dependency.name);
        }
    }
}
