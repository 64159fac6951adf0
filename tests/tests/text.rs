//! What `docs/text.md` points to exists: every file, every name in it, every lesson; and no lesson is left out.

extern crate alloc;

use alloc::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::bounded::Watchdog;
use tests::process::{Program, example};

/// The folder of the page, and the page.
fn page() -> (PathBuf, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let docs = root.expect("a workspace").join("docs");
    let page = fs::read_to_string(docs.join("text.md")).expect("the page");
    (docs, page)
}

/// The links of the page: their texts, and their targets.
fn links(page: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    for (at, _) in page.match_indices("](") {
        let begin = page[..at].rfind('[').expect("a beginning");
        let rest = &page[at + 2..];
        let end = rest.find(')').expect("an end");
        links.push((&page[begin + 1..at], &rest[..end]));
    }
    links
}

/// What is between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_link_leads_somewhere() {
    let (docs, page) = page();
    let links = links(&page);
    assert!(links.len() > 40, "{links:?}");
    for (text, to) in links {
        let path = docs.join(to);
        assert!(path.is_file(), "[{text}]({to}): there is no such file");
        let content = fs::read_to_string(&path).expect("text");
        for name in quoted(text) {
            // A test, an example or a fuzz target is named by its file; anything else is in the file.
            let named = to.contains(&format!("/{name}.rs")) || to.contains(&format!("/{name}/"));
            let word = |part: &str| part == name;
            let mut words =
                content.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            assert!(
                named || words.any(word),
                "[{text}]({to}): no `{name}` is in that file"
            );
        }
    }
}

#[test]
fn every_lesson_is_there_and_none_is_left_out() {
    let _bound = Watchdog::new();
    let (_, page) = page();
    let pointed = quoted_lessons(&page);
    let listed = Program::spawn(Command::new(example("explorer")).arg("--list")).end();
    let names = listed
        .output
        .lines()
        .filter_map(|line| line.split(' ').next());
    let listed: BTreeSet<_> = names.map(ToOwned::to_owned).collect();
    assert_eq!(pointed, listed);
}

fn quoted_lessons(page: &str) -> BTreeSet<String> {
    let spans = quoted(page).filter_map(|span| span.strip_prefix("--lesson "));
    spans.map(ToOwned::to_owned).collect()
}

#[test]
fn the_words_come_in_the_order_of_the_text() {
    let (_, page) = page();
    let titles: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    assert_eq!(
        titles,
        [
            "1. Blocking",
            "2. Non-blocking",
            "3. I/O multiplexing",
            "4. Polling",
            "5. Event bits",
            "6. The epoll model",
            "7. The program",
        ]
    );
}
