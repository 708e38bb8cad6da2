//! The pages for readers: their links work wherever the pages are installed.

use std::fs;
use std::path::{Path, PathBuf};

use dmverity_tests::workspace;

/// The links of a page.
fn links(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

fn is_on_the_web(link: &str) -> bool {
    link.starts_with("https://")
}

fn pages(folder: &str) -> Vec<PathBuf> {
    let folder = workspace().join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn every_link_of_the_pages_leads_somewhere() {
    let pages: Vec<PathBuf> = [".", "man", "tests"].into_iter().flat_map(pages).collect();
    let mut followed = 0;
    for page in &pages {
        for link in links(page).iter().filter(|link| !is_on_the_web(link)) {
            let file = link.split('#').next().expect("split yields one at least");
            let target = page.parent().expect("a page is in a folder").join(file);
            assert!(target.exists(), "{} links to {link}", page.display());
            followed += 1;
        }
    }
    assert!(followed > 10, "links were not found: {followed}");
}

/// Registries show them, and `make install` copies them, without the rest of the repository.
#[test]
fn pages_that_are_published_alone_link_to_nothing_in_the_repository() {
    for page in ["lib/README.md", "cli/README.md"] {
        let links = links(&workspace().join(page));
        assert!(!links.is_empty() && links.iter().all(|link| is_on_the_web(link)), "{page}: {links:?}");
    }
}

/// `make install` copies the pages beside the manual into one folder.
#[test]
fn pages_beside_the_manual_link_to_each_other_alone() {
    let pages = pages("man");
    assert!(pages.len() >= 5, "{pages:?}");
    for page in pages {
        for link in links(&page) {
            assert!(is_on_the_web(&link) || !link.contains('/'), "{} links to {link}", page.display());
        }
    }
}
